//! The one error type: what was attempted, on which object, at which place, and why it failed.
//!
//! `Display` tells only this step; `source()` leads to the cause, so a chain reads
//! "cannot copy … / caused by: cannot read layer … / caused by: …" and nothing is told twice.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::fmt;
use std::io;

use serde_json::error::Category;

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The longest piece of text from outside in a message, in characters.
const FOREIGN: usize = 300;

/// Text from outside as it may stand in a message: escaped, and cut where nobody reads on (S-46).
pub(crate) fn foreign(text: &str) -> String {
    let mut letters = text.escape_debug();
    let mut shown: String = letters.by_ref().take(FOREIGN).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// What kind of failure it is, for programs that must act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The place does not exist.
    NoPlace,
    /// The place has no such image or blob.
    NotFound,
    /// A place holds several images and none was chosen.
    Ambiguous,
    /// An image whose own place lacks a piece of it.
    Incomplete,
    /// Input that breaks its own format: a reference, a manifest, an archive.
    Invalid,
    /// Bytes that are not what their digest or size says.
    Corrupt,
    /// Well-formed, but nothing that this version handles.
    Unsupported,
    /// Refused: by the operating system (permissions, a read-only place), by a registry, or by a
    /// rule of ours.
    Denied,
    /// A registry does not take manifests of this type. Another format may do.
    RefusedType,
    /// A registry wants to know who asks, or does not take the credentials.
    Unauthorized,
    /// A registry wants us to wait longer than we may.
    RateLimited,
    /// No connection to a registry came about.
    Unreachable,
    /// A registry cannot prove to be who it should be: its certificate is not trusted.
    Untrusted,
    /// No room left at the destination.
    NoSpace,
    /// Somebody else changed the destination meanwhile. Nothing is wrong with it: a new survey
    /// sees what is left to do.
    Changed,
    /// Stopped on request before the end.
    Interrupted,
    /// Any other failure of a file or of the network.
    Io,
}

/// A failure, with the chain of what led to it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error that begins a chain. `message` is one clause without a final stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// What kind of failure it is. A chain has the kind of its cause.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The failure with all that led to it, in one line: `"cannot copy …: cannot read …: not found"`.
    pub fn in_one_line(&self) -> String {
        let mut told = self.to_string();
        for cause in self.causes() {
            told.push_str(": ");
            told.push_str(&cause.to_string());
        }
        told
    }

    /// The innermost cause, which says what is wrong; the steps on the way to it say only where.
    pub fn root_cause(&self) -> String {
        let last = self.causes().last();
        last.map_or_else(|| self.to_string(), ToString::to_string)
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
        std::iter::successors(std::error::Error::source(self), |cause| cause.source())
    }

    /// Puts what was being attempted in front: `"cannot read layer sha256:… of oci:x"`.
    #[must_use]
    pub fn attempting(self, what: impl Into<String>) -> Self {
        Self {
            kind: self.kind,
            message: what.into(),
            source: Some(Box::new(self)),
        }
    }

    /// The same failure as one of another kind, where its cause does not know what it means.
    #[must_use]
    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// What is not found of an image that is there makes the image incomplete.
    #[must_use]
    pub fn of_piece(mut self) -> Self {
        if self.kind == ErrorKind::NotFound {
            self.kind = ErrorKind::Incomplete;
        }
        self
    }

    /// Whether the source itself is bad, so that trying again cannot help.
    pub fn is_bad_source(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Invalid
                | ErrorKind::Incomplete
                | ErrorKind::Corrupt
                | ErrorKind::Unsupported
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl From<io::Error> for Error {
    /// An `Error` that travelled through `std::io` comes out as it went in.
    fn from(error: io::Error) -> Self {
        error
            .downcast::<Error>()
            .unwrap_or_else(|foreign| Error::from_foreign_io(&foreign))
    }
}

impl Error {
    fn from_foreign_io(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Denied
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        Error::new(kind, plain(error))
    }
}

/// The operating system's text without Rust's "(os error 2)".
fn plain(error: &io::Error) -> String {
    if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MFILE) {
        return "too many files are open: raise the limit (ulimit -n)".to_string();
    }
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text.get(..at).unwrap_or(&text).to_string(),
        None => text,
    }
}

impl From<serde_json::Error> for Error {
    /// Its message may tell a value of the document, however long.
    fn from(error: serde_json::Error) -> Self {
        let told = shortened(&error);
        let what = match error.classify() {
            Category::Syntax => format!("it is no JSON: {told}"),
            Category::Eof => format!("it is cut short, or no JSON: {told}"),
            Category::Data | Category::Io => told,
        };
        Error::new(ErrorKind::Invalid, what)
    }
}

/// What is wrong with a document, with as much of a value as may stand in a message.
fn shortened(error: &serde_json::Error) -> String {
    let escaped = |c: char| match c {
        // Values are in quotes and escaped already.
        '"' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    let told: String = error.to_string().chars().map(escaped).collect();
    match told.char_indices().nth(FOREIGN) {
        None => told,
        Some((end, _)) => {
            let begin = told.get(..end).unwrap_or_default();
            let (line, column) = (error.line(), error.column());
            format!("{begin}… at line {line} column {column}")
        }
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Self {
        io::Error::from(errno).into()
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}

/// Adds the attempt to whatever can become an [`Error`].
pub trait Attempt<T> {
    /// Names what was being attempted; the closure runs only on failure.
    ///
    /// # Errors
    /// The error that was there, with the attempt in front.
    fn attempting<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> Attempt<T> for std::result::Result<T, E> {
    fn attempting<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.into().attempting(what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn a_chain_tells_each_failure_once_and_keeps_the_kind() {
        let cause = io::Error::from_raw_os_error(28); // ENOSPC
        let error = Error::from(cause).attempting("cannot write blob x to oci:y");
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert_eq!(error.to_string(), "cannot write blob x to oci:y");
        assert_eq!(
            error.source().unwrap().to_string(),
            "No space left on device"
        );
        assert_eq!(error.root_cause(), "No space left on device");
        assert_eq!(
            error.in_one_line(),
            "cannot write blob x to oci:y: No space left on device"
        );
        assert_eq!(Error::new(ErrorKind::Io, "alone").root_cause(), "alone");
    }

    #[test]
    fn s46_a_long_value_of_a_document_does_not_make_a_long_message() {
        let long = format!("[1,\n \"\\u202e{}\"]", "a".repeat(1 << 20));
        let error = Error::from(serde_json::from_str::<Vec<u32>>(&long).unwrap_err());
        let told = error.to_string();
        assert!(
            told.starts_with("invalid type: string \"\\u{202e}aaa"),
            "{told}"
        );
        assert!(told.contains("aaa… at line 2 column "), "{told}");
        assert!(told.chars().count() < 400);
        let short = Error::from(serde_json::from_str::<Vec<u32>>("[\"a\"]").unwrap_err());
        let told = "invalid type: string \"a\", expected u32 at line 1 column 4";
        assert_eq!(short.to_string(), told);
        assert_eq!(foreign("a\tb"), "a\\tb");
        assert_eq!(foreign(&"é".repeat(301)), format!("{}…", "é".repeat(300)));
    }

    #[test]
    fn an_error_survives_a_trip_through_std_io() {
        let there: io::Error = Error::new(ErrorKind::Corrupt, "wrong bytes").into();
        let back = Error::from(there);
        assert_eq!(back.kind(), ErrorKind::Corrupt);
        assert_eq!(back.to_string(), "wrong bytes");
    }
}
