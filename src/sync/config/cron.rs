//! Times as `cron` writes them: minute, hour, day of the month, month, day of the week.

use std::fmt;
use std::str::FromStr;

/// The five fields of a line of crontab(5), each as a set of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// Minutes, 0 to 59: bit n is minute n.
    pub minutes: u64,
    /// Hours, 0 to 23.
    pub hours: u64,
    /// Days of the month, 1 to 31.
    pub days: u64,
    /// Months, 1 to 12.
    pub months: u64,
    /// Days of the week: 0 is Sunday, 6 is Saturday.
    pub weekdays: u64,
    /// Whether both kinds of days are restricted: then a day counts if either fits, as in crontab(5).
    pub either_day: bool,
    text: String,
}

/// A field: what it is called, the least and the greatest number, and names.
struct Field {
    name: &'static str,
    least: u64,
    most: u64,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const fn field(name: &'static str, least: u64, most: u64, names: &'static [&'static str]) -> Field {
    Field {
        name,
        least,
        most,
        names,
    }
}

/// In the weekdays, 7 is Sunday, too.
const FIELDS: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of the month", 1, 31, &[]),
    field("month", 1, 12, &MONTHS),
    field("day of the week", 0, 7, &WEEKDAYS),
];

/// Shorthands of crontab(5).
const NAMED: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = NAMED.iter().find(|(name, _)| *name == text);
        let fields: Vec<&str> = named
            .map_or(text, |(_, meant)| meant)
            .split_whitespace()
            .collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            let what = format!(
                "it has {} fields and must have 5, as in \"0 2 * * *\": minute, hour, day, month, weekday",
                fields.len()
            );
            return Err(what);
        };
        let [minute, hour, day, month, weekday] = &FIELDS;
        let sundays = weekday.set(weekdays)?;
        Ok(Self {
            minutes: minute.set(minutes)?,
            hours: hour.set(hours)?,
            days: day.set(days)?,
            months: month.set(months)?,
            weekdays: (sundays | (sundays >> 7)) & 0x7f,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
            text: text.to_string(),
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Field {
    /// `*`, `5`, `1-5`, `*/10`, `1-31/2`, and lists of these.
    fn set(&self, text: &str) -> Result<u64, String> {
        let mut set = 0;
        for part in text.split(',') {
            let parsed = self.part(part).ok_or_else(|| {
                let shown: String = part.escape_debug().take(40).collect();
                let (name, least, most) = (self.name, self.least, self.most);
                format!("\"{shown}\" is no {name}: {least} to {most}, *, ranges as in {least}-{most}, steps as in */2")
            })?;
            set |= parsed;
        }
        Ok(set)
    }

    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, super::units::whole(step)?),
            None => (text, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            // `5/10` is from 5 on, every 10.
            None if text.contains('/') => (self.number(range)?, self.most),
            None => (self.number(range)?, self.number(range)?),
        };
        if from > to || step == 0 {
            return None;
        }
        let step = usize::try_from(step).ok()?;
        Some((from..=to).step_by(step).fold(0, |set, n| set | (1 << n)))
    }

    fn number(&self, text: &str) -> Option<u64> {
        let lower = text.to_ascii_lowercase();
        let named = self
            .names
            .iter()
            .zip(self.least..)
            .find(|(name, _)| **name == lower);
        let number = match named {
            Some((_, number)) => number,
            None => super::units::whole(text)?,
        };
        (self.least..=self.most).contains(&number).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(set: u64) -> Vec<u64> {
        (0..64).filter(|n| set & (1 << n) != 0).collect()
    }

    #[test]
    fn fields_are_sets() {
        let cron: Cron = "*/15 2,4-6 1-31/10 jan,DEC mon-fri".parse().unwrap();
        assert_eq!(numbers(cron.minutes), [0, 15, 30, 45]);
        assert_eq!(numbers(cron.hours), [2, 4, 5, 6]);
        assert_eq!(numbers(cron.days), [1, 11, 21, 31]);
        assert_eq!(numbers(cron.months), [1, 12]);
        assert_eq!(numbers(cron.weekdays), [1, 2, 3, 4, 5]);
        assert!(cron.either_day);
        let cron: Cron = "5/20 0 * * 7".parse().unwrap();
        assert_eq!(numbers(cron.minutes), [5, 25, 45]);
        assert_eq!(numbers(cron.days).len(), 31);
        assert_eq!(numbers(cron.weekdays), [0]);
        assert!(!cron.either_day);
        let daily: Cron = "@daily".parse().unwrap();
        assert_eq!(
            (numbers(daily.minutes), numbers(daily.hours)),
            (vec![0], vec![0])
        );
        assert_eq!(daily.to_string(), "@daily");
    }

    #[test]
    fn what_cron_refuses_is_refused() {
        for (bad, why) in [
            ("", "0 fields"),
            ("0 2 * *", "4 fields"),
            ("0 0 2 * * *", "6 fields"),
            ("60 2 * * *", "\"60\" is no minute: 0 to 59"),
            ("0 24 * * *", "is no hour"),
            ("0 2 0 * *", "is no day of the month: 1 to 31"),
            ("0 2 * 13 *", "is no month"),
            ("0 2 * * 8", "is no day of the week"),
            ("0 2 * * mo", "is no day of the week"),
            ("5-1 2 * * *", "is no minute"),
            ("*/0 2 * * *", "is no minute"),
            ("1, 2 * * *", "is no minute"),
            ("99999999999999999999 2 * * *", "is no minute"),
        ] {
            let error = bad.parse::<Cron>().unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
