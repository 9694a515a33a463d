//! Archives as destinations: written in one piece, each blob once, in an order that does not depend
//! on chance, so that the same images give the same bytes.

mod layout;
mod tar;
mod target;

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tracing::debug;

use self::layout::{Content, is_config, plain_manifest};
use self::tar::TarWriter;
use self::target::Target;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Compression, Config, Descriptor, Digest, Manifest, Name};
use crate::store::blob::{self, Blob};
use crate::store::{
    Destination, Form, KnownLayer, Presence, Role, Stop, Store, WantedLayers, blocking, locked,
};

pub use layout::Kind;

/// An archive that is being written. It appears under its name when it is finished.
pub struct NewArchive {
    kind: Kind,
    /// What users know it by.
    place: String,
    state: Arc<Mutex<State>>,
}

struct State {
    target: Target,
    /// Begins with the first write, so that looking changes nothing.
    tar: Option<TarWriter>,
    content: Content,
    /// How many images there were when it was finished.
    finished: Option<usize>,
}

impl NewArchive {
    /// An archive at `path`, which must not be there yet; `-` is standard output, and a FIFO or device
    /// is written to as it comes. Nothing is written before something is put there.
    ///
    /// # Errors
    /// `Invalid` if something is there already.
    pub fn at(kind: Kind, path: &Path) -> Result<Self> {
        let place = format!("{}:{}", kind.transport(), path.display());
        Ok(Self::new(kind, place, Target::at(path)?))
    }

    /// An archive at `path` that takes the place of the one that is there, once it is whole.
    ///
    /// # Errors
    /// `Invalid` if what is there is no file.
    pub fn replacing(kind: Kind, path: &Path) -> Result<Self> {
        let place = format!("{}:{}", kind.transport(), path.display());
        Ok(Self::new(kind, place, Target::replacing(path)?))
    }

    /// An archive that goes to `stream`; errors call it `place`.
    pub fn into_stream(kind: Kind, place: String, stream: Box<dyn Write + Send>) -> Self {
        Self::new(kind, place, Target::Stream(Some(stream)))
    }

    fn new(kind: Kind, place: String, target: Target) -> Self {
        Self {
            kind,
            place,
            state: Arc::new(Mutex::new(State {
                target,
                tar: None,
                content: Content::default(),
                finished: None,
            })),
        }
    }

    /// Does something with what was written, away from the runtime: a thread that waits for a layer holds
    /// the state, and the layer comes by way of the runtime.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let state = Arc::clone(&self.state);
        blocking(move || work(&mut locked(&state))).await
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unsupported, format!("{self}: {what}"))
    }
}

impl State {
    fn tar(&mut self, kind: Kind) -> Result<&mut TarWriter> {
        if self.tar.is_none() {
            let mut tar = TarWriter::new(self.target.open()?);
            if let Some((name, content)) = kind.first() {
                tar.add(name, content)?;
            }
            self.tar = Some(tar);
        }
        let gone = || Error::new(ErrorKind::Io, "the archive is closed");
        self.tar.as_mut().ok_or_else(gone)
    }

    fn resolve(&self, kind: Kind, name: &Name) -> Result<Option<Descriptor>> {
        let content = &self.content;
        let digest = match name {
            Name::Tag(tag) => content.named(kind, tag)?,
            Name::Digest(digest) => Some(digest),
            Name::At(position) => content.images.get(*position).map(|(digest, _)| digest),
            Name::Pinned(tag, digest) => {
                let named = content.named(kind, tag)?;
                named.filter(|named| *named == digest)
            }
            Name::Sole => match content.images.as_slice() {
                [(digest, _)] => Some(digest),
                _ => None,
            },
        };
        let manifest = digest.and_then(|digest| content.manifests.get(digest));
        Ok(manifest.map(|manifest| manifest.descriptor().clone()))
    }

    fn put_blob(&mut self, kind: Kind, blob: Blob, stopped: &AtomicBool) -> Result<Descriptor> {
        let descriptor = blob.descriptor().clone();
        if kind == Kind::Docker && is_config(&descriptor) {
            let bytes = blob.bytes_here(Config::LIMIT)?;
            if !self.content.has(&descriptor.digest) {
                self.tar(kind)?.add(&kind.path(&descriptor), &bytes)?;
                self.content
                    .configs
                    .insert(descriptor.digest.clone(), bytes);
            }
        } else {
            let written = self.put_content(kind, blob, stopped)?;
            self.content
                .blobs
                .insert(written.digest.clone(), written.clone());
            return Ok(written);
        }
        self.content
            .blobs
            .insert(descriptor.digest.clone(), descriptor.clone());
        Ok(descriptor)
    }

    fn put_content(&mut self, kind: Kind, blob: Blob, stopped: &AtomicBool) -> Result<Descriptor> {
        self.tar(kind)?;
        let Self {
            tar: Some(tar),
            content,
            ..
        } = self
        else {
            return Err(Error::new(ErrorKind::Io, "the archive is closed"));
        };
        let pour = |blob: Blob, sink: &mut dyn FnMut(&[u8]) -> Result<()>| {
            blob.pour(&mut |piece| match stopped.load(Ordering::Relaxed) {
                true => Err(Error::new(ErrorKind::Interrupted, "interrupted")),
                false => sink(piece),
            })
        };
        if blob.is_recompressed() && !tar.is_stream() {
            let name = |receipt: &blob::Receipt| {
                let new = !content.has(&receipt.descriptor.digest);
                new.then(|| kind.path(&receipt.descriptor))
            };
            let receipt = tar.add_open(|sink| pour(blob, &mut |piece| sink(piece)), name)?;
            return Ok(receipt.descriptor);
        }
        let blob = match blob.is_recompressed() {
            true => blob.spooled()?,
            false => blob,
        };
        let descriptor = blob.descriptor().clone();
        if !content.has(&descriptor.digest) {
            let name = kind.path(&descriptor);
            tar.add_sized(&name, descriptor.size, |sink| {
                pour(blob, &mut |piece| sink(piece))
            })?;
        }
        Ok(descriptor)
    }

