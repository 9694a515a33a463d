//! What something is, and which version of it: `ETag`, `Content-Type`, `Docker-Content-Digest`.

use tracing::debug;

use crate::image::Digest;

/// The version of a representation: RFC 9110, section 8.8.3. The text is as it stands in the
/// header, quotes and `W/` included, and can be sent back so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ETag<'a> {
    /// Equal tags mean equal bytes: fit for `If-Match` and `If-Range`.
    Strong(&'a str),
    /// Equal tags mean equal meaning, which is of no use for ranges.
    Weak(&'a str),
}

impl<'a> ETag<'a> {
    /// Reads the value of an `ETag` header. One without quotes is none.
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let value = value.trim();
        let (quoted, tag) = match value.strip_prefix("W/") {
            Some(quoted) => (quoted, ETag::Weak(value)),
            None => (value, ETag::Strong(value)),
        };
        let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let allowed = |c: char| c == '!' || ('#'..='~').contains(&c);
        opaque.chars().all(allowed).then_some(tag)
    }

    /// The text to send in `If-Match` or `If-Range`; `None` for a weak one.
    pub(crate) fn strong(self) -> Option<&'a str> {
        match self {
            ETag::Strong(text) => Some(text),
            ETag::Weak(_) => None,
        }
    }
}

/// The media type of a `Content-Type` header, without parameters. `None` if there is none.
pub(crate) fn media_type(value: &str) -> Option<&str> {
    let bare = value.split(';').next().unwrap_or_default().trim();
    (!bare.is_empty()).then_some(bare)
}

/// The digest of a `Docker-Content-Digest` header. `None` if it is empty, which some registries
/// mean as absent, and if it is malformed: then the content is hashed.
pub(crate) fn digest(value: &str) -> Option<Digest> {
    let value = value.trim();
    if value.is_empty() {
        return None;
    }
    let digest = value.parse();
    digest
        .inspect_err(|error| debug!(%error, "a malformed Docker-Content-Digest counts for nothing"))
        .ok()
}
