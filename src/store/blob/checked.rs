//! Checks content as it passes: the last byte is handed on only when size and digest are right.

use std::io::{self, Read};

use super::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, Digest, Hasher};

/// What has passed of a blob, and what it should be.
pub(super) struct Check {
    expected: Digest,
    size: u64,
    seen: u64,
    /// Taken when the end has been reached and found right.
    hasher: Option<Hasher>,
    promised: Option<Compression>,
}

impl Check {
    pub(super) fn new(descriptor: &Descriptor) -> Self {
        Self {
            expected: descriptor.digest.clone(),
            size: descriptor.size,
            seen: 0,
            hasher: Some(Hasher::new(descriptor.digest.algorithm())),
            promised: descriptor.media_type.compression(),
        }
    }

    /// How many bytes are still to come.
    pub(super) fn left(&self) -> u64 {
        self.size - self.seen
    }

    /// Takes the next piece.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<()> {
        if piece.len() as u64 > self.left() {
            return Err(self.too_long());
        }
        if self.seen == 0 && !piece.is_empty() {
            self.check_first(piece)?;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        }
        self.seen += piece.len() as u64;
        Ok(())
    }

    /// The content has ended.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.left() > 0 {
            let (seen, size) = (self.seen, self.size);
            return Err(corrupt(format!("it ends after {seen} of {size} bytes")));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.expected => Err(corrupt(format!("its bytes are {found}"))),
            _ => Ok(()),
        }
    }

    /// Whether the end has been reached and found right.
    pub(super) fn is_complete(&self) -> bool {
        self.hasher.is_none()
    }

    fn too_long(&self) -> Error {
        corrupt(format!("it goes on after its {} bytes", self.size))
    }

    /// A layer that says gzip or zstd must begin so: a destination would hand it on as such.
    fn check_first(&mut self, first: &[u8]) -> Result<()> {
        let Some(promised) = self.promised.take() else {
            return Ok(());
        };
        let found = Compression::sniff(first);
        if promised != Compression::None && found != promised && first.len() >= 6 {
            let what = format!(
                "its media type says {promised}, its bytes are {}",
                match found {
                    Compression::None => "not",
                    other => other.as_str(),
                }
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(())
    }
}

/// Reads `R`, which should hold exactly what a descriptor names.
pub(super) struct Checked<R> {
    inner: R,
    check: Check,
    watch: Option<Watch>,
}

impl<R: Read> Checked<R> {
    pub(super) fn new(inner: R, descriptor: &Descriptor, watch: Option<Watch>) -> Self {
        Self {
            inner,
            check: Check::new(descriptor),
            watch,
        }
    }

    /// Whether everything has been read and found right.
    pub(super) fn is_complete(&self) -> bool {
        self.check.is_complete()
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_complete() || buffer.is_empty() {
            return Ok(0);
        }
        let left = usize::try_from(self.check.left()).unwrap_or(usize::MAX);
        let part_len = left.min(buffer.len());
        let n = match buffer.get_mut(..part_len) {
            Some(part) if left > 0 => self.inner.read(part)?,
            _ => 0,
        };
        self.check.take(buffer.get(..n).unwrap_or_default())?;
        if self.check.left() == 0 {
            // Nothing may follow.
            if self.inner.read(&mut [0])? != 0 {
                return Err(self.check.too_long().into());
            }
            self.check.end()?;
        } else if n == 0 {
            self.check.end()?;
        }
        if let Some(watch) = &self.watch {
            watch(n as u64);
        }
        Ok(n)
    }
}

fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}
