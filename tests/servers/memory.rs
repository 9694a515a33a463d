//! What a run holds in memory while 64 blobs of 1 GiB are on their way.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::night::Night;
use crate::support::registry::{Action, Fault, OCI_MANIFEST, Registry, Request, digest};
use crate::support::{command, oci_at, tempdir};
use crate::{REPO, at};

const BLOBS: usize = 64;
const SIZE: usize = 1 << 30;
/// How far each gets before it is held.
const FAR: usize = 4 << 20;
/// What the process may ever have had at once.
const MOST: u64 = 128 << 20;

/// What a blob is called. The run ends before anybody can find out that it is something else.
fn name(n: usize) -> String {
    digest("sha256", &n.to_le_bytes())
}

/// An image whose blobs are said to be these.
fn manifest(layers: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let diff_ids: Vec<String> = layers.iter().map(|n| name(*n)).collect();
    let config = json!({ "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": diff_ids } });
    let config = config.to_string().into_bytes();
    let layer = |n: &usize| {
        json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": name(*n), "size": SIZE })
    };
    let layers: Vec<Value> = layers.iter().map(layer).collect();
    let text = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest("sha256", &config), "size": config.len() }, "layers": layers });
    (text.to_string().into_bytes(), config)
}

/// Two registries with eight images of four layers each, so that the lanes of a sync have room for all
/// at once. They serve zeros which nobody keeps.
fn huge() -> [Registry; 2] {
    let zeros = Bytes::from(vec![0; SIZE]);
    [0, BLOBS / 2].map(|first| {
        let registry = Registry::start();
        for n in 0..8 {
            let layers: Vec<usize> = (first + 4 * n..first + 4 * n + 4).collect();
            for layer in &layers {
                registry.add_blob_as(REPO, &name(*layer), zeros.clone());
            }
            let (text, config) = manifest(&layers);
            registry.add_blob(REPO, config);
            registry.add_manifest(REPO, OCI_MANIFEST, text, Some(&(first + n).to_string()));
        }
        registry
    })
}

/// Panics if a process has ever had more memory than it may. Ends it.
#[track_caller]
fn measure(mut child: Child) {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let lives = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lives, "it ended before all was on its way");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    let peak = peak.parse::<u64>().unwrap() << 10;
    assert!(peak < MOST, "{} MiB", peak >> 20);
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// `sync` of all images at once.
fn nightly(from: &[Registry; 2], to: &str) -> (Night, Child) {
    let night = Night::of("");
    let rules = "registries: {\"127.0.0.1:*\": {tls: off, parallel: 64}}";
    let entry = |from: &Registry| {
        let from = from.host();
        format!("  - {{from: \"{from}/{REPO}\", tags: [\"*\"], to: \"{to}\"}}\n")
    };
    let entries = from.each_ref().map(entry).concat();
    night.says(&format!("{rules}\nimages:\n{entries}"));
    let mut command = command();
    let child = spawn(command.current_dir(night.home()).arg("sync"));
    (night, child)
}

#[test]
fn f103_64_blobs_of_a_gibibyte_from_registries_to_another_fit_in_128_mib() {
    let (from, to) = (huge(), Registry::start());
    let stop = Action::stop_reading(FAR);
    let held = to.fail(
        Fault::on("PUT", "/blobs/uploads/")
            .when(is_large)
            .always()
            .then(stop),
    );
    let (_night, child) = nightly(&from, &format!("{}/{REPO}", to.host()));
    held.wait(BLOBS);
    measure(child);
}

#[test]
fn f103_64_sparse_files_of_a_gibibyte_to_a_registry_fit_in_128_mib() {
    let directory = tempdir();
    sparse(directory.path());
    let to = Registry::start();
    let stop = Action::stop_reading(FAR);
    let held = to.fail(
        Fault::on("PUT", "/blobs/uploads/")
            .when(is_large)
            .always()
            .then(stop),
    );
    let local = oci_at(directory.path(), "1");
    let mut command = command();
    command.args([
        "copy",
        "-q",
        "--parallel",
        "64",
        &local,
        &at(&to.host(), "1"),
    ]);
    let child = spawn(&mut command);
    // One registry gets eight blobs at once.
    held.wait(8);
    measure(child);
}

fn is_large(request: &Request) -> bool {
    request
        .header("content-length")
        .is_some_and(|length| length == SIZE.to_string())
}

/// An OCI directory with an image of 64 layers, which takes no room.
fn sparse(directory: &Path) {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let path = |digest: &str| blobs.join(digest.trim_start_matches("sha256:"));
    let all: Vec<usize> = (0..BLOBS).collect();
    let (text, config) = manifest(&all);
    for n in all {
        let mut file = File::create(path(&name(n))).unwrap();
        file.seek(SeekFrom::Start(SIZE as u64 - 1)).unwrap();
        file.write_all(&[0]).unwrap();
    }
    fs::write(path(&digest("sha256", &config)), config).unwrap();
    fs::write(path(&digest("sha256", &text)), &text).unwrap();
    fs::write(
        directory.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let entry = json!({ "mediaType": OCI_MANIFEST, "digest": digest("sha256", &text),
        "size": text.len(), "annotations": { "org.opencontainers.image.ref.name": "1" } });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
}
