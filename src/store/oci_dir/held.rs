//! Layers that passed before anybody knew whether they are needed: whole, in the stage, without their
//! final name.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::session::Staged;
use crate::image::{DiffId, Digest};
use crate::store::blob::Passed;
use crate::store::locked;

/// What is held back. It goes when it is not asked for.
#[derive(Default)]
pub(super) struct Held(Mutex<BTreeMap<Digest, Layer>>);

struct Layer {
    staged: Staged,
    size: u64,
    diff_id: Option<DiffId>,
}

impl Held {
    pub(super) fn hold(&self, staged: Staged, passed: &Passed) {
        let layer = Layer {
            staged,
            size: passed.stored.size,
            diff_id: passed.diff_id.clone(),
        };
        locked(&self.0).insert(passed.stored.digest.clone(), layer);
    }

    /// The size of a layer that is held, in bytes.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        locked(&self.0).get(digest).map(|layer| layer.size)
    }

    /// A layer, to be given its place, and what it unpacks to.
    pub(super) fn take(&self, digest: &Digest) -> Option<(Staged, Option<DiffId>)> {
        let layer = locked(&self.0).remove(digest)?;
        Some((layer.staged, layer.diff_id))
    }

    pub(super) fn clear(&self) {
        locked(&self.0).clear();
    }
}
