//! A tar that comes as a stream: read once, from its first byte to its last. Documents and whatever is
//! small are kept; every other file is taken for a layer and handed on while it passes, because what
//! it is called, and of which image it is, is said at the end of most archives.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex};

use tar::Header;
use tokio::sync::{mpsc, oneshot};

use super::shelf::Shelf;
use super::tape::{Body, Fault, Tape, cut_at, cut_in_block};
use super::tar_index::TarIndex;
use super::tar_walk::{BLOCK, is_header};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Algorithm, Compression, Digest};
use crate::store::blob::{Passed, Passing};
use crate::store::{Taker, blocking, locked};

/// Files up to this size are kept whatever they are, in bytes: no tar with a file in it is as small.
const SMALL: u64 = 512;
/// Documents up to this size are kept: no reader takes a larger one.
const DOCUMENT: u64 = 16 << 20;

/// A layer on its way to whoever takes it, and the way back.
type Offer = (Passing, oneshot::Sender<Result<Passed>>);

/// Walks a tar while it comes; its layers go to `taker`.
///
/// # Errors
/// As [`TarIndex::of`]; otherwise what `taker` gives, unless it is the layer that is bad: that is told
/// when an image needs it.
pub(super) async fn walk(from: impl Read + Send + 'static, taker: &dyn Taker) -> Result<TarIndex> {
    let (offers, mut offered) = mpsc::channel::<Offer>(1);
    let walking = blocking(move || {
        let mut tape = StreamTape::of(from, offers);
        let index = TarIndex::on(&mut tape)?;
        // Who writes must be able to write all of it, and what is compressed has its checksum last.
        tape.drain()?;
        Ok(index)
    });
    let taking = async {
        while let Some((layer, reply)) = offered.recv().await {
            // If nobody waits for it any more, the walk has failed and says why.
            let _ = reply.send(taker.take(layer).await);
        }
    };
    let (index, ()) = tokio::join!(walking, taking);
    index
}

/// The stream, and how much of it was read.
struct Tap {
    from: Box<dyn Read + Send>,
    at: u64,
}

/// A part of the stream that is yet to come.
struct Stretch {
    tap: Arc<Mutex<Tap>>,
    end: u64,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut tap = locked(&self.tap);
        let left = usize::try_from(self.end.saturating_sub(tap.at)).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        let part = buffer.get_mut(..len).unwrap_or_default();
        if part.is_empty() {
            return Ok(0);
        }
        match tap.from.read(part)? {
            0 => Err(cut_at(tap.at).into()),
            n => {
                tap.at += n as u64;
                Ok(n)
            }
        }
    }
}

struct StreamTape {
    tap: Arc<Mutex<Tap>>,
    /// A byte that was read to see whether there is one.
    ahead: Option<u8>,
    offers: mpsc::Sender<Offer>,
    shelf: Shelf,
}

impl StreamTape {
    fn of(from: impl Read + Send + 'static, offers: mpsc::Sender<Offer>) -> Self {
        let from = Box::new(from);
        Self {
            tap: Arc::new(Mutex::new(Tap { from, at: 0 })),
            ahead: None,
            offers,
            shelf: Shelf::default(),
        }
    }

    /// What comes up to `end`.
    fn until(&self, end: u64) -> Stretch {
        Stretch {
            tap: Arc::clone(&self.tap),
            end,
        }
    }

    fn end_of(&self, len: u64) -> Result<u64> {
        let at = locked(&self.tap).at;
        at.checked_add(len)
            .filter(|end| end.checked_next_multiple_of(BLOCK).is_some())
            .ok_or_else(|| cut_at(at))
    }

    /// Reads what is left of a part, and what fills its last block.
    fn pass_over(&self, end: u64) -> Result<()> {
        io::copy(&mut self.until(end), &mut io::sink())?;
        let filled = self.until(end.next_multiple_of(BLOCK));
        io::copy(&mut { filled }, &mut io::sink()).map_err(|error| {
            let error = Error::from(error);
            match error.kind() {
                ErrorKind::Invalid => cut_in_block(),
                _ => error,
            }
        })?;
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        let mut tap = locked(&self.tap);
        io::copy(&mut tap.from, &mut io::sink())?;
        Ok(())
    }

