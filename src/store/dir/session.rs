//! Writing into a `dir:` so that a kill at any instruction leaves the old image or the new one.
//!
//! A writer has a stage of its own inside the directory. Everything is written there, synced, and
//! renamed to its final name; `manifest.json` is replaced last, under one lock for all writers. What
//! only the former image needed goes after that.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tracing::debug;

use super::contents::{Contents, Place, check_alone};
use super::layout::{MARKER, ROOT, Version, child_file, version};
use super::lock::{Lock, STAGE, Stage, others_are_alive, remove_stage, sweep};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Digest, MANIFEST_LIMIT, Manifest, MediaType};
use crate::store::files::{Folder, Found, Stamp, make_missing};
use crate::store::locked;

/// One writer at work.
pub(super) struct Session {
    root: Folder,
    stage: Stage,
    /// Whether there was no marker before.
    is_new: bool,
    /// The topmost directory that had to be made for it.
    made: Option<PathBuf>,
    /// Files that were not there before.
    placed: Mutex<BTreeSet<String>>,
    next: AtomicU64,
}

/// The image that the directory holds while another is about to take its place.
struct Former {
    bytes: Bytes,
    /// `None` if it cannot be read.
    manifest: Option<Manifest>,
}

impl Session {
    /// Begins to write: makes what is missing, and sweeps what dead writers left.
    pub(super) fn begin(path: &Path) -> Result<Self> {
        let made = make_missing(path)?;
        for _ in 0..100 {
            // Another writer may take the whole directory back until we have the lock.
            let Some(root) = Folder::open(path)? else {
                make_missing(path)?;
                continue;
            };
            let Some(lock) = Lock::take(&root)? else {
                continue;
            };
            let is_new = !is_marked(&root)?;
            sweep(&root)?;
            let Some(stage) = Stage::make(&root)? else {
                continue;
            };
            let session = Self {
                root,
                stage,
                is_new,
                made,
                placed: Mutex::default(),
                next: AtomicU64::new(0),
            };
            if is_new {
                session.replace(MARKER.0, MARKER.1.as_bytes())?;
                session.root.sync()?;
            }
            drop(lock);
            return Ok(session);
        }
        let what = format!("{} is made and removed again and again", path.display());
        Err(Error::new(ErrorKind::Io, what))
    }

    /// A new file to write a blob into. It goes unless it is placed.
    pub(super) fn stage(self: &Arc<Self>) -> Result<Staged> {
        let name = self.next_name();
        Ok(Staged {
            file: self.stage.folder.create(&name)?,
            name,
            session: Arc::clone(self),
            is_placed: false,
        })
    }

    fn next_name(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Writes the manifest of a child.
    pub(super) fn put_child(&self, manifest: &Manifest) -> Result<()> {
        let name = child_file(&manifest.descriptor().digest);
        self.replace(&name, manifest.bytes())
    }

    /// Writes a small file in one step.
    fn replace(&self, name: &str, text: &[u8]) -> Result<()> {
        let staged = self.next_name();
        let written = self.stage.folder.create(&staged).and_then(|mut file| {
            file.write_all(text)?;
            file.sync_data()?;
            self.place(&staged, name)
        });
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = self.stage.folder.remove(&staged);
        }
        written
    }

    /// Gives a finished file its name.
    fn place(&self, staged: &str, name: &str) -> Result<()> {
        let is_new = matches!(self.root.find(name)?, Found::Nothing);
        self.stage.folder.rename_over(staged, &self.root, name)?;
        if is_new {
            locked(&self.placed).insert(name.to_string());
        }
        Ok(())
    }

    /// Puts an image in the place of the one that is there. `taken` are the manifests that came
    /// before it; `knew` says which manifests were there when somebody asked.
    pub(super) fn publish(
        &self,
        image: &Manifest,
        taken: &BTreeSet<Digest>,
        knew: impl Fn(&Digest) -> bool,
    ) -> Result<()> {
        let _lock = Lock::take(&self.root)?.ok_or_else(|| self.gone())?;
        let former = self.former()?;
        let manifest = former.as_ref().and_then(|former| former.manifest.as_ref());
        check_alone(image, manifest, taken)?;
        let bytes = former.as_ref().map(|former| &former.bytes);
        let contents = Contents::of(&self.root, image, bytes)?;
        self.check(&contents, bytes, knew)?;
        self.root.sync()?;
        let is_there = bytes == Some(image.bytes());
        if !is_there {
            self.replace(ROOT, image.bytes())?;
            self.root.sync()?;
        }
        if let (Some(former), false) = (manifest, is_there) {
            self.clear(former, &contents);
        }
        // What stood for the image until it got its place.
        let own = child_file(&image.descriptor().digest);
        if locked(&self.placed).remove(&own) {
            self.root.remove(&own)?;
        }
        Ok(())
    }

