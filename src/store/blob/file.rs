//! A part of a file, as the place of a blob's bytes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::clamped;
use crate::error::Result;

/// A stretch of a file, read without moving the file's own position, so that several tasks can
/// read one archive at once.
#[derive(Debug, Clone)]
pub struct FileRange {
    /// The file.
    pub file: Arc<File>,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

impl FileRange {
    /// The whole of a file as it is now.
    ///
    /// # Errors
    /// Whatever asking for its length gives.
    pub fn whole(file: File) -> Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            offset: 0,
            len,
        })
    }

    /// The first bytes, at most `N`.
    ///
    /// # Errors
    /// Whatever reading gives.
    pub fn first<const N: usize>(&self) -> Result<Vec<u8>> {
        let mut first = Vec::with_capacity(N);
        self.reader().take(N as u64).read_to_end(&mut first)?;
        Ok(first)
    }

    /// A reader of the range, which has a position of its own.
    pub fn reader(&self) -> impl Read + Send + use<> {
        RangeReader {
            range: self.clone(),
            at: 0,
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.offset == 0
            && self
                .file
                .metadata()
                .is_ok_and(|metadata| metadata.len() == self.len)
    }
}

struct RangeReader {
    range: FileRange,
    at: u64,
}

impl Read for RangeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = clamped(self.range.len - self.at).min(buffer.len());
        let part = buffer.get_mut(..left).unwrap_or_default();
        let n = self.range.file.read_at(part, self.range.offset + self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
