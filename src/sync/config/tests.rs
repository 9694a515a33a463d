//! Whole files: what they mean, and all that can be wrong with them.

mod agreement;
mod any_input;
mod bad;
mod meaning;
mod secrets;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{Config, Surroundings, load};

/// Files and variables that exist only here.
#[derive(Default)]
struct Made {
    files: BTreeMap<PathBuf, String>,
    variables: BTreeMap<String, String>,
}

impl Made {
    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    fn load(&self) -> Result<Config, String> {
        load(Path::new("sync.yaml"), self).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            told.join("\n")
        })
    }
}

impl Surroundings for Made {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.clone().into_bytes())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let directory = directory.strip_prefix(".").unwrap_or(directory);
        let below = self.files.keys().filter_map(|path| {
            let rest = path.strip_prefix(directory).ok()?;
            rest.iter().next().map(OsString::from)
        });
        Ok(below.collect())
    }
}

/// What a file means; the problems if it is bad.
fn read(text: &str) -> Result<Config, String> {
    Made::default().file("sync.yaml", text).load()
}

/// A file with one entry, given as lines of its map.
fn entry(lines: &str) -> Result<Config, String> {
    let lines = lines.replace('\n', "\n    ");
    read(&format!("version: 1\nimages:\n  - {lines}\n"))
}
