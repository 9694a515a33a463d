//! Points in time as documents write them (RFC 3339, in UTC), and spans in seconds.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Run;

/// A point in time, in milliseconds since 1970; leap seconds do not count. Years 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

const DAY: u64 = 86_400_000;

/// The last millisecond of the year 9999.
const LAST: u64 = 253_402_300_799_999;

impl Moment {
    /// Seconds since 1970.
    pub fn seconds(self) -> f64 {
        Duration::from_millis(self.0).as_secs_f64()
    }

    /// How long ago `earlier` was then; nothing if it was later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Run {
    /// When it ended.
    pub fn end(&self) -> Moment {
        let took = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        Moment(self.started.0.saturating_add(took).min(LAST))
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Self(u64::try_from(millis).unwrap_or(LAST).min(LAST))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / DAY);
        let millis = self.0 % DAY;
        let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
        let (seconds, millis) = (millis / 1000 % 60, millis % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"
        )
    }
}

impl FromStr for Moment {
    type Err = String;

    /// Reads what `Display` writes; milliseconds may be missing.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a time is written like 2026-11-21T02:00:00.000Z".to_string();
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|c| c.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        let read = || -> Option<Self> {
            let millis = match text.len() {
                20 => 0,
                24 => number(20, 23)?,
                _ => return None,
            };
            let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
            let (hours, minutes, seconds) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
            let fits = hours < 24 && minutes < 60 && seconds < 60;
            let time = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
            let read = Self(days * DAY + time);
            // Whatever stands between the numbers is right if it comes out again.
            let written = read.to_string();
            let short = written.replace(".000Z", "Z");
            (fits && (written == text || short == text)).then_some(read)
        };
        read().ok_or_else(bad)
    }
}

/// The date of a day, counted from 1970-01-01: eras of 400 years have 146,097 days, and years begin in
/// March so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, of_month)
}

/// The day of a date, counted from 1970-01-01.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let (era, year) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + year * 365 + year / 4 - year / 100 + of_year;
    days.checked_sub(719_468)
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A span as seconds, to the millisecond.
pub(super) mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        span: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let seconds = span.as_secs_f64();
        serializer.serialize_f64((seconds * 1000.0).round() / 1000.0)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
