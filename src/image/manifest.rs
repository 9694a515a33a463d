//! Manifests: the documents that name an image's pieces (OCI image specification, "Image Manifest"
//! and "Image Index"; Docker's "Image Manifest Version 2, Schema 2" and its list).
//!
//! A [`Manifest`] keeps the bytes it was read from. They are what is copied; the parsed view only
//! serves decisions.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Descriptor;
use super::descriptor::ATTESTED;
use super::digest::Digest;
use super::json::{self, Known};
use super::media_type::{MediaKind, MediaType};
use crate::error::{Attempt as _, Error, ErrorKind, Result};

/// The largest manifest that is read, in bytes. The distribution specification asks registries to
/// take at least 4 MiB; no peer takes more (S-17).
pub const MANIFEST_LIMIT: u64 = 4 << 20;

/// The most layers of an image, and the most entries of an index, that are acted on (S-19).
const ENTRY_LIMIT: usize = 4096;

const KNOWN: Known = Known {
    keys: &[
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "digest",
        "size",
        "urls",
        "data",
        "annotations",
        "platform",
        "subject",
        "artifactType",
        "architecture",
        "os",
        "variant",
        "fsLayers",
        "history",
    ],
    free: &["annotations"],
};

/// A manifest or an index: its exact bytes, its name, and what it says.
#[derive(Debug, Clone)]
pub struct Manifest {
    bytes: Bytes,
    descriptor: Descriptor,
    body: Body,
}

/// What a manifest says.
#[derive(Debug, Clone)]
pub enum Body {
    /// One image, or an artifact in the form of one.
    Image(ImageManifest),
    /// A list of manifests.
    Index(Index),
}

/// One image: a config and layers.
#[derive(Debug, Clone, Deserialize)]
pub struct ImageManifest {
    /// The config.
    pub config: Descriptor,
    /// The layers, the lowest first.
    #[serde(default, deserialize_with = "json::lenient")]
    pub layers: Vec<Descriptor>,
    /// What this refers to, if it is a referrer.
    #[serde(default)]
    pub subject: Option<Descriptor>,
    /// What kind of artifact this is, if it says so.
    #[serde(rename = "artifactType", default)]
    pub artifact_type: Option<String>,
}

impl ImageManifest {
    /// Whether it is a container image and no artifact in the form of one.
    pub fn is_container(&self) -> bool {
        self.config.media_type.kind() == MediaKind::Config
    }
}

/// A list of manifests, usually one a platform.
#[derive(Debug, Clone, Deserialize)]
pub struct Index {
    /// The entries.
    #[serde(default, deserialize_with = "json::lenient")]
    pub manifests: Vec<Descriptor>,
}

/// What decides how a document is read, before it is.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "mediaType", default)]
    media_type: MediaType,
    config: Option<Value>,
    layers: Option<Value>,
    manifests: Option<Value>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<Value>,
    history: Option<Value>,
}

