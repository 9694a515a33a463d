//! Writing an image into a `dir:`. Blocking; `session` says how it is made safe.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tracing::debug;

use super::layout::Layout;
use super::lock::needs_sweep;
use super::session::Session;
use crate::error::{Attempt as _, Error, Result};
use crate::image::{Descriptor, Digest, Manifest};
use crate::store::blob::{Blob, Receipt};
use crate::store::files::write;
use crate::store::locked;

/// A directory, and the session that writes to it.
pub(super) struct Writer {
    pub(super) layout: Layout,
    /// Begins with the first write, so that looking changes nothing.
    session: Mutex<Option<Arc<Session>>>,
    /// Manifests that came as children.
    taken: Mutex<BTreeSet<Digest>>,
}

impl Writer {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            session: Mutex::default(),
            taken: Mutex::default(),
        }
    }

    /// The session, begun if this is the first write.
    fn session(&self) -> Result<Arc<Session>> {
        let mut session = locked(&self.session);
        match &*session {
            Some(session) => Ok(Arc::clone(session)),
            None => {
                let new = Arc::new(Session::begin(&self.layout.path)?);
                Ok(Arc::clone(session.insert(new)))
            }
        }
    }

    /// Writes a blob, unless `stopped` becomes true first.
    pub(super) fn put_blob(&self, blob: Blob, stopped: &AtomicBool) -> Result<Descriptor> {
        let digest = blob.descriptor().digest.clone();
        let put = || {
            let staged = self.session()?.stage()?;
            let Receipt { descriptor, .. } = write(blob, &staged.file, stopped)?;
            let stamp = staged.place(&descriptor.digest)?;
            self.layout.note_blob(&descriptor.digest, stamp);
            Ok::<_, Error>(descriptor)
        };
        put().attempting(|| format!("cannot write {digest} to {}", self.layout))
    }

    /// Writes a manifest that another one will name.
    pub(super) fn put_child(&self, manifest: &Manifest) -> Result<()> {
        let digest = &manifest.descriptor().digest;
        let put = || {
            // What is no file is as good as nothing.
            let there = self.layout.child_bytes(digest).ok().flatten();
            if there.as_ref() != Some(manifest.bytes()) {
                self.session()?.put_child(manifest)?;
            }
            Ok::<_, Error>(())
        };
        put().attempting(|| format!("cannot write manifest {digest} to {}", self.layout))?;
        self.layout.note_manifest(digest);
        locked(&self.taken).insert(digest.clone());
        Ok(())
    }

    /// Puts an image in the place of the one that is there.
    pub(super) fn put_root(&self, manifest: &Manifest) -> Result<()> {
        let taken = locked(&self.taken).clone();
        let put = || {
            self.session()?
                .publish(manifest, &taken, |digest| self.layout.knew_manifest(digest))
        };
        put().attempting(|| format!("cannot change manifest.json of {}", self.layout))?;
        locked(&self.taken).clear();
        Ok(())
    }

    /// Ends the session, and sweeps what dead writers left. It only saves room, so a place that does
    /// not let us is none the worse for it.
    pub(super) fn finish(&self) {
        if let Err(error) = self.tidy() {
            debug!(place = %self.layout, %error, "leftovers stay");
        }
        locked(&self.session).take();
    }

    fn tidy(&self) -> Result<()> {
        // A session sweeps when it begins.
        if let Some(root) = self.layout.root()?
            && locked(&self.session).is_none()
            && needs_sweep(&root)?
        {
            self.session()?;
        }
        Ok(())
    }

    /// Takes back what this writer made.
    pub(super) fn discard(&self) -> Result<()> {
        locked(&self.taken).clear();
        match locked(&self.session).take() {
            Some(session) => session.discard(),
            None => Ok(()),
        }
    }
}
