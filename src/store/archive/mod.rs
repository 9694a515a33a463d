//! Archives: tar files that hold images, read in place.

mod docker;
mod outer;
mod tar_index;

pub use docker::DockerArchive;
