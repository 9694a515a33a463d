//! What `docker save` writes, in each of its forms, and podman, BuildKit, crane and kaniko after it:
//! a tar with `manifest.json`, which lists for each image its config, names and layers.
//!
//! An archive keeps the image ID and the DiffIds. Newer ones also hold the OCI manifest that the
//! engine had; where that fits the listed image, it is given out as it is, so that its digest lives.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use tracing::debug;

use super::layer::{Layer, claimed};
use super::original::original;
use super::source::Opened;
use super::stream;
use super::tape::{Body, went_by};
use super::tar_index::TarIndex;
use crate::error::{Attempt as _, Error, ErrorKind, Result, foreign};
use crate::image::{Config, Descriptor, Digest, Manifest, MediaType, Name, RepoTag, Tag, json};
use crate::store::blob::{Blob, FileRange, Passed};
use crate::store::oci_dir::index;
use crate::store::{Promise, Source, Store, Taker, locked};

/// The largest `manifest.json` that is read, in bytes (S-53): room for thousands of images.
const LIST_LIMIT: u64 = 16 << 20;

const KNOWN: json::Known = json::Known {
    keys: &["Config", "RepoTags", "Layers"],
    free: &["LayerSources"],
};

/// An archive, opened for reading.
pub struct DockerArchive(Opened<Saved>);

/// What is in it.
struct Saved {
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

impl DockerArchive {
    /// Opens an archive: reads its headers and its list of images. `-` is stdin. What comes through a
    /// pipe is read when somebody asks for something.
    ///
    /// # Errors
    /// `NoPlace` if there is no such file; `Invalid` if it is no archive of images, is damaged, or
    /// holds what could be read in two ways.
    pub fn open(path: &Path) -> Result<Self> {
        let place = format!("docker-archive:{}", path.display());
        Opened::open(place, path, Saved::read).map(Self)
    }

    /// The archive that a file holds; `place` is what users know it by.
    ///
    /// # Errors
    /// As [`DockerArchive::open`].
    pub(crate) fn in_file(place: String, range: &FileRange) -> Result<Self> {
        let saved = Saved::read(&place, TarIndex::of(range)?)?;
        Ok(Self(Opened::of(place, Saved::read, saved)))
    }

    /// The archive that comes as a stream, after all of it has come; its layers went to `taker`.
    ///
    /// # Errors
    /// As [`DockerArchive::open`]; otherwise what `taker` gives.
    pub(crate) async fn in_stream(
        place: String,
        from: impl Read + Send + 'static,
        taker: &dyn Taker,
    ) -> Result<Self> {
        let saved = Saved::read(&place, stream::walk(from, taker).await?)?;
        Ok(Self(Opened::of(place, Saved::read, saved)))
    }
}

impl Saved {
    fn read(place: &str, mut tar: TarIndex) -> Result<Self> {
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
            place: place.to_string(),
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
            "{} holds {} images, choose one: {}",
            self.place,
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
                format!("{} has no image @{position}", self.place),
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
        Error::new(
            ErrorKind::NotFound,
            format!("{} has no {digest}", self.place),
        )
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
        let shown = foreign(&item.config);
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

pub(super) fn lacks(path: &str) -> Error {
    let what = format!(
        "manifest.json names {}, which is not in the archive",
        foreign(path)
    );
    Error::new(ErrorKind::Invalid, what)
}

impl fmt::Display for DockerArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.place())
    }
}

#[async_trait]
impl Store for DockerArchive {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        let saved = self.0.get().await?;
        let Some(position) = saved.position(name)? else {
            return Ok(None);
        };
        Ok(Some(saved.image(position)?.manifest.descriptor().clone()))
    }

    async fn names(&self) -> Result<Vec<Name>> {
        Ok(self.0.get().await?.all_names())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let named = |image: &Image| {
            let is_it = image.manifest.descriptor().digest == descriptor.digest;
            is_it.then(|| image.manifest.clone())
        };
        let saved = self.0.get().await?;
        let found = saved.find(named)?;
        found.ok_or_else(|| saved.missing(&descriptor.digest))
    }
}

#[async_trait]
impl Source for DockerArchive {
    fn promise(&self) -> Promise {
        Promise::ImageId
    }

    fn is_stream(&self) -> bool {
        self.0.is_stream()
    }

    async fn pass(&self, _: &Name, taker: &dyn Taker) -> Result<()> {
        self.0.pass(taker).await
    }

    async fn passed(&self) -> Vec<Passed> {
        self.0
            .now()
            .map_or_else(Vec::new, |saved| saved.tar.passed())
    }

    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        let find = |image: &Image| {
            let (config, bytes) = &image.config;
            if config.digest == blob.digest {
                return Some(Ok(Blob::memory(config.clone(), bytes.clone())));
            }
            let layer = image
                .layers
                .iter()
                .find(|layer| layer.descriptor.digest == blob.digest)?;
            let Body::Here(range) = &layer.body else {
                return Some(Err(went_by(&blob.digest)));
            };
            let read = Blob::file(layer.descriptor.clone(), range.clone());
            Some(Ok(read.unpacking_to(layer.diff_id.clone())))
        };
        let saved = self.0.get().await?;
        let found = saved.find(find)?;
        found.unwrap_or_else(|| Err(saved.missing(&blob.digest)))
    }
}
