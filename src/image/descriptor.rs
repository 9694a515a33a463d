//! Descriptors: how a document names content (OCI image specification, "Content Descriptors").

use std::collections::BTreeMap;

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Digest, MediaType, Platform, json};

/// The name of a piece of content: media type, digest, size in bytes, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// What the content is. Empty where a document does not say.
    #[serde(rename = "mediaType", default)]
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Where else it may be had. Never followed.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "json::lenient"
    )]
    pub urls: Vec<String>,
    /// Free remarks.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "json::lenient"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, carried along.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "to_base64",
        deserialize_with = "from_base64"
    )]
    pub data: Option<Bytes>,
    /// For an entry of an index: the platform it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// For an artifact: its type.
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<String>,
}

/// The annotation by which an OCI directory names an image.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation by which BuildKit's attestations point to their image in the same index.
pub(super) const ATTESTED: &str = "vnd.docker.reference.digest";

impl Descriptor {
    /// A descriptor of content that is nothing but its type, digest and size in bytes.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// The descriptor of `bytes`, by SHA-256.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// The name that an OCI directory gives it.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }

    /// The digest of the image in the same index that this is an attestation of (BuildKit).
    pub fn attests(&self) -> Option<Digest> {
        self.annotations.get(ATTESTED)?.parse().ok()
    }

    /// The platform that an entry of an index says it is for; one that says nothing says none.
    pub fn said_platform(&self) -> Option<&Platform> {
        self.platform.as_ref().filter(|said| !said.is_empty())
    }

    /// Whether it may be missing where the image is kept: foreign layers with a URL live elsewhere.
    pub fn may_live_elsewhere(&self) -> bool {
        !self.urls.is_empty()
    }
}

/// Sizes are what Go's int64 holds; a larger one is a lie or an attack (S-09).
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = i64::deserialize(deserializer)?;
    u64::try_from(size).map_err(|_| serde::de::Error::custom(format_args!("the size is {size}")))
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn to_base64<S: Serializer>(data: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    let data = data.as_deref().unwrap_or_default();
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(data))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map(|data| Some(Bytes::from(data)))
        .map_err(|error| serde::de::Error::custom(format_args!("the inline data: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_size(size: &str) -> serde_json::Result<Descriptor> {
        serde_json::from_str(&format!(
            r#"{{"mediaType":"text/plain","digest":"{}","size":{size}}}"#,
            Digest::of(b"")
        ))
    }

    #[test]
    fn s09_sizes_that_no_content_can_have_are_refused() {
        for size in ["-1", "1.5", "1e400", "9223372036854775808", "\"1\"", "null"] {
            assert!(with_size(size).is_err(), "{size}");
        }
        assert_eq!(
            with_size("9223372036854775807").unwrap().size,
            i64::MAX.unsigned_abs()
        );
    }

    #[test]
    fn inline_data_is_carried_both_ways() {
        let mut descriptor = Descriptor::of("text/plain".into(), b"hello");
        descriptor.data = Some(Bytes::from_static(b"hello"));
        let text = serde_json::to_string(&descriptor).unwrap();
        assert!(text.contains(r#""data":"aGVsbG8=""#), "{text}");
        assert_eq!(
            serde_json::from_str::<Descriptor>(&text).unwrap(),
            descriptor
        );
    }
}