impl Manifest {
    /// Reads a manifest that `expected` names: size and digest must be right, and the media type
    /// too where both say one.
    ///
    /// # Errors
    /// `Corrupt` if the bytes are not the named ones; `Invalid` if the document breaks its format
    /// or could be read as two kinds (S-05); `Unsupported` for kinds that imgcopy does not copy.
    pub fn parse(bytes: Bytes, expected: &Descriptor) -> Result<Self> {
        let digest = Digest::by(expected.digest.algorithm(), &bytes);
        if digest != expected.digest || bytes.len() as u64 != expected.size {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "its bytes are {digest} ({} bytes), not {} ({} bytes)",
                    bytes.len(),
                    expected.digest,
                    expected.size
                ),
            ));
        }
        let (body, media_type) = read(&bytes, &expected.media_type)?;
        Ok(Self {
            descriptor: Descriptor::new(media_type, digest, bytes.len() as u64),
            bytes,
            body,
        })
    }

    /// Reads a manifest whose name is not known beforehand; it is named by SHA-256.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn of(bytes: Bytes, media_type: MediaType) -> Result<Self> {
        let expected = Descriptor::of(media_type, &bytes);
        Self::parse(bytes, &expected)
    }

    /// An OCI image manifest for a config and layers.
    ///
    /// # Errors
    /// `Invalid` if the parts exceed what a manifest may hold.
    pub fn image(config: &Descriptor, layers: &[Descriptor]) -> Result<Self> {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(rename = "schemaVersion")]
            schema_version: u8,
            #[serde(rename = "mediaType")]
            media_type: &'a str,
            config: &'a Descriptor,
            layers: &'a [Descriptor],
        }
        let bytes = serde_json::to_vec(&Document {
            schema_version: 2,
            media_type: MediaType::OCI_MANIFEST,
            config,
            layers,
        });
        Self::of(bytes?.into(), MediaType::OCI_MANIFEST.into())
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Media type, digest and size.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The descriptor by which a list of referrers names it: with its annotations and the type of the
    /// artifact, which without a word of its own is that of its config (distribution specification,
    /// "Listing Referrers"). `None` if it refers to nothing.
    pub fn as_referrer(&self) -> Option<(&Descriptor, Descriptor)> {
        let image = self.as_image()?;
        let subject = image.subject.as_ref()?;
        let kind = image
            .artifact_type
            .as_deref()
            .filter(|kind| !kind.is_empty());
        let kind = kind.unwrap_or(image.config.media_type.as_str());
        let mut descriptor = self.descriptor.clone();
        descriptor.artifact_type = Some(kind.to_string());
        descriptor.annotations = self.annotations();
        Some((subject, descriptor))
    }

    /// Its own annotations; none if they are no plain texts.
    fn annotations(&self) -> BTreeMap<String, String> {
        #[derive(Deserialize)]
        struct Annotated {
            #[serde(default)]
            annotations: BTreeMap<String, String>,
        }
        let read = serde_json::from_slice(&self.bytes);
        read.map_or_else(|_| BTreeMap::new(), |it: Annotated| it.annotations)
    }

    /// What it says.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The image, unless this is an index.
    pub fn as_image(&self) -> Option<&ImageManifest> {
        match &self.body {
            Body::Image(image) => Some(image),
            Body::Index(_) => None,
        }
    }

    /// The manifests that it lists: none for an image.
    pub fn children(&self) -> &[Descriptor] {
        match &self.body {
            Body::Image(_) => &[],
            Body::Index(index) => &index.manifests,
        }
    }

    /// The config and layers that it names: none for an index.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.as_image()
            .into_iter()
            .flat_map(|image| std::iter::once(&image.config).chain(&image.layers))
    }

    /// The same document with other content in place of some: each layer or entry whose digest is
    /// a key becomes what the key leads to. Everything else stays, unknown fields included.
    ///
    /// # Errors
    /// `Invalid` if the document is too large afterwards.
    pub fn with_replaced(&self, by: &BTreeMap<Digest, Descriptor>) -> Result<Self> {
        let mut document: Value = serde_json::from_slice(&self.bytes)?;
        for list in ["layers", "manifests"] {
            let entries = document.get_mut(list).and_then(Value::as_array_mut);
            for entry in entries.into_iter().flatten() {
                replace(entry, by);
            }
        }
        Self::of(
            serde_json::to_vec(&document)?.into(),
            self.descriptor.media_type.clone(),
        )
    }

    /// The same index with only those entries that are to be kept. They stay as they are and in
    /// their order, and so does everything else, unknown fields included.
    ///
    /// # Errors
    /// `Invalid` if this is an image and no index.
    pub fn with_entries(&self, keep: &dyn Fn(&Descriptor) -> bool) -> Result<Self> {
        let mut document: Value = serde_json::from_slice(&self.bytes)?;
        let entries = document.get_mut("manifests").and_then(Value::as_array_mut);
        let Some(entries) = entries.filter(|_| self.as_image().is_none()) else {
            let what = "a manifest of a single image has no entries to choose from";
            return Err(Error::new(ErrorKind::Invalid, what));
        };
        let mut kept = self.children().iter().map(keep);
        entries.retain(|_| kept.next() == Some(true));
        Self::of(
            serde_json::to_vec(&document)?.into(),
            self.descriptor.media_type.clone(),
        )
    }
}

