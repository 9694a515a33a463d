//! Archives: tar files that hold images, read in place and written in one piece. Their path may be `-`,
//! which is stdin or stdout.

mod docker;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod layer;
mod oci;
mod original;
mod outer;
mod shelf;
mod source;
mod stream;
mod tape;
mod tar_index;
mod tar_walk;
mod writer;

pub use docker::DockerArchive;
pub use oci::OciArchive;
pub use writer::{Kind, NewArchive};
