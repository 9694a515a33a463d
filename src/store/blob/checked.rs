//! Checks content as it passes: the last byte is handed on only when size and digest are right.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};

use super::{Content, Watch};
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

/// Gives the next piece; an empty one is the end.
pub(super) type NextPiece = Box<dyn FnMut() -> Result<Bytes> + Send>;

/// Reads what should be exactly what a descriptor names.
pub(super) struct Checked {
    from: NextPiece,
    check: Check,
    watch: Option<Watch>,
    /// Who is told if it is not.
    content: Option<Arc<dyn Content>>,
    /// What was read and not handed on yet, for those who read into buffers of their own.
    rest: Bytes,
}

impl Checked {
    pub(super) fn new(from: NextPiece, descriptor: &Descriptor, watch: Option<Watch>) -> Self {
        Self {
            from,
            check: Check::new(descriptor),
            watch,
            content: None,
            rest: Bytes::new(),
        }
    }

    /// Tells whoever gave the content if it proves wrong.
    pub(super) fn telling(mut self, content: Option<Arc<dyn Content>>) -> Self {
        self.content = content;
        self
    }

    /// Whether everything has been read and found right.
    pub(super) fn is_complete(&self) -> bool {
        self.check.is_complete()
    }

    fn end(&mut self) -> Result<()> {
        self.check.end().inspect_err(|_| {
            if let Some(content) = &self.content {
                content.found_wrong();
            }
        })
    }

    /// The next piece; an empty one is the end.
    pub(super) fn next(&mut self) -> Result<Bytes> {
        if self.is_complete() {
            return Ok(Bytes::new());
        }
        let piece = (self.from)()?;
        self.check.take(&piece)?;
        if self.check.left() == 0 {
            // Nothing may follow.
            if !piece.is_empty() && !(self.from)()?.is_empty() {
                return Err(self.check.too_long());
            }
            self.end()?;
        } else if piece.is_empty() {
            self.end()?;
        }
        if let Some(watch) = &self.watch {
            watch(piece.len() as u64);
        }
        Ok(piece)
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.next()?;
        }
        let n = buffer.len().min(self.rest.len());
        if let Some(part) = buffer.get_mut(..n) {
            self.rest.copy_to_slice(part);
        }
        Ok(n)
    }
}

fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}
