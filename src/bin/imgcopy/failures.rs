//! What a failure is called, and what can be done about it.

use std::error::Error as _;
use std::fmt::Write as _;

use imgcopy::error::{Error, ErrorKind};

/// The error with all that led to it, and a hint.
pub(crate) fn chain(error: &Error) -> String {
    let mut told = format!("error: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(told, "\n  caused by: {inner}");
        cause = inner.source();
    }
    if let Some(hint) = hint(error) {
        let _ = write!(told, "\nhint: {hint}");
    }
    told
}

fn hint(error: &Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Ambiguous => Some("add :NAME or :@N to choose one; N counts from 0"),
        ErrorKind::NotFound => Some(
            "check the name and the platform: `imgcopy tags` lists what is there, `imgcopy inspect` shows it",
        ),
        ErrorKind::Incomplete => Some("the source lacks a part of the image: fetch it again"),
        ErrorKind::NoSpace => Some("what was finished stays; make room and run again"),
        ErrorKind::Corrupt => Some("the source is damaged: fetch it again"),
        // Which verb it was is not known here: a copy has these options for each side.
        ErrorKind::Unauthorized => Some(
            "credentials can also be given with --creds; a copy has --src-creds and --dest-creds",
        ),
        ErrorKind::RateLimited => Some(
            "the registry limits how much it gives: log in, wait, or allow more with --max-retry-wait",
        ),
        ErrorKind::Unreachable => Some("check the name and port, and the network"),
        ErrorKind::Untrusted => Some(
            "give the registry's CA with --cert-dir, or trust it blindly with --tls-verify=false; a copy has both for each side, as --src-cert-dir",
        ),
        _ => None,
    }
}
