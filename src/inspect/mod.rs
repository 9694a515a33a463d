//! Looking at images without copying them.

mod choose;
mod describe;
mod document;
mod verify;
mod walk;

pub use choose::choose;
pub(crate) use choose::{Pick, may_be_image, pick};
pub use describe::{
    Description, LayerDescription, PlatformDescription, config, describe, repo_tags,
};
pub use verify::{Finding, Verdict, verify};
pub use walk::{Graph, Visit, digest, read, read_config, root, tags_of, walk, walk_by};
