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

    /// The same trouble, with what was being attempted in front.
    pub(super) fn attempting(self, what: impl Into<String>) -> Self {
        Self {
            signal: self.signal,
            error: self.error.attempting(what),
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
    /// What a failed connection or transfer means.
    fn from(error: reqwest::Error) -> Self {
        let host = error.url().and_then(|url| url.host_str());
        let host = host.unwrap_or_default().to_string();
        let failure = Failure::of(&error.without_url(), host);
        let (signal, kind, what) = failure
            .of_trust()
            .or_else(|| failure.of_proxy())
            .or_else(|| failure.of_time())
            .or_else(|| failure.of_connection())
            .unwrap_or_else(|| failure.of_transfer());
        let error = Error::new(kind, super::shown::cut(&what, 400));
        Self { signal, error }
    }
}

/// What the layers below say. Their texts are the only thing that tells some failures apart.
struct Failure {
    /// The causes, from the outermost to the innermost.
    told: Vec<String>,
    /// Who was asked.
    host: String,
    is_connect: bool,
    is_dns: bool,
    is_timeout: bool,
    broken: Option<io::ErrorKind>,
}

/// What decides whether a certificate is valid at this time (F-20).
const CLOCK: &str = "this machine's clock is right: look at that first";

/// How resolvers say that there is no such name, or that nothing has it: glibc, musl, macOS, and those
/// that programs bring along. Whatever else they say may have passed by the next try (F-01, F-02).
const NO_SUCH_NAME: [&str; 6] = [
    "Name or service not known",
    "No address associated with",
    "Name does not resolve",
    "Name has no usable address",
    "nodename nor servname provided",
    "no record",
];

/// What decides, which kind it is, and what is told.
type Meaning = (Option<Signal>, ErrorKind, String);

impl Failure {
    fn of(error: &reqwest::Error, host: String) -> Self {
        let mut told = Vec::new();
        let mut broken = None;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
        while let Some(inner) = cause {
            told.push(inner.to_string());
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                broken = Some(io.kind());
            }
            cause = inner.source();
        }
        if told.is_empty() {
            told.push(error.to_string());
        }
        Self {
            told,
            host,
            is_connect: error.is_connect(),
            is_dns: error.is_dns(),
            is_timeout: error.is_timeout(),
            broken,
        }
    }

    fn says(&self, text: &str) -> bool {
        self.told.iter().any(|cause| cause.contains(text))
    }

    /// The innermost cause, without Rust's "(os error 111)".
    fn last(&self) -> String {
        let last = self.told.last().map(String::as_str).unwrap_or_default();
        let plain = last.split(" (os error ").next();
        plain.unwrap_or_default().to_string()
    }

    /// TLS that came to no good end: trying again cannot help, and nothing else is tried (S-42).
    fn of_trust(&self) -> Option<Meaning> {
        let what = if self.says("received fatal alert: CertificateRequired")
            || self.says("received fatal alert: CertificateUnknown")
        {
            "it wants a client certificate, or does not take ours: put NAME.cert and NAME.key into \
             the directory of its certificates"
                .to_string()
        } else if self.says("InvalidContentType") || self.says("corrupt message") {
            "it does not speak TLS on this port: perhaps it is meant to be asked by plain HTTP"
                .to_string()
        } else if self.says("UnknownIssuer") {
            "its certificate is from an authority that this machine does not trust (UnknownIssuer)"
                .to_string()
        } else if self.says("certificate expired") {
            format!("its certificate has expired, if {CLOCK}")
        } else if self.says("certificate not valid yet") {
            format!("its certificate is not valid yet, if {CLOCK}")
        } else if self.says("received fatal alert") || self.is_connect && self.says("certificate") {
            self.last()
        } else {
            return None;
        };
        Some((Some(Signal::Certificate), ErrorKind::Untrusted, what))
    }

    fn of_proxy(&self) -> Option<Meaning> {
        if self.says("proxy authorization required") {
            let what = "the proxy wants to know who asks (407): write HTTPS_PROXY as \
                        http://USER:PASSWORD@HOST:PORT";
            return Some((None, ErrorKind::Denied, what.to_string()));
        }
        let is_proxy = self.says("tunnel error") || self.says("proxy");
        is_proxy.then(|| {
            let what = format!("no connection through the proxy: {}", self.last());
            (Some(Signal::Connect), ErrorKind::Unreachable, what)
        })
    }

    fn of_time(&self) -> Option<Meaning> {
        let (signal, kind, what) = match (self.is_timeout, self.is_connect) {
            (false, _) => return None,
            (true, true) => (
                Signal::Connect,
                ErrorKind::Unreachable,
                "no connection in time",
            ),
            (true, false) => (Signal::Timeout, ErrorKind::Io, "no answer in time"),
        };
        Some((Some(signal), kind, what.to_string()))
    }

    fn of_connection(&self) -> Option<Meaning> {
        let signal = if self.says("no public address") {
            // A rule of ours, which stays as it is (S-32).
            let what = format!("it is refused: {}", self.last());
            return Some((None, ErrorKind::Denied, what));
        } else if self.is_dns {
            let temporary = !NO_SUCH_NAME.iter().any(|text| self.says(text));
            let what = format!("cannot look up {}: {}", self.host, self.last());
            let signal = Signal::Dns { temporary };
            return Some((Some(signal), ErrorKind::Unreachable, what));
        } else if self.is_connect {
            match self.broken {
                Some(io::ErrorKind::UnexpectedEof) => Signal::Tls,
                _ if self.says("tls") => Signal::Tls,
                _ => Signal::Connect,
            }
        } else {
            return None;
        };
        Some((Some(signal), ErrorKind::Unreachable, self.last()))
    }

    fn of_transfer(&self) -> Meaning {
        let is_cut = self.says("end of file before message length")
            || self.says("unexpected EOF during chunk");
        let (signal, what) = match is_cut {
            true => (Signal::Truncated, "the answer ended early".to_string()),
            false => (Signal::Reset, self.last()),
        };
        (Some(signal), ErrorKind::Io, what)
    }
}
