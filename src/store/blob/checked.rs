//! A reader that hands on the last byte only when size and digest are right.

use std::io::{self, Read};

use super::Watch;
use crate::error::{Error, ErrorKind};
use crate::image::{Compression, Descriptor, Digest, Hasher};

/// Reads `R`, which should hold exactly what a descriptor names.
pub(super) struct Checked<R> {
    inner: R,
    expected: Digest,
    size: u64,
    seen: u64,
    /// Taken when the end has been reached and found right.
    hasher: Option<Hasher>,
    promised: Option<Compression>,
    watch: Option<Watch>,
}

impl<R: Read> Checked<R> {
    pub(super) fn new(inner: R, descriptor: &Descriptor, watch: Option<Watch>) -> Self {
        Self {
            inner,
            expected: descriptor.digest.clone(),
            size: descriptor.size,
            seen: 0,
            hasher: Some(Hasher::new(descriptor.digest.algorithm())),
            promised: descriptor.media_type.compression(),
            watch,
        }
    }

    /// Whether everything has been read and found right.
    pub(super) fn is_complete(&self) -> bool {
        self.hasher.is_none()
    }

    /// The end: nothing may follow, and the digest must be right.
    fn finish(&mut self) -> io::Result<()> {
        if self.inner.read(&mut [0])? != 0 {
            return Err(corrupt(format!("it goes on after its {} bytes", self.size)));
        }
        let found = self.hasher.take().map(Hasher::finish);
        match found {
            Some(found) if found != self.expected => Err(corrupt(format!("its bytes are {found}"))),
            _ => Ok(()),
        }
    }

    /// A layer that says gzip or zstd must begin so: a destination would hand it on as such.
    fn check_first(&mut self, first: &[u8]) -> io::Result<()> {
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
            return Err(Error::new(ErrorKind::Invalid, what).into());
        }
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_complete() || buffer.is_empty() {
            return Ok(0);
        }
        let left = usize::try_from(self.size - self.seen).unwrap_or(usize::MAX);
        let part_len = left.min(buffer.len());
        let n = match buffer.get_mut(..part_len) {
            Some(part) if left > 0 => self.inner.read(part)?,
            _ => 0,
        };
        let piece = buffer.get(..n).unwrap_or_default();
        if n == 0 && left > 0 {
            return Err(corrupt(format!(
                "it ends after {} of {} bytes",
                self.seen, self.size
            )));
        }
        if self.seen == 0 {
            self.check_first(piece)?;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        }
        self.seen += n as u64;
        if self.seen == self.size {
            self.finish()?;
        }
        if let Some(watch) = &self.watch {
            watch(n as u64);
        }
        Ok(n)
    }
}

fn corrupt(what: String) -> io::Error {
    Error::new(ErrorKind::Corrupt, what).into()
}
