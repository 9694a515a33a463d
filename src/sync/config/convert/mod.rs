//! Files of other tools as a `sync.yaml`. Text in, text out: no place is asked.
//!
//! What has no equal here is left out, as a comment and as a warning: a file that means less than the
//! old one must not look as if it meant the same. Passwords that stand in the old file are left out, too.

mod dregsy;
mod out;
mod regsync;
mod skopeo;

use std::path::Path;

use super::problem::{Problem, Problems};
use super::tree::{self, Mark};
use out::Out;

/// A tool whose files are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// regsync, of regclient.
    Regsync,
    /// `skopeo sync --src yaml`.
    Skopeo,
    /// dregsy.
    Dregsy,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The `sync.yaml`. It loads as it is, if the names and values of the old file are good ones.
    pub text: String,
    /// What could not be translated: a clause each, with its line. They are comments of the text.
    pub left: Vec<String>,
}

/// Translates a file of another tool.
///
/// # Errors
/// If it is no YAML, or nothing of that tool.
pub fn convert(tool: Tool, file: &Path, bytes: &[u8]) -> Result<Converted, Vec<Problem>> {
    let mut problems = Problems::new(file.to_path_buf());
    let Some(root) = tree::parse(bytes, &mut problems) else {
        return Err(problems.into_found());
    };
    let mut out = Out::default();
    let is_it = match tool {
        Tool::Regsync => regsync::read(&root, &mut out),
        Tool::Skopeo => skopeo::read(&root, &mut out),
        Tool::Dregsy => dregsy::read(&root, &mut out),
    };
    if !is_it {
        let what = match tool {
            Tool::Regsync => "regsync: it has no list `sync`",
            Tool::Skopeo => "skopeo sync: it has no registry with `images`",
            Tool::Dregsy => "dregsy: it has no list `tasks`",
        };
        problems.add(Mark::START, format!("this is no file of {what}"));
        return Err(problems.into_found());
    }
    Ok(out.finish())
}
