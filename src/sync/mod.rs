//! Many copies: what a file says ([`config`]), which tags that means ([`select`]), and what came of it
//! ([`report`]).

pub mod config;
pub mod report;
pub mod select;
