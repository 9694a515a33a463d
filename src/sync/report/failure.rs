//! A failure as a row tells it.

use super::{Row, Status};
use crate::error::{Error, ErrorKind};

impl Row {
    /// The same row as one that failed. What can be done about it is for the caller to say.
    #[must_use]
    pub fn failed(mut self, error: &Error) -> Self {
        self.status = Status::Failed;
        self.reason = Some(error.in_one_line());
        self.kind = Some(kind(error.kind()).to_string());
        self
    }
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
