//! The files of one directory, reached without ever following a link (S-54, S-56).
//!
//! A name is one component that imgcopy chose, or made of a digest; each open says `O_NOFOLLOW`, and
//! what was opened must be a regular file.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Attempt as _, Error, ErrorKind, Result};

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
    inode: u64,
    /// Time of the last change: seconds since 1970, and nanoseconds.
    modified: (i64, i64),
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

    fn shown(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
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
            Err(errno) => Err(errno).attempting(|| format!("cannot open {}", path.display())),
        }
    }

    /// A new directory inside. `None` if there is one of that name, or this directory was removed
    /// meanwhile.
    pub(super) fn make_sub(&self, name: &str) -> Result<Option<Folder>> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => self.sub(name),
            Err(Errno::EXIST | Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).attempting(|| format!("cannot make {}", self.shown(name))),
        }
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
            Err(errno) => Err(errno).attempting(|| format!("cannot open {}", self.shown(name))),
        }
    }

    /// The content of a regular file; `None` if there is none.
    ///
    /// Fails with `Invalid` if it is larger than `limit` bytes or is no regular file.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let file = match self.find(name)? {
            Found::Nothing => return Ok(None),
            Found::Other(is) => {
                let what = format!("{} is {is}", self.shown(name));
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            Found::File(file, _) => file,
        };
        let mut bytes = Vec::new();
        let read = file.take(limit + 1).read_to_end(&mut bytes);
        read.attempting(|| format!("cannot read {}", self.shown(name)))?;
        if bytes.len() as u64 > limit {
            let what = format!("{} is over the limit of {limit} bytes", self.shown(name));
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Some(bytes))
    }

    /// A new file, open for writing and reading. The system's umask applies.
    pub(super) fn create(&self, name: &str) -> Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o644))
            .map(File::from)
            .attempting(|| format!("cannot make {}", self.shown(name)))
    }

    /// Moves a file to its final name, in place of whatever is there; an empty directory goes, too.
    pub(super) fn rename(&self, name: &str, to: &Folder, new: &str) -> Result<()> {
        if let Found::Other(Impostor::Directory) = to.find(new)? {
            to.remove_dir(new)?;
        }
        rustix::fs::renameat(&self.fd, name, &to.fd, new)
            .attempting(|| format!("cannot put {} in place", to.shown(new)))
    }

    /// Removes a file; none is as good.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno).attempting(|| format!("cannot remove {}", self.shown(name))),
        }
    }

    /// Removes an empty directory.
    pub(super) fn remove_dir(&self, name: &str) -> Result<()> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
            .attempting(|| format!("cannot remove {}", self.shown(name)))
    }

    /// The names of everything inside. What is not UTF-8 has no name that imgcopy gives.
    pub(super) fn list(&self) -> Result<Vec<String>> {
        let what = || format!("cannot list {}", self.path.display());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).attempting(what)? {
            let entry = entry.attempting(what)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Makes the names inside durable.
    pub(super) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).attempting(|| format!("cannot sync {}", self.path.display()))
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            size: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
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
