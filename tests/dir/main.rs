//! `dir:`, skopeo's plain directory: what skopeo wrote is read, skopeo reads what we wrote, and
//! nothing is lost on the way there or back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod companions;
mod hostile;
mod peers;
mod reading;
mod references;
mod registries;
mod writing;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use support::*;

/// What marks a directory.
const VERSION: &str = "Directory Transport Version: 1.1\n";

fn dir_at(path: &Path) -> String {
    format!("dir:{}", path.display())
}

/// An OCI directory of the fixtures, by the position of its image.
fn first_of(layout: &str) -> String {
    format!("oci:{}:@0", fixture(layout).display())
}

/// Panics unless everything that `manifest.json` leads to is there and right. Gives its digest, and
/// the names of all files that do not belong to it.
#[track_caller]
fn whole(directory: &Path) -> (String, Vec<String>) {
    let read = |name: &str| std::fs::read(directory.join(name)).unwrap();
    assert_eq!(String::from_utf8(read("version")).unwrap(), VERSION);
    let root = read("manifest.json");
    let mut needed = BTreeSet::from(["version".to_string(), "manifest.json".to_string()]);
    let mut below = vec![serde_json::from_slice::<Value>(&root).unwrap()];
    while let Some(manifest) = below.pop() {
        let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
        let mut pieces = list("layers");
        pieces.extend(manifest.get("config").cloned());
        let mut found = Vec::new();
        for piece in pieces {
            let hex = hex_of(&piece);
            if piece.get("urls").is_none() || directory.join(&hex).exists() {
                found.push((piece, hex, false));
            }
        }
        for child in list("manifests") {
            let name = format!("{}.manifest.json", hex_of(&child));
            found.push((child, name, true));
        }
        for (piece, name, is_manifest) in found {
            let bytes = read(&name);
            let digest = piece["digest"].as_str().unwrap();
            let (algorithm, _) = digest.split_once(':').unwrap();
            assert_eq!(truth::digest(algorithm, &bytes), digest);
            assert_eq!(piece["size"], bytes.len());
            if is_manifest {
                below.push(serde_json::from_slice(&bytes).unwrap());
            }
            needed.insert(name);
        }
    }
    let mut others = tree(directory);
    others.retain(|name| !needed.contains(name));
    (truth::digest("sha256", &root), others)
}

fn hex_of(descriptor: &Value) -> String {
    let (_, hex) = descriptor["digest"]
        .as_str()
        .unwrap()
        .split_once(':')
        .unwrap();
    hex.to_string()
}

/// Every file of a directory, by name.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let names = tree(directory).into_iter();
    names
        .map(|name| (name.clone(), std::fs::read(directory.join(name)).unwrap()))
        .collect()
}

/// A directory of its own with the same files.
fn copy_of(directory: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for (name, bytes) in files(directory) {
        std::fs::write(to.join(name), bytes).unwrap();
    }
}
