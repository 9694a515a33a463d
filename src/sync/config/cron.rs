//! Times as crontab(5) writes them: minute, hour, day of the month, month, day of the week.
//!
//! What they mean is the work of the crate `croner`. When clocks are set forward, a time that is left
//! out comes right after the gap; when they are set back, a time that is there twice comes once.

use std::fmt;
use std::str::FromStr;

use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;

/// The five fields of a line of crontab(5), or a shorthand for them.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    times: croner::Cron,
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

impl Cron {
    /// The first time after a moment, in its zone. `None` at the end of all times.
    pub fn next(&self, after: &Zoned) -> Option<Zoned> {
        self.times.find_next_occurrence(after, false).ok()
    }

    /// The last time before a moment, in its zone; with `inclusive` the moment itself counts.
    pub fn last(&self, before: &Zoned, inclusive: bool) -> Option<Zoned> {
        self.times.find_previous_occurrence(before, inclusive).ok()
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = NAMED.iter().find(|(name, _)| *name == text);
        let meant = named.map_or(text, |(_, meant)| meant);
        let fields: Vec<&str> = meant.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            let what = format!(
                "it has {} fields and must have 5, as in \"0 2 * * *\": minute, hour, day, month, weekday",
                fields.len()
            );
            return Err(what);
        }
        for (position, (field, text)) in FIELDS.iter().zip(&fields).enumerate() {
            field.check(text, position)?;
        }
        let times =
            parsed(meant).ok_or("it is no schedule as cron has them, as in \"0 2 * * *\"")?;
        let cron = Self {
            text: text.to_string(),
            times,
        };
        match cron.next(&jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC)) {
            Some(_) => Ok(cron),
            None => Err("no date has this day in this month, so it never comes".into()),
        }
    }
}

