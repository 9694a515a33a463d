//! Pruning: tags that no source has any more go from where the file writes, and every guard keeps them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "../registries/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod guards;
mod images;
mod places;
mod real;

use std::collections::BTreeMap;

use imgcopy::sync::report::{Report, Status};
use support::registry::Registry;
use support::{Run, command, tempdir};
use tempfile::TempDir;

/// A folder with a `sync.yaml`, and the registry that it reads from and writes to.
struct Mirror {
    folder: TempDir,
    registry: Registry,
}

/// What a run said and reported.
struct Night {
    run: Run,
    report: Option<Report>,
}

impl Mirror {
    /// `source/app` has `v1` to `v3`, and `copy/app` these and more of other images.
    fn with(more: &[&str]) -> Self {
        let mirror = Self::empty();
        let registry = &mirror.registry;
        for (seed, tag) in (1..).zip(["v1", "v2", "v3"]) {
            registry.add_image("source/app", tag, &[100], seed);
            registry.add_image("copy/app", tag, &[100], seed);
        }
        for (seed, tag) in (10..).zip(more) {
            registry.add_image("copy/app", tag, &[100], seed);
        }
        mirror
    }

    fn empty() -> Self {
        Self {
            folder: tempdir(),
            registry: Registry::start(),
        }
    }

    /// Everything of `source/app` to `copy/app`, pruned as this says.
    fn file(&self, prune: &str) -> String {
        let host = self.registry.host();
        format!(
            "version: 1\nimages:\n- {{from: {host}/source/app, tags: '*', to: {host}/copy/app}}\n\
             prune: {prune}\n"
        )
    }

    fn night(&self, file: &str, more: &[&str]) -> Night {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("sync.yaml"), file).unwrap();
        let (report, state) = (path("report.json"), path("state"));
        let _ = std::fs::remove_file(&report);
        let mut command = command();
        command
            .current_dir(self.folder.path())
            .args(["sync", "sync.yaml", "--report", "report.json"])
            .args(more)
            .env("STATE", state);
        let run = Run::of(&mut command);
        let report = std::fs::read(&report).ok();
        let report = report.map(|json| Report::parse(&json).unwrap());
        Night { run, report }
    }

    fn tags(&self, repository: &str) -> Vec<String> {
        self.registry.tags(repository)
    }
}

impl Night {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.run.code, Some(code), "{}", self.run.stderr);
        self
    }

    /// The rows that pruning made: what they are about, after the last slash, and why.
    fn rows(&self) -> BTreeMap<String, (Status, String)> {
        let rows = &self.report.as_ref().unwrap().rows;
        let rows = rows.iter().filter(|row| row.source.is_empty());
        rows.map(|row| {
            let what = row.destination.rsplit('/').next().unwrap();
            let reason = row.reason.clone().unwrap_or_default();
            (what.to_string(), (row.status, reason))
        })
        .collect()
    }

    #[track_caller]
    fn is(&self, what: &str, status: Status, why: &str) {
        let rows = self.rows();
        let row = rows.get(what).unwrap_or_else(|| panic!("{what}: {rows:?}"));
        assert_eq!(row.0, status, "{rows:?}");
        assert!(row.1.contains(why), "{}", row.1);
    }
}
