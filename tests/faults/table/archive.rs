//! Archives and directories that are read (A).

use super::Cell;

pub(super) fn cells() -> Vec<Cell> {
    Vec::new()
}
