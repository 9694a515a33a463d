//! Known holes: Cargo.lock against advisories in the form of the `RustSec` database.

use std::path::{Path, PathBuf};
use std::process::Command;

use semver::{Version, VersionReq};
use serde::Deserialize;

use super::deny::{Ignored, deny};
use super::locked::{Package, packages};

/// Names a clone of the database, to be used instead of the snapshot.
const INSTEAD: &str = "IMGCOPY_ADVISORIES";

#[derive(Deserialize)]
struct Document {
    advisory: Head,
    versions: Versions,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    package: String,
    withdrawn: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

/// One advisory: what it is about in a line, and which versions it is about.
struct Advisory {
    head: Head,
    versions: Versions,
    title: String,
}

impl Advisory {
    /// The front matter is TOML in a fence, what follows is Markdown.
    fn read(text: &str) -> Self {
        let inside = text.strip_prefix("```toml\n").expect("no front matter");
        let (front, prose) = inside.split_once("\n```").expect("no end of front matter");
        let Document { advisory, versions } = toml::from_str(front).unwrap();
        let title = prose.lines().find_map(|line| line.strip_prefix("# "));
        Self {
            head: advisory,
            versions,
            title: title.unwrap_or_default().to_string(),
        }
    }

    /// A pre-release counts as its release: it may have the hole, and ranges do not speak of it.
    fn concerns(&self, package: &Package) -> bool {
        let Version {
            major,
            minor,
            patch,
            ..
        } = package.version;
        let release = Version::new(major, minor, patch);
        let Versions {
            patched,
            unaffected,
        } = &self.versions;
        let is_safe = patched
            .iter()
            .chain(unaffected)
            .any(|range| range.matches(&release));
        self.head.package == package.name && self.head.withdrawn.is_none() && !is_safe
    }
}

/// Where the advisories are, and what is known of their age.
struct Database {
    root: PathBuf,
    /// The packages that were looked up; `None` if it has all that there are.
    covers: Option<Vec<String>>,
    age: String,
}

impl Database {
    fn found() -> Self {
        match std::env::var_os(INSTEAD) {
            Some(clone) => Self::clone_at(Path::new(&clone)),
            None => Self::snapshot(),
        }
    }

    fn snapshot() -> Self {
        #[derive(Deserialize)]
        struct Snapshot {
            commit: String,
            date: jiff::civil::Date,
            covers: Vec<String>,
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/advisories");
        let text = std::fs::read_to_string(root.join("SNAPSHOT.toml")).unwrap();
        let Snapshot {
            commit,
            date,
            covers,
        } = toml::from_str(&text).unwrap();
        let days = (jiff::Zoned::now().date() - date).get_days();
        let age = format!(
            "the advisories in tests/fixtures are of {date} ({days} days old, commit {}); \
             .ci/refresh-advisories takes newer ones from a clone",
            &commit[..12]
        );
        Self {
            root,
            covers: Some(covers),
            age,
        }
    }

    fn clone_at(root: &Path) -> Self {
        assert!(
            root.join("crates").is_dir(),
            "{INSTEAD}: {} is no clone of the advisory database",
            root.display()
        );
        let git = Command::new("git")
            .current_dir(root)
            .args(["log", "-1", "--format=%cs"])
            .output();
        let date = git.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
        let age = format!(
            "the advisories in {} are of {}",
            root.display(),
            date.unwrap_or_default()
        );
        Self {
            root: root.to_path_buf(),
            covers: None,
            age,
        }
    }

    fn of(&self, package: &str) -> Vec<Advisory> {
        let Ok(files) = std::fs::read_dir(self.root.join("crates").join(package)) else {
            return Vec::new();
        };
        let paths = files.map(|file| file.unwrap().path());
        paths
            .map(|path| Advisory::read(&std::fs::read_to_string(path).unwrap()))
            .collect()
    }
}

fn holes(packages: &[Package], database: &Database, ignored: &[Ignored]) -> Vec<String> {
    let is_ignored = |advisory: &Advisory| ignored.iter().any(|i| i.id == advisory.head.id);
    let mut found = Vec::new();
    for package in packages {
        let concerning = database
            .of(&package.name)
            .into_iter()
            .filter(|advisory| advisory.concerns(package) && !is_ignored(advisory));
        found.extend(concerning.map(|advisory| {
            let Advisory { head, title, .. } = advisory;
            format!("{}: {}: {title}", package.shown(), head.id)
        }));
    }
    found
}

#[test]
fn s58_no_locked_package_has_a_known_hole() {
    let database = Database::found();
    println!("{}", database.age);
    let ignored = deny().advisories.ignore;
    let found = holes(&packages(), &database, &ignored);
    assert!(
        found.is_empty(),
        "\n{}\n({})",
        found.join("\n"),
        database.age
    );
}

#[test]
fn s58_the_snapshot_has_looked_up_every_locked_package() {
    let covers = Database::snapshot().covers.unwrap();
    let missing = packages()
        .into_iter()
        .filter(|package| !covers.contains(&package.name))
        .map(|package| {
            let shown = package.shown();
            format!("{shown} is new: run .ci/refresh-advisories with a clone of the database")
        });
    super::nothing(missing);
}

#[test]
fn an_ignored_advisory_says_why() {
    for Ignored { id, reason } in deny().advisories.ignore {
        assert!(reason.len() > 10, "{id}: \"{reason}\" is no reason");
    }
}

fn locked(name: &str, version: &str) -> Package {
    Package {
        name: name.to_string(),
        version: version.parse().unwrap(),
        licence: String::new(),
        source: String::new(),
    }
}

#[test]
fn a_hole_of_the_past_is_found_in_the_snapshot() {
    let database = Database::snapshot();
    let old = [locked("h2", "0.4.3"), locked("h2", "0.4.4")];
    let found = holes(&old, &database, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("h2 0.4.3: RUSTSEC-2024-0332: Degradation"));
    let ignored = Ignored {
        id: "RUSTSEC-2024-0332".to_string(),
        reason: String::new(),
    };
    assert_eq!(holes(&old, &database, &[ignored]), [""; 0]);
}

#[test]
fn an_advisory_is_about_the_versions_outside_of_its_ranges() {
    let text = |withdrawn: &str| {
        format!(
            "```toml\n[advisory]\nid = \"X-1\"\npackage = \"x\"\n{withdrawn}\n[versions]\n\
             patched = [\"^0.3.26\", \">= 0.4.4\"]\nunaffected = [\"< 0.2\"]\n```\n\n# It leaks\n"
        )
    };
    let advisory = Advisory::read(&text(""));
    assert_eq!(advisory.title, "It leaks");
    let concerns = |version: &str| advisory.concerns(&locked("x", version));
    for bad in [
        "0.2.0",
        "0.3.25",
        "0.4.0",
        "0.4.3",
        "0.4.3+build",
        "0.3.0-rc.1",
    ] {
        assert!(concerns(bad), "{bad}");
    }
    for good in ["0.1.9", "0.3.26", "0.3.99", "0.4.4", "1.0.0", "0.5.0-rc.1"] {
        assert!(!concerns(good), "{good}");
    }
    assert!(!advisory.concerns(&locked("y", "0.4.3")));
    let withdrawn = Advisory::read(&text("withdrawn = \"2025-02-22\""));
    assert!(!withdrawn.concerns(&locked("x", "0.4.3")));
}
