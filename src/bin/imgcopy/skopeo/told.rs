//! What is said on stderr, in the words of skopeo's log.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use imgcopy::error::Error;

use crate::render;

/// Why a verb ends with exit code 1: the text of the last line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fatal(String);

/// How a verb ends.
pub(super) type Ended = Result<ExitCode, Fatal>;

impl Fatal {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The same with something in front, as Go wraps errors.
    pub(super) fn of(what: &str, error: &Error) -> Self {
        Self(format!("{what}: {}", error.in_one_line()))
    }

    /// A verb of skopeo's that this version does not have.
    pub(super) fn not_there(verb: &str, instead: &str) -> Self {
        Self(format!("skopeo {verb} is not there yet: {instead}"))
    }

    /// An option of skopeo's that this version does not have.
    pub(super) fn no_option(option: &str, why: &str) -> Self {
        Self(format!("{option} is not there yet: {why}"))
    }
}

impl From<Error> for Fatal {
    fn from(error: Error) -> Self {
        Self(error.in_one_line())
    }
}

pub(super) fn fatal(fatal: &Fatal) -> ExitCode {
    log(("fatal", "FATA"), &fatal.0, &[]);
    ExitCode::FAILURE
}

/// More of what is logged: the names in alphabetical order.
pub(super) type Fields<'a> = [(&'a str, &'a str)];

pub(super) fn warn(what: &str) {
    warn_of(what, &[]);
}

pub(super) fn warn_of(what: &str, fields: &Fields<'_>) {
    log(("warning", "WARN"), what, fields);
}

pub(super) fn error(what: &str, fields: &Fields<'_>) {
    log(("error", "ERRO"), what, fields);
}

pub(super) fn info(what: &str, fields: &Fields<'_>) {
    log(("info", "INFO"), what, fields);
}

/// Scripts that look for a number find 1.9.3, whose contract this is, and then imgcopy's own version.
pub(super) fn version() -> ExitCode {
    let own = env!("CARGO_PKG_VERSION");
    render::line(&format!("skopeo version 1.9.3-imgcopy-{own}"))
}

fn log((level, short): (&str, &str), what: &str, fields: &Fields<'_>) {
    let mut more = String::new();
    for (name, value) in fields {
        let _ = write!(more, " {name}={}", field(value));
    }
    // The log of skopeo tells time only for machines; on a terminal the seconds since it began.
    render::tell(&match std::io::stderr().is_terminal() {
        true if more.is_empty() => format!("{short}[0000] {what}"),
        true => format!("{short}[0000] {what:<44}{more}"),
        false => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = utc(since.map_or(0, |since| since.as_secs()));
            let what = quoted(what);
            format!("time=\"{now}\" level={level} msg={what}{more}")
        }
    });
}

/// A value as the log of skopeo has it: quoted where it could be misread.
fn field(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    match value.chars().all(is_plain) {
        true => value.to_string(),
        false => quoted(value),
    }
}

/// As Go quotes a text (`%q`).
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control.is_control() => {
                let _ = match u32::from(control) {
                    code @ ..=0x7f => write!(quoted, "\\x{code:02x}"),
                    code => write!(quoted, "\\u{code:04x}"),
                };
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Seconds since 1970 as RFC 3339 (the days to a date by the method of Hinnant's `civil_from_days`).
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), shown);
        }
    }

    #[test]
    fn texts_are_quoted_as_go_does() {
        assert_eq!(quoted("a \"b\"\n\\\u{1b}é"), r#""a \"b\"\n\\\x1bé""#);
    }
}
