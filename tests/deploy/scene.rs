//! A directory with a `sync.yaml` that needs no network, and a shell that finds imgcopy.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{self, Run};

/// How many images [`Scene`]'s file copies. They go to as many places, so that shards differ.
pub(crate) const IMAGES: usize = 4;

pub(crate) struct Scene {
    home: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let home = support::tempdir();
        let archive = support::fixture("docker28/multiimage.tar");
        let names = ["base", "child1", "child2", "whiteout"];
        let images = names.map(|name| {
            format!(
                "- {{from: \"docker-archive:{}:corpus/tiny:{name}\", to: \"oci:{}/{name}\"}}\n",
                archive.display(),
                home.path().join("mirror").display(),
            )
        });
        let text = format!("version: 1\nimages:\n{}", images.concat());
        std::fs::write(home.path().join("sync.yaml"), text).unwrap();
        Self { home }
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    /// Runs a script as CI systems do, where `imgcopy` is on the path.
    pub(crate) fn shell(&self, script: &str, environment: &[(&str, &str)]) -> Run {
        let program = Path::new(env!("CARGO_BIN_EXE_imgcopy")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        Run::of(
            Command::new("sh")
                .args(["-eu", "-c", script])
                .current_dir(self.path())
                .env("PATH", path)
                .env(support::NO_CACHE.0, support::NO_CACHE.1)
                .envs(environment.iter().copied()),
        )
    }

    /// A report that a command wrote.
    pub(crate) fn report(&self, name: &str) -> Value {
        let json = std::fs::read(self.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        serde_json::from_slice(&json).unwrap()
    }

    /// Panics unless every image was copied by exactly one share of the work, and none twice.
    pub(crate) fn check_complete(&self, merged: &str) {
        let report = self.report(merged);
        let rows = report["rows"].as_array().unwrap();
        let new = rows.iter().filter(|row| row["status"] == "new").count();
        assert_eq!((new, rows.len()), (IMAGES, IMAGES), "{report}");
    }
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A YAML document as JSON.
pub(crate) fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}
