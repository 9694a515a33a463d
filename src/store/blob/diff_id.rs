//! Checks what a compressed layer unpacks to while its bytes pass.

use std::io::{self, Read, Write};

use flate2::write::MultiGzDecoder;

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Compression, DiffId, Hasher};

/// Takes a compressed layer piece by piece and says at the end whether it unpacks to its DiffId.
pub(super) struct DiffIdCheck {
    expected: DiffId,
    unpacking: Unpacking,
}

enum Unpacking {
    Gzip(MultiGzDecoder<HashWriter>),
    Zstd(zstd::stream::write::Decoder<'static, HashWriter>),
    Done,
}

impl DiffIdCheck {
    /// A check of a layer with this compression. `None` for plain layers: their digest is their
    /// DiffId and is checked anyway.
    pub(super) fn new(expected: &DiffId, compression: Compression) -> Result<Option<Self>> {
        let to = HashWriter(Hasher::new(expected.algorithm()));
        let unpacking = match compression {
            Compression::Gzip => Unpacking::Gzip(MultiGzDecoder::new(to)),
            Compression::Zstd => Unpacking::Zstd(zstd::stream::write::Decoder::new(to)?),
            _ => return Ok(None),
        };
        Ok(Some(Self {
            expected: expected.clone(),
            unpacking,
        }))
    }

    pub(super) fn update(&mut self, piece: &[u8]) -> Result<()> {
        match &mut self.unpacking {
            Unpacking::Gzip(to) => to.write_all(piece),
            Unpacking::Zstd(to) => to.write_all(piece),
            Unpacking::Done => Ok(()),
        }
        .attempting(|| "it does not unpack")
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        let hasher = match std::mem::replace(&mut self.unpacking, Unpacking::Done) {
            Unpacking::Gzip(to) => to.finish().attempting(|| "it does not unpack")?.0,
            Unpacking::Zstd(mut to) => {
                to.flush()?;
                to.into_inner().0
            }
            Unpacking::Done => return Ok(()),
        };
        compare(&self.expected, hasher)
    }
}

struct HashWriter(Hasher);

impl Write for HashWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.update(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads an unpacked layer and checks its DiffId at the end.
pub(super) struct Hashed<R> {
    inner: R,
    check: Option<(DiffId, Hasher)>,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(inner: R, expected: Option<&DiffId>) -> Self {
        let check = expected.map(|expected| (expected.clone(), Hasher::new(expected.algorithm())));
        Self { inner, check }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some((_, hasher)) = &mut self.check {
            hasher.update(buffer.get(..n).unwrap_or_default());
        }
        if n == 0
            && !buffer.is_empty()
            && let Some((expected, hasher)) = self.check.take()
        {
            compare(&expected, hasher)?;
        }
        Ok(n)
    }
}

fn compare(expected: &DiffId, hasher: Hasher) -> Result<()> {
    let found = hasher.finish();
    if found == *expected {
        return Ok(());
    }
    let what = format!("it unpacks to {found}, the config says {expected}");
    Err(Error::new(ErrorKind::Corrupt, what))
}