    /// Hands a layer on, and waits until all of it has passed.
    fn offer(&self, layer: Passing) -> Result<Body> {
        let stopped = || Error::new(ErrorKind::Interrupted, "interrupted");
        let size = layer.size;
        let (reply, answer) = oneshot::channel();
        let sent = self.offers.blocking_send((layer, reply));
        sent.map_err(|_| stopped())?;
        let gone = match answer.blocking_recv().map_err(|_| stopped())? {
            Ok(passed) => Ok(passed),
            Err(error) if error.is_bad_source() => Err(Fault::of(&error, size)),
            Err(error) => return Err(error),
        };
        Ok(Body::Gone(Arc::new(gone)))
    }
}

impl Tape for &mut StreamTape {
    fn at(&self) -> u64 {
        locked(&self.tap).at - u64::from(self.ahead.is_some())
    }

    fn is_at_end(&mut self) -> Result<bool> {
        if self.ahead.is_some() {
            return Ok(false);
        }
        let mut tap = locked(&self.tap);
        let mut byte = Vec::with_capacity(1);
        (&mut tap.from).take(1).read_to_end(&mut byte)?;
        tap.at += byte.len() as u64;
        self.ahead = byte.first().copied();
        Ok(byte.is_empty())
    }

    fn read(&mut self, len: u64) -> Result<Vec<u8>> {
        let ahead = self.ahead.take_if(|_| len > 0);
        let end = self.end_of(len - u64::from(ahead.is_some()))?;
        let mut bytes: Vec<u8> = ahead.into_iter().collect();
        self.until(end).read_to_end(&mut bytes)?;
        self.pass_over(end)?;
        Ok(bytes)
    }

    fn file(&mut self, name: &str, len: u64) -> Result<Body> {
        let end = self.end_of(len)?;
        let mut first = Vec::new();
        self.until(end).take(BLOCK).read_to_end(&mut first)?;
        let is_kept = len <= SMALL || len <= DOCUMENT && is_document(&first);
        let compression = Compression::sniff(&first);
        let whole = Cursor::new(first).chain(self.until(end));
        let body = match is_kept {
            true => self.shelf.keep(whole, len).map(Body::Here),
            false => self.offer(Passing::new(named(name), len, compression, whole)),
        }?;
        self.pass_over(end)?;
        Ok(body)
    }

    fn skip(&mut self, len: u64) -> Result<Body> {
        let end = self.end_of(len)?;
        self.pass_over(end)?;
        self.shelf.keep(io::empty(), 0).map(Body::Here)
    }
}

/// Whether this is how JSON begins, and not how a layer does whose first file is called so.
fn is_document(first: &[u8]) -> bool {
    let begin = first.iter().find(|byte| !byte.is_ascii_whitespace());
    let mut block = Header::new_old();
    let is_tar = match block.as_mut_bytes().get_mut(..first.len()) {
        Some(bytes) => {
            bytes.copy_from_slice(first);
            is_header(&block)
        }
        None => false,
    };
    matches!(begin, Some(b'{' | b'[')) && !is_tar
}

/// The digest that a file is called by: `blobs/sha256/<hex>`, `<hex>.json`, `<hex>.tar.gz` (crane and
/// kaniko), `sha256:<hex>` (crane's configs).
pub(super) fn named(path: &str) -> Option<Digest> {
    let file = path.rsplit('/').next()?;
    let stem = file.split('.').next()?;
    let hex = stem.strip_prefix("sha256:").unwrap_or(stem);
    let mut algorithms = Algorithm::ALL.into_iter();
    algorithms.find_map(|algorithm| Digest::from_parts(algorithm, hex).ok())
}

#[cfg(test)]
mod tests;
