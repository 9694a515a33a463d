//! What users read when something goes wrong: that every text is seen before it ships, reads well,
//! and says what to do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod literals;
mod mistakes;
mod registry;
mod rules;
mod statuses;
#[path = "../support/mod.rs"]
mod support;
mod yaml;
