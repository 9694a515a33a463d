//! Whether the files of a configuration have changed since they were read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::store::locked;
use crate::sync::config::{self, Config, Problem, Process, Surroundings};

/// What tells one state of a file from another; `None` if it is not there.
type Look = Option<(u64, u64, i64, i64, u64)>;

/// The surroundings of this process, where it is noted which files and directories were read. Each is
/// looked at before it is read: whoever changes it meanwhile is noticed.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<BTreeMap<PathBuf, Look>>);

impl Noted {
    /// Reads a file and what it includes. What was read is noted even if there is something wrong.
    pub(super) fn load(file: &Path) -> (Self, Result<Config, Vec<Problem>>) {
        let noted = Self::default();
        let config = config::load(file, &noted);
        (noted, config)
    }

    /// Whether something has changed since.
    pub(super) fn has_changed(&self) -> bool {
        let noted = locked(&self.0);
        noted.iter().any(|(path, before)| look(path) != *before)
    }

    fn note(&self, path: &Path) {
        let mut noted = locked(&self.0);
        noted
            .entry(path.to_path_buf())
            .or_insert_with(|| look(path));
    }
}

fn look(path: &Path) -> Look {
    // Links are followed: Kubernetes puts a new directory behind one.
    let found = std::fs::metadata(path).ok()?;
    let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
    Some((found.dev(), found.ino(), seconds, nanoseconds, found.len()))
}

impl Surroundings for Noted {
    fn variable(&self, name: &str) -> Option<String> {
        Process.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.note(path);
        Process.read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.note(directory);
        Process.list(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_read_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        std::fs::create_dir(dir.path().join("teams")).unwrap();
        let secret = dir.path().join("secret");
        let main = format!(
            "version: 1\ninclude: teams/*.yaml\nregistries: {{r.corp: {{auth: {{token: '${{file:{}}}'}}}}}}\n",
            secret.display()
        );
        put("secret", "one");
        put("teams/a.yaml", "images: [{from: a:1, to: r.corp/a}]\n");
        put("sync.yaml", &main);
        let file = dir.path().join("sync.yaml");
        let changes: [&dyn Fn(); 5] = [
            &|| put("sync.yaml", &format!("{main}\n")),
            &|| put("teams/a.yaml", "images: [{from: a:2, to: r.corp/a2}]\n"),
            &|| put("teams/b.yaml", "images: [{from: b:1, to: r.corp/b}]\n"),
            &|| put("secret", "another"),
            &|| std::fs::remove_file(dir.path().join("teams/b.yaml")).unwrap(),
        ];
        for (n, change) in changes.iter().enumerate() {
            let (noted, config) = Noted::load(&file);
            config.unwrap();
            assert!(!noted.has_changed(), "{n}");
            change();
            assert!(noted.has_changed(), "{n}");
        }
        // What is not there yet is waited for.
        std::fs::remove_file(&file).unwrap();
        let (noted, config) = Noted::load(&file);
        config.unwrap_err();
        assert!(!noted.has_changed());
        put("sync.yaml", &main);
        assert!(noted.has_changed());
    }
}
