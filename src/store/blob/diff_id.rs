//! Checks what a compressed layer unpacks to while its bytes pass.

use std::io::{self, Read, Write};

use flate2::write::MultiGzDecoder;
use zstd::stream::raw::Operation as _;

use crate::error::{Error, ErrorKind, Result};
use crate::image::{Algorithm, Compression, DiffId, Hasher};
use crate::store::compress::blame;

/// Takes a compressed layer piece by piece and says at the end whether it unpacks to its DiffId.
pub(super) struct DiffIdCheck {
    expected: DiffId,
    unpacking: Unpacking,
}

impl DiffIdCheck {
    /// A check of a layer with this compression. `None` for plain layers: their digest is their
    /// DiffId and is checked anyway.
    pub(super) fn new(expected: &DiffId, compression: Compression) -> Result<Option<Self>> {
        let unpacking = Unpacking::new(expected.algorithm(), compression)?;
        Ok(unpacking.map(|unpacking| Self {
            expected: expected.clone(),
            unpacking,
        }))
    }

    pub(super) fn update(&mut self, piece: &[u8]) -> Result<()> {
        self.unpacking.update(piece)
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        match self.unpacking.finish()? {
            Some(found) => compare(&self.expected, &found),
            None => Ok(()),
        }
    }
}

/// Hashes what a compressed layer unpacks to, piece by piece.
pub(super) enum Unpacking {
    Gzip(MultiGzDecoder<HashWriter>),
    Zstd(Box<ZstdHash>),
    Done,
}

impl Unpacking {
    /// `None` for what is not unpacked while it passes.
    pub(super) fn new(algorithm: Algorithm, compression: Compression) -> Result<Option<Self>> {
        let to = HashWriter(Hasher::new(algorithm));
        Ok(Some(match compression {
            Compression::Gzip => Unpacking::Gzip(MultiGzDecoder::new(to)),
            Compression::Zstd => Unpacking::Zstd(Box::new(ZstdHash::new(to.0)?)),
            _ => return Ok(None),
        }))
    }

    pub(super) fn update(&mut self, piece: &[u8]) -> Result<()> {
        match self {
            Unpacking::Gzip(to) => to.write_all(piece).map_err(blame),
            Unpacking::Zstd(to) => to.update(piece).map_err(blame),
            Unpacking::Done => Ok(()),
        }
    }

    /// What it unpacked to; told once.
    pub(super) fn finish(&mut self) -> Result<Option<DiffId>> {
        let hasher = match std::mem::replace(self, Unpacking::Done) {
            Unpacking::Gzip(to) => to.finish().map_err(blame)?.0,
            Unpacking::Zstd(to) => to.finish()?,
            Unpacking::Done => return Ok(None),
        };
        Ok(Some(hasher.finish()))
    }
}

/// Hashes what zstd frames unpack to. The crate's own writer does not tell whether the last frame
/// was whole.
pub(super) struct ZstdHash {
    decoder: zstd::stream::raw::Decoder<'static>,
    hasher: Hasher,
    out: Vec<u8>,
    is_between_frames: bool,
}

impl ZstdHash {
    fn new(hasher: Hasher) -> Result<Self> {
        Ok(Self {
            decoder: zstd::stream::raw::Decoder::new()?,
            hasher,
            out: vec![0; 128 << 10],
            is_between_frames: false,
        })
    }

    fn update(&mut self, piece: &[u8]) -> io::Result<()> {
        let mut taken = 0;
        loop {
            let rest = piece.get(taken..).unwrap_or_default();
            let status = self.decoder.run_on_buffers(rest, &mut self.out)?;
            taken += status.bytes_read;
            self.hasher
                .update(self.out.get(..status.bytes_written).unwrap_or_default());
            if status.bytes_read + status.bytes_written > 0 {
                self.is_between_frames = status.remaining == 0;
            }
            let may_hold_more = status.bytes_written == self.out.len();
            if taken == piece.len() && !may_hold_more {
                return Ok(());
            }
        }
    }

    fn finish(self) -> Result<Hasher> {
        match self.is_between_frames {
            true => Ok(self.hasher),
            false => Err(Error::new(
                ErrorKind::Corrupt,
                "it does not unpack: its last zstd frame is cut short",
            )),
        }
    }
}

pub(super) struct HashWriter(Hasher);

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
            compare(&expected, &hasher.finish())?;
        }
        Ok(n)
    }
}

pub(crate) fn compare(expected: &DiffId, found: &DiffId) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let what = format!("it unpacks to {found}, the config says {expected}");
    Err(Error::new(ErrorKind::Corrupt, what))
}
