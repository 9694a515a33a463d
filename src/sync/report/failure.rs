//! A failure as a row tells it.

use std::error::Error as _;

use super::{Row, Status};
use crate::error::{Error, ErrorKind};

impl Row {
    /// The same row as one that failed. What can be done about it is for the caller to say.
    #[must_use]
    pub fn failed(mut self, error: &Error) -> Self {
        self.status = Status::Failed;
        self.reason = Some(chain(error));
        self.kind = Some(kind(error.kind()).to_string());
        self
    }
}

/// All that led to a failure, in one line.
pub(in crate::sync) fn chain(error: &Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        told.push_str(": ");
        told.push_str(&inner.to_string());
        cause = inner.source();
    }
    told
}

/// The name of a kind of failure in documents and metrics. It stays once it was given.
fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NoPlace => "no-place",
        ErrorKind::NotFound => "not-found",
        ErrorKind::Ambiguous => "ambiguous",
        ErrorKind::Incomplete => "incomplete",
        ErrorKind::Invalid => "invalid",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Denied => "denied",
        ErrorKind::Unauthorized => "unauthorized",
        ErrorKind::RateLimited => "rate-limited",
        ErrorKind::RefusedType => "refused-type",
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::Untrusted => "untrusted",
        ErrorKind::NoSpace => "no-space",
        ErrorKind::Changed => "changed",
        ErrorKind::Interrupted => "interrupted",
        ErrorKind::Io => "io",
    }
}
