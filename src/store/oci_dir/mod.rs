//! An OCI directory (OCI image layout specification): `oci-layout`, `index.json`, and blobs under
//! `blobs/<algorithm>/<hex>`.

mod gc;
mod held;
pub(super) mod index;
mod layout;
mod ledger;
mod lock;
mod session;
mod stage;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::RwLock;

use super::blob::{Blob, Passed, Passing};
use super::{
    Destination, Intake, KnownLayer, Presence, Role, Source, Stop, Store, WantedLayers, blocking,
};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, DiffId, Digest, Manifest, Name};
use layout::{Layout, OWN};

pub use gc::Garbage;

use writer::Writer;

/// An OCI directory.
pub struct OciDir {
    writer: Arc<Writer>,
    /// Held for reading by every write that is going on in a thread.
    busy: Arc<RwLock<()>>,
}

impl OciDir {
    /// Opens a directory that must be an OCI layout.
    ///
    /// # Errors
    /// `NoPlace` if there is no such directory; `Invalid` if it is no OCI layout.
    pub fn open(path: &Path) -> Result<Self> {
        refuse_file(path)?;
        let layout = Layout::new(path.to_path_buf());
        if layout.root()?.is_none() {
            return Err(Error::new(ErrorKind::NoPlace, "there is no such directory"));
        }
        if !layout.is_marked()? {
            let what = "it is no OCI layout: it has no oci-layout file";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Self::of(layout))
    }

    /// Opens a directory to write to. It need not exist yet, but may not hold other things.
    ///
    /// # Errors
    /// `Invalid` if the directory holds something that is no OCI layout.
    pub fn open_or_new(path: &Path) -> Result<Self> {
        refuse_file(path)?;
        let layout = Layout::new(path.to_path_buf());
        if let Some(root) = layout.root()?
            && !layout.is_marked()?
            && root.list()?.iter().any(|(name, _)| name != OWN)
            // What was listed may be what another writer is just making.
            && !layout.is_marked()?
        {
            let what = "it is no OCI layout and not empty: choose another directory";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Self::of(layout))
    }

    /// Reads blobs that are there already again, even if imgcopy wrote them.
    #[must_use]
    pub fn deep(mut self, deep: bool) -> Self {
        if let Some(writer) = Arc::get_mut(&mut self.writer) {
            writer.layout.deep = deep;
        }
        self
    }

    /// Keeps blobs in a directory that several layouts share, as `blobs/<algorithm>/<hex>` without
    /// `blobs/`: manifests, configs and layers are read there and written there. It need not exist yet.
    #[must_use]
    pub fn with_blobs_in(mut self, directory: &Path) -> Self {
        if let Some(writer) = Arc::get_mut(&mut self.writer) {
            writer.layout.share(directory.to_path_buf());
        }
        self
    }

    /// The blobs that nothing refers to, sorted by digest; with `remove` they are taken away. Other tools
    /// than imgcopy must not write to the directory meanwhile.
    ///
    /// # Errors
    /// `Changed` if somebody is writing to it; `Invalid`, `Corrupt` or `Unsupported` if a manifest cannot be
    /// read: it might refer to anything. Otherwise whatever reading and removing gives.
    pub async fn garbage(&self, remove: bool) -> Result<Vec<Garbage>> {
        let writer = Arc::clone(&self.writer);
        let found = blocking(move || gc::collect(&writer.layout, remove));
        found.await.attempting(|| format!("cannot clean {self}"))
    }

    fn of(layout: Layout) -> Self {
        Self {
            writer: Arc::new(Writer::new(layout)),
            busy: Arc::default(),
        }
    }

    fn layout(&self) -> &Layout {
        &self.writer.layout
    }
}

/// A file may be meant as an archive; the system only says that it is no directory.
fn refuse_file(path: &Path) -> Result<()> {
    match path.is_file() {
        false => Ok(()),
        true => {
            let what = "it is a file, not a directory: is it docker-archive: or oci-archive:?";
            Err(Error::new(ErrorKind::Invalid, what))
        }
    }
}

impl fmt::Display for OciDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layout().fmt(f)
    }
}