    fn finish(&mut self, kind: Kind) -> Result<()> {
        let images = self.content.images.len();
        if images == 0 || self.finished == Some(images) {
            return Ok(());
        }
        for (name, content) in kind.last(&self.content)? {
            self.tar(kind)?.add(&name, &content)?;
        }
        if let Some(tar) = self.tar.take()
            && let Some(file) = tar.end()?
        {
            self.target.name(file)?;
        }
        debug!(images, "archive finished");
        self.finished = Some(images);
        Ok(())
    }
}

impl fmt::Display for NewArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

#[async_trait]
impl Store for NewArchive {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        let (kind, name) = (self.kind, name.clone());
        self.with(move |state| state.resolve(kind, &name)).await
    }

    async fn names(&self) -> Result<Vec<Name>> {
        let of_image = |(position, (_, tags)): (usize, &(_, Vec<_>))| match tags.as_slice() {
            [] => vec![Name::At(position)],
            tags => tags.iter().cloned().map(Name::Tag).collect(),
        };
        self.with(move |state| {
            let images = state.content.images.iter().enumerate();
            Ok(images.flat_map(of_image).collect())
        })
        .await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let digest = descriptor.digest.clone();
        let found = self.with(move |state| Ok(state.content.manifests.get(&digest).cloned()));
        let missing = || {
            let what = format!("{self} has no manifest {}", descriptor.digest);
            Error::new(ErrorKind::NotFound, what)
        };
        found.await?.ok_or_else(missing)
    }
}

#[async_trait]
impl Destination for NewArchive {
    fn form(&self) -> Form {
        self.kind.form()
    }

    /// An archive for `docker load` keeps no manifest: whoever reads it makes the plainest one.
    fn own_digest(&self, manifest: &Manifest) -> Option<Digest> {
        let is_plain =
            |layer: &Descriptor| layer.media_type.compression() == Some(Compression::None);
        let image = manifest.as_image().filter(|_| self.kind == Kind::Docker)?;
        let image = image.layers.iter().all(is_plain).then_some(image)?;
        plain_manifest(image).map(|made| made.descriptor().digest.clone())
    }

    fn takes_one_at_a_time(&self) -> bool {
        true
    }

    fn takes_companions(&self) -> bool {
        self.kind.form() == Form::Any
    }

    async fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        let digest = blob.digest.clone();
        let has = self.with(move |state| Ok(state.content.has(&digest)));
        Ok(match has.await? {
            true => Presence::Recorded,
            false => Presence::Absent,
        })
    }

    async fn known_layers(&self, wanted: &WantedLayers<'_>) -> Result<Vec<KnownLayer>> {
        if wanted.compression != Compression::None {
            return Ok(Vec::new());
        }
        // A plain layer is called by its DiffId.
        let diff_ids = wanted.diff_ids.clone();
        self.with(move |state| {
            let known = diff_ids.into_iter().filter_map(|diff_id| {
                let layer = state.content.blobs.get(&diff_id)?.clone();
                let is_plain = layer.media_type.compression() == Some(Compression::None);
                is_plain.then_some(KnownLayer { diff_id, layer })
            });
            Ok(known.collect())
        })
        .await
    }

    async fn put_blob(&self, blob: Blob) -> Result<Descriptor> {
        let what = format!("cannot write {} to {self}", blob.descriptor().digest);
        let kind = self.kind;
        let stop = Stop::default();
        let stopped = stop.flag();
        let put = self.with(move |state| state.put_blob(kind, blob, &stopped));
        put.await.attempting(|| what)
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()> {
        let what = || {
            let digest = &manifest.descriptor().digest;
            format!("cannot write manifest {digest} to {self}")
        };
        let (kind, own) = (self.kind, manifest.clone());
        let tags = match role {
            Role::Child => None,
            Role::Root(tags) => Some(tags.to_vec()),
        };
        let put = self.with(move |state| {
            state.content.take(kind, &own)?;
            match tags {
                None => Ok(()),
                Some(tags) => {
                    let digest = &own.descriptor().digest;
                    state.content.name(kind, digest, &tags)
                }
            }
        });
        put.await.attempting(what)
    }

    async fn delete(&self, _: &Name) -> Result<()> {
        Err(self.unsupported("an archive is written in one piece, nothing can be deleted from it"))
    }

    async fn finish(&self) -> Result<()> {
        let kind = self.kind;
        let finish = self.with(move |state| state.finish(kind));
        finish.await.attempting(|| format!("cannot finish {self}"))
    }

    async fn discard(&self) -> Result<()> {
        self.with(|state| {
            state.tar = None;
            state.content = Content::default();
            Ok(())
        })
        .await
    }
}
