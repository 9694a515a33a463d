//! Nights of many images (Y).

mod defect;
mod hosts;
mod night;
mod process;

use super::Cell;

pub(super) fn cells() -> Vec<Cell> {
    hosts::cells().into_iter().chain(process::cells()).collect()
}
