//! Uploads that are completed (X), and manifests that are written (W).

use super::Cell;

pub(super) fn cells() -> Vec<Cell> {
    Vec::new()
}