fn replace(entry: &mut Value, by: &BTreeMap<Digest, Descriptor>) {
    let replacement = |value: Option<&Value>| {
        let digest: Digest = value?.as_str()?.parse().ok()?;
        by.get(&digest)
    };
    if let Some(attested) = entry.pointer_mut(&format!("/annotations/{ATTESTED}"))
        && let Some(new) = replacement(Some(&*attested))
    {
        *attested = new.digest.to_string().into();
    }
    let Some(new) = replacement(entry.get("digest")) else {
        return;
    };
    if let Some(entry) = entry.as_object_mut() {
        entry.insert("mediaType".into(), new.media_type.as_str().into());
        entry.insert("digest".into(), new.digest.to_string().into());
        entry.insert("size".into(), new.size.into());
        entry.shift_remove("data");
        entry.shift_remove("urls");
    }
}

fn read(bytes: &[u8], hint: &MediaType) -> Result<(Body, MediaType)> {
    if bytes.len() as u64 > MANIFEST_LIMIT {
        let what = format!(
            "a manifest of {} bytes is over the limit of {MANIFEST_LIMIT}",
            bytes.len()
        );
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    let shape: Shape = json::parse(bytes, &KNOWN)?;
    let media_type = shape.media_type(hint)?;
    let body = match media_type.kind() {
        MediaKind::Index => Body::Index(serde_json::from_slice(bytes)?),
        MediaKind::Manifest => {
            Body::Image(serde_json::from_slice(bytes).attempting(|| "it is no image manifest")?)
        }
        MediaKind::Schema1 => {
            let what = "Docker schema 1 manifests are not supported: push the image again with a current tool";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        _ => {
            let what = format!("{media_type} is no manifest that imgcopy copies");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
    };
    let entries = match &body {
        Body::Image(image) => image.layers.len(),
        Body::Index(index) => index.manifests.len(),
    };
    if entries > ENTRY_LIMIT {
        let what = format!("{entries} entries are over the limit of {ENTRY_LIMIT}");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok((body, media_type))
}

impl Shape {
    /// The one media type that the document, its fields and its descriptor agree on.
    fn media_type(&self, hint: &MediaType) -> Result<MediaType> {
        let is_index = self.manifests.is_some();
        let is_image = self.config.is_some() || self.layers.is_some();
        let is_old = self.fs_layers.is_some();
        if [is_index, is_image, is_old]
            .into_iter()
            .filter(|is| *is)
            .count()
            > 1
            || (self.history.is_some() && !is_old)
        {
            let what = "it is ambiguous: fields of a manifest and of an index stand side by side";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        if !self.media_type.is_empty() && !hint.is_empty() && self.media_type != *hint {
            let what = format!(
                "it says that it is {}, its descriptor says {hint}",
                self.media_type
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let said = if self.media_type.is_empty() {
            hint
        } else {
            &self.media_type
        };
        let seen = if is_index {
            MediaKind::Index
        } else if is_image {
            MediaKind::Manifest
        } else {
            MediaKind::Schema1
        };
        match said.kind() {
            MediaKind::Index | MediaKind::Manifest
                if said.kind() != seen && (is_index || is_image || is_old) =>
            {
                let what = format!("it says that it is {said}, but its fields are of another kind");
                Err(Error::new(ErrorKind::Invalid, what))
            }
            // Without a media type the fields decide: the specification made it optional.
            MediaKind::Other if said.is_empty() && is_index => Ok(MediaType::OCI_INDEX.into()),
            MediaKind::Other if said.is_empty() && is_image => Ok(MediaType::OCI_MANIFEST.into()),
            MediaKind::Other if is_old => {
                Ok("application/vnd.docker.distribution.manifest.v1+json".into())
            }
            MediaKind::Other if said.is_empty() => Err(Error::new(
                ErrorKind::Invalid,
                "it is neither a manifest nor an index",
            )),
            _ => Ok(said.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
