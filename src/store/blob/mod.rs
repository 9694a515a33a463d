//! Blobs: content on its way. A [`Blob`] can only be read checked: the piece that completes it is
//! handed on after size and digest were found right, so whoever counts bytes can never take a
//! corrupt blob for a whole one (S-12).

mod buffers;
mod checked;
mod diff_id;
mod file;
mod passing;
mod pieces;
mod unpack;

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt as _};

use super::compress::{self, Coding, Sink, Workers};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Algorithm, Compression, Descriptor, DiffId, Hasher, MediaType};
use buffers::Buffers;
use checked::{Check, Checked, NextPiece};
use diff_id::DiffIdCheck;
use pieces::PieceReader;

pub(crate) use diff_id::compare as compare_diff_ids;
pub use file::FileRange;
pub use passing::{Passed, Passing};
pub use pieces::{Content, Pieces};

/// How many bytes are read and handed on at a time: few enough that they are still in the cache of
/// the core when they are hashed and written.
const PIECE: usize = 256 << 10;

/// Where the bytes of a blob are.
#[derive(Clone)]
enum Payload {
    Memory(Bytes),
    File(FileRange),
    Content(Arc<dyn Content>),
}

/// Called with the number of source bytes that have passed since the last call.
pub type Watch = Arc<dyn Fn(u64) + Send + Sync>;

/// A piece of content, not read yet.
#[derive(Clone)]
pub struct Blob {
    descriptor: Descriptor,
    payload: Payload,
    diff_id: Option<DiffId>,
    recoding: Option<Recoding>,
    watch: Option<Watch>,
}

#[derive(Clone)]
struct Recoding {
    to: Coding,
    media_type: MediaType,
    workers: Arc<Workers>,
}

/// What passed, after all of it was found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Media type, digest and size of what was handed on.
    pub descriptor: Descriptor,
    /// What it unpacks to, if that was checked too.
    pub diff_id: Option<DiffId>,
}

impl Blob {
    /// Content in memory.
    pub fn memory(descriptor: Descriptor, bytes: Bytes) -> Self {
        Self::new(descriptor, Payload::Memory(bytes))
    }

    /// Content in a file.
    pub fn file(descriptor: Descriptor, range: FileRange) -> Self {
        Self::new(descriptor, Payload::File(range))
    }

    /// Content that comes piece by piece.
    pub fn content(descriptor: Descriptor, content: Arc<dyn Content>) -> Self {
        Self::new(descriptor, Payload::Content(content))
    }

    fn new(descriptor: Descriptor, payload: Payload) -> Self {
        Self {
            descriptor,
            payload,
            diff_id: None,
            recoding: None,
            watch: None,
        }
    }

    /// Also checks that the layer unpacks to `diff_id` while it passes.
    #[must_use]
    pub fn unpacking_to(mut self, diff_id: DiffId) -> Self {
        self.diff_id = Some(diff_id);
        self
    }

    /// Compresses the layer anew on its way; what it will be called is known at the end.
    ///
    /// # Errors
    /// `Unsupported` if this is no layer, or its kind of layer cannot be compressed so.
    pub fn recompressed(mut self, to: Coding, workers: Arc<Workers>) -> Result<Self> {
        let old = &self.descriptor.media_type;
        let media_type = old.with_compression(to.compression()).ok_or_else(|| {
            let what = format!("{old} cannot be compressed with {}", to.compression());
            Error::new(ErrorKind::Unsupported, what)
        })?;
        self.recoding = Some(Recoding {
            to,
            media_type,
            workers,
        });
        Ok(self)
    }

    /// Tells `watch` how the reading goes.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Says in other words what it is.
    #[must_use]
    pub(crate) fn called(mut self, media_type: MediaType) -> Self {
        self.descriptor.media_type = media_type;
        self
    }

    /// What it is called at its source.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The file, if the content is exactly one whole file: some file systems can clone it.
    pub(crate) fn as_whole_file(&self) -> Option<&File> {
        match &self.payload {
            Payload::File(range) if self.recoding.is_none() && range.is_whole() => {
                Some(&range.file)
            }
            _ => None,
        }
    }

    /// Whether what it is called is known only when it has been read.
    pub(crate) fn is_recompressed(&self) -> bool {
        self.recoding.is_some()
    }

    /// The same blob, to be read from another file that should hold the same bytes.
    #[must_use]
    pub(crate) fn read_from(mut self, range: FileRange) -> Self {
        self.payload = Payload::File(range);
        self
    }

    /// Reads everything, handing it on in order; blocks the thread. What `sink` was given counts
    /// only if this returns a receipt.
    ///
    /// # Errors
    /// `Corrupt` if size, digest or DiffId are wrong; otherwise what reading or `sink` gives.
    pub fn pour(self, sink: &mut Sink<'_>) -> Result<Receipt> {
        let descriptor = self.descriptor.clone();
        match self.recoding {
            Some(_) => self.pour_recoded(sink),
            None => self.pour_verbatim(&mut |piece| sink(&piece)),
        }
        .attempting(|| cannot_read(&descriptor))
    }

    /// As [`Blob::pour`], giving pieces away.
    fn pour_pieces(self, sink: &mut dyn FnMut(Bytes) -> Result<()>) -> Result<Receipt> {
        let descriptor = self.descriptor.clone();
        match self.recoding {
            Some(_) => self.pour_recoded(&mut |piece| sink(Bytes::copy_from_slice(piece))),
            None => self.pour_verbatim(sink),
        }
        .attempting(|| cannot_read(&descriptor))
    }

