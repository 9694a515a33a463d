//! Looking at images without copying them.

mod describe;
mod verify;
mod walk;

pub use describe::{Description, LayerDescription, PlatformDescription, describe};
pub use verify::{Finding, Verdict, verify};
pub use walk::{Graph, Visit, read, read_config, root, walk, walk_by};
