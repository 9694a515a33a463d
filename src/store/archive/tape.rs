//! What a tar is read from: a file, in which each piece can be found again, or a stream, which comes
//! once.

use std::io::Read as _;
use std::sync::Arc;

use super::tar_walk::{BLOCK, invalid};
use crate::error::{Error, ErrorKind, Result};
use crate::image::Digest;
use crate::store::blob::{FileRange, Passed};

/// The content of a file of an archive.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// It can be read.
    Here(FileRange),
    /// It was a layer that went by in a stream.
    Gone(Gone),
}

/// A layer that went by, or why it was none.
pub(super) type Gone = Arc<std::result::Result<Passed, Fault>>;

/// Why a layer could not be taken. It matters only if an image needs it.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    kind: ErrorKind,
    what: String,
    size: u64,
}

impl Fault {
    pub(super) fn of(error: &Error, size: u64) -> Self {
        Self {
            kind: error.kind(),
            what: error.in_one_line(),
            size,
        }
    }

    pub(super) fn error(&self) -> Error {
        Error::new(self.kind, &*self.what)
    }
}

impl Body {
    /// Its size in bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Body::Here(range) => range.len,
            Body::Gone(gone) => match &**gone {
                Ok(passed) => passed.came.size,
                Err(fault) => fault.size,
            },
        }
    }
}

/// What a tar is read from, from its first byte to its last. After each part, what fills its last block
/// is passed over.
pub(super) trait Tape {
    /// Where the next byte is.
    fn at(&self) -> u64;

    /// Whether nothing more comes.
    fn is_at_end(&mut self) -> Result<bool>;

    /// The next bytes; only so many as fit into memory.
    fn read(&mut self, len: u64) -> Result<Vec<u8>>;

    /// The content of a file that is called so.
    fn file(&mut self, name: &str, len: u64) -> Result<Body>;

    /// Content that is of no use.
    fn skip(&mut self, len: u64) -> Result<Body>;
}

/// A tar in a file.
pub(super) struct FileTape<'t> {
    tar: &'t FileRange,
    at: u64,
}

impl<'t> FileTape<'t> {
    pub(super) fn of(tar: &'t FileRange) -> Self {
        Self { tar, at: 0 }
    }

    fn take(&mut self, len: u64) -> Result<FileRange> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.tar.len);
        let Some(end) = end else {
            return Err(cut_at(self.tar.len));
        };
        let part = FileRange {
            file: self.tar.file.clone(),
            offset: self.tar.offset + self.at,
            len,
        };
        self.at = end.next_multiple_of(BLOCK).min(self.tar.len);
        if end.next_multiple_of(BLOCK) > self.tar.len {
            return Err(cut_in_block());
        }
        Ok(part)
    }
}

impl Tape for FileTape<'_> {
    fn at(&self) -> u64 {
        self.at
    }

    fn is_at_end(&mut self) -> Result<bool> {
        Ok(self.at == self.tar.len)
    }

    fn read(&mut self, len: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(len)?.reader().read_to_end(&mut bytes)?;
        // The file may have become shorter meanwhile.
        match bytes.len() as u64 == len {
            true => Ok(bytes),
            false => Err(cut_at(self.at)),
        }
    }

    fn file(&mut self, _: &str, len: u64) -> Result<Body> {
        self.take(len).map(Body::Here)
    }

    fn skip(&mut self, len: u64) -> Result<Body> {
        self.take(len).map(Body::Here)
    }
}

pub(super) fn cut_at(at: u64) -> Error {
    invalid(format!(
        "it is cut short: it ends at byte {at}, in the middle of an entry"
    ))
}

pub(super) fn cut_in_block() -> Error {
    invalid("it is cut short: its last block is not whole".into())
}

/// A layer is asked for after it went by. Whoever took it should have it.
pub(super) fn went_by(digest: &Digest) -> Error {
    let what = format!(
        "{digest} went by as the stream was read, and the destination does not have what the image needs of it: copy again, or from a file"
    );
    Error::new(ErrorKind::Incomplete, what)
}