    /// Reads everything, piece by piece, without blocking. What came counts only if the end comes
    /// without an error; the piece that completes the blob comes only if all of it is right.
    ///
    /// Errors are those of [`Blob::pour`].
    pub fn pieces(self) -> Pieces {
        let plain = self.recoding.is_none() && self.diff_id.is_none();
        match self.payload {
            Payload::Content(content) if plain => {
                let descriptor = self.descriptor.clone();
                let checked = pieces::checked(content, Check::new(&descriptor), self.watch);
                let what = move |error: Error| error.attempting(cannot_read(&descriptor));
                checked.map(move |piece| piece.map_err(&what)).boxed()
            }
            Payload::Memory(_) if plain => match self.read() {
                Ok(bytes) => stream::iter([Ok(bytes)]).boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            },
            _ => pieces::poured(self),
        }
    }

    /// The whole content; blocks the thread.
    fn read(self) -> Result<Bytes> {
        let mut bytes = BytesMut::new();
        self.pour(&mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes.freeze())
    }

    /// The whole content, in memory.
    ///
    /// # Errors
    /// `Invalid` if it is larger than `limit` bytes; otherwise as [`Blob::pour`].
    pub async fn bytes(self, limit: u64) -> Result<Bytes> {
        self.check_limit(limit)?;
        let mut bytes = BytesMut::new();
        let mut pieces = self.pieces();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes.freeze())
    }

    /// As [`Blob::bytes`]; blocks the thread.
    pub(crate) fn bytes_here(self, limit: u64) -> Result<Bytes> {
        self.check_limit(limit)?;
        self.read()
    }

    /// The same content, written out into a file that has no name and goes away by itself: for places
    /// that want to know what a blob is called before it comes. Blocks the thread.
    ///
    /// # Errors
    /// `NoSpace` if the directory for temporary files is full; otherwise as [`Blob::pour`].
    pub(crate) fn spooled(self) -> Result<Self> {
        let what = || "cannot keep a layer in the directory for temporary files (TMPDIR)";
        let mut file = tempfile::tempfile().attempting(what)?;
        let receipt = self.pour(&mut |piece| file.write_all(piece).attempting(what))?;
        Ok(Self::file(receipt.descriptor, FileRange::whole(file)?))
    }

    fn check_limit(&self, limit: u64) -> Result<()> {
        let size = self.descriptor.size;
        match size > limit {
            true => Err(Error::new(
                ErrorKind::Invalid,
                format!("{size} bytes are over the limit of {limit}"),
            )),
            false => Ok(()),
        }
    }

    fn pour_verbatim(self, sink: &mut dyn FnMut(Bytes) -> Result<()>) -> Result<Receipt> {
        let compression = self.descriptor.media_type.compression();
        let mut check = match (&self.diff_id, compression) {
            (Some(diff_id), Some(compression)) => DiffIdCheck::new(diff_id, compression)?,
            _ => None,
        };
        let mut from = Checked::new(self.payload.clone().pieces()?, &self.descriptor, self.watch)
            .telling(self.payload.content());
        loop {
            let piece = from.next()?;
            if piece.is_empty() {
                break;
            }
            if let Some(check) = &mut check {
                check.update(&piece)?;
                if from.is_complete() {
                    check.finish()?;
                }
            }
            sink(piece)?;
        }
        Ok(Receipt {
            descriptor: self.descriptor,
            diff_id: self.diff_id,
        })
    }

    fn pour_recoded(self, sink: &mut Sink<'_>) -> Result<Receipt> {
        let Some(recoding) = self.recoding else {
            return Err(Error::new(ErrorKind::Unsupported, "nothing to recompress"));
        };
        let old = self
            .descriptor
            .media_type
            .compression()
            .unwrap_or(Compression::None);
        let stored = Checked::new(self.payload.clone().pieces()?, &self.descriptor, self.watch)
            .telling(self.payload.content());
        if recoding.to.compression() == Compression::None {
            let (diff_id, size) = unpack::unpack(stored, old, self.diff_id.as_ref(), sink)?;
            return Ok(Receipt {
                descriptor: Descriptor::new(recoding.media_type, diff_id.clone(), size),
                diff_id: Some(diff_id),
            });
        }
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut size = 0;
        let mut counted = |piece: &[u8]| {
            hasher.update(piece);
            size += piece.len() as u64;
            sink(piece)
        };
        let diff_id = if old == Compression::None {
            compress::encode(stored, recoding.to, &recoding.workers, &mut counted)?;
            Some(self.descriptor.digest)
        } else {
            let plain = compress::decoder(stored, old)?;
            let plain = diff_id::Hashed::new(plain, self.diff_id.as_ref());
            compress::encode(plain, recoding.to, &recoding.workers, &mut counted)?;
            self.diff_id
        };
        Ok(Receipt {
            descriptor: Descriptor::new(recoding.media_type, hasher.finish(), size),
            diff_id,
        })
    }
}

impl Payload {
    fn content(self) -> Option<Arc<dyn Content>> {
        match self {
            Payload::Content(content) => Some(content),
            Payload::Memory(_) | Payload::File(_) => None,
        }
    }

    /// Reads piece by piece; blocks the thread. An empty piece is the end.
    fn pieces(self) -> Result<NextPiece> {
        Ok(match self {
            Payload::Memory(mut bytes) => Box::new(move || Ok(std::mem::take(&mut bytes))),
            Payload::File(range) => {
                let buffers = Buffers::new(PIECE.min(clamped(range.len).max(1)));
                let mut from = range.reader();
                Box::new(move || Ok(buffers.fill(&mut from)?))
            }
            Payload::Content(content) => {
                let mut from = PieceReader::new(content)?;
                Box::new(move || from.next())
            }
        })
    }
}

fn cannot_read(blob: &Descriptor) -> String {
    format!("cannot read {} ({} bytes)", blob.digest, blob.size)
}

fn clamped(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
