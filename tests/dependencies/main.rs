//! What imgcopy is built from: where each package comes from, under which licence, which packages
//! and versions are kept out, and which have known holes (S-58). The lists are those of `deny.toml`;
//! cargo says what is locked, offline.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::print_stdout
)]

mod advisories;
mod deny;
mod licences;
mod locked;
mod used;

use std::collections::BTreeSet;
use std::path::Path;

use deny::deny;
use licences::is_allowed;
use locked::packages;

#[test]
fn s58_every_package_comes_from_the_public_registry() {
    let sources = deny().sources;
    assert_eq!(sources.unknown_registry, "deny");
    assert_eq!(sources.unknown_git, "deny");
    // Not from a git repository, a folder or another registry: Cargo.lock names one source.
    let lock = top("Cargo.lock");
    let sources: BTreeSet<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    let registry = sources.first().unwrap().trim_matches('"');
    assert!(
        registry.starts_with("registry+") && registry.contains("crates.io"),
        "{registry}"
    );
    let all = packages();
    let strangers = all.iter().filter(|package| package.source != registry);
    nothing(strangers.map(|package| format!("{} comes from {}", package.shown(), package.source)));
}

#[test]
fn s58_every_licence_is_allowed() {
    let allowed = deny().licenses.allow;
    nothing(packages().iter().filter_map(|package| {
        let (shown, licence) = (package.shown(), &package.licence);
        match is_allowed(licence, &allowed) {
            Ok(true) => None,
            Ok(false) => Some(format!("{shown}: {licence} is not allowed")),
            Err(why) => Some(format!("{shown}: \"{licence}\": {why}")),
        }
    }));
}

#[test]
fn s23_s51_s58_no_banned_package_is_locked() {
    let banned = deny().bans.deny;
    assert!(banned.iter().any(|banned| banned.name == "h2"));
    nothing(packages().iter().filter_map(|package| {
        let ban = banned
            .iter()
            .find(|ban| ban.name == package.name && ban.version.matches(&package.version))?;
        Some(format!("{} is locked: {}", package.shown(), ban.reason))
    }));
}

#[track_caller]
fn nothing(complaints: impl Iterator<Item = String>) {
    let complaints: Vec<String> = complaints.collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// A file at the top of this repository.
fn top(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}
