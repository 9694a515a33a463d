//! Decompression of whatever archives and layers come in.

use std::io::{BufReader, Read};

use crate::error::Result;
use crate::image::Compression;

/// How much compressed input is taken at a time, in bytes.
const INPUT: usize = 256 << 10;

/// The most memory that xz may ask for, in bytes: `xz -9` needs 65 MiB (S-22).
const XZ_MEMORY: u64 = 128 << 20;

/// Reads the content of a compressed stream; streams that follow each other are one content.
///
/// # Errors
/// `Io` if a decompressor cannot be set up. Damaged input fails when it is read.
pub fn decoder<'a>(
    from: impl Read + Send + 'a,
    compression: Compression,
) -> Result<Box<dyn Read + Send + 'a>> {
    let from = BufReader::with_capacity(INPUT, from);
    Ok(match compression {
        Compression::None => Box::new(from),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(from)?),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(from)),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)
                .map_err(std::io::Error::from)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(from, stream))
        }
    })
}
