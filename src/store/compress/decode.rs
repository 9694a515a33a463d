//! Decompression of whatever archives and layers come in.

use std::io::{self, BufReader, Read};

use crate::error::{Error, ErrorKind, Result};
use crate::image::Compression;

/// How much compressed input is taken at a time, in bytes.
const INPUT: usize = 256 << 10;

/// The most memory that xz may ask for, in bytes: `xz -9` needs 65 MiB (S-22).
const XZ_MEMORY: u64 = 128 << 20;

/// Reads the content of a compressed stream; streams that follow each other are one content.
///
/// # Errors
/// `Io` if a decompressor cannot be set up. Damaged input fails when it is read.
pub(crate) fn decoder<'a>(
    from: impl Read + Send + 'a,
    compression: Compression,
) -> Result<Box<dyn Read + Send + 'a>> {
    let from = BufReader::with_capacity(INPUT, from);
    Ok(match compression {
        Compression::None => Box::new(from),
        Compression::Gzip => Box::new(Blamed(flate2::bufread::MultiGzDecoder::new(from))),
        Compression::Zstd => Box::new(Blamed(zstd::stream::read::Decoder::with_buffer(from)?)),
        Compression::Bzip2 => Box::new(Blamed(bzip2::bufread::MultiBzDecoder::new(from))),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)
                .map_err(io::Error::from)?;
            Box::new(Blamed(liblzma::bufread::XzDecoder::new_stream(
                from, stream,
            )))
        }
    })
}

/// A decompressor whose complaints are about its input.
struct Blamed<R>(R);

impl<R: Read> Read for Blamed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => blame(error).into(),
        })
    }
}

/// What a decompressor complains of is damaged input, unless reading that input failed by itself.
pub(crate) fn blame(error: io::Error) -> Error {
    let is_own = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
        .is_some();
    if is_own || error.raw_os_error().is_some() {
        return error.into();
    }
    let is_greedy = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<liblzma::stream::Error>())
        == Some(&liblzma::stream::Error::MemLimit);
    if is_greedy {
        let what = format!(
            "it takes more than {} MiB of memory to unpack",
            XZ_MEMORY >> 20
        );
        return Error::new(ErrorKind::Unsupported, what);
    }
    Error::new(ErrorKind::Corrupt, format!("it does not unpack: {error}"))
}
