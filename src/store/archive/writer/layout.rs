//! What stands where in an archive: as `docker load` reads it, or as an OCI image layout.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::image::{
    Compression, Config, Descriptor, Digest, ImageManifest, Manifest, MediaKind, MediaType,
    RepoTag, Tag,
};
use crate::store::Form;
use crate::store::oci_dir::index;

/// Which kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What `docker load` reads: plain layers, and `manifest.json` which lists the images.
    Docker,
    /// An OCI image layout.
    Oci,
}

/// What an archive holds so far.
#[derive(Default)]
pub(super) struct Content {
    pub(super) blobs: BTreeMap<Digest, Descriptor>,
    pub(super) configs: BTreeMap<Digest, Bytes>,
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    /// What it gives out, and by which names.
    pub(super) images: Vec<(Digest, Vec<Tag>)>,
}

/// One image in `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

impl Kind {
    pub(super) fn transport(self) -> &'static str {
        match self {
            Kind::Docker => "docker-archive",
            Kind::Oci => "oci-archive",
        }
    }

    pub(super) fn form(self) -> Form {
        match self {
            Kind::Docker => Form::PlainImages,
            Kind::Oci => Form::Any,
        }
    }

    /// What comes before everything else.
    pub(super) fn first(self) -> Option<(&'static str, &'static [u8])> {
        match self {
            Kind::Docker => None,
            Kind::Oci => Some(("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)),
        }
    }

    /// Where a blob stands.
    pub(super) fn path(self, blob: &Descriptor) -> String {
        let digest = &blob.digest;
        match self {
            Kind::Docker if is_config(blob) => format!("{}.json", digest.hex()),
            Kind::Docker => format!("{}.tar", digest.hex()),
            Kind::Oci => format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex()),
        }
    }

    /// What comes after the blobs, in this order.
    pub(super) fn last(self, content: &Content) -> Result<Vec<(String, Bytes)>> {
        match self {
            Kind::Docker => {
                let listed: Vec<Listed> = content
                    .images
                    .iter()
                    .filter_map(|it| content.listed(it))
                    .collect();
                Ok(vec![(
                    "manifest.json".into(),
                    serde_json::to_vec(&listed)?.into(),
                )])
            }
            Kind::Oci => {
                let manifests = content.manifests.values();
                let mut last: Vec<(String, Bytes)> = manifests
                    .map(|manifest| (self.path(manifest.descriptor()), manifest.bytes().clone()))
                    .collect();
                let mut text = None;
                for (digest, tags) in &content.images {
                    if let Some(image) = content.manifests.get(digest) {
                        let new = index::with_image(text.as_deref(), image.descriptor(), tags)?;
                        text = new.or(text);
                    }
                }
                last.push(("index.json".into(), text.unwrap_or_default().into()));
                Ok(last)
            }
        }
    }
}

/// The manifest by which an archive of plain layers is read.
pub(super) fn plain_manifest(image: &ImageManifest) -> Option<Manifest> {
    let called = |blob: &Descriptor, media_type: MediaType| {
        Descriptor::new(media_type, blob.digest.clone(), blob.size)
    };
    let config = called(&image.config, MediaType::OCI_CONFIG.into());
    let plain = |layer: &Descriptor| called(layer, MediaType::oci_layer(Compression::None));
    let layers: Vec<Descriptor> = image.layers.iter().map(plain).collect();
    Manifest::image(&config, &layers).ok()
}

pub(super) fn is_config(blob: &Descriptor) -> bool {
    blob.media_type.kind() == MediaKind::Config
}

impl Content {
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.blobs.contains_key(digest) || self.manifests.contains_key(digest)
    }

    /// Takes a manifest whose pieces are there.
    pub(super) fn take(&mut self, kind: Kind, manifest: &Manifest) -> Result<()> {
        let missing = |piece: &Descriptor| {
            let what = format!(
                "the archive lacks {}, which the manifest names",
                piece.digest
            );
            Err(Error::new(ErrorKind::NotFound, what))
        };
        if kind == Kind::Docker {
            let Some(image) = manifest.as_image() else {
                let what = "an archive for docker load holds images and no indexes";
                return Err(Error::new(ErrorKind::Unsupported, what));
            };
            if let Some(lost) = manifest.blobs().find(|blob| !self.has(&blob.digest)) {
                return missing(lost);
            }
            self.check(image)?;
        }
        let named = manifest.descriptor().digest.clone();
        self.manifests.insert(named, manifest.clone());
        Ok(())
    }

    /// `docker load` finds layers by their order and checks them against the config's DiffIds.
    fn check(&self, image: &ImageManifest) -> Result<()> {
        let is_plain =
            |layer: &&Descriptor| layer.media_type.compression() == Some(Compression::None);
        if let Some(other) = image.layers.iter().find(|layer| !is_plain(layer)) {
            let what = format!("layer {} is not plain", other.digest);
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let Some(config) = self.configs.get(&image.config.digest) else {
            let what = format!("the archive lacks config {}", image.config.digest);
            return Err(Error::new(ErrorKind::NotFound, what));
        };
        let config = Config::parse(config)?;
        let layers = image.layers.iter().map(|layer| &layer.digest);
        match layers.eq(config.diff_ids()) {
            true => Ok(()),
            false => {
                let what = "the config lists other DiffIds than the layers have";
                Err(Error::new(ErrorKind::Invalid, what))
            }
        }
    }

    /// Gives an image out, once. A name stands for one image.
    pub(super) fn name(&mut self, kind: Kind, image: &Digest, tags: &[Tag]) -> Result<()> {
        for tag in tags {
            if let Some(other) = self.named(kind, tag)?
                && other != image
            {
                let what = format!("it holds another image called {tag} already");
                return Err(Error::new(ErrorKind::Invalid, what));
            }
        }
        match self.images.iter_mut().find(|(there, _)| there == image) {
            Some((_, names)) => {
                let new = tags.iter().filter(|tag| !names.contains(tag));
                let new: Vec<Tag> = new.cloned().collect();
                names.extend(new);
            }
            None => self.images.push((image.clone(), tags.to_vec())),
        }
        Ok(())
    }

    /// The image of a name.
    pub(super) fn named(&self, kind: Kind, tag: &Tag) -> Result<Option<&Digest>> {
        let wanted = kind.completed(tag)?;
        for (digest, tags) in &self.images {
            for tag in tags {
                if kind.completed(tag)? == wanted {
                    return Ok(Some(digest));
                }
            }
        }
        Ok(None)
    }

    fn listed(&self, (digest, tags): &(Digest, Vec<Tag>)) -> Option<Listed> {
        let image = self.manifests.get(digest)?.as_image()?;
        let names = tags
            .iter()
            .filter_map(|tag| Kind::Docker.completed(tag).ok());
        Some(Listed {
            config: Kind::Docker.path(&image.config),
            repo_tags: names.collect(),
            layers: image
                .layers
                .iter()
                .map(|layer| Kind::Docker.path(layer))
                .collect(),
        })
    }
}

impl Kind {
    /// A name in full: in an archive for `docker load` it has a repository and a tag. The registry is
    /// named as well, or podman takes what comes from Docker Hub for an image of `localhost`.
    fn completed(self, tag: &Tag) -> Result<String> {
        Ok(match self {
            Kind::Docker => tag.as_str().parse::<RepoTag>()?.in_full(),
            Kind::Oci => tag.to_string(),
        })
    }
}
