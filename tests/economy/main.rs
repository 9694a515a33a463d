//! What a copy asks for, counted: no request that an answer was known to, no byte twice.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../quirks/kit.rs"]
mod kit;
#[path = "../support/mod.rs"]
mod support;

mod command;
mod images;
mod nights;
mod order;
mod places;
mod remembered;
mod shared;
mod tokens;

use support::registry::{Form, Image};

/// Five layers and a config.
const SIZES: [usize; 5] = [5000, 4000, 3000, 2000, 1000];

fn five() -> Image {
    Image::new(Form::OciGzip, &SIZES, 1)
}

/// The same but for the last layer, and so the config.
fn changed() -> Image {
    Image::new(Form::OciGzip, &[5000, 4000, 3000, 2000, 1500], 1)
}
