//! Archives: tar files that hold images, read in place.

mod docker;
mod outer;
mod tar_index;
mod tar_walk;

pub use docker::DockerArchive;
