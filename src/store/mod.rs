//! The places: where images live, and the only way that bytes travel between them.
//!
//! A store is bound to one directory, archive or repository, so no method carries a reference.
//! Whoever writes a store implements [`Store`] and then [`Source`], [`Destination`] or both.

pub mod archive;
pub mod blob;
pub mod compress;
pub mod daemon;
pub mod dir;
mod files;
mod memory;
pub mod oci_dir;
mod open;
mod recompressed;
pub mod registry;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, DiffId, Digest, Manifest, Name, Repository, Tag};
use blob::{Blob, Passed, Passing};

pub use memory::Memory;
pub use open::{open_destination, open_source, open_to_delete};
pub use recompressed::{Extent, Recompressed, Remade};

/// A place images live. `Display` is the name that users know it by.
#[async_trait]
pub trait Store: Display + Send + Sync {
    /// What a name stands for now; `None` if nothing has that name. Fetches no content.
    ///
    /// # Errors
    /// `Ambiguous` if the name fits several images; otherwise whatever reading the place gives.
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>>;

    /// Every name by which the place gives out an image, in its own order. An image without a tag
    /// is named by its position.
    ///
    /// # Errors
    /// Whatever reading the place gives.
    async fn names(&self) -> Result<Vec<Name>>;

    /// The manifest of a descriptor: the exact bytes, checked against it.
    ///
    /// # Errors
    /// `NotFound` if the place does not have it; otherwise as [`Manifest::parse`].
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest>;

    /// The manifest that a name stands for, in one step where the place has one for it.
    ///
    /// # Errors
    /// `Incomplete` if the name stands for a manifest that the place lacks; otherwise those of
    /// [`Store::resolve`] and [`Store::manifest`].
    async fn find(&self, name: &Name) -> Result<Option<Manifest>> {
        match self.resolve(name).await? {
            Some(found) => self
                .manifest(&found)
                .await
                .map(Some)
                .map_err(Error::of_piece),
            None => Ok(None),
        }
    }

    /// The image ID that a name stands for now, where the place tells it without reading the image:
    /// the digest of the config, or that of another document, which then is no config's. `None` if
    /// nothing has that name or nobody can tell.
    ///
    /// # Errors
    /// Whatever asking gives.
    async fn image_id(&self, name: &Name) -> Result<Option<Digest>> {
        let _ = name;
        Ok(None)
    }

    /// The manifests that refer to this one (`subject`): signatures, attestations, SBOMs.
    ///
    /// # Errors
    /// Whatever reading the place gives.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let _ = subject;
        Ok(Vec::new())
    }

    /// The repository that this is, if it is one of a registry: blobs can be mounted from one into
    /// another.
    fn repository(&self) -> Option<&Repository> {
        None
    }

    /// How many requests were made to a registry for this place so far, those for tokens left out. A
    /// place without a registry asks none.
    fn requests(&self) -> u64 {
        0
    }
}

/// What a place promises to keep of an image that is read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// The digest of the manifest, and so every byte.
    Digest,
    /// The image ID (the digest of the config) and the DiffIds: what `docker save` keeps. How the
    /// layers are compressed is open.
    ImageId,
}

/// A place to read from.
#[async_trait]
pub trait Source: Store {
    /// What it promises to keep.
    fn promise(&self) -> Promise {
        Promise::Digest
    }

    /// A config or layer, not read yet. It is checked when it is.
    ///
    /// # Errors
    /// `NotFound` if the place does not have it; `Corrupt` if that can be seen without reading.
    async fn blob(&self, blob: &Descriptor) -> Result<Blob>;

    /// Whether it comes as a stream that nobody has begun to read: its layers can pass once, and before
    /// it is known of which image they are.
    fn is_stream(&self) -> bool {
        false
    }

    /// Whether its stream holds nothing but the image that is asked for.
    fn is_single(&self) -> bool {
        false
    }

    /// Reads a stream in which `name` is wanted to its end. Its layers go to `taker` as they pass; what
    /// else is needed of it is kept. Does nothing if it is no stream, or not any more.
    ///
    /// # Errors
    /// Whatever reading the place or `taker` gives.
    async fn pass(&self, name: &Name, taker: &dyn Taker) -> Result<()> {
        let _ = (name, taker);
        Ok(())
    }

    /// The layers that were taken while they passed.
    async fn passed(&self) -> Vec<Passed> {
        Vec::new()
    }

    /// How many signatures lie beside the image in a form that only this kind of place keeps: the
    /// simple signatures of a `dir:` are no manifests.
    ///
    /// # Errors
    /// Whatever reading the place gives.
    async fn loose_signatures(&self) -> Result<usize> {
        Ok(0)
    }
}

/// Whoever takes the layers of a stream, one after the other.
#[async_trait]
pub trait Taker: Send + Sync {
    /// Takes a layer: all of it has passed when this returns what it was.
    ///
    /// # Errors
    /// `Corrupt` if the layer is bad; otherwise whatever writing gives.
    async fn take(&self, layer: Passing) -> Result<Passed>;
}

/// What becomes of layers that pass before it is known whether they are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// The place does not take such layers.
    None,
    /// They are there at once. One that is not needed stays, and nothing refers to it.
    Lasting,
    /// They wait at the side until the place is told to keep them. All others go.
    Waiting,
}

