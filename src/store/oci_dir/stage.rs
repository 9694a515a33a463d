//! A writer's own directory, in which what is not finished lies.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::OWN;
use super::lock::{Lock, is_dead, make_stage, remove_tree, stages, sweep};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::store::files::Folder;

/// A directory that is written to, and a writer's own directory inside its `.imgcopy`, which is locked while
/// the writer lives and goes with it.
pub(super) struct Stage {
    root: Folder,
    own: Folder,
    dir: Folder,
    name: String,
    /// Keeps it locked: others can tell that this writer lives.
    _alive: File,
    next: AtomicU64,
}

impl Stage {
    /// Makes one, and sweeps what dead writers left; the lock that all writers share is still held. `None`
    /// if somebody takes the whole directory away meanwhile.
    pub(super) fn begin(root: Folder) -> Result<Option<(Self, Lock)>> {
        let Some((own, _)) = root.make_sub(OWN, 0o777)? else {
            return Ok(None);
        };
        let Some(lock) = Lock::take(&own)? else {
            return Ok(None);
        };
        sweep(&own)?;
        let Some((dir, name)) = make_stage(&own)? else {
            return Ok(None);
        };
        let alive = dir.as_file()?;
        alive
            .lock()
            .attempting(|| format!("cannot lock {}", dir.path().display()))?;
        let stage = Self {
            root,
            own,
            dir,
            name,
            _alive: alive,
            next: AtomicU64::new(0),
        };
        Ok(Some((stage, lock)))
    }

    /// The directory that is written to.
    pub(super) fn root(&self) -> &Folder {
        &self.root
    }

    /// Its `.imgcopy`.
    pub(super) fn own(&self) -> &Folder {
        &self.own
    }

    /// Waits for the lock that all writers share.
    pub(super) fn lock(&self) -> Result<Lock> {
        Lock::take(&self.own)?.ok_or_else(|| self.gone())
    }

    /// A new file in it, and what it is called.
    pub(super) fn create(&self) -> Result<(File, String)> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        Ok((self.dir.create(&name)?, name))
    }

    /// Writes a small file, durably.
    pub(super) fn write(&self, text: &[u8]) -> Result<String> {
        let (mut file, name) = self.create()?;
        let written = file.write_all(text).and_then(|()| file.sync_data());
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = self.remove(&name);
        }
        written?;
        Ok(name)
    }

    /// Writes a small file in one step, in place of whatever is there.
    pub(super) fn replace(&self, dir: &Folder, name: &str, text: &[u8]) -> Result<()> {
        let staged = self.write(text)?;
        self.rename(&staged, dir, name)?;
        dir.sync()
    }

    /// Moves a file out of it.
    pub(super) fn rename(&self, staged: &str, to: &Folder, name: &str) -> Result<()> {
        self.dir.rename(staged, to, name)
    }

    /// The same, where an empty directory in its place goes, too.
    pub(super) fn rename_over(&self, staged: &str, to: &Folder, name: &str) -> Result<()> {
        self.dir.rename_over(staged, to, name)
    }

    pub(super) fn remove(&self, staged: &str) -> Result<()> {
        self.dir.remove(staged)
    }

    /// Whether other writers are at work in the same directory.
    pub(super) fn others_are_alive(&self) -> Result<bool> {
        for name in stages(&self.own)? {
            if name != self.name && !is_dead(&self.own, &name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is said where the directory went away under the writer.
    pub(super) fn gone(&self) -> Error {
        let path = self.root.path().display();
        let what = format!("{path} was removed while it was being written");
        Error::new(ErrorKind::Changed, what)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next writer.
        let _ = remove_tree(&self.own, &self.name);
    }
}
