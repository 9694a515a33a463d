//! An OCI directory (OCI image layout specification): `oci-layout`, `index.json`, and blobs under
//! `blobs/<algorithm>/<hex>`.

mod files;
pub(super) mod index;
mod layout;
mod ledger;
mod session;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::RwLock;

use super::blob::{Blob, FileRange, Receipt};
use super::{Destination, KnownLayer, Presence, Role, Source, Store, WantedLayers};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, DiffId, Manifest, Name};
use layout::{Layout, OWN};
use session::{Session, Staged};

/// An OCI directory.
pub struct OciDir {
    layout: Arc<Layout>,
    /// Begins with the first write, so that looking changes nothing.
    session: Mutex<Option<Arc<Session>>>,
    /// Held for reading by every write that is going on in a thread.
    busy: Arc<RwLock<()>>,
}

impl OciDir {
    /// Opens a directory that must be an OCI layout.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory; `Invalid` if it is no OCI layout.
    pub fn open(path: &Path) -> Result<Self> {
        let directory = Self::at(path);
        if directory.layout.root()?.is_none() {
            return Err(Error::new(ErrorKind::NotFound, "No such file or directory"));
        }
        if !directory.layout.is_marked()? {
            let what = "it is no OCI layout: it has no oci-layout file";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(directory)
    }

    /// Opens a directory to write to. It need not exist yet, but may not hold other things.
    ///
    /// # Errors
    /// `Invalid` if the directory holds something that is no OCI layout.
    pub fn open_or_new(path: &Path) -> Result<Self> {
        let directory = Self::at(path);
        let Some(root) = directory.layout.root()? else {
            return Ok(directory);
        };
        if !directory.layout.is_marked()? && root.list()?.iter().any(|(name, _)| name != OWN) {
            let what = "it is no OCI layout and not empty: choose another directory";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(directory)
    }

    /// Reads blobs that are there already again, even if imgcopy wrote them.
    #[must_use]
    pub fn deep(mut self, deep: bool) -> Self {
        if let Some(layout) = Arc::get_mut(&mut self.layout) {
            layout.deep = deep;
        }
        self
    }

    fn at(path: &Path) -> Self {
        Self {
            layout: Arc::new(Layout::new(path.to_path_buf())),
            session: Mutex::default(),
            busy: Arc::default(),
        }
    }

    /// The session, begun if this is the first write.
    fn session(&self) -> Result<Arc<Session>> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        match &*session {
            Some(session) => Ok(Arc::clone(session)),
            None => {
                let new = Arc::new(Session::begin(&self.layout.path)?);
                Ok(Arc::clone(session.insert(new)))
            }
        }
    }

    fn begun(&self) -> Option<Arc<Session>> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.as_ref().map(Arc::clone)
    }

    /// Everything that an image needs of this directory: what is in it and below it.
    fn pieces(&self, manifest: &Manifest) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        let mut pieces = Vec::new();
        let mut below = vec![manifest.clone()];
        while let Some(manifest) = below.pop() {
            if !seen.insert(manifest.descriptor().digest.clone()) {
                continue;
            }
            pieces.push(manifest.descriptor().clone());
            pieces.extend(
                manifest
                    .blobs()
                    .filter(|blob| !blob.may_live_elsewhere())
                    .cloned(),
            );
            // An index may name manifests that are not here: nobody asked for those platforms.
            let children = manifest.children().iter();
            below.extend(children.filter_map(|child| self.layout.manifest(child).ok()));
        }
        pieces
    }
}

impl fmt::Display for OciDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layout.fmt(f)
    }
}

#[async_trait]
impl Store for OciDir {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        self.layout.resolve(name)
    }

    async fn names(&self) -> Result<Vec<Name>> {
        let entries = self.layout.entries()?.unwrap_or_default();
        let names = entries.iter().enumerate();
        Ok(names
            .map(|(position, entry)| index::name_of(position, entry))
            .collect())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.layout.manifest(descriptor)
    }
}

#[async_trait]
impl Source for OciDir {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        self.layout
            .blob(blob)
            .attempting(|| format!("cannot read a blob of {self}"))
    }
}

