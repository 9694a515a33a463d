//! The nouns: what images are made of. Pure data: no I/O, nothing asynchronous.

pub(crate) mod companion;
mod config;
mod convert;
mod descriptor;
mod digest;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub(crate) mod json;
mod manifest;
mod media_type;
mod name;
mod platform;
mod reference;
mod repo_tag;
mod repository;

pub use config::{Config, HistoryEntry, RunConfig};
pub use descriptor::{Descriptor, REF_NAME};
pub use digest::{Algorithm, DiffId, Digest, Hasher};
pub use manifest::{Body, ImageManifest, Index, MANIFEST_LIMIT, Manifest};
pub use media_type::{Compression, Format, MediaKind, MediaType};
pub use name::{Name, Tag};
pub use platform::Platform;
pub use reference::{Reference, STDIO};
pub use repo_tag::RepoTag;
pub use repository::Repository;