/// Whether a place has a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// No.
    Absent,
    /// Yes, and imgcopy knows that it is right because it wrote or checked it before.
    Recorded,
    /// Yes: it was read and is right.
    Checked,
    /// Yes, and with all that it names: the place takes nothing unchecked, as registries do.
    Vouched,
    /// There is something else under its name; the text says what.
    Damaged(String),
}

/// Which layers a copy could use if the destination had them.
#[derive(Debug, Clone)]
pub struct WantedLayers<'a> {
    /// What they must unpack to.
    pub diff_ids: BTreeSet<DiffId>,
    /// How they must be compressed.
    pub compression: Compression,
    /// The image that most probably has them.
    pub near: Option<&'a Tag>,
}

/// A layer that a destination has, and what it unpacks to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownLayer {
    /// What it unpacks to.
    pub diff_id: DiffId,
    /// The layer, checked.
    pub layer: Descriptor,
}

/// Where a manifest stands at the destination.
#[derive(Debug, Clone, Copy)]
pub enum Role<'a> {
    /// Below another one, which comes later.
    Child,
    /// What the place gives out, under these tags; with none, only by digest or position.
    Root(&'a [Tag]),
}

/// What a place can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any manifest and index, word for word.
    Any,
    /// Container images of plain layers, and no manifests: it keeps the image ID, as `docker load`
    /// reads it.
    PlainImages,
}

/// A place to write to.
#[async_trait]
pub trait Destination: Store {
    /// What it can hold.
    fn form(&self) -> Form {
        Form::Any
    }

    /// What it calls an image, where that is not the digest of its manifest.
    fn own_digest(&self, manifest: &Manifest) -> Option<Digest> {
        let _ = manifest;
        None
    }

    /// Whether blobs come one after the other, so that the same image always gives the same bytes.
    fn takes_one_at_a_time(&self) -> bool {
        false
    }

    /// Whether it has a blob or manifest, and how sure that is.
    ///
    /// # Errors
    /// Whatever reading the place gives; damaged content is an answer and no error.
    async fn presence(&self, blob: &Descriptor) -> Result<Presence>;

    /// The layers among the wanted ones that it has already. A place that cannot tell has none.
    ///
    /// # Errors
    /// Whatever reading the place gives.
    async fn known_layers(&self, wanted: &WantedLayers<'_>) -> Result<Vec<KnownLayer>> {
        let _ = wanted;
        Ok(Vec::new())
    }

    /// Takes a blob from another repository of the same registry, without moving it. `false` if it
    /// did not work, which is no error: then the blob must travel.
    ///
    /// # Errors
    /// Whatever asking gives.
    async fn mount(&self, blob: &Descriptor, from: &Repository) -> Result<bool> {
        let _ = (blob, from);
        Ok(false)
    }

    /// Whether it can hold what refers to an image beside the image.
    fn takes_companions(&self) -> bool {
        true
    }

    /// Takes a blob: all of it, or nothing.
    ///
    /// # Errors
    /// `Corrupt` if the blob is not what it is named; otherwise whatever writing gives.
    async fn put_blob(&self, blob: Blob) -> Result<Descriptor>;

    /// What becomes of layers that pass before it is known whether they are needed.
    fn intake(&self) -> Intake {
        Intake::None
    }

    /// Takes a layer that passes once: all of it, or nothing. Only for places whose
    /// [`Destination::intake`] allows it. What such a place does by default is to keep that one layer
    /// in a temporary file, until it has been sent.
    ///
    /// # Errors
    /// `Corrupt` if it does not unpack; otherwise whatever writing gives.
    async fn take(&self, layer: Passing) -> Result<Passed> {
        let (blob, passed) = blocking(move || layer.spooled()).await?;
        self.put_blob(blob).await?;
        Ok(passed)
    }

    /// These layers, which passed and were taken, are needed.
    ///
    /// # Errors
    /// Whatever writing gives.
    async fn keep(&self, layers: &[Digest]) -> Result<()> {
        let _ = layers;
        Ok(())
    }

    /// Takes a manifest whose pieces are all there. As [`Role::Root`] it becomes visible, in one
    /// step, and whatever had its tags loses them.
    ///
    /// # Errors
    /// `NotFound` if a piece of it is missing; otherwise whatever writing gives.
    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()>;

    /// Gives an image out no more: a tag alone, or with a digest the image under all of its tags.
    /// What it consisted of may stay.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Unsupported` if the place cannot; otherwise whatever removing
    /// gives.
    async fn delete(&self, name: &Name) -> Result<()>;

    /// All copies are done: an archive becomes visible, what was learnt may be written down, and
    /// leftovers go. Whoever copies calls it once all is there; again, it does nothing.
    ///
    /// # Errors
    /// Whatever writing gives.
    async fn finish(&self) -> Result<()> {
        Ok(())
    }

    /// The source proved bad: takes back what this copy brought into being, where nobody else can
    /// have begun to use it. A place that wrote nothing has nothing to take back.
    ///
    /// # Errors
    /// Whatever removing gives.
    async fn discard(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs blocking work where it disturbs nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let died = |error| Error::new(ErrorKind::Io, format!("a thread died: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(died)?
}

/// Tells a thread to stop when the future that waits for it is dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    /// What the thread looks at.
    fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a mutex guards here is whole after every step, so a thread that died left no damage.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
