//! What imgcopy is built from: where each package comes from, under which licence, and which
//! packages and versions are kept out (S-58). Asks cargo, offline, for exactly what is locked.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Licences that a binary under Apache-2.0 may be made from without asking anybody.
const LICENCES: [&str; 15] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "0BSD",
    "Unlicense",
    "BSL-1.0",
    "bzip2-1.0.6",
    // For data: the list of authorities that browsers trust.
    "CDLA-Permissive-2.0",
];

/// Packages that must not be in the binary, and why.
const BANNED: [(&str, &str); 9] = [
    (
        "openssl-sys",
        "a C library to patch on every machine; rustls does it",
    ),
    ("native-tls", "it brings openssl-sys"),
    ("unsafe-libyaml", "C turned into unsafe Rust"),
    ("serde_yaml", "no longer maintained"),
    ("serde_yml", "a fork of serde_yaml, which is kept out, too"),
    ("tokio-tar", "abandoned with a hole (CVE-2025-62518)"),
    (
        "astral-tokio-tar",
        "a fork of tokio-tar; archives are read by one tar reader only",
    ),
    ("xz2", "unmaintained; liblzma follows it"),
    ("oci-distribution", "renamed and no longer maintained"),
];

/// Versions below which a package has a known hole.
const FLOORS: [(&str, [u64; 3], &str); 2] = [
    (
        "tar",
        [0, 4, 46],
        "PAX sizes lead it astray (CVE-2026-33056)",
    ),
    ("h2", [0, 4, 16], "the floor that S-58 sets"),
];

#[test]
fn s58_every_package_comes_from_the_public_registry() {
    let metadata = metadata();
    let members = ids(&metadata["workspace_members"]);
    // Not from a git repository, a folder or another registry: Cargo.lock names one source.
    let lock = std::fs::read_to_string("Cargo.lock").unwrap();
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
    let strangers = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| {
            let is_member = members.contains(text(&package["id"]));
            !is_member && package["source"].as_str() != Some(registry)
        });
    nothing(
        strangers.map(|package| format!("{} comes from {}", shown(package), package["source"])),
    );
}

#[test]
fn s58_every_licence_is_allowed() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    nothing(packages.iter().filter_map(|package| {
        let licence = package["license"].as_str().unwrap_or_default();
        match is_allowed(licence) {
            Ok(true) => None,
            Ok(false) => Some(format!("{}: {licence} is not allowed", shown(package))),
            Err(why) => Some(format!("{}: \"{licence}\": {why}", shown(package))),
        }
    }));
}

#[test]
fn s58_no_banned_package_is_built_in() {
    let metadata = metadata();
    let built = built_in(&metadata);
    assert!(built.len() > 20, "the packages were not found");
    let found = BANNED.iter().filter(|(name, _)| built.contains(*name));
    nothing(found.map(|(name, why)| format!("{name} is built in: {why}")));
}

#[test]
fn s58_no_package_is_older_than_its_last_known_hole() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    nothing(packages.iter().filter_map(|package| {
        let (_, floor, why) = FLOORS
            .iter()
            .find(|(name, ..)| *name == text(&package["name"]))?;
        let is_old = version(text(&package["version"])) < *floor;
        is_old.then(|| format!("{} is older than {floor:?}: {why}", shown(package)))
    }));
}

#[track_caller]
fn nothing(complaints: impl Iterator<Item = String>) {
    let complaints: Vec<String> = complaints.collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// What cargo knows of this package and all below it, for every platform and feature.
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

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn ids(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(text).collect()
}

fn shown(package: &Value) -> String {
    format!("{} {}", text(&package["name"]), text(&package["version"]))
}

/// The numbers of a version; a pre-release counts as its release.
fn version(version: &str) -> [u64; 3] {
    let release = version.split(['-', '+']).next().unwrap();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap());
    [(); 3].map(|()| numbers.next().unwrap_or_default())
}

/// The names of the packages that end up in the binary or run while it is built: what is only there
/// for the tests is nobody's risk but ours.
fn built_in(metadata: &Value) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut reached = BTreeSet::new();
    let mut left: Vec<&str> = ids(&metadata["workspace_members"]).into_iter().collect();
    while let Some(id) = left.pop() {
        if !reached.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id).unwrap();
        let for_more_than_tests = |dependency: &&Value| {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            kinds.iter().any(|kind| kind["kind"] != "dev")
        };
        let used = node["deps"]
            .as_array()
            .unwrap()
            .iter()
            .filter(for_more_than_tests);
        left.extend(used.map(|dependency| text(&dependency["pkg"])));
    }
    let built = packages
        .iter()
        .filter(|package| reached.contains(text(&package["id"])));
    built
        .map(|package| text(&package["name"]).to_string())
        .collect()
}

