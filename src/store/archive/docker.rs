//! What `docker save` writes, in each of its forms, and podman, BuildKit, crane and kaniko after it:
//! a tar with `manifest.json`, which lists for each image its config, names and layers.
//!
//! An archive keeps the image ID and the DiffIds. Newer ones also hold the OCI manifest that the
//! engine had; where that fits the listed image, it is given out as it is, so that its digest lives.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use tracing::debug;

use super::original::original;
use super::outer;
use super::tar_index::TarIndex;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{
    Algorithm, Compression, Config, Descriptor, DiffId, Digest, Hasher, Manifest, MediaType, Name,
    RepoTag, Tag, json,
};
use crate::store::blob::{Blob, FileRange};
use crate::store::oci_dir::index;
use crate::store::{Promise, Source, Store, locked};

/// The largest `manifest.json` that is read, in bytes (S-53): room for thousands of images.
const LIST_LIMIT: u64 = 16 << 20;

const KNOWN: json::Known = json::Known {
    keys: &["Config", "RepoTags", "Layers"],
    free: &["LayerSources"],
};

/// An archive, opened for reading.
pub struct DockerArchive {
    /// What users know it by.
    place: String,
    tar: TarIndex,
    items: Vec<Item>,
    images: Mutex<BTreeMap<usize, Arc<Image>>>,
}

/// An image as `manifest.json` lists it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedItem {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

struct Item {
    config: String,
    tags: Vec<RepoTag>,
    layers: Vec<String>,
}

/// An image as it is given out.
struct Image {
    manifest: Manifest,
    config: (Descriptor, Bytes),
    layers: Vec<Layer>,
}

struct Layer {
    descriptor: Descriptor,
    range: FileRange,
    diff_id: DiffId,
}

impl DockerArchive {
    /// Opens an archive: reads its headers and its list of images. `-` is stdin.
    ///
    /// # Errors
    /// `NoPlace` if there is no such file; `Invalid` if it is no archive of images, is damaged, or
    /// holds what could be read in two ways.
    pub fn open(path: &Path) -> Result<Self> {
        let place = format!("docker-archive:{}", path.display());
        Self::in_file(place, &outer::open(path)?)
    }

    /// The archive that a stretch of a file holds; `place` is what users know it by.
    ///
    /// # Errors
    /// As [`DockerArchive::open`].
    pub(crate) fn in_file(place: String, range: &FileRange) -> Result<Self> {
        let mut tar = TarIndex::of(range)?;
        let Some(list) = tar.read("manifest.json", LIST_LIMIT)? else {
            let what = match tar.file(index::FILE) {
                Ok(Some(_)) => {
                    "it has no manifest.json: it is an OCI archive, not one of docker save; write oci-archive:"
                }
                _ => "it has no manifest.json: it is no archive of images",
            };
            return Err(Error::new(ErrorKind::Invalid, what));
        };
        tar.check()?;
        let items = read_list(&list).attempting(|| "cannot read manifest.json")?;
        Ok(Self {
            place,
            tar,
            items,
            images: Mutex::default(),
        })
    }

    /// The position of the image that a name stands for.
    fn position(&self, name: &Name) -> Result<Option<usize>> {
        match name {
            Name::At(position) => Ok(Some(*position).filter(|at| *at < self.items.len())),
            Name::Sole if self.items.len() > 1 => Err(self.ambiguous()),
            Name::Sole => Ok(Some(0)),
            Name::Tag(tag) => {
                let wanted: RepoTag = tag.as_str().parse()?;
                Ok(self
                    .items
                    .iter()
                    .position(|item| item.tags.contains(&wanted)))
            }
            Name::Pinned(tag, digest) => {
                let named = self.position(&Name::Tag(tag.clone()))?;
                let pinned = self.position(&Name::Digest(digest.clone()))?;
                Ok(named.filter(|named| Some(*named) == pinned))
            }
            Name::Digest(digest) => {
                for position in 0..self.items.len() {
                    let image = self.image(position)?;
                    let names = [&image.manifest.descriptor().digest, &image.config.0.digest];
                    if names.contains(&digest) {
                        return Ok(Some(position));
                    }
                }
                Ok(None)
            }
        }
    }

    fn ambiguous(&self) -> Error {
        let names: Vec<String> = self.all_names().iter().map(Name::to_string).collect();
        let what = format!(
            "{self} holds {} images, choose one: {}",
            self.items.len(),
            names.join(", ")
        );
        Error::new(ErrorKind::Ambiguous, what)
    }

    fn all_names(&self) -> Vec<Name> {
        let of_item = |(position, item): (usize, &Item)| {
            let tags = item
                .tags
                .iter()
                .filter_map(|tag| tag.to_string().parse::<Tag>().ok());
            let mut names: Vec<Name> = tags.map(Name::Tag).collect();
            if names.is_empty() {
                names.push(Name::At(position));
            }
            names
        };
        self.items.iter().enumerate().flat_map(of_item).collect()
    }

