//! Amounts with their units, as people write them: `10m`, `20%`, `40/s`, `200MB/s`.
//!
//! A bare number is refused where a unit could be meant: nobody knows whether `wait: 10` is seconds.

use std::fmt::{self, Write as _};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use crate::store::registry::{Rate, Share};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Units of time, in seconds; the largest first. A year has 365 days.
const TIMES: [(&str, u64); 6] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", 1),
];

/// Units of size, in bytes. Those to write first come first.
const SIZES: [(&str, u64); 10] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("KB", 1000),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// `10%` or `25`.
impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "it must be a share as in 10%, or a count";
        match text.strip_suffix('%') {
            Some(percent) => match whole(percent) {
                Some(percent @ 0..=100) => Ok(Share::Percent(u8::try_from(percent).unwrap_or(100))),
                Some(_) => Err("it is more than 100%".into()),
                None => Err(wrong.into()),
            },
            None => whole(text).map(Share::Count).ok_or_else(|| wrong.into()),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Percent(percent) => write!(f, "{percent}%"),
            Share::Count(count) => count.fmt(f),
        }
    }
}

/// `40/s`, `2000/h`.
impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (count, per) = text.split_once('/')?;
            let unit = |name: &str| Some(TIMES.iter().find(|(unit, _)| *unit == name)?.1);
            let per = unit(per).filter(|seconds| *seconds <= DAY)?;
            Some(Self {
                count: NonZeroU64::new(whole(count)?)?,
                per: Duration::from_secs(per),
            })
        };
        parsed().ok_or_else(|| "it must be a rate as in 40/s, with s, m, h or d".into())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.per.as_secs();
        let unit = TIMES.iter().find(|(_, length)| *length == seconds);
        write!(f, "{}/{}", self.count, unit.map_or("s", |(unit, _)| unit))
    }
}

/// How many bytes may move in a second: `200MB/s`. `MB` is a million bytes, `MiB` is 2^20.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bytes in a second.
    pub bytes: NonZeroU64,
}

impl FromStr for Bandwidth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (number, unit) = split_unit(text.strip_suffix("/s")?);
            let size = SIZES.iter().find(|(name, _)| *name == unit)?.1;
            let bytes = NonZeroU64::new(whole(number)?.checked_mul(size)?)?;
            Some(Self { bytes })
        };
        parsed().ok_or_else(|| "it must be bytes in a second as in 200MB/s".into())
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.get();
        let fits = SIZES.iter().find(|(_, size)| bytes.is_multiple_of(*size));
        let (unit, size) = fits.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}/s", bytes / size)
    }
}

/// A time: numbers with `s`, `m`, `h`, `d`, `w` or `y`, largest unit first: `90s`, `1h30m`, `1y`.
/// A year has 365 days.
///
/// # Errors
/// A clause for people.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        let bare = text.bytes().all(|c| c.is_ascii_digit()) && !text.is_empty();
        match bare {
            true => format!("it lacks its unit: write {text}s, {text}m, {text}h or {text}d"),
            false => "it must be a time as in 30s, 10m, 1h30m, 7d or 1y".to_string(),
        }
    };
    let parsed = || {
        let (mut rest, mut seconds, mut larger) = (text, 0_u64, u64::MAX);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at_checked(digits)?;
            let (unit, length) = *TIMES.iter().find(|(unit, _)| after.starts_with(unit))?;
            if length >= larger {
                return None;
            }
            larger = length;
            seconds = seconds.checked_add(whole(number)?.checked_mul(length)?)?;
            rest = after.strip_prefix(unit)?;
        }
        // What is longer than anybody waits must not overflow where times are added up.
        let sane = !text.is_empty() && seconds <= 1000 * 365 * DAY;
        sane.then_some(Duration::from_secs(seconds))
    };
    parsed().ok_or_else(wrong)
}

/// A time as [`duration`] reads it.
pub(super) fn shown(time: Duration) -> String {
    let mut seconds = time.as_secs();
    let mut text = String::new();
    for (unit, length) in TIMES {
        let count = seconds / length;
        seconds %= length;
        if count > 0 {
            let _ = write!(text, "{count}{unit}");
        }
    }
    match text.is_empty() {
        true => "0s".into(),
        false => text,
    }
}

/// A whole number, without a sign.
pub(super) fn whole(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn split_unit(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(digits).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
            ("1h", 3600),
            ("7d", 604_800),
            ("2w", 1_209_600),
            ("1y", 31_536_000),
            (
                "1y1w1d1h1m1s",
                31_536_000 + 604_800 + 86_400 + 3600 + 60 + 1,
            ),
        ] {
            let time = duration(text).unwrap();
            assert_eq!(time.as_secs(), seconds, "{text}");
            assert_eq!(duration(&shown(time)), Ok(time), "{text}");
        }
        for bad in [
            "",
            "s",
            "-1s",
            "+1s",
            "1.5h",
            "1 h",
            "1H",
            "30m1h",
            "1h1h",
            "1mo",
            "10ms",
            "1001y",
            "99999999999999999999s",
            "18446744073709551615y",
            "1é",
        ] {
            assert!(
                duration(bad).unwrap_err().contains("must be a time"),
                "{bad}"
            );
        }
        let bare = duration("10").unwrap_err();
        assert!(bare.contains("lacks its unit: write 10s, 10m"), "{bare}");
    }

    #[test]
    fn shares_rates_and_bandwidths_have_units() {
        for text in ["20%", "0%", "100%", "25", "0"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "%",
            "101%",
            "-1%",
            "1.5%",
            "20 %",
            "a",
            "99999999999999999999",
        ] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
        assert_eq!(Share::Percent(10).of(29), 2);
        assert_eq!(Share::Percent(100).of(u64::MAX), u64::MAX);
        assert_eq!(Share::Count(7).of(3), 7);
        for text in ["40/s", "2000/h", "1/m", "5/d"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for bad in ["40", "0/s", "/s", "40/", "40/w", "40/ms", "1.5/s", "40 /s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        for (text, bytes, back) in [
            ("200MB/s", 200_000_000, "200MB/s"),
            ("1500kB/s", 1_500_000, "1500kB/s"),
            ("1KB/s", 1000, "1kB/s"),
            ("64MiB/s", 64 << 20, "64MiB/s"),
            ("7B/s", 7, "7B/s"),
            ("1GB/s", 1_000_000_000, "1GB/s"),
        ] {
            let parsed: Bandwidth = text.parse().unwrap();
            assert_eq!(
                (parsed.bytes.get(), parsed.to_string().as_str()),
                (bytes, back)
            );
        }
        for bad in [
            "200MB",
            "200/s",
            "200 MB/s",
            "200Mb/s",
            "0MB/s",
            "99999999999TB/s",
            "MB/s",
        ] {
            assert!(bad.parse::<Bandwidth>().is_err(), "{bad}");
        }
    }
}
