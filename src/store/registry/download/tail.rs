//! Whether a registry can be asked for parts: what came after a download went on is compared with what
//! comes when the same blob is read again.
//!
//! Who checks digests is further up, and begins again without a word. A blob is also read again where
//! its upload must begin anew, so that alone says nothing against its source. The hash of the part
//! costs something only where a download broke off.

use crate::image::{Algorithm, Digest, Hasher};

/// What was read of a blob from some byte on.
pub(super) struct Tail {
    from: u64,
    hasher: Hasher,
}

/// What a blob had from some byte on.
#[derive(Clone)]
pub(in crate::store::registry) struct Part {
    pub(super) from: u64,
    digest: Digest,
}

impl Part {
    /// Whether this is not what came when the blob was read again.
    pub(in crate::store::registry) fn is_wrong(&self, again: &Self) -> bool {
        self.from == again.from && self.digest != again.digest
    }
}

impl Tail {
    pub(super) fn new(from: u64) -> Self {
        let hasher = Hasher::new(Algorithm::Sha256);
        Self { from, hasher }
    }

    /// Takes the next piece of the blob, which begins there.
    pub(super) fn take(&mut self, at: u64, piece: &[u8]) {
        let before = usize::try_from(self.from.saturating_sub(at)).unwrap_or(usize::MAX);
        self.hasher.update(piece.get(before..).unwrap_or_default());
    }

    /// The blob has ended.
    pub(super) fn end(self) -> Part {
        Part {
            from: self.from,
            digest: self.hasher.finish(),
        }
    }
}
