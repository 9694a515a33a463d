//! Compression of layers: deterministic, in parallel over layers and inside each layer.
//!
//! A layer is cut into blocks of 1 MiB, and each block becomes a gzip member or zstd frame of its
//! own: a whole stream to every reader (RFC 1952 section 2.2, RFC 8878 section 3.1), and the same
//! bytes on every machine and with any number of threads, because no block knows of another.

mod decode;
mod encode;
mod workers;

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::image::Compression;

pub(crate) use decode::blame;
pub(crate) use decode::decoder;
pub(super) use encode::encode;
pub use workers::Workers;

/// Where pieces of content go.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// How a layer is to be compressed: by which method and how hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    compression: Compression,
    level: i32,
}

impl Coding {
    /// gzip at the default level: what every reader of images takes.
    pub const GZIP: Coding = Coding {
        compression: Compression::Gzip,
        level: 1,
    };

    /// Not at all.
    pub const PLAIN: Coding = Coding {
        compression: Compression::None,
        level: 0,
    };

    /// A method, and a level or the method's default: gzip 1 to 12 (1), zstd 1 to 19 (2).
    ///
    /// # Errors
    /// `Unsupported` if layers are not written so; `Invalid` if the level is out of range.
    pub fn new(compression: Compression, level: Option<i32>) -> Result<Self> {
        let (levels, default) = match compression {
            Compression::None => (0..=0, 0),
            Compression::Gzip => (1..=12, Self::GZIP.level),
            Compression::Zstd => (1..=19, 2),
            Compression::Bzip2 | Compression::Xz => {
                let what = format!(
                    "layers are not compressed with {compression}: it is no form of the OCI specification"
                );
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
        };
        let level = level.unwrap_or(default);
        if !levels.contains(&level) {
            let what = match compression {
                Compression::None => "layers that are not compressed have no level".to_string(),
                _ => format!(
                    "{compression} has the levels {} to {}",
                    levels.start(),
                    levels.end()
                ),
            };
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Self { compression, level })
    }

    /// The method.
    pub fn compression(self) -> Compression {
        self.compression
    }

    /// The level.
    pub fn level(self) -> i32 {
        self.level
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.compression {
            Compression::None => write!(f, "{}", self.compression),
            _ => write!(f, "{} level {}", self.compression, self.level),
        }
    }
}

impl Serialize for Coding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