/// Whether the terms can be met with licences of the list alone. Understands SPDX expressions, and
/// the slash that old packages write for OR.
fn is_allowed(licence: &str) -> Result<bool, String> {
    let spaced = licence
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    let allowed = any_of(&mut words)?;
    match words.first() {
        None => Ok(allowed),
        Some(word) => Err(format!("{word} is out of place")),
    }
}

fn any_of(words: &mut &[&str]) -> Result<bool, String> {
    let mut allowed = all_of(words)?;
    while taken(words, "OR") {
        // Both sides are read, whatever the first one gave.
        allowed |= all_of(words)?;
    }
    Ok(allowed)
}

fn all_of(words: &mut &[&str]) -> Result<bool, String> {
    let mut allowed = one(words)?;
    while taken(words, "AND") {
        allowed &= one(words)?;
    }
    Ok(allowed)
}

fn one(words: &mut &[&str]) -> Result<bool, String> {
    if taken(words, "(") {
        let allowed = any_of(words)?;
        return match taken(words, ")") {
            true => Ok(allowed),
            false => Err("a bracket is not closed".to_string()),
        };
    }
    let mut licence = name(words)?;
    if taken(words, "WITH") {
        licence = format!("{licence} WITH {}", name(words)?);
    }
    Ok(LICENCES.contains(&licence.as_str()))
}

fn name(words: &mut &[&str]) -> Result<String, String> {
    match words.split_first() {
        Some((name, rest)) if !["(", ")", "OR", "AND", "WITH"].contains(name) => {
            *words = rest;
            Ok((*name).to_string())
        }
        _ => Err("a licence is missing".to_string()),
    }
}

fn taken(words: &mut &[&str], wanted: &str) -> bool {
    match words.split_first() {
        Some((word, rest)) if *word == wanted => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[test]
fn one_allowed_licence_of_several_is_enough() {
    for licence in [
        "MIT",
        "MIT OR GPL-3.0-only",
        "GPL-3.0-only OR MIT",
        "MIT/Apache-2.0",
        "GPL-2.0/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "GPL-3.0-only AND ISC OR MIT",
        "((MIT))",
    ] {
        assert_eq!(is_allowed(licence), Ok(true), "{licence}");
    }
}

#[test]
fn every_licence_that_must_be_met_must_be_allowed() {
    for licence in [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR Apache-2.0) AND OpenSSL",
        "MIT AND (GPL-2.0-only OR LGPL-2.1-only)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT WITH LLVM-exception",
        "MIT OR-Apache",
        "mit",
    ] {
        assert_ne!(is_allowed(licence), Ok(true), "{licence}");
    }
}

#[test]
fn what_is_no_licence_expression_is_an_error() {
    for licence in [
        "",
        "MIT OR",
        "OR MIT",
        "(MIT",
        "MIT)",
        "MIT Apache-2.0",
        "()",
        "MIT WITH",
    ] {
        assert!(is_allowed(licence).is_err(), "{licence}");
    }
}

#[test]
fn versions_are_compared_as_numbers() {
    assert!(version("0.4.9") < version("0.4.46"));
    assert!(version("0.10.0") > [0, 4, 46]);
    assert_eq!(version("1.2.3-rc.1+build"), [1, 2, 3]);
}

#[test]
fn what_only_the_tests_need_is_not_built_in() {
    let metadata = serde_json::json!({
        "workspace_members": ["me"],
        "packages": [
            {"id": "me", "name": "me"}, {"id": "x", "name": "normal"}, {"id": "y", "name": "build"},
            {"id": "z", "name": "dev"}, {"id": "w", "name": "deep"},
        ],
        "resolve": {"nodes": [
            {"id": "me", "deps": [
                {"pkg": "x", "dep_kinds": [{"kind": "dev"}, {"kind": null}]},
                {"pkg": "z", "dep_kinds": [{"kind": "dev"}]},
            ]},
            {"id": "x", "deps": [{"pkg": "y", "dep_kinds": [{"kind": "build"}]}]},
            {"id": "y", "deps": [{"pkg": "w", "dep_kinds": [{"kind": null}]}]},
            {"id": "z", "deps": []},
            {"id": "w", "deps": []},
        ]},
    });
    let expected = ["build", "deep", "me", "normal"].map(String::from);
    assert_eq!(built_in(&metadata), BTreeSet::from(expected));
}