#[async_trait]
impl Destination for OciDir {
    async fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        let (layout, blob) = (Arc::clone(&self.layout), blob.clone());
        blocking(move || layout.presence(&blob)).await
    }

    async fn known_layers(&self, wanted: &WantedLayers<'_>) -> Result<Vec<KnownLayer>> {
        let candidates = self.layout.candidates(wanted);
        let checks = candidates.into_iter().map(|(diff_id, layers)| {
            let layout = Arc::clone(&self.layout);
            blocking(move || first_true(&layout, &layers, &diff_id))
        });
        let parallel = std::thread::available_parallelism().map_or(1, usize::from);
        let known = stream::iter(checks).buffer_unordered(parallel);
        known
            .try_filter_map(|known| async { Ok(known) })
            .try_collect()
            .await
    }

    async fn put_blob(&self, blob: Blob) -> Result<Descriptor> {
        let session = self.session()?;
        let layout = Arc::clone(&self.layout);
        let busy = Arc::clone(&self.busy).read_owned().await;
        let stop = Stop::default();
        let stopped = Arc::clone(&stop.0);
        let what = format!("cannot write {} to {self}", blob.descriptor().digest);
        let written = blocking(move || {
            let _busy = busy;
            let staged = session.stage()?;
            let receipt = write(blob, &staged, &stopped)?;
            let stamp = staged.place(&receipt.descriptor.digest)?;
            layout.note(&receipt.descriptor.digest, stamp, receipt.diff_id.as_ref())?;
            Ok(receipt.descriptor)
        });
        written.await.attempting(|| what)
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()> {
        let what = || {
            format!(
                "cannot write manifest {} to {self}",
                manifest.descriptor().digest
            )
        };
        let session = self.session()?;
        let descriptor = manifest.descriptor().clone();
        if !matches!(
            self.layout.presence(&descriptor)?,
            Presence::Recorded | Presence::Checked
        ) {
            let staged = session.stage()?;
            let blob = Blob::memory(descriptor.clone(), manifest.bytes().clone());
            write(blob, &staged, &AtomicBool::new(false)).attempting(what)?;
            let stamp = staged.place(&descriptor.digest).attempting(what)?;
            self.layout.note(&descriptor.digest, stamp, None)?;
        }
        match role {
            Role::Child => Ok(()),
            Role::Root(tags) => session
                .publish(&descriptor, tags, &self.pieces(manifest))
                .attempting(|| format!("cannot change index.json of {self}")),
        }
    }

    async fn finish(&self) -> Result<()> {
        let _idle = self.busy.write().await;
        let lines = self.layout.take_fresh()?;
        if !lines.is_empty() {
            self.session()?.record(&lines)?;
        } else if let Some(root) = self.layout.root()?
            && self.begun().is_none()
            && session::needs_sweep(&root)?
        {
            self.session()?;
        }
        Ok(())
    }

    async fn discard(&self) -> Result<()> {
        let _idle = self.busy.write().await;
        self.begun().map_or(Ok(()), |session| session.discard())
    }
}

/// Runs blocking work where it disturbs nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let died = |error| Error::new(ErrorKind::Io, format!("a thread died: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(died)?
}

/// Tells a thread to stop when the future that waits for it is dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
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

/// Writes a blob into its staged file. A file of another directory is cloned where the file system
/// can; the clone is then read, so the content is checked either way.
fn write(blob: Blob, staged: &Staged, stopped: &AtomicBool) -> Result<Receipt> {
    use std::io::Write as _;
    let go_on = || match stopped.load(Ordering::Relaxed) {
        true => Err(Error::new(ErrorKind::Interrupted, "interrupted")),
        false => Ok(()),
    };
    let cloned = blob
        .as_whole_file()
        .is_some_and(|file| rustix::fs::ioctl_ficlone(&staged.file, file).is_ok());
    if cloned {
        let range = FileRange::whole(staged.file.try_clone()?)?;
        return blob.read_from(range).pour(&mut |_| go_on());
    }
    let size = blob.descriptor().size;
    let mut file = &staged.file;
    let poured = blob.pour(&mut |piece| {
        go_on()?;
        Ok(file.write_all(piece)?)
    });
    poured.map_err(|error| match (error.kind(), staged.room()) {
        (ErrorKind::NoSpace, Some(room)) => error.attempting(format!(
            "the disk is full: {room} bytes left for a blob of {size}"
        )),
        _ => error,
    })
}
