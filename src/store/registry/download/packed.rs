//! Blobs that somebody compressed on their way (F-58): nothing of ours asks for that, but some proxies do
//! it to all that passes.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use crate::error::{Error, ErrorKind, Result};
use crate::store::registry::answer::Answer;

/// How many bytes are unpacked at once: no more than a thousand times as many come of them (S-22).
const STEP: usize = 4 << 10;

/// Unpacks what comes, bit by bit: whoever takes it can stop in time.
pub(super) struct Unpacker {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// What came and was not unpacked yet.
    packed: Bytes,
}

impl Unpacker {
    /// What a body needs to become the blob, if anything. A store may call a layer compressed that it only
    /// keeps as it is, which the length tells.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if it is packed by a method that is not known here.
    pub(super) fn of(answer: &Answer, size: u64) -> Result<Option<Self>> {
        let encoding = answer.header("content-encoding").unwrap_or("identity");
        let is = |name: &str| encoding.eq_ignore_ascii_case(name);
        if answer.status != 200 || answer.length() == Some(size) || is("identity") {
            return Ok(None);
        }
        if is("gzip") || is("x-gzip") {
            return Ok(Some(Self {
                decoder: MultiGzDecoder::new(Vec::new()),
                packed: Bytes::new(),
            }));
        }
        let encoding: String = encoding.escape_debug().take(40).collect();
        let what = format!(
            "it comes with Content-Encoding {encoding}, which a proxy before the registry must have added"
        );
        Err(Error::new(ErrorKind::Io, what))
    }

    /// Takes what came; what was there before must have been unpacked.
    pub(super) fn feed(&mut self, packed: Bytes) {
        self.packed = packed;
    }

    /// The next bytes, as long as there is something to unpack.
    ///
    /// # Errors
    ///
    /// If it is not gzip.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.packed.is_empty() {
            let step = self.packed.split_to(STEP.min(self.packed.len()));
            self.decoder.write_all(&step)?;
            let piece = std::mem::take(self.decoder.get_mut());
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
        }
        Ok(None)
    }

    /// The last bytes, after the end of the body.
    ///
    /// # Errors
    ///
    /// If that was not the end of it.
    pub(super) fn end(&mut self) -> io::Result<Option<Bytes>> {
        self.decoder.try_finish()?;
        let piece = std::mem::take(self.decoder.get_mut());
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}
