//! Who is writing: the lock that all writers of a directory share, and the stages, one for each
//! writer, locked while it lives.

use std::fs::{File, TryLockError};
use std::hash::{BuildHasher as _, RandomState};

use tracing::debug;

use super::layout::OWN;
use crate::error::{Attempt as _, Result};
use crate::store::files::{Folder, Found, Stamp};

const LOCK: &str = "lock";
const STAGE: &str = "stage-";

/// The lock that writers of one directory share, held.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock. `None` if the file was removed meanwhile, and the directory with it.
    pub(super) fn take(own: &Folder) -> Result<Option<Lock>> {
        let Some(file) = own.append(LOCK)? else {
            return Ok(None);
        };
        file.lock()
            .attempting(|| format!("cannot lock {}", own.path().display()))?;
        let is_linked = match own.find(LOCK)? {
            Found::File(_, stamp) => stamp.inode == Stamp::now(&file)?.inode,
            _ => false,
        };
        Ok(is_linked.then_some(Lock { _file: file }))
    }
}

/// Removes what dead writers left. Only under the lock: a stage that is being made is not locked yet.
pub(super) fn sweep(own: &Folder) -> Result<()> {
    for name in stages(own)? {
        if is_dead(own, &name)? {
            debug!(stage = %name, "sweeping what a dead writer left");
            remove_tree(own, &name)?;
        }
    }
    Ok(())
}

/// Whether a directory holds leftovers of dead writers.
pub(super) fn needs_sweep(root: &Folder) -> Result<bool> {
    let Some(own) = root.sub(OWN)? else {
        return Ok(false);
    };
    for name in stages(&own)? {
        if is_dead(&own, &name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn stages(own: &Folder) -> Result<Vec<String>> {
    let names = own.list()?.into_iter();
    Ok(names
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(STAGE))
        .collect())
}

/// A stage that nobody has locked. One that just vanished counts as dead too.
pub(super) fn is_dead(own: &Folder, name: &str) -> Result<bool> {
    let Some(stage) = own.sub(name)? else {
        return Ok(true);
    };
    match stage.as_file()?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// A directory for one writer. `None` if the directory around it was removed meanwhile.
pub(super) fn make_stage(own: &Folder) -> Result<Option<(Folder, String)>> {
    loop {
        let random = RandomState::new().hash_one(std::process::id());
        let name = format!("{STAGE}{}-{random:016x}", std::process::id());
        match own.make_sub(&name, 0o700)? {
            Some((stage, true)) => return Ok(Some((stage, name))),
            Some((_, false)) => {}
            None => return Ok(None),
        }
    }
}

/// Removes a directory and everything in it, following no link.
pub(super) fn remove_tree(dir: &Folder, name: &str) -> Result<()> {
    let Some(sub) = dir.sub(name)? else {
        return Ok(());
    };
    for (inner, is_dir) in sub.list()? {
        if is_dir {
            remove_tree(&sub, &inner)?;
        } else {
            sub.remove(&inner)?;
        }
    }
    dir.remove_dir(name)
}
