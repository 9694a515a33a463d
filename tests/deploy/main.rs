//! What others copy from here into their clusters, machines and pipelines: every file is what its system
//! takes, and every command line in it is run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "../support/mod.rs"]
mod support;

mod container;
mod documents;
mod kubernetes;
mod pipelines;
mod scene;
mod systemd;