    fn former(&self) -> Result<Option<Former>> {
        let bytes = self.root.content(ROOT, MANIFEST_LIMIT)?;
        Ok(bytes.map(|bytes| Former {
            manifest: Manifest::of(bytes.clone(), MediaType::default()).ok(),
            bytes,
        }))
    }

    /// Everything that the image needs must be there, whatever others did meanwhile.
    fn check(
        &self,
        contents: &Contents,
        former: Option<&Bytes>,
        knew: impl Fn(&Digest) -> bool,
    ) -> Result<()> {
        for blob in &contents.blobs {
            let found = self.root.find(blob.digest.hex())?;
            let is_there = matches!(found, Found::File(_, stamp) if stamp.size == blob.size);
            if !is_there && !blob.may_live_elsewhere() {
                return Err(self.vanished(&blob.digest));
            }
        }
        for child in &contents.children {
            match (child.place, former) {
                (Place::Nowhere, _) if knew(&child.digest) => {
                    return Err(self.vanished(&child.digest));
                }
                (Place::Root, Some(bytes)) => self.replace(&child_file(&child.digest), bytes)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what only the former image needed. The new one is in place, so whatever cannot be
    /// removed is in nobody's way.
    fn clear(&self, former: &Manifest, new: &Contents) {
        let clear = || {
            let old = Contents::of(&self.root, former, None)?;
            for name in old.stale(new, &self.root.names()?) {
                debug!(%name, "only the former image needed it");
                self.root.remove(&name)?;
                locked(&self.placed).remove(&name);
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = clear() {
            debug!(place = %self.root.path().display(), %error, "the former image is not cleared away");
        }
    }

    /// Takes back what this session brought into being, unless somebody may be using it already.
    pub(super) fn discard(&self) -> Result<()> {
        let _lock = Lock::take(&self.root)?.ok_or_else(|| self.gone())?;
        if others_are_alive(&self.root, &self.stage.name)? {
            return Ok(());
        }
        let used = match self.former()? {
            Some(Former {
                manifest: Some(manifest),
                ..
            }) => Contents::of(&self.root, &manifest, None)?.files(),
            // Nobody can tell what this one needs.
            Some(_) => return Ok(()),
            None => BTreeSet::new(),
        };
        let keeps = |name: &str| [MARKER.0, ROOT].contains(&name) || used.contains(name);
        for name in locked(&self.placed).iter().filter(|name| !keeps(name)) {
            self.root.remove(name)?;
        }
        let is_empty = |name: &String| [MARKER.0, &self.stage.name].contains(&name.as_str());
        if self.is_new && self.root.names()?.iter().all(is_empty) {
            self.root.remove(MARKER.0)?;
            remove_stage(&self.root, &self.stage.name)?;
            self.remove_made();
        }
        Ok(())
    }

    /// Removes the directories that were made for it, while they are empty.
    fn remove_made(&self) {
        let Some(topmost) = &self.made else {
            return;
        };
        for directory in self.root.path().ancestors() {
            let removed = std::fs::remove_dir(directory).is_ok();
            if !removed || directory == topmost {
                return;
            }
        }
    }

    fn vanished(&self, digest: &Digest) -> Error {
        let what = format!("{digest} has vanished from {}", self.root.path().display());
        Error::new(ErrorKind::Changed, what)
    }

    fn gone(&self) -> Error {
        let path = self.root.path().display();
        let what = format!("{path} was removed while it was being written");
        Error::new(ErrorKind::Changed, what)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next writer.
        let _ = remove_stage(&self.root, &self.stage.name);
    }
}

/// A blob that is being written.
pub(super) struct Staged {
    pub(super) file: File,
    name: String,
    session: Arc<Session>,
    is_placed: bool,
}

impl Staged {
    /// Makes the content durable and gives it its final name.
    pub(super) fn place(mut self, digest: &Digest) -> Result<Stamp> {
        self.file
            .sync_data()
            .attempting(|| format!("cannot sync {digest}"))?;
        self.session.place(&self.name, digest.hex())?;
        self.is_placed = true;
        Stamp::now(&self.file)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = self.session.stage.folder.remove(&self.name);
        }
    }
}

/// Whether a directory has a marker that imgcopy writes under; without one it must be empty.
///
/// # Errors
/// `Invalid` if it holds other things; `Unsupported` if another version wrote it.
pub(super) fn is_marked(root: &Folder) -> Result<bool> {
    match version(root)? {
        Some(Version::Current) => Ok(true),
        Some(Version::Old) => {
            let what = "it has the form of 2017 (version 1.0), which can only be read: choose another directory";
            Err(Error::new(ErrorKind::Unsupported, what))
        }
        None if root.names()?.iter().all(|name| name.starts_with(STAGE)) => Ok(false),
        // What was listed may be what another writer is just making.
        None if version(root)? == Some(Version::Current) => Ok(true),
        None => {
            let what = "it is not empty and has no version file, as every dir: has: choose another directory";
            Err(Error::new(ErrorKind::Invalid, what))
        }
    }
}
