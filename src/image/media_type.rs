//! Media types: what a descriptor says its content is, in OCI's words or in Docker's.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::foreign;

/// How a layer's tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// bzip2; not a form of the OCI specification, met inside archives only.
    Bzip2,
    /// xz; not a form of the OCI specification, met inside archives only.
    Xz,
}

impl Compression {
    /// Recognises a compressed stream by its first bytes; anything else counts as plain.
    pub fn sniff(first: &[u8]) -> Self {
        const MAGICS: [(&[u8], Compression); 4] = [
            (&[0x1f, 0x8b], Compression::Gzip),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
            (b"BZh", Compression::Bzip2),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression::Xz),
        ];
        MAGICS
            .into_iter()
            .find(|(magic, _)| first.starts_with(magic))
            .map_or(Compression::None, |(_, compression)| compression)
    }

    /// As `--compression` and the suffix of a media type write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a media type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// A list of manifests.
    Index,
    /// An image manifest.
    Manifest,
    /// Docker's first, deprecated manifest.
    Schema1,
    /// An image config.
    Config,
    /// A filesystem layer, compressed so.
    Layer(Compression),
    /// Anything else: artifacts carry what they like.
    Other,
}

/// In whose words manifests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Those of the OCI image specification.
    Oci,
    /// Docker's "Image Manifest Version 2, Schema 2" and its list.
    V2s2,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Oci => "oci",
            Format::V2s2 => "v2s2",
        })
    }
}

/// A media type, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct MediaType(String);

impl MediaType {
    /// `application/vnd.oci.image.index.v1+json`
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// `application/vnd.oci.image.manifest.v1+json`
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// `application/vnd.oci.image.config.v1+json`
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// `application/vnd.oci.image.layer.v1.tar`; a suffix names the compression.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// `application/vnd.docker.distribution.manifest.v2+json`
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// `application/vnd.docker.container.image.v1+json`
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

    const OCI_FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
    const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1";

