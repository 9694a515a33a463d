//! When runs begin: pure functions of the time that it is.
//!
//! A schedule is a row of times, and each has a delay (`jitter`) of its own. Runs never overlap: the
//! loop asks for the first beginning after the end of the last run, so what came in between is left
//! out; and a beginning that has passed while the machine slept is due once.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use sha2::{Digest as _, Sha256};

use crate::error::{Attempt as _, Result};
use crate::sync::config::{Cron, Schedule};

/// When runs begin, and how long they may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Timetable {
    times: Times,
    jitter: Duration,
    /// How long a run may take.
    pub deadline: Option<Duration>,
    /// What tells this machine and this file from others.
    seed: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Times {
    Cron { cron: Cron, zone: TimeZone },
    Every { origin: Timestamp, period: Duration },
}

impl Timetable {
    /// The times of a schedule. Each beginning is delayed by up to the jitter, but never to the next
    /// time: by chance, which is the same for the same `seed` and time. So a process that is started
    /// anew between a time and its beginning does not miss it.
    ///
    /// # Errors
    /// If there is no such time zone.
    pub fn of(schedule: &Schedule, seed: impl Into<String>) -> Result<Self> {
        let zone = TimeZone::get(&schedule.zone);
        let zone = zone
            .map_err(std::io::Error::other)
            .attempting(|| format!("cannot use the time zone {}", schedule.zone.escape_debug()))?;
        Ok(Self {
            times: Times::Cron {
                cron: schedule.cron.clone(),
                zone,
            },
            jitter: schedule.jitter,
            deadline: schedule.deadline,
            seed: seed.into(),
        })
    }

    /// Runs at equal distances, the first one after the first distance.
    pub fn every(period: Duration, origin: Timestamp) -> Self {
        // Anything shorter is the same to people, and would keep a processor busy.
        let period = period.max(Duration::from_millis(10));
        Self {
            times: Times::Every { origin, period },
            jitter: Duration::ZERO,
            deadline: None,
            seed: String::new(),
        }
    }

    /// Whether it means the same; distances count from when each was made.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let same_times = match (&self.times, &other.times) {
            (Times::Every { period, .. }, Times::Every { period: other, .. }) => period == other,
            (one, other) => one == other,
        };
        let rest = |it: &Self| (it.jitter, it.deadline, it.seed.clone());
        same_times && rest(self) == rest(other)
    }

    /// The first beginning after a moment. `None` at the end of all times.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        // Beginnings are in the order of their times, so only the last time can still be delayed.
        let last = self.time_before(after, true);
        let last = last.and_then(|time| self.beginning(time));
        last.filter(|beginning| *beginning > after)
            .or_else(|| self.beginning(self.time_after(after)?))
    }

    /// The last time but one before a moment: whoever has not run since then has missed two.
    pub fn last_but_one(&self, before: Timestamp) -> Option<Timestamp> {
        let last = self.time_before(before, true)?;
        self.time_before(last, false)
    }

    /// When the run of a time begins.
    fn beginning(&self, time: Timestamp) -> Option<Timestamp> {
        if self.jitter.is_zero() {
            return Some(time);
        }
        let gap = self.time_after(time)?.duration_since(time).unsigned_abs();
        let most = self.jitter.min(gap).as_millis();
        let delay = chance(&self.seed, time).checked_rem(most)?;
        let delay = i64::try_from(delay).ok()?;
        time.checked_add(SignedDuration::from_millis(delay)).ok()
    }

    fn time_after(&self, moment: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Cron { cron, zone } => {
                let next = cron.next(&whole_second(moment, zone)?)?;
                Some(next.timestamp())
            }
            Times::Every { origin, period } => {
                nth(*origin, *period, count(*origin, *period, moment) + 1)
            }
        }
    }

    fn time_before(&self, moment: Timestamp, inclusive: bool) -> Option<Timestamp> {
        match &self.times {
            Times::Cron { cron, zone } => {
                let last = cron.last(&whole_second(moment, zone)?, inclusive)?;
                Some(last.timestamp())
            }
            Times::Every { origin, period } => {
                let n = count(*origin, *period, moment);
                let time = nth(*origin, *period, n)?;
                let n = n - i128::from(time == moment && !inclusive);
                // Time 0 is when counting began; nothing was to be done then.
                (n >= 1).then(|| nth(*origin, *period, n)).flatten()
            }
        }
    }
}

/// Cron knows no fractions.
fn whole_second(moment: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let second = Timestamp::from_second(moment.as_second()).ok()?;
    Some(second.to_zoned(zone.clone()))
}

/// How many periods have ended.
fn count(origin: Timestamp, period: Duration, moment: Timestamp) -> i128 {
    let since = moment.as_nanosecond() - origin.as_nanosecond();
    let period = i128::try_from(period.as_nanos()).unwrap_or(i128::MAX);
    since.checked_div_euclid(period).unwrap_or_default()
}

fn nth(origin: Timestamp, period: Duration, n: i128) -> Option<Timestamp> {
    let period = i128::try_from(period.as_nanos()).ok()?;
    let since = period.checked_mul(n)?;
    Timestamp::from_nanosecond(origin.as_nanosecond().checked_add(since)?).ok()
}

/// A number that looks like chance and is the same each time.
fn chance(seed: &str, time: Timestamp) -> u128 {
    let mut hash = Sha256::new();
    hash.update(seed.as_bytes());
    hash.update(time.as_second().to_be_bytes());
    let hash = hash.finalize();
    hash.iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests;
