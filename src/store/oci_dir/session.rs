//! Writing into an OCI directory so that a kill at any instruction leaves the old image or the new
//! one (R-13 to R-15).
//!
//! A writer has a directory of its own inside `.imgcopy`, locked while it lives. Blobs are written
//! there, synced, and renamed into `blobs/`; `index.json` is replaced last, under one lock for all
//! writers. A directory of a writer that died is known by its lock being free, and swept.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::debug;

use super::layout::OWN;
use super::ledger::Change;
use super::lock::{Lock, is_dead, make_stage, remove_tree, stages, sweep};
use super::{index, ledger};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Name, Tag};
use crate::store::files::{Folder, Found, Stamp, make_missing};

const MARKER: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);

/// One writer at work.
pub(super) struct Session {
    root: Folder,
    own: Folder,
    stage: Folder,
    stage_name: String,
    /// Keeps the stage locked: others can tell that this writer lives.
    _alive: File,
    /// Whether the layout did not exist before.
    is_new: bool,
    /// The topmost directory that had to be made for it.
    made: Option<PathBuf>,
    next: AtomicU64,
}

impl Session {
    /// Begins to write: makes what is missing of the layout, and sweeps what dead writers left.
    pub(super) fn begin(path: &Path) -> Result<Self> {
        let made = make_missing(path)?;
        for _ in 0..100 {
            // Another writer may take the whole directory back until we have the lock.
            let Some(root) = Folder::open(path)? else {
                make_missing(path)?;
                continue;
            };
            let Some((own, _)) = root.make_sub(OWN, 0o777)? else {
                continue;
            };
            let Some(lock) = Lock::take(&own)? else {
                continue;
            };
            sweep(&own)?;
            let Some((stage, stage_name)) = make_stage(&own)? else {
                continue;
            };
            let alive = stage.as_file()?;
            alive
                .lock()
                .attempting(|| format!("cannot lock {}", stage.path().display()))?;
            let mut session = Self {
                root,
                own,
                stage,
                stage_name,
                _alive: alive,
                is_new: false,
                made,
                next: AtomicU64::new(0),
            };
            session.mark()?;
            drop(lock);
            return Ok(session);
        }
        let what = format!("{} is made and removed again and again", path.display());
        Err(Error::new(ErrorKind::Io, what))
    }

    fn mark(&mut self) -> Result<()> {
        let (name, text) = MARKER;
        if let Found::Nothing = self.root.find(name)? {
            self.replace(&self.root, name, text)?;
            self.is_new = true;
        }
        Ok(())
    }

    /// A new file to write a blob into. It goes unless it is placed.
    pub(super) fn stage(self: &Arc<Self>) -> Result<Staged> {
        let name = self.next_name();
        Ok(Staged {
            file: self.stage.create(&name)?,
            name,
            session: Arc::clone(self),
            is_placed: false,
        })
    }

    fn next_name(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Writes a small file in one step.
    fn replace(&self, dir: &Folder, name: &str, text: &[u8]) -> Result<()> {
        let staged = self.write_staged(text)?;
        self.stage.rename(&staged, dir, name)?;
        dir.sync()
    }

    fn write_staged(&self, text: &[u8]) -> Result<String> {
        let name = self.next_name();
        let written = self.stage.create(&name).and_then(|mut file| {
            file.write_all(text)?;
            file.sync_data()?;
            Ok(name.clone())
        });
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = self.stage.remove(&name);
        }
        written
    }

    /// Gives out an image: `index.json` names it from here on. `pieces` are the blobs and manifests
    /// that it needs, with their sizes; all of them must be there.
    pub(super) fn publish(
        &self,
        image: &Descriptor,
        tags: &[Tag],
        pieces: &[Descriptor],
    ) -> Result<()> {
        let _lock = self.lock()?;
        for piece in pieces {
            self.check(piece)?;
        }
        self.sync_blobs()?;
        self.change_index(|text| index::with_image(text, image, tags))
    }

    /// Gives an image out no more.
    pub(super) fn withdraw(&self, name: &Name) -> Result<()> {
        let _lock = self.lock()?;
        self.change_index(|text| index::without(text, name))
    }

