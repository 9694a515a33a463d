//! Command lines as Go's pflag reads them, and what is said of wrong ones.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::told::{self, Fatal, quoted};
use crate::render;

/// Flags that may be written `--flag=true` and `--flag=false`: of all verbs, because none means
/// something else by one of these.
const FLAGS: [&str; 21] = [
    "all",
    "config",
    "debug",
    "dest-compress",
    "dest-decompress",
    "dest-no-creds",
    "dest-oci-accept-uncompressed-layers",
    "dest-precompute-digests",
    "dry-run",
    "get-login",
    "insecure-policy",
    "keep-going",
    "no-creds",
    "no-tags",
    "password-stdin",
    "preserve-digests",
    "quiet",
    "raw",
    "remove-signatures",
    "scoped",
    "src-no-creds",
];

/// The command line with each `--flag=true` as `--flag`, and without each `--flag=false`.
///
/// # Errors
/// If a flag has another value.
pub(super) fn plain_flags(args: Vec<OsString>) -> Result<Vec<OsString>, Fatal> {
    let mut plain = Vec::with_capacity(args.len());
    let mut args = args.into_iter();
    for arg in args.by_ref() {
        if arg == "--" {
            plain.push(arg);
            break;
        }
        let typed = arg.to_str().and_then(|arg| arg.strip_prefix("--"));
        let flag = typed.and_then(|typed| typed.split_once('='));
        match flag.filter(|(name, _)| FLAGS.contains(name)) {
            Some((name, value)) => {
                let is_set = go_bool(value).map_err(|why| invalid(value, name, &why))?;
                plain.extend(is_set.then(|| format!("--{name}").into()));
            }
            None => plain.push(arg),
        }
    }
    plain.extend(args);
    Ok(plain)
}

/// As Go's `strconv.ParseBool`.
pub(super) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            quoted(text)
        )),
    }
}

/// A count; what is below zero is none.
pub(super) fn go_int(text: &str) -> Result<u32, String> {
    let number: i64 = text.parse().map_err(|_| {
        let shown = quoted(text);
        format!("strconv.ParseInt: parsing {shown}: invalid syntax")
    })?;
    Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// As Go's `time.ParseDuration`, from milliseconds up: `1h30m`, `1.5s`, `0`. Less than nothing is none.
pub(super) fn go_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {}", quoted(text));
    if text == "0" || text.starts_with('-') {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut whole = 0.0;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let unit_at = rest.find(|c| !is_number(c));
        let unit_at = unit_at.ok_or_else(|| {
            let shown = quoted(text);
            format!("time: missing unit in duration {shown}")
        })?;
        let (number, after) = rest.split_at(unit_at);
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let scale = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => {
                let (unit, text) = (quoted(unit), quoted(text));
                return Err(format!("time: unknown unit {unit} in duration {text}"));
            }
        };
        whole += number * scale;
        rest = after;
    }
    Duration::try_from_secs_f64(whole).map_err(|_| invalid())
}

fn invalid(value: &str, flag: &str, why: &str) -> Fatal {
    let shown = quoted(value);
    Fatal::new(format!(
        "invalid argument {shown} for \"--{flag}\" flag: {why}"
    ))
}

/// Says what is wrong with a command line, in the words of skopeo. Help is no error.
pub(super) fn wrong(error: &clap::Error, args: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        return render::text(&error.render().to_string());
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let typed = context(ContextKind::InvalidArg);
    let option = typed.split([' ', '=', '[']).next().unwrap_or_default();
    let option = option.trim_end_matches('=');
    let fatal = match error.kind() {
        ErrorKind::UnknownArgument if option.starts_with("--") => {
            Fatal::new(format!("unknown flag: {option}"))
        }
        ErrorKind::UnknownArgument if option.starts_with('-') => {
            let letter = option.chars().nth(1).unwrap_or('-');
            let whole = args.iter().filter_map(|arg| arg.to_str());
            let whole = whole
                .into_iter()
                .find(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains(letter));
            let whole = whole.unwrap_or(option);
            Fatal::new(format!("unknown shorthand flag: '{letter}' in {whole}"))
        }
        ErrorKind::InvalidSubcommand => {
            unrecognized(&context(ContextKind::InvalidSubcommand), error)
        }
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            Fatal::new(format!("flag needs an argument: {option}"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = context(ContextKind::InvalidValue);
            let why = std::error::Error::source(error);
            let why = why.map_or_else(|| "invalid syntax".to_string(), ToString::to_string);
            invalid(&value, option.trim_start_matches('-'), &why)
        }
        _ => {
            let told = error.render().to_string();
            let first = told.lines().next().unwrap_or_default();
            Fatal::new(first.trim_start_matches("error: "))
        }
    };
    told::fatal(&fatal)
}

fn unrecognized(verb: &str, error: &clap::Error) -> Fatal {
    let mut told = format!("Unrecognized command `skopeo {verb}`\n");
    let similar = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(similar)) => similar.clone(),
        Some(ContextValue::String(similar)) => vec![similar.clone()],
        _ => Vec::new(),
    };
    if !similar.is_empty() {
        told = format!("{told}\nDid you mean this?\n\t{}\n\n", similar.join("\n\t"));
    }
    Fatal::new(format!("{told}Try 'skopeo --help' for more information"))
}

/// Exactly so many arguments, as newer versions of skopeo have it; 1.9.3 prints the help and exits with
/// 0, which looks like success.
pub(super) fn exactly<const N: usize>(
    given: Vec<String>,
    what: &str,
) -> Result<[String; N], Fatal> {
    given.try_into().map_err(|_| Fatal::new(what))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::skopeo::Cli;

    #[test]
    fn the_command_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, seconds) in [
            ("0", 0.0),
            ("0s", 0.0),
            ("1h30m", 5400.0),
            ("1.5s", 1.5),
            ("+300ms", 0.3),
            ("-5s", 0.0),
        ] {
            let read = go_duration(text).unwrap();
            assert!((read.as_secs_f64() - seconds).abs() < 1e-9, "{text}");
        }
        let told = |text| go_duration(text).unwrap_err();
        assert_eq!(told("1x"), r#"time: unknown unit "x" in duration "1x""#);
        assert_eq!(told("5"), r#"time: missing unit in duration "5""#);
        assert_eq!(told(""), r#"time: invalid duration """#);
    }

    #[test]
    fn flags_may_have_values() {
        let plain = |args: &[&str]| plain_flags(args.iter().map(OsString::from).collect());
        let left = plain(&["skopeo", "copy", "--quiet=T", "--all=0", "--", "--raw=1"]).unwrap();
        assert_eq!(left, ["skopeo", "copy", "--quiet", "--", "--raw=1"]);
        assert_eq!(
            plain(&["skopeo", "--debug=x"]).unwrap_err(),
            Fatal::new(
                "invalid argument \"x\" for \"--debug\" flag: strconv.ParseBool: parsing \"x\": invalid syntax"
            )
        );
    }
}
