//! What must hold whatever comes from outside: a function from bytes for each kind of input, which
//! panics if it does not hold. `fuzz/` feeds them with what coverage finds, and the tests here with the
//! same seeds, changed at random, on a stable compiler.
//!
//! It is public, though hidden, because fuzz targets are another crate, and much of what they try is
//! private. Each function stands beside what it tries. Nothing of it is in a build without the feature
//! `fuzzing`.

#[cfg(test)]
mod tests;

pub use crate::image::fuzzing::{digest, manifest, reference};
pub use crate::store::archive::fuzzing::{archive, with_checksums};
pub use crate::store::registry::conf::fuzzing::registries_conf;
pub use crate::store::registry::credentials::fuzzing::auth_file;
pub use crate::store::registry::fuzzing::{link, location, refusal, retry_after, www_authenticate};
pub use crate::sync::config::fuzzing::yaml;

/// What is tried with bytes.
pub type Body = fn(&[u8]);

/// Every target by its name, which is that of its folder in `fuzz/corpus`.
pub const TARGETS: [(&str, Body); 12] = [
    ("archive", archive),
    ("auth_file", auth_file),
    ("digest", digest),
    ("link", link),
    ("location", location),
    ("manifest", manifest),
    ("reference", reference),
    ("refusal", refusal),
    ("registries_conf", registries_conf),
    ("retry_after", retry_after),
    ("www_authenticate", www_authenticate),
    ("yaml", yaml),
];
