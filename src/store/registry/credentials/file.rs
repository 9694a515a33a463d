//! Credentials files on the disk: read whole, replaced whole.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind as IoKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::document::{Document, Form};
use crate::error::{Attempt as _, Error, ErrorKind, Result};

/// The largest file that is read, in bytes. Real ones have a few KiB.
const LIMIT: u64 = 4 << 20;

/// What was found where a file may be.
pub(super) enum Found {
    /// There is no file.
    Nothing,
    /// There is one, and this process may not read it. The text says so.
    Closed(Error),
    /// There is one.
    Document(Opened),
}

/// A file that was read.
pub(super) struct Opened {
    pub(super) document: Document,
    /// Its permissions if they let others than the owner at it, and it is a file on a disk.
    pub(super) open_to_others: Option<u32>,
}

/// Reads a file.
///
/// # Errors
/// `Invalid` if it is no credentials file; otherwise whatever reading gives.
pub(super) fn read(path: &Path, form: Form) -> Result<Found> {
    let what = || format!("cannot read the credentials file {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => match error.kind() {
            IoKind::NotFound | IoKind::NotADirectory => return Ok(Found::Nothing),
            IoKind::PermissionDenied => {
                return Ok(Found::Closed(Error::from(error).attempting(what())));
            }
            _ => return Err(error).attempting(what),
        },
    };
    parse(&file, form).map(Found::Document).attempting(what)
}

fn parse(file: &File, form: Form) -> Result<Opened> {
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        let what = format!("it is larger than {} MiB", LIMIT >> 20);
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    let mode = metadata.mode() & 0o777;
    let is_open = metadata.is_file() && mode & 0o077 != 0;
    Ok(Opened {
        document: Document::parse(&bytes, form)?,
        open_to_others: is_open.then_some(mode),
    })
}

/// Changes a file, or makes it, in one step: others see the old one or the new one. Only the owner
/// can read the new one. Another imgcopy that changes it at the same time waits.
///
/// # Errors
/// As [`read`]; `Denied` if it may not be read; and whatever writing gives.
pub(super) fn edit<T>(path: &Path, change: impl FnOnce(&mut Document) -> T) -> Result<T> {
    // A link stays one: what it leads to is replaced.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let what = || format!("cannot write the credentials file {}", path.display());
    let directory = directory_of(&path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .attempting(what)?;
    // The directory stands for the file, which is another one after each change. Closing unlocks.
    let guard = File::open(&directory).attempting(what)?;
    guard.lock().attempting(what)?;
    let mut document = match read(&path, Form::Wrapped)? {
        Found::Nothing => Document::parse(b"", Form::Wrapped)?,
        Found::Closed(error) => return Err(error),
        Found::Document(opened) => opened.document,
    };
    let before = document.root.clone();
    let result = change(&mut document);
    if document.root != before {
        let bytes = document.to_bytes()?;
        replace(&path, &directory, &bytes).attempting(what)?;
        guard.sync_all().attempting(what)?;
    }
    Ok(result)
}

fn replace(path: &Path, directory: &Path, bytes: &[u8]) -> Result<()> {
    if path.exists() && !path.is_file() {
        let what = "it is no regular file";
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    // The crate gives it the mode 0600.
    let mut new = tempfile::Builder::new()
        .prefix(".auth-")
        .tempfile_in(directory)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
