//! Writing images into an OCI directory. Blocking; `session` says how it is made safe.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tracing::debug;

use super::held::Held;
use super::layout::Layout;
use super::ledger::Change;
use super::lock::needs_sweep;
use super::session::Session;
use crate::error::{Attempt as _, Error, Result};
use crate::image::{Descriptor, Digest, Manifest, Name, Tag};
use crate::store::blob::{Blob, Passed, Passing};
use crate::store::files::{write, write_passing};
use crate::store::{Presence, locked};

/// A layout, and the session that writes to it.
pub(super) struct Writer {
    pub(super) layout: Layout,
    /// Begins with the first write, so that looking changes nothing.
    session: Mutex<Option<Arc<Session>>>,
    held: Held,
}

impl Writer {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            session: Mutex::default(),
            held: Held::default(),
        }
    }

    /// The session, begun if this is the first write.
    fn session(&self) -> Result<Arc<Session>> {
        let mut session = locked(&self.session);
        match &*session {
            Some(session) => Ok(Arc::clone(session)),
            None => {
                let new = Arc::new(Session::begin(&self.layout.path, self.layout.shared())?);
                Ok(Arc::clone(session.insert(new)))
            }
        }
    }

    fn begun(&self) -> Option<Arc<Session>> {
        let session = locked(&self.session);
        session.as_ref().map(Arc::clone)
    }

    /// Writes a blob, unless `stopped` becomes true first.
    pub(super) fn put_blob(&self, blob: Blob, stopped: &AtomicBool) -> Result<Descriptor> {
        let what = format!(
            "cannot write {} to {}",
            blob.descriptor().digest,
            self.layout
        );
        let put = || {
            let staged = self.session()?.stage()?;
            let receipt = write(blob, &staged.file, stopped)?;
            let stamp = staged.place(&receipt.descriptor.digest)?;
            let digest = &receipt.descriptor.digest;
            self.layout.note(digest, stamp, receipt.diff_id.as_ref())?;
            Ok::<_, Error>(receipt.descriptor)
        };
        put().attempting(|| what)
    }

    /// Writes a layer that passes, and holds it back until it is known to be needed, unless `stopped`
    /// becomes true first. What is there already is not written over.
    pub(super) fn take(&self, layer: Passing, stopped: &AtomicBool) -> Result<Passed> {
        let take = || {
            let staged = self.session()?.stage()?;
            let passed = write_passing(layer, &staged.file, stopped)?;
            match self.layout.presence(&passed.stored)? {
                Presence::Absent | Presence::Damaged(_) => {
                    self.held.hold(staged, &passed);
                    Ok::<_, Error>(passed)
                }
                _ => {
                    self.layout
                        .note_diff_id(&passed.stored.digest, passed.diff_id.as_ref())?;
                    Ok(Passed {
                        is_new: false,
                        ..passed
                    })
                }
            }
        };
        take().attempting(|| format!("cannot write a layer to {}", self.layout))
    }

    /// Whether the directory has a blob, or holds it for a manifest that is to come.
    pub(super) fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        match self.held.size(&blob.digest) {
            Some(size) if size == blob.size => Ok(Presence::Recorded),
            _ => self.layout.presence(blob),
        }
    }

    /// Gives layers that were held back their places.
    pub(super) fn keep(&self, layers: &[Digest]) -> Result<()> {
        let keep = |digest: &Digest| {
            if let Some((staged, diff_id)) = self.held.take(digest) {
                let stamp = staged.place(digest)?;
                self.layout.note(digest, stamp, diff_id.as_ref())?;
            }
            Ok::<_, Error>(())
        };
        let kept = layers.iter().try_for_each(keep);
        kept.attempting(|| format!("cannot write to {}", self.layout))
    }

    /// Writes a manifest, and gives it out under `tags` if it is a root.
    pub(super) fn put_manifest(&self, manifest: &Manifest, tags: Option<&[Tag]>) -> Result<()> {
        let descriptor = manifest.descriptor();
        // A manifest is small: it is read rather than believed to be what it was.
        if self.layout.manifest(descriptor).is_err() {
            let blob = Blob::memory(descriptor.clone(), manifest.bytes().clone());
            self.put_blob(blob, &AtomicBool::new(false))?;
        }
        let Some(tags) = tags else {
            return Ok(());
        };
        let entry = manifest.as_referrer().map(|(_, entry)| entry);
        self.session()?
            .publish(
                entry.as_ref().unwrap_or(descriptor),
                tags,
                &self.pieces(manifest),
            )
            .attempting(|| format!("cannot change index.json of {}", self.layout))
    }

    /// Gives an image out no more; its blobs stay.
    pub(super) fn withdraw(&self, name: &Name) -> Result<()> {
        let withdrawn = self.session().and_then(|session| session.withdraw(name));
        withdrawn.attempting(|| format!("cannot change index.json of {}", self.layout))
    }

    /// Everything that an image needs of this directory: what is in it and below it.
    fn pieces(&self, manifest: &Manifest) -> Vec<Descriptor> {
        let mut seen = BTreeSet::from([manifest.descriptor().digest.clone()]);
        let mut pieces = Vec::new();
        let mut below = vec![manifest.clone()];
        while let Some(manifest) = below.pop() {
            pieces.push(manifest.descriptor().clone());
            pieces.extend(
                manifest
                    .blobs()
                    .filter(|blob| !blob.may_live_elsewhere())
                    .cloned(),
            );
            for child in manifest.children() {
                // An index may name manifests that are not here: nobody asked for those platforms.
                if seen.insert(child.digest.clone()) {
                    below.extend(self.layout.manifest(child));
                }
            }
        }
        pieces
    }

    /// Writes down what was learnt about blobs, and sweeps what dead writers left. Both only save
    /// work later, so a place that does not let us is none the worse for it.
    pub(super) fn finish(&self) {
        self.held.clear();
        if let Err(error) = self.tidy() {
            debug!(place = %self.layout, %error, "what was learnt is not written down");
        }
    }

    fn tidy(&self) -> Result<()> {
        let change = self.layout.take_change()?;
        if change != Change::None {
            return self.session()?.record(change);
        }
        // A session sweeps when it begins.
        if let Some(root) = self.layout.root()?
            && self.begun().is_none()
            && needs_sweep(&root)?
        {
            self.session()?;
        }
        Ok(())
    }

    /// Takes back a layout that this writer made.
    pub(super) fn discard(&self) -> Result<()> {
        self.held.clear();
        self.begun().map_or(Ok(()), |session| session.discard())
    }
}
