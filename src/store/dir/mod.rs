//! A `dir:`, skopeo's plain directory: one image as files that are named by their digests.
//!
//! `version` marks it, `manifest.json` is the manifest or index, `<hex>` a config or layer,
//! `<hex>.manifest.json` an image of the index, and `signature-N` a simple signature. There is no
//! specification; the form is that of skopeo's transport `dir:`, version 1.1.

mod contents;
mod layers;
mod layout;
mod lock;
mod session;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::RwLock;

use super::blob::Blob;
use super::{Destination, KnownLayer, Presence, Role, Source, Store, WantedLayers, blocking};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Manifest, Name};
use layout::Layout;
use writer::Writer;

/// A `dir:`. It holds one image, which has no name.
pub struct Dir {
    writer: Arc<Writer>,
    /// Held for reading by every write that is going on in a thread.
    busy: Arc<RwLock<()>>,
}

impl Dir {
    /// Opens a directory that must be a `dir:`.
    ///
    /// # Errors
    /// `NoPlace` if there is no such directory; `Invalid` if it is no `dir:`; `Unsupported` if its
    /// version is neither 1.0 nor 1.1.
    pub fn open(path: &Path) -> Result<Self> {
        let layout = Layout::new(path.to_path_buf());
        let Some(root) = layout.root()? else {
            return Err(Error::new(ErrorKind::NoPlace, "there is no such directory"));
        };
        if layout.version()?.is_none() {
            let is_other = root.names()?.iter().any(|name| name == "oci-layout");
            let shown = path.display();
            let what = match is_other {
                true => format!("it has no version file: is it oci:{shown}?"),
                false => "it is no dir: of skopeo's: it has no version file".to_string(),
            };
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Self::of(layout))
    }

    /// Opens a directory to write to. It need not exist yet, but may not hold other things.
    ///
    /// # Errors
    /// `Invalid` if the directory holds something that is no `dir:`; `Unsupported` if its version is
    /// not 1.1.
    pub fn open_or_new(path: &Path) -> Result<Self> {
        let layout = Layout::new(path.to_path_buf());
        if let Some(root) = layout.root()? {
            session::is_marked(&root)?;
        }
        Ok(Self::of(layout))
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

    /// How many simple signatures lie beside the image and those of its index (`signature-1` and so
    /// on). No other place of imgcopy's keeps such signatures.
    ///
    /// # Errors
    /// Whatever listing the directory gives.
    pub fn signatures(&self) -> Result<usize> {
        let names = match self.layout().root()? {
            Some(root) => root.names()?,
            None => Vec::new(),
        };
        let signatures = names.iter().filter(|name| contents::signed(name).is_some());
        Ok(signatures.count())
    }
}

impl fmt::Display for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layout().fmt(f)
    }
}

#[async_trait]
impl Store for Dir {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        self.layout().resolve(name)
    }

    async fn names(&self) -> Result<Vec<Name>> {
        let image = self.layout().root_bytes()?;
        Ok(image.map(|_| Name::At(0)).into_iter().collect())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.layout().manifest(descriptor)
    }
}

#[async_trait]
impl Source for Dir {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        self.layout()
            .blob(blob)
            .attempting(|| format!("cannot read a blob of {self}"))
    }

    async fn loose_signatures(&self) -> Result<usize> {
        self.signatures()
    }
}

#[async_trait]
impl Destination for Dir {
    fn takes_companions(&self) -> bool {
        false
    }

    async fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        let (writer, blob) = (Arc::clone(&self.writer), blob.clone());
        blocking(move || writer.layout.presence(&blob)).await
    }

    async fn known_layers(&self, wanted: &WantedLayers<'_>) -> Result<Vec<KnownLayer>> {
        let candidates = self.layout().candidates(wanted);
        let checks = candidates.into_iter().map(|(diff_id, layers)| {
            let writer = Arc::clone(&self.writer);
            blocking(move || writer.layout.first_true(&layers, &diff_id))
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
        let stopped = Arc::clone(&stop.0);
        let put = blocking(move || {
            let _busy = busy;
            writer.put_blob(blob, &stopped)
        });
        put.await
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()> {
        let (writer, manifest) = (Arc::clone(&self.writer), manifest.clone());
        let is_root = match role {
            Role::Child => false,
            Role::Root([]) => true,
            Role::Root(_) => return Err(layout::no_names()),
        };
        // What was begun goes on when nobody waits for it any more, and must end before a discard.
        let busy = Arc::clone(&self.busy).read_owned().await;
        blocking(move || {
            let _busy = busy;
            match is_root {
                true => writer.put_root(&manifest),
                false => writer.put_child(&manifest),
            }
        })
        .await
    }

    async fn delete(&self, _: &Name) -> Result<()> {
        let what = "a dir: holds one image: remove the directory instead";
        Err(Error::new(ErrorKind::Unsupported, what))
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

/// Tells a thread to stop when the future that waits for it is dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
