//! What the tests share: running the command, finding fixtures and peers, making archives.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// What a run of a program gave.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Panics with everything that was said unless the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Panics unless the program failed with this exit code, in one clear error and no panic.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert_eq!(self.stderr.matches("error:").count(), 1, "{}", self.stderr);
        assert_eq!(self.stdout, "", "an error says nothing on stdout");
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The command under test.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_imgcopy"))
}

/// Runs the command under test.
pub fn imgcopy<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    Run::of(command().args(args))
}

/// A file or directory of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    assert!(found.exists(), "{} is missing", found.display());
    found
}

/// What is directly inside a folder of `tests/fixtures`, sorted.
pub fn fixtures(folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(fixture(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

pub fn tempdir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Whether a real tool is there. In CI it must be; elsewhere the test says what it leaves out.
pub fn has_peer(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} must be installed in CI");
        eprintln!("left out: {program} is not installed");
    }
    found
}

/// Every path below `root`, relative to it, sorted; for telling whether anything changed.
pub fn tree(root: &Path) -> Vec<String> {
    fn visit(root: &Path, at: &Path, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(at) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(root).unwrap().display().to_string());
            if path.symlink_metadata().unwrap().is_dir() {
                visit(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    visit(root, root, &mut found);
    found.sort();
    found
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    imgcopy::image::Digest::of(bytes).hex().to_string()
}

/// A docker-save archive that is put together entry by entry, so that it can be wrong.
pub struct Archive {
    tar: tar::Builder<Vec<u8>>,
}

impl Archive {
    pub fn new() -> Self {
        Self { tar: tar::Builder::new(Vec::new()) }
    }

    /// Adds a file. The name is taken as it is, `..` and all.
    pub fn file(mut self, name: &str, content: &[u8]) -> Self {
        self.entry(tar::EntryType::Regular, name, "", content);
        self
    }

    pub fn symlink(mut self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, name, target, b"");
        self
    }

    pub fn hardlink(mut self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Link, name, target, b"");
        self
    }

    /// Adds any entry. Names must fit the header's own field (100 bytes).
    pub fn entry(&mut self, kind: tar::EntryType, name: &str, target: &str, content: &[u8]) {
        let mut header = tar::Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        self.tar.append(&header, content).unwrap();
    }

    pub fn bytes(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }

    /// Writes the archive into a directory and gives its path.
    pub fn write(self, directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }
}

/// A small image of plain layers with the given contents, as `docker save` would write it.
pub fn image(layers: &[&[u8]], tag: &str) -> Archive {
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string();
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let list = serde_json::json!([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).to_string();
    let mut archive = Archive::new();
    for (name, layer) in names.iter().zip(layers) {
        archive = archive.file(name, layer);
    }
    archive.file(&config_name, config.as_bytes()).file("manifest.json", list.as_bytes())
}
