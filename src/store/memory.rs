//! Images in memory: for tests, and for programs that make images.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Blob, Destination, Presence, Role, Source, Store, blocking, locked};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Manifest, Name, Tag};

/// A place that lasts as long as the program.
#[derive(Default)]
pub struct Memory(Mutex<Content>);

#[derive(Default)]
struct Content {
    blobs: BTreeMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, Manifest>,
    images: Vec<(Option<Tag>, Descriptor)>,
}

impl Memory {
    /// An empty place.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps `bytes` and says what they are called.
    pub fn add(&self, media_type: &str, bytes: impl Into<Bytes>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor::of(media_type.into(), &bytes);
        self.content()
            .blobs
            .insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        locked(&self.0)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

#[async_trait]
impl Store for Memory {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        let content = self.content();
        let image = |position: usize| content.images.get(position).map(|(_, image)| image.clone());
        Ok(match name {
            Name::Sole if content.images.len() > 1 => {
                let what = format!("{self} holds {} images: choose one", content.images.len());
                return Err(Error::new(ErrorKind::Ambiguous, what));
            }
            Name::Sole => image(0),
            Name::At(position) => image(*position),
            Name::Tag(wanted) => {
                let found = content
                    .images
                    .iter()
                    .position(|(tag, _)| tag.as_ref() == Some(wanted));
                found.and_then(image)
            }
            Name::Pinned(tag, digest) => {
                let named = content
                    .images
                    .iter()
                    .map(|(tag, image)| (tag.as_ref(), image));
                let mut fits =
                    named.filter(|(own, image)| *own == Some(tag) && image.digest == *digest);
                fits.next().map(|(_, image)| image.clone())
            }
            Name::Digest(digest) => content
                .manifests
                .get(digest)
                .map(|it| it.descriptor().clone()),
        })
    }

    async fn names(&self) -> Result<Vec<Name>> {
        let content = self.content();
        let name = |(position, (tag, _)): (usize, &(Option<Tag>, Descriptor))| {
            tag.clone().map_or(Name::At(position), Name::Tag)
        };
        Ok(content.images.iter().enumerate().map(name).collect())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let manifest = self.content().manifests.get(&descriptor.digest).cloned();
        manifest.ok_or_else(|| missing(&descriptor.digest))
    }
}

#[async_trait]
impl Source for Memory {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        let bytes = self.content().blobs.get(&blob.digest).cloned();
        let bytes = bytes.ok_or_else(|| missing(&blob.digest))?;
        Ok(Blob::memory(blob.clone(), bytes))
    }
}

#[async_trait]
impl Destination for Memory {
    async fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        let content = self.content();
        let there = content.blobs.contains_key(&blob.digest)
            || content.manifests.contains_key(&blob.digest);
        Ok(if there {
            Presence::Recorded
        } else {
            Presence::Absent
        })
    }

    async fn put_blob(&self, blob: Blob) -> Result<Descriptor> {
        let pour = || {
            let mut bytes = Vec::new();
            let receipt = blob.pour(&mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            Ok((receipt.descriptor, bytes))
        };
        let (descriptor, bytes) = blocking(pour).await?;
        let digest = descriptor.digest.clone();
        self.content().blobs.insert(digest, bytes.into());
        Ok(descriptor)
    }

    async fn delete(&self, name: &Name) -> Result<()> {
        let Some(found) = self.resolve(name).await? else {
            let what = format!("{self} has no image {name}");
            return Err(Error::new(ErrorKind::NotFound, what));
        };
        let mut content = self.content();
        match name.tag() {
            Some(gone) => content.images.retain(|(tag, _)| tag.as_ref() != Some(gone)),
            None => content.images.retain(|(_, image)| *image != found),
        }
        Ok(())
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()> {
        let mut content = self.content();
        let descriptor = manifest.descriptor().clone();
        for piece in manifest.blobs().filter(|piece| !piece.may_live_elsewhere()) {
            if !content.blobs.contains_key(&piece.digest) {
                return Err(missing(&piece.digest));
            }
        }
        content
            .manifests
            .insert(descriptor.digest.clone(), manifest.clone());
        if let Role::Root(tags) = role {
            content
                .images
                .retain(|(tag, _)| !tag.as_ref().is_some_and(|tag| tags.contains(tag)));
            let named = tags
                .iter()
                .map(|tag| (Some(tag.clone()), descriptor.clone()));
            content.images.extend(named);
            if tags.is_empty() && !content.images.iter().any(|(_, image)| *image == descriptor) {
                content.images.push((None, descriptor));
            }
        }
        Ok(())
    }
}

fn missing(digest: &Digest) -> Error {
    Error::new(ErrorKind::NotFound, format!("memory has no {digest}"))
}
