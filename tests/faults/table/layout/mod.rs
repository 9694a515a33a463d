//! Directories that are written (O).

mod broken;
mod writers;

use super::Cell;

pub(super) fn cells() -> Vec<Cell> {
    broken::cells()
        .into_iter()
        .chain(writers::cells())
        .collect()
}

/// The requests of a copy of one small layer from a registry into a directory.
const READ: usize = 4;
