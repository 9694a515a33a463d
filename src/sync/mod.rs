//! Many copies: which tags are copied ([`select`]), and what came of it ([`report`]).

pub mod report;
pub mod select;
