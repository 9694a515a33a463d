//! imgcopy under the name of skopeo, beside Debian's skopeo: the same command lines in two places, and
//! what came of them compared.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod copying;
#[path = "../support/engine.rs"]
mod engine;
mod own;
mod pair;
mod policies;
mod reading;
mod registry;
#[allow(dead_code, clippy::print_stderr)]
#[path = "../registries/server.rs"]
mod server;
mod sharing;
#[path = "../support/mod.rs"]
mod support;
mod sync;
mod texts;
