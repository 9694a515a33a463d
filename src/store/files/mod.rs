//! Files below one directory, reached without ever following a link (S-54, S-56).
//!
//! Each name is one component that imgcopy chose or a digest; each open says `O_NOFOLLOW`, and what
//! was opened must be a regular file. So nothing outside can be read or written, whatever somebody
//! put there, and no FIFO or device can make us wait.

mod write;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Attempt as _, Error, ErrorKind, Result};

pub(super) use write::{write, write_passing};

/// An open directory, and the path to call it by in messages.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    pub(super) inode: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub(super) modified: i128,
}

/// What stands under a name.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    File(File, Stamp),
    Other(Impostor),
}

/// What stands where a file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Impostor {
    Directory,
    Link,
    /// A device, a socket, a FIFO.
    Special,
}

impl fmt::Display for Impostor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Impostor::Directory => "a directory",
            Impostor::Link => "a symbolic link",
            Impostor::Special => "no regular file",
        })
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a directory that the user named; links on the way are the user's own. `None` if there
    /// is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        match rustix::fs::open(path, DIRECTORY, Mode::empty()) {
            Ok(fd) => {
                let path = path.to_path_buf();
                Ok(Some(Self { fd, path }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).attempting(|| format!("cannot open {}", path.display())),
        }
    }

    /// The path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory opened once more, as a file that has a lock of its own. `None` if it was removed
    /// meanwhile.
    pub(super) fn reopen(&self) -> Result<Option<File>> {
        match rustix::fs::openat(&self.fd, ".", DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).attempting(|| format!("cannot open {}", self.path.display())),
        }
    }

    /// A directory inside; `None` if there is none.
    pub(super) fn sub(&self, name: &str) -> Result<Option<Folder>> {
        let path = self.path.join(name);
        match rustix::fs::openat(&self.fd, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(Some(Folder { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let what = format!("{} is not a directory but a link or a file", path.display());
                Err(Error::new(ErrorKind::Invalid, what))
            }
            Err(errno) => Err(errno).attempting(|| format!("cannot open {}", path.display())),
        }
    }

    /// A directory inside, made if there is none, and whether it was. `None` if this directory was
    /// removed meanwhile.
    pub(super) fn make_sub(&self, name: &str, mode: u32) -> Result<Option<(Folder, bool)>> {
        let made = match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => {
                let path = self.path.join(name);
                return Err(errno).attempting(|| format!("cannot make {}", path.display()));
            }
        };
        Ok(self.sub(name)?.map(|sub| (sub, made)))
    }

    /// What stands under a name, opened for reading if it is a regular file.
    pub(super) fn find(&self, name: &str) -> Result<Found> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => {
                let file = File::from(fd);
                let metadata = file.metadata()?;
                Ok(if metadata.is_file() {
                    let stamp = Stamp::of(&metadata);
                    Found::File(file, stamp)
                } else if metadata.is_dir() {
                    Found::Other(Impostor::Directory)
                } else {
                    Found::Other(Impostor::Special)
                })
            }
            Err(Errno::NOENT) => Ok(Found::Nothing),
            Err(Errno::LOOP) => Ok(Found::Other(Impostor::Link)),
            // What opening a socket, or a device without a driver, gives.
            Err(Errno::NXIO | Errno::NODEV) => Ok(Found::Other(Impostor::Special)),
            Err(errno) => {
                Err(errno).attempting(|| format!("cannot open {}", self.path.join(name).display()))
            }
        }
    }

    /// The content of a regular file; `None` if there is none.
    ///
    /// Fails with `Invalid` if it is larger than `limit` bytes or is no regular file.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<(Vec<u8>, Stamp)>> {
        let path = || self.path.join(name).display().to_string();
        match self.find(name)? {
            Found::Nothing => Ok(None),
            Found::Other(what) => Err(Error::new(
                ErrorKind::Invalid,
                format!("{} is {what}", path()),
            )),
            Found::File(file, stamp) => {
                let mut bytes = Vec::new();
                let read = file.take(limit + 1).read_to_end(&mut bytes);
                read.attempting(|| format!("cannot read {}", path()))?;
                if bytes.len() as u64 > limit {
                    let what = format!("{} is over the limit of {limit} bytes", path());
                    return Err(Error::new(ErrorKind::Invalid, what));
                }
                Ok(Some((bytes, stamp)))
            }
        }
    }

    /// The whole content of a file of at most `limit` bytes; `None` if there is none.
    pub(super) fn content(&self, name: &str, limit: u64) -> Result<Option<Bytes>> {
        Ok(self.read(name, limit)?.map(|(bytes, _)| bytes.into()))
    }

    /// A new file, open for writing and reading. The system's umask applies.
    pub(super) fn create(&self, name: &str) -> Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        rustix::fs::openat(&self.fd, name, flags, mode)
            .map(File::from)
            .attempting(|| format!("cannot make {}", self.path.join(name).display()))
    }

    /// A file that may be there already, open for adding to its end. `None` if the directory itself
    /// was removed.
    pub(super) fn append(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::APPEND
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o644)) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => {
                Err(errno).attempting(|| format!("cannot open {}", self.path.join(name).display()))
            }
        }
    }

    /// Moves a file to its final name, in place of whatever is there.
    pub(super) fn rename(&self, name: &str, to: &Folder, new: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, name, &to.fd, new)
            .attempting(|| format!("cannot put {} in place", to.path.join(new).display()))
    }

    /// The same, where an empty directory in its place goes, too.
    pub(super) fn rename_over(&self, name: &str, to: &Folder, new: &str) -> Result<()> {
        if let Found::Other(Impostor::Directory) = to.find(new)? {
            to.remove_dir(new)?;
        }
        self.rename(name, to, new)
    }

    /// Removes a file; none is as good.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno)
                .attempting(|| format!("cannot remove {}", self.path.join(name).display())),
        }
    }

    /// Removes an empty directory.
    pub(super) fn remove_dir(&self, name: &str) -> Result<()> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
            .attempting(|| format!("cannot remove {}", self.path.join(name).display()))
    }

    /// The names of everything inside, and whether each is a directory.
    pub(super) fn list(&self) -> Result<Vec<(String, bool)>> {
        let shown =
            |(name, is_dir): (OsString, bool)| (name.to_string_lossy().into_owned(), is_dir);
        Ok(self.entries()?.into_iter().map(shown).collect())
    }

    /// The names of everything inside that are UTF-8: what is not has no name that imgcopy gives.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let names = self.entries()?.into_iter();
        Ok(names
            .filter_map(|(name, _)| name.into_string().ok())
            .collect())
    }

    fn entries(&self) -> Result<Vec<(OsString, bool)>> {
        let what = || format!("cannot list {}", self.path.display());
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).attempting(what)? {
            let entry = entry.attempting(what)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                let is_dir = match entry.file_type() {
                    FileType::Directory => true,
                    // Not every file system says it in the listing.
                    FileType::Unknown => name
                        .to_str()
                        .is_some_and(|name| self.sub(name).is_ok_and(|sub| sub.is_some())),
                    _ => false,
                };
                entries.push((name.to_os_string(), is_dir));
            }
        }
        Ok(entries)
    }

    /// Makes the names inside durable.
    pub(super) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).attempting(|| format!("cannot sync {}", self.path.display()))
    }

    /// The directory as a file, which can be locked.
    pub(super) fn as_file(&self) -> Result<File> {
        Ok(File::from(self.fd.as_fd().try_clone_to_owned()?))
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            size: metadata.len(),
            inode: metadata.ino(),
            modified: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }

    /// The stamp of an open file as it is now.
    pub(super) fn now(file: &File) -> Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }
}

/// Makes a directory and those above it, durably. Returns the topmost one that was missing.
pub(super) fn make_missing(path: &Path) -> Result<Option<PathBuf>> {
    let named = path.ancestors().filter(|it| !it.as_os_str().is_empty());
    let missing: Vec<&Path> = named.take_while(|it| !it.exists()).collect();
    let what = || format!("cannot make {}", path.display());
    std::fs::create_dir_all(path).attempting(what)?;
    for made in &missing {
        let parent = made
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = File::open(parent.unwrap_or(Path::new("."))).attempting(what)?;
        parent.sync_all().attempting(what)?;
    }
    Ok(missing.last().map(|topmost| topmost.to_path_buf()))
}
