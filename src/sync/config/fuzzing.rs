//! What must hold of a `sync.yaml` and of other tools' files, whatever stands in them.
#![allow(clippy::unwrap_used, reason = "a body fails by panicking")]

use std::ffi::OsString;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::problem::MASK;
use super::{Config, Surroundings, Tool, convert, load};
use crate::error::fuzzing::harmless;

/// What `${file:…}` stands for.
const SECRET: &str = "c4n4ry-n0b0dy-l00ks";

/// The longest message, in characters.
const LONGEST: usize = 4096;

/// A file that includes itself or an equal one, variables, and a secret.
struct Around<'a>(&'a [u8]);

impl Surroundings for Around<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "V" => Some("{tag}*".to_string()),
            "NONE" => None,
            // Other tools' files name what they like.
            _ => Some("set".to_string()),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("sync.yaml" | "a.yaml") => Ok(self.0.to_vec()),
            Some("none") => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(SECRET.into()),
        }
    }

    fn list(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(vec!["sync.yaml".into(), "a.yaml".into(), "b.txt".into()])
    }
}

/// Bytes as a `sync.yaml`, and as the files of other tools. What a file means is a file that means the
/// same; each problem has its place and can be shown; no secret from a file is in either; and what other
/// tools' files become has a `sync.yaml`'s keys.
///
/// # Panics
/// If not so.
pub fn yaml(bytes: &[u8]) {
    // What the file itself says is no secret: coverage finds such words, too.
    if String::from_utf8_lossy(bytes).contains(SECRET) {
        return;
    }
    match load(Path::new("sync.yaml"), &Around(bytes)) {
        Ok(config) => means_the_same(&config),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.at.line > 0 && problem.at.column > 0);
                can_be_told(&problem.to_string());
            }
        }
    }
    for tool in [Tool::Regsync, Tool::Skopeo, Tool::Dregsy] {
        match convert(tool, Path::new("old.yaml"), bytes) {
            Ok(made) => {
                made.left.iter().for_each(|it| can_be_told(it));
                assert!(made.text.lines().all(|line| line.chars().all(is_plain)));
                let loaded = load(Path::new("sync.yaml"), &Around(made.text.as_bytes()));
                for problem in loaded.err().into_iter().flatten() {
                    // Names and values are the old file's; keys are ours.
                    can_be_told(&problem.to_string());
                    assert!(!problem.text.contains("unknown key"), "{problem}");
                }
            }
            Err(problems) => problems.iter().for_each(|it| can_be_told(&it.to_string())),
        }
    }
}

fn is_plain(c: char) -> bool {
    !c.is_control() || c == '\t'
}

fn can_be_told(text: &str) {
    harmless(text);
    assert!(!text.contains(SECRET), "{text:?} tells a secret");
    assert!(text.chars().count() <= LONGEST);
}

fn means_the_same(config: &Config) {
    let printed = config.to_yaml();
    assert!(!printed.contains(SECRET), "a secret is printed");
    if printed.contains(MASK) {
        return;
    }
    let again = load(Path::new("sync.yaml"), &Around(printed.as_bytes()));
    let again = again.unwrap_or_else(|told| unreachable!("{told:?} in {printed}"));
    assert_eq!(without_places(&again), without_places(config), "{printed}");
}

/// The document without the keys that say where something stood.
fn without_places(config: &Config) -> Value {
    let mut document = config.document();
    let images = document.get_mut("images").and_then(Value::as_array_mut);
    for image in images.into_iter().flatten() {
        image.as_object_mut().unwrap().remove("x-at");
    }
    document
}
