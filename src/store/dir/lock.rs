//! Who is writing: the lock that all writers of a directory share, and the stages, one for each
//! writer, locked while it lives. Nothing of it stays when the last writer is done.

use std::fs::{File, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::MetadataExt as _;

use tracing::debug;

use crate::error::{Attempt as _, Result};
use crate::store::files::Folder;

/// How the names of stages begin.
pub(super) const STAGE: &str = ".imgcopy-";

/// The lock that writers of one directory share, held: that of the directory itself.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock. `None` if the directory was removed meanwhile.
    pub(super) fn take(root: &Folder) -> Result<Option<Lock>> {
        let Some(file) = root.reopen()? else {
            return Ok(None);
        };
        file.lock()
            .attempting(|| format!("cannot lock {}", root.path().display()))?;
        let is_linked = file.metadata()?.nlink() > 0;
        Ok(is_linked.then_some(Lock { _file: file }))
    }
}

/// A directory for what one writer has not finished.
pub(super) struct Stage {
    pub(super) folder: Folder,
    pub(super) name: String,
    /// Keeps it locked: others can tell that this writer lives.
    _alive: File,
}

impl Stage {
    /// Makes one; only under the lock. `None` if the directory around it was removed meanwhile.
    pub(super) fn make(root: &Folder) -> Result<Option<Self>> {
        let random = RandomState::new().hash_one(std::process::id());
        let name = format!("{STAGE}{}-{random:016x}", std::process::id());
        let Some((folder, true)) = root.make_sub(&name, 0o700)? else {
            return Ok(None);
        };
        let Some(alive) = folder.reopen()? else {
            return Ok(None);
        };
        alive
            .lock()
            .attempting(|| format!("cannot lock {}", folder.path().display()))?;
        Ok(Some(Self {
            folder,
            name,
            _alive: alive,
        }))
    }
}

/// What a name stands for that a stage may have.
#[derive(PartialEq)]
enum Writer {
    /// There is no such stage, or it is something else.
    Nobody,
    Alive,
    Dead,
}

/// Removes what dead writers left. Only under the lock: a stage that is being made is not locked yet.
pub(super) fn sweep(root: &Folder) -> Result<()> {
    for name in stages(root)? {
        if writer(root, &name)? == Writer::Dead {
            debug!(stage = %name, "sweeping what a dead writer left");
            remove_stage(root, &name)?;
        }
    }
    Ok(())
}

/// Whether a directory holds leftovers of dead writers.
pub(super) fn needs_sweep(root: &Folder) -> Result<bool> {
    for name in stages(root)? {
        if writer(root, &name)? == Writer::Dead {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether somebody else than the writer of this stage is at work.
pub(super) fn others_are_alive(root: &Folder, own: &str) -> Result<bool> {
    for name in stages(root)? {
        if name != own && writer(root, &name)? == Writer::Alive {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stages(root: &Folder) -> Result<Vec<String>> {
    let mut names = root.names()?;
    names.retain(|name| name.starts_with(STAGE));
    Ok(names)
}

fn writer(root: &Folder, name: &str) -> Result<Writer> {
    // What cannot be opened as a directory is nobody's stage.
    let Ok(Some(stage)) = root.sub(name) else {
        return Ok(Writer::Nobody);
    };
    let Some(stage) = stage.reopen()? else {
        return Ok(Writer::Nobody);
    };
    match stage.try_lock() {
        Ok(()) => Ok(Writer::Dead),
        Err(TryLockError::WouldBlock) => Ok(Writer::Alive),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Removes a stage and the files in it; stages hold nothing else.
pub(super) fn remove_stage(root: &Folder, name: &str) -> Result<()> {
    let Some(stage) = root.sub(name)? else {
        return Ok(());
    };
    for file in stage.names()? {
        stage.remove(&file)?;
    }
    root.remove_dir(name)
}