#[async_trait]
impl Store for OciDir {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        self.layout().resolve(name)
    }

    async fn names(&self) -> Result<Vec<Name>> {
        Ok(index::names(&self.layout().entries()?))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.layout().manifest(descriptor)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let (writer, subject) = (Arc::clone(&self.writer), subject.clone());
        blocking(move || {
            let entries = writer.layout.entries()?.into_iter();
            // What cannot be read refers to nothing.
            let manifests = entries.filter_map(|entry| writer.layout.manifest(&entry).ok());
            Ok(index::referrers(manifests, &subject))
        })
        .await
    }
}

#[async_trait]
impl Source for OciDir {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        self.layout()
            .blob(blob)
            .attempting(|| format!("cannot read a blob of {self}"))
    }
}

#[async_trait]
impl Destination for OciDir {
    async fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        let (writer, blob) = (Arc::clone(&self.writer), blob.clone());
        blocking(move || writer.presence(&blob)).await
    }

    async fn known_layers(&self, wanted: &WantedLayers<'_>) -> Result<Vec<KnownLayer>> {
        let candidates = self.layout().candidates(wanted);
        let checks = candidates.into_iter().map(|(diff_id, layers)| {
            let writer = Arc::clone(&self.writer);
            blocking(move || first_true(&writer.layout, &layers, &diff_id))
        });
        let parallel = std::thread::available_parallelism().map_or(1, usize::from);
        let known = stream::iter(checks).buffer_unordered(parallel);
        known
            .try_filter_map(|known| async { Ok(known) })
            .try_collect()
            .await
    }

    async fn put_blob(&self, blob: Blob) -> Result<Descriptor> {
        let writer = Arc::clone(&self.writer);
        let busy = Arc::clone(&self.busy).read_owned().await;
        let stop = Stop::default();
        let stopped = stop.flag();
        let put = blocking(move || {
            let _busy = busy;
            writer.put_blob(blob, &stopped)
        });
        put.await
    }

    fn intake(&self) -> Intake {
        Intake::Waiting
    }

    async fn take(&self, layer: Passing) -> Result<Passed> {
        let writer = Arc::clone(&self.writer);
        let busy = Arc::clone(&self.busy).read_owned().await;
        let stop = Stop::default();
        let stopped = stop.flag();
        blocking(move || {
            let _busy = busy;
            writer.take(layer, &stopped)
        })
        .await
    }

    async fn keep(&self, layers: &[Digest]) -> Result<()> {
        let (writer, layers) = (Arc::clone(&self.writer), layers.to_vec());
        let busy = Arc::clone(&self.busy).read_owned().await;
        blocking(move || {
            let _busy = busy;
            writer.keep(&layers)
        })
        .await
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()> {
        let (writer, manifest) = (Arc::clone(&self.writer), manifest.clone());
        let tags = match role {
            Role::Child => None,
            Role::Root(tags) => Some(tags.to_vec()),
        };
        let busy = Arc::clone(&self.busy).read_owned().await;
        blocking(move || {
            let _busy = busy;
            writer.put_manifest(&manifest, tags.as_deref())
        })
        .await
    }

    async fn delete(&self, name: &Name) -> Result<()> {
        if self.resolve(name).await?.is_none() {
            let what = format!("{self} has no image {name}");
            return Err(Error::new(ErrorKind::NotFound, what));
        }
        let (writer, name) = (Arc::clone(&self.writer), name.clone());
        blocking(move || writer.withdraw(&name)).await
    }

    async fn finish(&self) -> Result<()> {
        let _idle = self.busy.write().await;
        let writer = Arc::clone(&self.writer);
        blocking(move || {
            writer.finish();
            Ok(())
        })
        .await
    }

    async fn discard(&self) -> Result<()> {
        let _idle = self.busy.write().await;
        let writer = Arc::clone(&self.writer);
        blocking(move || writer.discard()).await
    }
}

fn first_true(
    layout: &Layout,
    layers: &[Descriptor],
    diff_id: &DiffId,
) -> Result<Option<KnownLayer>> {
    for layer in layers {
        if let Some(known) = layout.unpacks_to(layer, diff_id)? {
            return Ok(Some(known));
        }
    }
    Ok(None)
}