    /// Replaces `index.json` in one step by what `change` makes of it; `None` leaves it.
    fn change_index(
        &self,
        change: impl Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>>,
    ) -> Result<()> {
        // Writers that know nothing of our lock are seen by the file having changed meanwhile.
        for _ in 0..100 {
            let before = self.root.read("index.json", index::LIMIT)?;
            let text = before.as_ref().map(|(text, _)| text.as_slice());
            let Some(text) = change(text)? else {
                return Ok(());
            };
            let staged = self.write_staged(&text)?;
            let now = match self.root.find("index.json")? {
                Found::File(_, stamp) => Some(stamp),
                _ => None,
            };
            if now == before.map(|(_, stamp)| stamp) {
                self.stage.rename(&staged, &self.root, "index.json")?;
                return self.root.sync();
            }
            debug!("index.json was changed by another program: merging again");
            self.stage.remove(&staged)?;
        }
        Err(Error::new(
            ErrorKind::Io,
            "index.json is being changed by another program all the time",
        ))
    }

    fn check(&self, piece: &Descriptor) -> Result<()> {
        let missing = || {
            let what = format!(
                "{} has vanished from {}",
                piece.digest,
                self.root.path().display()
            );
            Error::new(ErrorKind::Changed, what)
        };
        let dir = self.root.sub("blobs")?.ok_or_else(missing)?;
        let dir = dir
            .sub(piece.digest.algorithm().as_str())?
            .ok_or_else(missing)?;
        match dir.find(piece.digest.hex())? {
            Found::File(_, stamp) if stamp.size == piece.size => Ok(()),
            _ => Err(missing()),
        }
    }

    fn sync_blobs(&self) -> Result<()> {
        let Some(blobs) = self.root.sub("blobs")? else {
            return Ok(());
        };
        for (name, is_dir) in blobs.list()? {
            if is_dir && let Some(dir) = blobs.sub(&name)? {
                dir.sync()?;
            }
        }
        blobs.sync()?;
        self.root.sync()
    }

    /// Brings the ledger up to date.
    pub(super) fn record(&self, change: Change) -> Result<()> {
        let _lock = self.lock()?;
        match change {
            Change::None => Ok(()),
            Change::Rewrite(text) => self.replace(&self.own, ledger::FILE, text.as_bytes()),
            Change::Append(lines) => match self.own.append(ledger::FILE)? {
                // A line that a crash cut short must not spoil the next one.
                Some(mut file) => file
                    .write_all(format!("\n{lines}").as_bytes())
                    .attempting(|| "cannot add to the ledger"),
                None => Ok(()),
            },
        }
    }

    /// Takes a layout back that this session made, unless something is in use in it already.
    pub(super) fn discard(&self) -> Result<()> {
        let _lock = self.lock()?;
        let is_used = !matches!(self.root.find("index.json")?, Found::Nothing);
        if !self.is_new || is_used || self.others_are_alive()? {
            return Ok(());
        }
        remove_tree(&self.root, "blobs")?;
        self.root.remove(MARKER.0)?;
        remove_tree(&self.root, OWN)?;
        self.remove_made();
        Ok(())
    }

    fn others_are_alive(&self) -> Result<bool> {
        for name in stages(&self.own)? {
            if name != self.stage_name && !is_dead(&self.own, &name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the directories that were made for the layout, while they are empty.
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

    fn lock(&self) -> Result<Lock> {
        Lock::take(&self.own)?.ok_or_else(|| self.gone())
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
        let _ = remove_tree(&self.own, &self.stage_name);
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
        let gone = || self.session.gone();
        let (blobs, _) = self
            .session
            .root
            .make_sub("blobs", 0o777)?
            .ok_or_else(gone)?;
        let algorithm = digest.algorithm().as_str();
        let (dir, _) = blobs.make_sub(algorithm, 0o777)?.ok_or_else(gone)?;
        self.session
            .stage
            .rename_over(&self.name, &dir, digest.hex())?;
        self.is_placed = true;
        Stamp::now(&self.file)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = self.session.stage.remove(&self.name);
        }
    }
}
