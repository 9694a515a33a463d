//! What registries do that no specification says, and what becomes of a copy then. Each test is
//! called after its row in this project's list of quirks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod kit;
#[path = "../support/mod.rs"]
mod support;

mod asking;
mod documents;
mod lists;
mod manifests;
mod referrers;
mod refusals;
mod uploads;

use support::registry::{Form, Image};

/// A small image of two layers.
fn two() -> Image {
    Image::new(Form::OciGzip, &[2000, 1000], 1)
}
