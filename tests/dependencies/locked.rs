//! What is locked, asked of cargo, offline.

use std::process::Command;

use serde_json::Value;

/// A package that Cargo.lock names, this one left out.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: semver::Version,
    pub(super) licence: String,
    pub(super) source: String,
}

impl Package {
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// Every package below this one, for every platform and feature, those of the tests among them.
pub(super) fn packages() -> Vec<Package> {
    let metadata = metadata();
    let members = metadata["workspace_members"].as_array().unwrap().clone();
    let packages: Vec<Package> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| !members.contains(&package["id"]))
        .map(package)
        .collect();
    assert!(packages.len() > 100, "the packages were not found");
    packages
}

fn package(entry: &Value) -> Package {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_string();
    Package {
        name: text("name"),
        version: text("version").parse().unwrap(),
        licence: text("license"),
        source: text("source"),
    }
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--all-features",
            "--locked",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "packages for other platforms count, too: is `cargo fetch --locked` needed first?\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
