//! Architecture as a test: which module may use which, how long a file may be, and what no file
//! may hold. A rule that only stands in a document is broken within a month.
//!
//! The sources are read as text: comments and strings are blanked, `use` trees are spread out, and
//! every path that begins with `crate`, `super`, `self` or a child module is resolved, through
//! re-exports too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod arrows;
mod rules;
mod samples;
mod words;

use std::path::Path;

use rules::*;

/// The top-level modules. Each may use only those to its right.
const ORDER: [&str; 8] = [
    "bin", "fuzzing", "sync", "copy", "inspect", "store", "image", "error",
];

/// What every part of `store` may use of its siblings.
const SHARED_IN_STORE: [&str; 3] = ["blob", "compress", "files"];

/// Opens every kind of store by its reference, so it uses them all.
const OPENER: &str = "open";

/// Arrows between siblings in `store` that are meant: who, what, and why.
const STORE_EXCEPTIONS: [(&str, &[&str], &str); 2] = [
    (
        "archive",
        &["store", "oci_dir", "index"],
        "OCI archives, and those of Docker 25 and later, hold an index.json like that of an OCI directory",
    ),
    (
        "daemon",
        &["store", "archive"],
        "a Docker engine gives and takes archives of docker save, and nothing else",
    ),
];

/// The longest a source file may be, in lines. The guide is 300; files of tests are exempt.
const LINES: usize = 400;

/// Macros that print or stand for missing code. The binary prints through `render`.
const MACROS: [&str; 7] = [
    "print",
    "println",
    "eprint",
    "eprintln",
    "dbg",
    "todo",
    "unimplemented",
];

#[test]
fn a_module_uses_only_those_to_its_right() {
    nothing(&arrows_to_the_left(&real()));
}

#[test]
fn a_kind_of_store_does_not_know_the_others() {
    nothing(&arrows_between_stores(&real()));
}

#[test]
fn the_binary_uses_the_public_modules_and_its_own() {
    nothing(&foreign_to_the_binary(&real()));
}

#[test]
fn folders_do_not_use_each_other_in_a_circle() {
    nothing(&circles(&real()));
}

#[test]
fn no_file_is_too_long() {
    nothing(&too_long(&real()));
}

#[test]
fn the_library_does_not_print_and_leaves_nothing_to_do() {
    nothing(&forbidden_macros(&real()));
}

#[test]
fn nothing_is_unsafe() {
    nothing(&unsafe_files(&real()));
}

#[track_caller]
fn nothing(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// A source file: its path below `src`, and its text.
struct File {
    path: String,
    text: String,
}

fn real() -> Vec<File> {
    fn visit(root: &Path, at: &Path, files: &mut Vec<File>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(root, &path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(root).unwrap();
                files.push(File {
                    path: below.to_str().unwrap().to_string(),
                    text: std::fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    visit(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 20, "the sources were not found");
    files
}
