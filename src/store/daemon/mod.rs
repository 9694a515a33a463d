//! The images of a Docker engine, by its API (Docker Engine API, "Images"). An engine gives and takes
//! archives as `docker save` writes them, so behind it stands the archive.

mod access;
mod answers;
mod engine;
mod export;
mod load;
mod source;

pub use access::Access;
pub use load::DaemonLoad;
pub use source::Daemon;
