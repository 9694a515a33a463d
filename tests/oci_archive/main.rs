//! OCI archives: what tools write is read in place, as the same layout in a directory would be; what is
//! damaged or made to harm is refused; and archives of both kinds come on stdin.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod one_pass;
mod peers;
mod reading;
mod stdin;
mod writing;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::*;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn in_tar(path: &Path) -> String {
    format!("oci-archive:{}", path.display())
}

/// A directory as a tar, as `tar -cf` makes one of it.
fn tar_of(directory: &Path) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", directory).unwrap();
    tar.into_inner().unwrap()
}

/// The directory that a tar, perhaps a compressed one, was made of.
fn unpacked(archive: &Path) -> tempfile::TempDir {
    let directory = tempdir();
    let tar = truth::unpacked(std::fs::read(archive).unwrap());
    tar::Archive::new(&*tar).unpack(directory.path()).unwrap();
    directory
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    let digest = format!("sha256:{}", sha256(content));
    json!({"mediaType": media_type, "digest": digest, "size": content.len()})
}

fn blob_path(content: &[u8]) -> String {
    format!("blobs/sha256/{}", sha256(content))
}

fn config_of(layer: &[u8]) -> String {
    let diff_id = format!("sha256:{}", sha256(layer));
    let rootfs = json!({"type": "layers", "diff_ids": [diff_id]});
    json!({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).to_string()
}

/// The manifest of an image with this one layer.
fn manifest_of(layer: &[u8]) -> String {
    let config = descriptor(CONFIG, config_of(layer).as_bytes());
    let layers = [descriptor(LAYER, layer)];
    let document = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
    });
    document.to_string()
}

/// An `index.json` of manifests, each with the name that it has.
fn index_of(manifests: &[(&str, &str)]) -> String {
    let entry = |(name, manifest): &(&str, &str)| {
        let mut entry = descriptor(MANIFEST, manifest.as_bytes());
        entry["annotations"] = json!({REF_NAME: name});
        entry
    };
    let entries: Vec<Value> = manifests.iter().map(entry).collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string()
}

/// An archive with one image, called `a`, and without its layer, which is yet to be added.
fn without_layer(layer: &[u8]) -> Archive {
    let manifest = manifest_of(layer);
    let config = config_of(layer);
    Archive::new()
        .file(&blob_path(config.as_bytes()), config.as_bytes())
        .file(&blob_path(manifest.as_bytes()), manifest.as_bytes())
        .file("index.json", index_of(&[("a", &manifest)]).as_bytes())
        .file("oci-layout", MARKER)
}

/// An archive with one image, called `a`, that has one layer.
fn image_of(layer: &[u8]) -> Archive {
    without_layer(layer).file(&blob_path(layer), layer)
}

/// Every OCI archive among the fixtures that is whole.
fn oci_archives() -> Vec<PathBuf> {
    let folders = ["podman", "buildx", "variants"];
    let files = folders.iter().flat_map(|folder| fixtures(folder));
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        path.is_file() && (name.starts_with("oci-") || name.contains("ociarchive"))
    };
    let found: Vec<PathBuf> = files.filter(is_one).collect();
    assert_eq!(found.len(), 12);
    found
}
