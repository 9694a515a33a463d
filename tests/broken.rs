//! Whatever is damaged, hostile or ambiguous is refused: one clear error, and nothing left behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod support;

use std::path::Path;

use support::{copy, fixture, fixtures, imgcopy, stamps, tempdir, tree, truth};

const CONFIG: &str = "70d81892f7a9cf32bad5aefe14ca55d7bbb59ba6f615a6ff25cf157bd5abbd59.json";
const LAYER: &str = "36ead829d557ecc5e3e8dab70e807b623d85f6befe1cffcfaf6f065d191916b5/layer.tar";
const BLOB: &str = "sha256:9e708f844539b17a365d71fd390a03d04da06bec5041aba4d09b29a968367f53";

/// Each fixture, the object that the error must name, and the reason that it must give.
#[rustfmt::skip]
const BROKEN: &[(&str, &str, &str)] = &[
    ("docker-config-changed.tar", CONFIG, "is not what it is called: its bytes are sha256:0d8fda09ee"),
    ("docker-fewer-layers-than-diffids.tar", CONFIG, "lists 1 layers"),
    ("docker-gzip-trailing-garbage.tar.gz", "trailing-garbage.tar.gz", "invalid gzip header"),
    ("docker-layer-missing.tar", LAYER, "is not in the archive"),
    ("docker-layers-swapped.tar", "sha256:8de25fbd0ca6758f", "its bytes are sha256:"),
    ("docker-manifest-emptylist.tar", "manifest.json", "it lists no image"),
    ("docker-manifest-notjson.tar", "manifest.json", "line 1 column 2"),
    ("docker-manifest-object.tar", "manifest.json", "expected a sequence"),
    ("docker-repotag-invalid.tar", "\"UPPER/Case:tag\"", "must be lower-case"),
    ("docker-symlink-dangling.tar", LAYER, "is a link to nowhere/layer.tar, which is not there"),
    ("docker-symlink-loop.tar", LAYER, "is a link to a link"),
    ("docker-truncated.tar.gz", "docker-truncated.tar.gz", "incomplete deflate stream"),
    ("docker-two-manifests.tar", "\"manifest.json\"", "two entries are called"),
    ("oci-blob-bitflip", BLOB, "its bytes are sha256:01c6b0ab96afed0d"),
    ("oci-blob-bitflip.dotslash.ociarchive.tar", "dotslash.ociarchive.tar", "it is an OCI archive"),
    ("oci-blob-bitflip.ociarchive.tar", "bitflip.ociarchive.tar", "it is an OCI archive"),
    ("oci-config-bitflip", "sha256:63a8490510df2f99", "its bytes are sha256:f431996058d2ae57"),
    ("oci-digest-md5", "md5:da244f715b1a1d01c7ff1b287d6f4e11", "neither sha256 nor sha512"),
    ("oci-digest-uppercase", "sha256:9E708F844539B17A", "lower-case hexadecimal"),
    ("oci-index-notjson", "index.json", "line 1 column 1"),
    ("oci-layout-missing", "oci-layout-missing", "it has no oci-layout file"),
    ("oci-manifest-ambiguous", "sha256:23b5e23a8b2d29c4", "it is ambiguous"),
    ("oci-mediatype-confused", "sha256:6b5d98a534b8898f", "its descriptor says application/vnd.oci.image.index.v1+json"),
    ("oci-mediatype-lies-plain-says-gzip", "cannot read sha256:", "its media type says gzip, its bytes are not"),
    ("oci-size-negative", "sha256:90e401584e6a5b74", "the size is -1"),
    ("oci-size-too-small", BLOB, "has 164 bytes, not 163"),
    ("random.tar", "random.tar", "it is no tar archive"),
];

fn reference(file: &str) -> String {
    let path = fixture(&format!("broken/{file}"));
    let transport = if path.is_dir() {
        "oci"
    } else {
        "docker-archive"
    };
    format!("{transport}:{}", path.display())
}

/// Copies, sees that it is refused, and gives what was told.
#[track_caller]
fn refused(source: &str, to: &Path, more: &[&str]) -> String {
    let destination = format!("oci:{}:x", to.display());
    let args = [source, &destination, "--progress", "none"];
    imgcopy(args.iter().chain(more)).fails(1).stderr
}

#[test]
fn every_broken_fixture_has_a_row() {
    let listed: Vec<_> = BROKEN
        .iter()
        .map(|(file, ..)| fixture(&format!("broken/{file}")))
        .collect();
    assert_eq!(listed, fixtures("broken"), "in the order of their names");
}

