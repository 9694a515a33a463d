//! `imgcopy sync` on good nights and bad ones: what it costs, what arrives, what is told, and that no
//! tag ever points at something incomplete. Each defect of others that is known is here as the opposite.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../quirks/kit.rs"]
mod kit;
#[allow(dead_code, clippy::print_stderr)]
#[path = "../registries/server.rs"]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod archives;
mod change;
mod crash;
mod down;
mod limits;
mod locked;
mod night;
mod problems;
mod quiet;
mod real;
mod refused;
mod share;
mod spread;
