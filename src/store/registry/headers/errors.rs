//! The body of an error: the distribution specification, "Error Codes". The status decides; the
//! codes only refine it.

use std::fmt;

use serde_json::Value;

use super::super::shown;

/// More than anybody reads.
const MOST: usize = 16;

/// How much of a code that nobody knows is kept, in characters.
const CODE_LENGTH: usize = 64;

/// One error that a registry reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryError {
    /// What kind of error it is.
    pub(crate) code: Code,
    /// The registry's words, fit to be shown; may be empty.
    pub(crate) message: String,
}

/// The code of an error: those of the specification, and those that registries add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Code {
    /// The blob is not there.
    BlobUnknown,
    /// The upload is broken. Nexus says so too where a blob may not be replaced.
    BlobUploadInvalid,
    /// No such upload: it ended, expired, or another replica has it.
    BlobUploadUnknown,
    /// The content is not what the digest says.
    DigestInvalid,
    /// A manifest names a blob that is not there.
    ManifestBlobUnknown,
    /// The manifest is refused.
    ManifestInvalid,
    /// The manifest is not there.
    ManifestUnknown,
    /// A signature is missing. From before the specification.
    ManifestUnverified,
    /// The name of the repository is refused.
    NameInvalid,
    /// The repository is not there.
    NameUnknown,
    /// `n` is out of bounds.
    PaginationNumberInvalid,
    /// A policy of the project forbids it. Harbor's.
    ProjectPolicyViolation,
    /// Something must be so first; an immutable tag at Harbor.
    Precondition,
    /// The space is used up. Quay's.
    QuotaExceeded,
    /// The range of an upload is wrong.
    RangeInvalid,
    /// The length is not what was announced.
    SizeInvalid,
    /// The tag has this image or another. ECR's, Quay's.
    TagAlreadyExists,
    /// The tag was taken back. Quay's.
    TagExpired,
    /// The tag may not be moved. Quay's.
    TagImmutable,
    /// The tag is refused; an immutable one at ECR.
    TagInvalid,
    /// Slow down.
    TooManyRequests,
    /// No credentials, or wrong ones.
    Unauthorized,
    /// The credentials do not allow it.
    Denied,
    /// The registry is out of order.
    Unavailable,
    /// The registry does not know itself.
    Unknown,
    /// The registry does not do that.
    Unsupported,
    /// Any other, as it was written, fit to be shown. Empty if there was none.
    Other(String),
}

static CODES: [(Code, &str); 26] = [
    (Code::BlobUnknown, "BLOB_UNKNOWN"),
    (Code::BlobUploadInvalid, "BLOB_UPLOAD_INVALID"),
    (Code::BlobUploadUnknown, "BLOB_UPLOAD_UNKNOWN"),
    (Code::DigestInvalid, "DIGEST_INVALID"),
    (Code::ManifestBlobUnknown, "MANIFEST_BLOB_UNKNOWN"),
    (Code::ManifestInvalid, "MANIFEST_INVALID"),
    (Code::ManifestUnknown, "MANIFEST_UNKNOWN"),
    (Code::ManifestUnverified, "MANIFEST_UNVERIFIED"),
    (Code::NameInvalid, "NAME_INVALID"),
    (Code::NameUnknown, "NAME_UNKNOWN"),
    (Code::PaginationNumberInvalid, "PAGINATION_NUMBER_INVALID"),
    (Code::ProjectPolicyViolation, "PROJECTPOLICYVIOLATION"),
    (Code::Precondition, "PRECONDITION"),
    (Code::QuotaExceeded, "QUOTA_EXCEEDED"),
    (Code::RangeInvalid, "RANGE_INVALID"),
    (Code::SizeInvalid, "SIZE_INVALID"),
    (Code::TagAlreadyExists, "TAG_ALREADY_EXISTS"),
    (Code::TagExpired, "TAG_EXPIRED"),
    (Code::TagImmutable, "TAG_IMMUTABLE"),
    (Code::TagInvalid, "TAG_INVALID"),
    (Code::TooManyRequests, "TOOMANYREQUESTS"),
    (Code::Unauthorized, "UNAUTHORIZED"),
    (Code::Denied, "DENIED"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::Unknown, "UNKNOWN"),
    (Code::Unsupported, "UNSUPPORTED"),
];

impl Code {
    /// In any case, and however its words are parted: `too_many_requests` is `TOOMANYREQUESTS`.
    fn parse(text: &str) -> Self {
        let letters = |text: &str| -> String {
            let kept = text.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
            kept.take(CODE_LENGTH)
                .map(|c| c.to_ascii_uppercase())
                .collect()
        };
        let wanted = letters(text);
        let known = CODES.iter().find(|(_, name)| letters(name) == wanted);
        match known {
            Some((code, _)) => code.clone(),
            None => Code::Other(shown::cut(text.trim(), CODE_LENGTH)),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = CODES.iter().find(|(code, _)| code == self);
        f.write_str(match (known, self) {
            (Some((_, name)), _) => name,
            (None, Code::Other(text)) => text,
            (None, _) => "",
        })
    }
}

impl fmt::Display for RegistryError {
    /// Code and message, and nothing twice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.to_string();
        match (code.is_empty(), self.message.is_empty()) {
            (_, true) => f.write_str(&code),
            (true, false) => f.write_str(&self.message),
            (false, false) if self.message == code => f.write_str(&code),
            (false, false) => write!(f, "{code}: {}", self.message),
        }
    }
}

/// The errors that a body lists. None if it is no such list: `errors: null`, HTML, plain text.
pub(crate) fn parse(body: &[u8]) -> Vec<RegistryError> {
    match serde_json::from_slice(body) {
        Ok(value) => of(&value),
        Err(_) => Vec::new(),
    }
}

/// The errors of a body that was read as JSON. A single error in place of the list is taken too.
pub(super) fn of(body: &Value) -> Vec<RegistryError> {
    let items = match body.get("errors") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    };
    items.iter().filter_map(error).take(MOST).collect()
}

fn error(item: &Value) -> Option<RegistryError> {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    let (code, message) = (text("code"), text("message"));
    if code.is_none() && message.is_none() {
        return None;
    }
    Some(RegistryError {
        code: Code::parse(code.unwrap_or_default()),
        message: shown::text(message.unwrap_or_default().trim()),
    })
}
