//! What can go wrong with a request: as a signal that decides what to do, and as an error to tell.

use std::error::Error as _;
use std::io;
use std::time::SystemTime;

use reqwest::StatusCode;

use super::headers::{errors, limits, only, summary};
use super::retry::{Signal, Stop};
use crate::error::{Error, ErrorKind};

/// A request that failed.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What decides. `None` if trying again cannot help.
    pub(super) signal: Option<Signal>,
    /// What is told.
    pub(super) error: Error,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self {
            signal: None,
            error,
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        trouble.error
    }
}

impl Trouble {
    pub(super) fn new(signal: Signal, error: Error) -> Self {
        Self {
            signal: Some(signal),
            error,
        }
    }

    /// Nothing moved for too long.
    pub(super) fn stalled(what: &str) -> Self {
        let error = Error::new(ErrorKind::Io, format!("{what}: nothing moved for too long"));
        Self::new(Signal::Timeout, error)
    }

    /// An answer that is a refusal.
    pub(super) fn refused(
        status: StatusCode,
        headers: &reqwest::header::HeaderMap,
        body: &[u8],
    ) -> Self {
        let errors = errors::parse(body);
        let told = summary::summary(status.as_u16(), body, only(headers, "content-type"));
        let retry_after = limits::retry_after(
            only(headers, "retry-after").unwrap_or_default(),
            only(headers, "date"),
            SystemTime::now(),
        );
        let kind = kind_of(status);
        Self {
            signal: Some(Signal::Status {
                status: status.as_u16(),
                errors,
                retry_after,
            }),
            error: Error::new(kind, told),
        }
    }

    /// The status, if it was an answer.
    pub(super) fn status(&self) -> Option<u16> {
        match &self.signal {
            Some(Signal::Status { status, .. }) => Some(*status),
            _ => None,
        }
    }

    /// No other try is made, for this reason.
    pub(super) fn stopped(mut self, stop: &Stop) -> Self {
        if let Some(reason) = stop.reason(SystemTime::now()) {
            let said = self.error.to_string();
            let kind = match stop {
                Stop::RateLimited { .. } => ErrorKind::RateLimited,
                _ => self.error.kind(),
            };
            self.error = Error::new(kind, format!("{said}; {reason}"));
        }
        self.signal = None;
        self
    }
}

fn kind_of(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            ErrorKind::Unauthorized
        }
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        StatusCode::INSUFFICIENT_STORAGE => ErrorKind::NoSpace,
        status if status.is_client_error() => ErrorKind::Denied,
        _ => ErrorKind::Io,
    }
}

impl From<reqwest::Error> for Trouble {
    /// What a failed connection or transfer means. The texts of the layers below are the only thing
    /// that tells some of these apart.
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut told = Vec::new();
        let mut broken = None;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
        while let Some(inner) = cause {
            told.push(inner.to_string());
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                broken = Some(io.kind());
                // An error of ours went through the layers below.
            }
            cause = inner.source();
        }
        let said = |text: &str| told.iter().any(|cause| cause.contains(text));
        let last = told.last().cloned().unwrap_or_else(|| error.to_string());
        let (signal, kind, what) = if said("certificate") && error.is_connect() {
            (Signal::Certificate, ErrorKind::Untrusted, last)
        } else if said("InvalidContentType") || said("corrupt message") {
            let what = "it does not speak TLS on this port".to_string();
            (Signal::Certificate, ErrorKind::Untrusted, what)
        } else if error.is_timeout() && error.is_connect() {
            (
                Signal::Connect,
                ErrorKind::Unreachable,
                "no connection in time".to_string(),
            )
        } else if error.is_timeout() {
            (
                Signal::Timeout,
                ErrorKind::Io,
                "no answer in time".to_string(),
            )
        } else if said("dns error") || said("failed to lookup address") {
            let temporary = said("emporary failure") || said("try again");
            (Signal::Dns { temporary }, ErrorKind::Unreachable, last)
        } else if said("tunnel") || said("proxy") {
            (Signal::Connect, ErrorKind::Unreachable, told.join(": "))
        } else if error.is_connect() {
            let signal = match broken {
                Some(io::ErrorKind::UnexpectedEof) => Signal::Tls,
                _ if said("tls") => Signal::Tls,
                _ => Signal::Connect,
            };
            (signal, ErrorKind::Unreachable, last)
        } else if said("end of file before message length") || said("unexpected EOF during chunk") {
            (
                Signal::Truncated,
                ErrorKind::Io,
                "the answer ended early".to_string(),
            )
        } else {
            (Signal::Reset, ErrorKind::Io, last)
        };
        let mut what = what;
        if let Some((cut, _)) = what.char_indices().nth(400) {
            what.truncate(cut);
        }
        Self::new(signal, Error::new(kind, super::shown::text(&what)))
    }
}
