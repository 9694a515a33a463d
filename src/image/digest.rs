//! A digest: the name of content by its hash, as in the OCI image specification, "Digests".
//!
//! A `Digest` can only be made by parsing (which checks every character) or by hashing, so a text
//! that reaches a path, a URL or a screen through one is harmless (S-01).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

use crate::error::{Error, ErrorKind, Result};

/// The hash algorithms that imgcopy verifies. Others are refused before any I/O (S-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, what everybody uses.
    Sha256,
    /// SHA-512, the other registered algorithm.
    Sha512,
}

impl Algorithm {
    /// As it is written in front of the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Every algorithm, in the order of their names.
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    fn hex_length(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

/// A verified name: `sha256:` and 64 lower-case hexadecimal characters, or `sha512:` and 128.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// The digest of an uncompressed layer, as a config's `rootfs.diff_ids` lists it.
pub type DiffId = Digest;

impl Digest {
    /// The digest of `bytes`, by SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        Self::by(Algorithm::Sha256, bytes)
    }

    /// The digest of `bytes` by a chosen algorithm.
    pub fn by(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// A digest from its parts, for places that store them apart (`blobs/<algorithm>/<hex>`).
    ///
    /// # Errors
    /// `Invalid` if `hex` is not what the algorithm writes.
    pub fn from_parts(algorithm: Algorithm, hex: &str) -> Result<Self> {
        format!("{}:{hex}", algorithm.as_str()).parse()
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Twelve hexadecimal characters: enough to tell blobs apart on a screen.
    pub fn short(&self) -> &str {
        self.hex.get(..12).unwrap_or(&self.hex)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why: &str| {
            let shown: String = text.escape_debug().take(100).collect();
            Error::new(
                ErrorKind::Invalid,
                format!("invalid digest \"{shown}\": {why}"),
            )
        };
        let (name, hex) = text
            .split_once(':')
            .ok_or_else(|| invalid("it has no algorithm"))?;
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| invalid("the algorithm is neither sha256 nor sha512"))?;
        let is_lower_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if hex.len() != algorithm.hex_length() || !hex.bytes().all(is_lower_hex) {
            return Err(invalid(&format!(
                "{name} is followed by {} lower-case hexadecimal characters",
                algorithm.hex_length()
            )));
        }
        Ok(Self {
            algorithm,
            hex: hex.to_string(),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes a stream into a [`Digest`].
#[derive(Debug, Clone)]
pub enum Hasher {
    /// By SHA-256.
    Sha256(sha2::Sha256),
    /// By SHA-512.
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::default()),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was taken.
    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(hasher) => Digest {
                algorithm: Algorithm::Sha256,
                hex: hex_of(&hasher.finalize()),
            },
            Hasher::Sha512(hasher) => Digest {
                algorithm: Algorithm::Sha512,
                hex: hex_of(&hasher.finalize()),
            },
        }
    }
}

fn hex_of(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hashes_and_parses() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::by(Algorithm::Sha512, b"").hex().len(), 128);
        assert_eq!(Digest::of(b"").short(), "e3b0c44298fc");
    }

    #[test]
    fn s01_s04_refuses_everything_that_is_not_a_digest() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let bad = [
            String::new(),
            "sha256".into(),
            "sha256:".into(),
            "sha256:abc".into(),
            "sha256:../../x".into(),
            "sha256:%2e%2e".into(),
            format!("sha256:{hex}0"),
            format!("sha256:{hex}/../../v2/other"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("SHA256:{hex}"),
            format!(" sha256:{hex}"),
            format!("sha256:{hex}\r\n"),
            format!("sha256:{}\0", hex.get(..63).unwrap()),
            format!("sha512:{hex}"),
            format!("md5:{hex}"),
            format!("blake3:{hex}"),
            format!("sha256+b64:{hex}"),
            hex.to_string(),
        ];
        for text in bad {
            let error = text.parse::<Digest>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
            assert!(!error.to_string().contains(['\r', '\n', '\0']), "{text:?}");
        }
    }
}