fn parsed(fields: &str) -> Option<croner::Cron> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        // `5/10`, which crontab(5) takes.
        .sloppy_ranges(true)
        .build();
    parser.parse(fields).ok()
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Field {
    /// Each part of the list by itself, so that the message names the one that is wrong.
    fn check(&self, text: &str, position: usize) -> Result<(), String> {
        let wrong = text.split(',').find(|part| !self.takes(part, position));
        let Some(part) = wrong else {
            return Ok(());
        };
        let shown: String = part.escape_debug().take(40).collect();
        let (name, least, most) = (self.name, self.least, self.most);
        Err(format!(
            "\"{shown}\" is no {name}: {least} to {most}, *, ranges as in {least}-{most}, steps as in */2"
        ))
    }

    fn takes(&self, part: &str, position: usize) -> bool {
        // Names are replaced wherever they stand, and there are letters and signs that crontab(5)
        // does not have: they are kept away.
        let fits = |c: char| c.is_ascii_alphanumeric() || "*/-".contains(c);
        let mut words = part.split(|c: char| !c.is_ascii_alphabetic());
        let is_name = |word: &str| {
            word.is_empty() || self.names.contains(&word.to_ascii_lowercase().as_str())
        };
        if part.is_empty()
            || part.starts_with('/')
            || part.len() > 40
            || !part.chars().all(fits)
            || !words.all(is_name)
        {
            return false;
        }
        let mut fields = ["*"; FIELDS.len()];
        if let Some(field) = fields.get_mut(position) {
            *field = part;
        }
        parsed(&fields.join(" ")).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cron: &str, after: &str, count: usize) -> Vec<String> {
        let cron: Cron = cron.parse().unwrap();
        let mut at: Zoned = after.parse().unwrap();
        let next = || {
            at = cron.next(&at).unwrap();
            at.strftime("%m-%d %H:%M %z").to_string()
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn fields_are_sets() {
        for (cron, wanted) in [
            (
                "*/15 2 * * *",
                ["11-21 02:00", "11-21 02:15", "11-21 02:30"],
            ),
            (
                "5/20 0 * * *",
                ["11-21 00:05", "11-21 00:25", "11-21 00:45"],
            ),
            (
                "0 2,4-5 * * *",
                ["11-21 02:00", "11-21 04:00", "11-21 05:00"],
            ),
            (
                "0 0 1-31/10 * *",
                ["11-21 00:00", "12-01 00:00", "12-11 00:00"],
            ),
            (
                "0 0 1 jan,DEC *",
                ["12-01 00:00", "01-01 00:00", "12-01 00:00"],
            ),
            (
                "0 0 * * mon-tue",
                ["11-23 00:00", "11-24 00:00", "11-30 00:00"],
            ),
            ("0 0 * * 7", ["11-22 00:00", "11-29 00:00", "12-06 00:00"]),
            // Either kind of day.
            (
                "0 0 24 * sun",
                ["11-22 00:00", "11-24 00:00", "11-29 00:00"],
            ),
            ("@daily", ["11-21 00:00", "11-22 00:00", "11-23 00:00"]),
            ("@midnight", ["11-21 00:00", "11-22 00:00", "11-23 00:00"]),
            ("@hourly", ["11-21 00:00", "11-21 01:00", "11-21 02:00"]),
            ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
        ] {
            let found = times(cron, "2026-11-20T23:59:30[UTC]", 3);
            let wanted = wanted.map(|time| format!("{time} +0000"));
            assert_eq!(found, wanted, "{cron}");
        }
        let daily: Cron = "@daily".parse().unwrap();
        assert_eq!(daily.to_string(), "@daily");
    }

    #[test]
    fn what_cron_refuses_is_refused() {
        for (bad, why) in [
            ("", "0 fields"),
            ("0 2 * *", "4 fields"),
            ("0 0 2 * * *", "6 fields"),
            ("@reboot", "1 fields"),
            ("60 2 * * *", "\"60\" is no minute: 0 to 59"),
            ("0 24 * * *", "is no hour"),
            ("0 2 0 * *", "is no day of the month: 1 to 31"),
            ("0 2 * 13 *", "is no month"),
            ("0 2 * * 8", "is no day of the week"),
            ("0 2 * * mo", "is no day of the week"),
            ("0 2 * * monday", "is no day of the week"),
            ("0 2 * * jan", "is no day of the week"),
            ("0 mon * * *", "\"mon\" is no hour"),
            ("0 2 L * *", "is no day of the month"),
            ("0 2 * * 5#2", "is no day of the week"),
            ("0 2 ? * *", "is no day of the month"),
            ("0 2 +1 * *", "is no day of the month"),
            ("5-1 2 * * *", "is no minute"),
            ("*/0 2 * * *", "is no minute"),
            ("/5 2 * * *", "is no minute"),
            ("1, 2 * * *", "is no minute"),
            ("99999999999999999999 2 * * *", "is no minute"),
            ("0 0 30 2 *", "it never comes"),
        ] {
            let error = bad
                .parse::<Cron>()
                .map(|cron| cron.to_string())
                .unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    /// Clocks go from 02:00 to 03:00 on 2026-03-29: 02:30 is left out, and comes right after the gap.
    #[test]
    fn a_time_in_the_gap_comes_after_it() {
        let found = times("30 2 * * *", "2026-03-28T00:00[Europe/Berlin]", 3);
        assert_eq!(
            found,
            [
                "03-28 02:30 +0100",
                "03-29 03:00 +0200",
                "03-30 02:30 +0200"
            ]
        );
        let found = times("0 * * * *", "2026-03-29T00:30[Europe/Berlin]", 3);
        assert_eq!(
            found,
            [
                "03-29 01:00 +0100",
                "03-29 03:00 +0200",
                "03-29 04:00 +0200"
            ]
        );
        let found = times("*/30 * * * *", "2026-03-29T01:00[Europe/Berlin]", 3);
        assert_eq!(
            found,
            [
                "03-29 01:30 +0100",
                "03-29 03:00 +0200",
                "03-29 03:30 +0200"
            ]
        );
    }

    /// Clocks go from 03:00 to 02:00 on 2026-10-25: 02:30 is there twice, and comes once.
    #[test]
    fn a_time_in_the_overlap_comes_once() {
        let found = times("30 2 * * *", "2026-10-24T00:00[Europe/Berlin]", 3);
        assert_eq!(
            found,
            [
                "10-24 02:30 +0200",
                "10-25 02:30 +0200",
                "10-26 02:30 +0100"
            ]
        );
        // What comes each half hour goes on in the second hour, too.
        let found = times("*/30 * * * *", "2026-10-25T01:45[Europe/Berlin]", 6);
        let wanted = [
            "10-25 02:00 +0200",
            "10-25 02:30 +0200",
            "10-25 02:00 +0100",
            "10-25 02:30 +0100",
            "10-25 03:00 +0100",
            "10-25 03:30 +0100",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_last_time_is_found_across_a_change_of_clocks() {
        let daily: Cron = "30 2 * * *".parse().unwrap();
        for (before, wanted) in [
            ("2026-03-29T12:00[Europe/Berlin]", "03-29 03:00 +0200"),
            ("2026-03-29T03:00[Europe/Berlin]", "03-29 03:00 +0200"),
            ("2026-03-29T01:59[Europe/Berlin]", "03-28 02:30 +0100"),
            ("2026-10-25T12:00[Europe/Berlin]", "10-25 02:30 +0200"),
            ("2026-10-25T02:10+01:00[Europe/Berlin]", "10-25 02:30 +0200"),
        ] {
            let before: Zoned = before.parse().unwrap();
            let last = daily.last(&before, true).unwrap();
            assert_eq!(
                last.strftime("%m-%d %H:%M %z").to_string(),
                wanted,
                "{before}"
            );
        }
    }

    /// No time comes twice or goes back, whatever the clocks do in a year.
    #[test]
    fn times_only_go_on() {
        for zone in [
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
            "UTC",
        ] {
            for text in [
                "30 2 * * *",
                "*/20 * * * *",
                "0 */3 * * *",
                "15 1-3 * * sun",
            ] {
                let cron: Cron = text.parse().unwrap();
                let start: Zoned = format!("2026-01-01T00:00[{zone}]").parse().unwrap();
                let mut at = start.clone();
                let mut days = 0;
                while at.year() == 2026 {
                    let next = cron.next(&at).unwrap();
                    assert!(next > at, "{text} in {zone}: {at} then {next}");
                    days += 1;
                    at = next;
                }
                if text == "30 2 * * *" {
                    assert_eq!(days, 366, "{zone}");
                }
            }
        }
    }
}
