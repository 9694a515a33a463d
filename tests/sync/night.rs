//! A file, and what a run of it gives.
#![allow(unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::Command;

use imgcopy::sync::report::{Report, Row, Status};
use tempfile::TempDir;

use crate::support::registry::Server;
use crate::support::{Run, command, tempdir};

/// A directory with a `sync.yaml`.
pub struct Night {
    home: TempDir,
}

/// What is there after a run.
pub struct Morning {
    pub code: Option<i32>,
    pub report: Report,
    pub told: String,
}

impl Night {
    /// `images`: the entries, each from its dash on.
    pub fn of(images: &str) -> Self {
        let night = Self { home: tempdir() };
        night.wants(images);
        night
    }

    /// The file says this from now on.
    pub fn wants(&self, images: &str) {
        let rules = "registries: {\"127.0.0.1:*\": {tls: off}}\n";
        self.says(&format!("{rules}images:\n{images}\n"));
    }

    pub fn says(&self, text: &str) {
        std::fs::write(self.at("sync.yaml"), format!("version: 1\n{text}")).unwrap();
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The command, in the directory and impatient.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = command();
        command.current_dir(self.home.path()).arg(verb);
        command.args(["--retry-times", "2", "--retry-delay", "1ms"]);
        command.args(["--max-retry-wait", "1s"]);
        command
    }

    /// A run that gets as far as a report.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Morning {
        let report = self.at("report.json");
        let _ = std::fs::remove_file(&report);
        let ran = Run::of(
            self.command("sync")
                .args(["--report", "report.json"])
                .args(args),
        );
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        let json = std::fs::read(&report);
        let json = json.unwrap_or_else(|_| panic!("{:?} {}", ran.code, ran.stderr));
        Morning {
            code: ran.code,
            report: Report::parse(&json).unwrap(),
            told: ran.stderr,
        }
    }

    /// A run in which nothing goes wrong.
    #[track_caller]
    pub fn runs(&self) -> Morning {
        self.run(&[]).ended(0)
    }

    /// The file asks for what cannot be meant. Gives what is told.
    #[track_caller]
    pub fn is_wrong(&self) -> String {
        let ran = Run::of(&mut self.command("sync"));
        assert_eq!(ran.code, Some(64), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
        ran.stderr
    }
}

impl Morning {
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{:#?}", self.told, self.report);
        self
    }

    /// The statuses, in the order of the destinations.
    pub fn statuses(&self) -> Vec<Status> {
        self.report.rows.iter().map(|row| row.status).collect()
    }

    /// Panics unless all rows, and so many, have this status.
    #[track_caller]
    pub fn all(self, status: Status, count: usize) -> Self {
        assert_eq!(self.statuses(), vec![status; count], "{:#?}", self.report);
        self
    }

    /// The row of a destination that ends like this.
    #[track_caller]
    pub fn row(&self, ending: &str) -> &Row {
        let mut rows = self.report.rows.iter();
        let row = rows.find(|row| row.destination.ends_with(ending));
        row.unwrap_or_else(|| panic!("nothing ends in {ending}: {:#?}", self.report.rows))
    }

    /// Why a row is as it is.
    #[track_caller]
    pub fn reason(&self, ending: &str) -> &str {
        self.row(ending).reason.as_deref().unwrap()
    }
}

/// `  - {from: …, tags: …, to: …}` and more.
pub fn entry(from: &str, tags: &str, to: &str, more: &str) -> String {
    format!("  - {{from: \"{from}\", tags: [{tags}], to: \"{to}\"{more}}}\n")
}

/// `HOST/PATH`
pub fn repo(server: &Server, path: &str) -> String {
    format!("{}/{path}", server.host())
}

/// Requests but those for tokens.
pub fn requests(server: &Server) -> usize {
    server.count("*", "/v2/")
}