    /// A media type from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The media type of an OCI layer with this compression.
    pub fn oci_layer(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::new(Self::OCI_LAYER),
            other => Self(format!("{}+{other}", Self::OCI_LAYER)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it stands for.
    pub fn kind(&self) -> MediaKind {
        match self.0.as_str() {
            Self::OCI_INDEX | Self::DOCKER_INDEX => MediaKind::Index,
            Self::OCI_MANIFEST | Self::DOCKER_MANIFEST => MediaKind::Manifest,
            Self::OCI_CONFIG | Self::DOCKER_CONFIG => MediaKind::Config,
            text if text.starts_with(Self::SCHEMA1) => MediaKind::Schema1,
            _ => self
                .layer_parts()
                .map_or(MediaKind::Other, |(_, compression)| {
                    MediaKind::Layer(compression)
                }),
        }
    }

    /// The compression, if this is a layer.
    pub fn compression(&self) -> Option<Compression> {
        match self.kind() {
            MediaKind::Layer(compression) => Some(compression),
            _ => None,
        }
    }

    /// Whether it is a layer that is said to live elsewhere (`urls`), such as Windows base layers.
    pub fn is_foreign_layer(&self) -> bool {
        self.layer_parts()
            .is_some_and(|(base, _)| base == Self::OCI_FOREIGN || base == Self::DOCKER_FOREIGN)
    }

    /// The same kind of layer with another compression. `None` if this is no layer, or if its
    /// family has no word for it: Docker's types know gzip alone.
    pub fn with_compression(&self, to: Compression) -> Option<Self> {
        let (base, _) = self.layer_parts()?;
        let docker = base == Self::DOCKER_LAYER || base == Self::DOCKER_FOREIGN;
        match to {
            Compression::None => Some(Self::new(base)),
            Compression::Gzip if docker => Some(Self(format!("{base}.gzip"))),
            _ if docker => None,
            other => Some(Self(format!("{base}+{other}"))),
        }
    }

    /// What the same thing is called in another format. `None` if that has no word for it: Docker's
    /// types know neither zstd nor artifacts. In OCI's format everything may stand.
    pub fn in_format(&self, format: Format) -> Option<Self> {
        let is_oci = format == Format::Oci;
        let text = match (self.kind(), is_oci) {
            (MediaKind::Index, true) => Self::OCI_INDEX,
            (MediaKind::Index, false) => Self::DOCKER_INDEX,
            (MediaKind::Manifest, true) => Self::OCI_MANIFEST,
            (MediaKind::Manifest, false) => Self::DOCKER_MANIFEST,
            (MediaKind::Config, true) => Self::OCI_CONFIG,
            (MediaKind::Config, false) => Self::DOCKER_CONFIG,
            (MediaKind::Layer(compression), _) => {
                let base = match (self.is_foreign_layer(), is_oci) {
                    (true, true) => Self::OCI_FOREIGN,
                    (true, false) => Self::DOCKER_FOREIGN,
                    (false, true) => Self::OCI_LAYER,
                    (false, false) => Self::DOCKER_LAYER,
                };
                return Self::new(base).with_compression(compression);
            }
            (MediaKind::Other, true) => return Some(self.clone()),
            (MediaKind::Other, false) | (MediaKind::Schema1, _) => return None,
        };
        Some(Self::new(text))
    }

    fn layer_parts(&self) -> Option<(&'static str, Compression)> {
        const BASES: [&str; 4] = [
            MediaType::OCI_LAYER,
            MediaType::OCI_FOREIGN,
            MediaType::DOCKER_LAYER,
            MediaType::DOCKER_FOREIGN,
        ];
        BASES.into_iter().find_map(|base| {
            let compression = match self.0.strip_prefix(base)? {
                "" => Compression::None,
                "+gzip" | ".gzip" => Compression::Gzip,
                // `.zstd` is what buildah writes into Docker manifests.
                "+zstd" | ".zstd" => Compression::Zstd,
                "+bzip2" => Compression::Bzip2,
                "+xz" => Compression::Xz,
                _ => return None,
            };
            Some((base, compression))
        })
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It comes from outside: no control characters reach a terminal, and no flood.
        f.write_str(&foreign(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_by_their_suffix() {
        let table = [
            (
                "application/vnd.oci.image.layer.v1.tar",
                Some(Compression::None),
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+gzip",
                Some(Compression::Gzip),
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                Some(Compression::Zstd),
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                Some(Compression::Gzip),
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar",
                Some(Compression::None),
            ),
            ("application/vnd.oci.image.layer.v1.tar+encrypted", None),
            ("application/vnd.oci.image.config.v1+json", None),
            ("text/plain", None),
        ];
        for (text, expected) in table {
            assert_eq!(MediaType::from(text).compression(), expected, "{text}");
        }
        assert!(
            MediaType::from("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
                .is_foreign_layer()
        );
    }

    #[test]
    fn formats_have_words_for_each_other() {
        let pairs = [
            (MediaType::OCI_INDEX, MediaType::DOCKER_INDEX),
            (MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST),
            (MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG),
            (MediaType::OCI_LAYER, MediaType::DOCKER_LAYER),
            (
                "application/vnd.oci.image.layer.v1.tar+gzip",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            ),
        ];
        for (oci, docker) in pairs {
            for own in [oci, docker] {
                let own = MediaType::from(own);
                assert_eq!(own.in_format(Format::Oci).unwrap().as_str(), oci);
                assert_eq!(own.in_format(Format::V2s2).unwrap().as_str(), docker);
            }
        }
        for only_oci in ["application/vnd.oci.image.layer.v1.tar+zstd", "text/plain"] {
            let own = MediaType::from(only_oci);
            assert_eq!(own.in_format(Format::Oci), Some(own.clone()));
            assert_eq!(own.in_format(Format::V2s2), None);
        }
    }

    #[test]
    fn recompression_stays_in_the_family() {
        let docker = MediaType::from("application/vnd.docker.image.rootfs.diff.tar");
        assert_eq!(
            docker.with_compression(Compression::Gzip).unwrap().as_str(),
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
        );
        assert!(docker.with_compression(Compression::Zstd).is_none());
        let oci = MediaType::oci_layer(Compression::Gzip);
        assert_eq!(
            oci.with_compression(Compression::None).unwrap().as_str(),
            MediaType::OCI_LAYER
        );
        assert!(
            MediaType::from("text/plain")
                .with_compression(Compression::None)
                .is_none()
        );
    }
}
