//! The file: lines are added to its end under a lock, and where it becomes large it is replaced by
//! one with the newest lines.

use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::facts::newest;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::store::files::{Folder, Found, Stamp};

const FILE: &str = "recompressed";

/// From this size on, in bytes, the file is replaced by one of half of it.
const LARGE: u64 = 4 << 20;

/// A file that is larger, in bytes, is not ours.
const LIMIT: u64 = 4 * LARGE;

/// How often a file is opened anew because somebody replaced it meanwhile.
const TRIES: usize = 5;

/// Where it is.
#[derive(Debug)]
pub(super) struct CacheFile {
    folder: PathBuf,
}

impl CacheFile {
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// All of it; nothing if it does not exist.
    pub(super) fn read(&self) -> Result<String> {
        let Some(folder) = Folder::open(&self.folder)? else {
            return Ok(String::new());
        };
        if let Found::File(file, _) = folder.find(FILE)? {
            self.check(&file.metadata()?)?;
        }
        let found = folder.read(FILE, LIMIT)?;
        let bytes = found.map(|(bytes, _)| bytes).unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How large it is, in bytes.
    pub(super) fn size(&self) -> Result<u64> {
        let Some(folder) = Folder::open(&self.folder)? else {
            return Ok(0);
        };
        Ok(match folder.find(FILE)? {
            Found::File(_, stamp) => stamp.size,
            Found::Nothing | Found::Other(_) => 0,
        })
    }

    pub(super) fn remove(&self) -> Result<()> {
        match Folder::open(&self.folder)? {
            Some(folder) => folder.remove(FILE),
            None => Ok(()),
        }
    }

    /// Adds lines.
    pub(super) fn add(&self, lines: &str) -> Result<()> {
        let what = || format!("cannot write {}", self.path().display());
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&self.folder);
        made.attempting(what)?;
        for _ in 0..TRIES {
            let Some(folder) = Folder::open(&self.folder)? else {
                continue;
            };
            let Some(file) = folder.append(FILE)? else {
                continue;
            };
            file.lock().attempting(what)?;
            let is_linked = match folder.find(FILE)? {
                Found::File(_, stamp) => stamp.inode == Stamp::now(&file)?.inode,
                Found::Nothing | Found::Other(_) => false,
            };
            if is_linked {
                return self.add_to(&folder, file, lines).attempting(what);
            }
        }
        let told = "others replace it all the time";
        Err(Error::new(ErrorKind::Changed, told).attempting(what()))
    }

    /// Under the lock of the file.
    fn add_to(&self, folder: &Folder, mut file: File, lines: &str) -> Result<()> {
        let metadata = file.metadata()?;
        if metadata.len() == 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        self.check(&file.metadata()?)?;
        if metadata.len() < LARGE {
            // A line that a crash cut short must not spoil the next one.
            return Ok(file.write_all(format!("\n{lines}").as_bytes())?);
        }
        let old = self.read().unwrap_or_default();
        let limit = usize::try_from(LARGE / 2).unwrap_or(usize::MAX);
        let new = newest(&format!("{old}\n{lines}"), limit);
        let name = format!("{FILE}.new");
        // Only whoever has the lock makes it: what is there was left by one that died.
        folder.remove(&name)?;
        let mut replacement = folder.create(&name)?;
        replacement.set_permissions(Permissions::from_mode(0o600))?;
        replacement.write_all(new.as_bytes())?;
        folder.rename(&name, folder, FILE)
    }

    /// What others can write is not believed.
    fn check(&self, metadata: &Metadata) -> Result<()> {
        let user = std::fs::metadata("/proc/self").map(|process| process.uid());
        let is_own = user.is_ok_and(|user| user == metadata.uid());
        if is_own && metadata.mode() & 0o022 == 0 {
            return Ok(());
        }
        let what = format!(
            "{} is not believed: it belongs to another user, or others can write it",
            self.path().display()
        );
        Err(Error::new(ErrorKind::Denied, what))
    }
}