#[test]
fn what_is_broken_is_refused_with_the_object_and_the_reason() {
    for (file, object, reason) in BROKEN {
        let to = tempdir();
        let told = refused(&reference(file), &to.path().join("to"), &[]);
        assert!(told.contains(&reference(file)), "{told}");
        assert!(
            told.contains(object),
            "{file}: {object} is not named\n{told}"
        );
        assert!(
            told.contains(reason),
            "{file}: \"{reason}\" is not said\n{told}"
        );
        let lines = told.lines().enumerate();
        let is_told = |(n, line): (usize, &str)| match n {
            0 => line.starts_with("error: "),
            _ => line.starts_with("  caused by: ") || line.starts_with("hint: "),
        };
        assert!(lines.into_iter().all(is_told), "{told}");
    }
}

#[test]
fn a_refused_copy_leaves_no_trace() {
    for (file, ..) in BROKEN {
        for more in [
            [].as_slice(),
            &["--compression", "none"],
            &["--compression", "zstd"],
        ] {
            let to = tempdir();
            refused(&reference(file), &to.path().join("made/for/it"), more);
            assert_eq!(tree(to.path()), [""; 0], "{file} {more:?}");
        }
    }
}

#[test]
fn a_refused_copy_leaves_the_image_that_was_there() {
    // It shares no layer with the fixtures: one that is there already is not read at the source.
    let archive = fixture("buildx/docker-exporter-amd64.tar");
    for (file, ..) in BROKEN {
        let to = tempdir();
        let destination = format!("oci:{}:x", to.path().display());
        copy(
            &format!("docker-archive:{}", archive.display()),
            &destination,
        );
        let before = stamps(to.path());
        refused(&reference(file), to.path(), &[]);
        let after = stamps(to.path());
        assert_eq!(after["index.json"], before["index.json"], "{file}");
        let is_blob = |path: &&String| path.len() > "blobs/sha256".len();
        for path in before.keys().filter(is_blob) {
            assert_eq!(after[path], before[path], "{file}: {path} was touched");
        }
        assert!(
            !after.keys().any(|path| path.contains("stage-")),
            "{after:?}"
        );
        imgcopy(["verify", &destination]).ok();
    }
}

#[test]
fn verify_tells_what_is_broken() {
    for (file, object, reason) in BROKEN {
        let verified = imgcopy(["verify", &reference(file)]);
        assert_eq!(verified.code, Some(1), "{file}: {verified:?}");
        let (told, is_error) = match verified.stdout.is_empty() {
            true => (verified.fails(1).stderr, true),
            false => (verified.stdout, false),
        };
        // Findings name the digest where a failed copy tells what it was doing.
        let object = object.trim_start_matches("cannot read ");
        assert!(is_error || told.contains("is damaged: "), "{told}");
        assert!(
            told.contains(object),
            "{file}: {object} is not named\n{told}"
        );
        assert!(
            told.contains(reason),
            "{file}: \"{reason}\" is not said\n{told}"
        );
    }
}

/// A directory like `podman/oci-dir`, without the blob that `choose` picks among its manifest,
/// config and layers.
fn without(position: usize) -> (tempfile::TempDir, String) {
    let (from, to) = (fixture("podman/oci-dir"), tempdir());
    let entry = truth::entry(&from, "localhost/corpus/oci-amd64:2");
    let manifest: serde_json::Value =
        serde_json::from_slice(&truth::blob(&from, &entry).unwrap()).unwrap();
    let digests = [
        &entry,
        &manifest["config"],
        &manifest["layers"][0],
        &manifest["layers"][1],
    ]
    .map(|piece| piece["digest"].as_str().unwrap().to_string());
    let missing = digests[position].clone();
    for path in tree(&from) {
        match from.join(&path).is_dir() {
            true => std::fs::create_dir(to.path().join(path)).unwrap(),
            false if missing.ends_with(path.rsplit('/').next().unwrap()) => {}
            false => drop(std::fs::copy(from.join(&path), to.path().join(path)).unwrap()),
        }
    }
    (to, missing)
}

#[test]
fn a_source_that_lacks_a_blob_is_refused_without_a_trace() {
    for position in 0..4 {
        let (source, missing) = without(position);
        let source = format!("oci:{}", source.path().display());
        let to = tempdir();
        let told = refused(&source, &to.path().join("to"), &[]);
        assert!(told.contains(&format!("has no {missing}")), "{told}");
        assert!(!told.contains("imgcopy tags"), "no name was wrong: {told}");
        assert_eq!(tree(to.path()), [""; 0], "{missing}");
        assert_eq!(imgcopy(["verify", &source]).code, Some(1), "{missing}");
    }
}
