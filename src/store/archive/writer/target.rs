//! Where a new archive goes: a file that appears when it is whole, or a pipe.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use tempfile::NamedTempFile;
use tracing::debug;

use super::tar::Out;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::STDIO;

/// Where the archive goes.
pub(super) enum Target {
    /// A file that is not there yet.
    New(PathBuf),
    /// A file that is replaced once the new one is whole.
    Old(PathBuf),
    /// A FIFO or device.
    Pipe(PathBuf),
    /// Standard output.
    Stdout,
    /// Whatever takes it; nothing once it was opened.
    Stream(Option<Box<dyn Write + Send>>),
}

impl Target {
    /// Looks what is at `path`; `-` is standard output. Nothing is opened yet.
    pub(super) fn at(path: &Path) -> Result<Self> {
        if path.as_os_str() == STDIO {
            return match rustix::termios::isatty(io::stdout().as_fd()) {
                true => {
                    let what = "standard output is a terminal: send it into a file or a program";
                    Err(Error::new(ErrorKind::Invalid, what))
                }
                false => Ok(Target::Stdout),
            };
        }
        let path = path.to_path_buf();
        let metadata = match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = parent(&path);
                if directory.is_dir() {
                    return Ok(Target::New(path));
                }
                let what = format!("there is no directory {}", directory.display());
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            metadata => metadata?,
        };
        let kind = metadata.file_type();
        if kind.is_fifo() || kind.is_char_device() {
            return Ok(Target::Pipe(path));
        }
        let what = match (kind.is_file(), metadata.len()) {
            (true, 0) => return Ok(Target::Old(path)),
            (true, _) => {
                "it exists, and an archive is written in one piece: remove it, or choose another name"
            }
            (false, _) => "it is no file that an archive could be written to",
        };
        Err(Error::new(ErrorKind::Invalid, what))
    }

    /// Replaces a file, whatever is in it, once the new one is whole. One that somebody else makes
    /// meanwhile is replaced, too.
    pub(super) fn replacing(path: &Path) -> Result<Self> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Target::Old(path.to_path_buf())),
            _ => Ok(match Self::at(path)? {
                Target::New(path) => Target::Old(path),
                other => other,
            }),
        }
    }

    /// Opens it; a file is still without a name.
    pub(super) fn open(&mut self) -> Result<Out> {
        Ok(match self {
            Target::New(path) | Target::Old(path) => {
                let parent = parent(path);
                let what = || format!("cannot make a file in {}", parent.display());
                Out::File(unfinished(parent).attempting(what)?)
            }
            Target::Pipe(path) => Out::Stream(Box::new(File::options().write(true).open(path)?)),
            Target::Stdout => {
                let stdout = io::stdout().as_fd().try_clone_to_owned()?;
                Out::Stream(Box::new(File::from(stdout)))
            }
            Target::Stream(stream) => {
                let gone = || Error::new(ErrorKind::Io, "it was written already");
                Out::Stream(stream.take().ok_or_else(gone)?)
            }
        })
    }

    /// Gives a whole file its name, unless somebody else took it meanwhile.
    pub(super) fn name(&self, file: NamedTempFile) -> Result<()> {
        let (path, named) = match self {
            Target::New(path) => (path, file.persist_noclobber(path)),
            Target::Old(path) => (path, file.persist(path)),
            Target::Pipe(_) | Target::Stdout | Target::Stream(_) => return Ok(()),
        };
        named.map_err(|failed| match failed.error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::new(ErrorKind::Changed, "somebody else wrote it meanwhile")
            }
            _ => failed.error.into(),
        })?;
        let directory = File::open(parent(path))?;
        match rustix::fs::fstat(&directory).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Directory) => Ok(directory.sync_all()?),
            _ => Ok(()),
        }
    }
}

/// How the names of files begin and end that are not whole yet.
const UNFINISHED: (&str, &str) = (".imgcopy-", ".tar");

/// A file without its name, locked while its writer lives. What writers left that were killed goes
/// first, since it may be as large as the archive (F-91).
fn unfinished(directory: &Path) -> io::Result<NamedTempFile> {
    loop {
        let made = tempfile::Builder::new()
            .prefix(UNFINISHED.0)
            .suffix(UNFINISHED.1)
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)?;
        // Where there are no locks, nobody can tell who lives, and nothing is swept.
        let _unlocked = made.as_file().lock();
        let own = made.as_file().metadata()?;
        // Before it was locked, somebody may have taken it for a dead writer's.
        if own.nlink() > 0 {
            sweep(directory, own.uid());
            return Ok(made);
        }
    }
}

/// Removes a user's files that nobody finishes any more. What cannot be looked at stays.
fn sweep(directory: &Path, user: u32) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let is_unfinished = name
            .to_str()
            .is_some_and(|name| name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1));
        if is_unfinished && remove_if_dead(&entry.path(), user).is_ok() {
            debug!(file = %entry.path().display(), "swept what a dead writer left");
        }
    }
}

/// Removes a file unless its writer lives. Nothing is followed or waited for: the directory may be one
/// that everybody can write to.
fn remove_if_dead(path: &Path, user: u32) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.uid() != user {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    file.try_lock().map_err(|_| io::ErrorKind::ResourceBusy)?;
    std::fs::remove_file(path)
}

fn parent(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}
