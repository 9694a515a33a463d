//! How much is asked of a registry: counted, slowed down, kept within a quota; and each registry by
//! its own rules. Only counts are looked at, no times.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../quirks/kit.rs"]
mod kit;
#[path = "../support/mod.rs"]
mod support;

mod counts;
mod quota;
mod rules;
mod speed;

use std::time::Duration;

/// Long enough for whatever may happen at once on this machine. Where nothing may happen, more would
/// prove no more.
const A_WHILE: Duration = Duration::from_millis(300);
