//! Archives: tar files that hold images, read in place and written in one piece.

mod docker;
mod outer;
mod tar_index;
mod tar_walk;
mod writer;

pub use docker::DockerArchive;
pub use writer::{Kind, NewArchive};