    fn image(&self, position: usize) -> Result<Arc<Image>> {
        let mut images = locked(&self.images);
        if let Some(image) = images.get(&position) {
            return Ok(Arc::clone(image));
        }
        let Some(item) = self.items.get(position) else {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("{self} has no image @{position}"),
            ));
        };
        let image = Arc::new(Image::read(&self.tar, item)?);
        images.insert(position, Arc::clone(&image));
        Ok(image)
    }

    /// The first image for which `look` finds something; those that were read already come first,
    /// so that a damaged image is no hindrance to another one.
    fn find<T>(&self, look: impl Fn(&Image) -> Option<T>) -> Result<Option<T>> {
        let read: Vec<Arc<Image>> = {
            let images = locked(&self.images);
            images.values().map(Arc::clone).collect()
        };
        if let Some(found) = read.iter().find_map(|image| look(image)) {
            return Ok(Some(found));
        }
        for position in 0..self.items.len() {
            if let Some(found) = look(&*self.image(position)?) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn missing(&self, digest: &Digest) -> Error {
        Error::new(ErrorKind::NotFound, format!("{self} has no {digest}"))
    }
}

fn read_list(text: &[u8]) -> Result<Vec<Item>> {
    let list: Vec<ListedItem> = json::parse(text, &KNOWN)?;
    if list.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "it lists no image"));
    }
    list.into_iter()
        .map(|item| {
            let tags = item.repo_tags.unwrap_or_default();
            Ok(Item {
                config: item.config,
                tags: tags.iter().map(|tag| tag.parse()).collect::<Result<_>>()?,
                layers: item.layers.unwrap_or_default(),
            })
        })
        .collect()
}

impl Image {
    fn read(tar: &TarIndex, item: &Item) -> Result<Self> {
        let shown = item.config.escape_debug().to_string();
        let what = || format!("cannot read config {shown}");
        let bytes = tar.read(&item.config, Config::LIMIT).attempting(what)?;
        let bytes = bytes.ok_or_else(|| lacks(&item.config))?;
        let config = Descriptor::of(MediaType::OCI_CONFIG.into(), &bytes);
        if claimed(&item.config).is_some_and(|claimed| claimed != config.digest) {
            let what = format!(
                "config {shown} is not what it is called: its bytes are {}",
                config.digest
            );
            return Err(Error::new(ErrorKind::Corrupt, what));
        }
        let diff_ids = Config::parse(&bytes).attempting(what)?.diff_ids().to_vec();
        if diff_ids.len() != item.layers.len() {
            let what = format!(
                "manifest.json lists {} layers, config {shown} has {} DiffIds",
                item.layers.len(),
                diff_ids.len()
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let pairs = item.layers.iter().zip(diff_ids);
        let layers: Vec<Layer> = pairs
            .map(|(path, diff_id)| Layer::find(tar, path, diff_id))
            .collect::<Result<_>>()?;
        let descriptors: Vec<Descriptor> = layers
            .iter()
            .map(|layer| layer.descriptor.clone())
            .collect();
        let manifest = match original(tar, &config, &descriptors) {
            Some(original) => original,
            None => Manifest::image(&config, &descriptors)?,
        };
        debug!(config = shown, manifest = %manifest.descriptor().digest, "image read");
        Ok(Self {
            manifest,
            config: (config, bytes.into()),
            layers,
        })
    }
}

impl Layer {
    /// A plain layer is called by its DiffId. A compressed one is called by its digest: what its
    /// file's name says (checked when it is read), or else what its bytes say.
    fn find(tar: &TarIndex, path: &str, diff_id: DiffId) -> Result<Self> {
        let shown = || format!("cannot read layer {}", path.escape_debug());
        let range = tar
            .file(path)
            .attempting(shown)?
            .ok_or_else(|| lacks(path))?;
        let compression = Compression::sniff(&range.first::<6>().attempting(shown)?);
        let digest = match compression {
            Compression::None => diff_id.clone(),
            _ => match claimed(path).filter(|claimed| *claimed != diff_id) {
                Some(claimed) => claimed,
                None => digest_of(&range).attempting(shown)?,
            },
        };
        Ok(Self {
            descriptor: Descriptor::new(MediaType::oci_layer(compression), digest, range.len),
            range,
            diff_id,
        })
    }
}

/// The digest that a file is called by: `blobs/sha256/<hex>`, `<hex>.json`, `<hex>.tar.gz` (crane and
/// kaniko), `sha256:<hex>` (crane's configs).
fn claimed(path: &str) -> Option<Digest> {
    let file = path.rsplit('/').next()?;
    let stem = file.split('.').next()?;
    let hex = stem.strip_prefix("sha256:").unwrap_or(stem);
    Digest::from_parts(Algorithm::Sha256, hex).ok()
}

fn digest_of(range: &FileRange) -> Result<Digest> {
    use std::io::Read as _;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut reader = range.reader();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

fn lacks(path: &str) -> Error {
    let what = format!(
        "manifest.json names {}, which is not in the archive",
        path.escape_debug()
    );
    Error::new(ErrorKind::Invalid, what)
}

impl fmt::Display for DockerArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

#[async_trait]
impl Store for DockerArchive {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        let Some(position) = self.position(name)? else {
            return Ok(None);
        };
        Ok(Some(self.image(position)?.manifest.descriptor().clone()))
    }

    async fn names(&self) -> Result<Vec<Name>> {
        Ok(self.all_names())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let named = |image: &Image| {
            let is_it = image.manifest.descriptor().digest == descriptor.digest;
            is_it.then(|| image.manifest.clone())
        };
        self.find(named)?
            .ok_or_else(|| self.missing(&descriptor.digest))
    }
}

#[async_trait]
impl Source for DockerArchive {
    fn promise(&self) -> Promise {
        Promise::ImageId
    }

    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        let find = |image: &Image| {
            let (config, bytes) = &image.config;
            if config.digest == blob.digest {
                return Some(Blob::memory(config.clone(), bytes.clone()));
            }
            let layer = image
                .layers
                .iter()
                .find(|layer| layer.descriptor.digest == blob.digest)?;
            let read = Blob::file(layer.descriptor.clone(), layer.range.clone());
            Some(read.unpacking_to(layer.diff_id.clone()))
        };
        self.find(find)?.ok_or_else(|| self.missing(&blob.digest))
    }
}
