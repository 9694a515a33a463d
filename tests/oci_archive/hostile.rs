//! Archives that are cut, damaged or made to harm: refused, or read as everybody reads them.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use tar::EntryType;

use super::*;

/// A sandbox, and where the archive is in it.
struct Trap {
    sandbox: Sandbox,
    path: PathBuf,
}

impl Trap {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let path = sandbox.at("in/archive");
        Self { sandbox, path }
    }

    fn copy(&self, archive: &[u8]) -> imgcopy::error::Result<String> {
        fs::write(&self.path, archive).unwrap();
        self.sandbox.copy_from(&in_tar(&self.path))
    }

    #[track_caller]
    fn accepts(&self, archive: Archive) -> String {
        self.sandbox.is_good(self.copy(&archive.bytes()))
    }

    #[track_caller]
    fn refuses(&self, archive: Archive) -> String {
        self.sandbox.is_bad(self.copy(&archive.bytes()))
    }
}

#[test]
fn f86_a_cut_archive_is_refused_or_is_the_whole_image() {
    let trap = Trap::new();
    for name in [
        "podman/oci-archive.tar",
        "buildx/oci-windows.tar",
        "variants/oci-gzip.ociarchive.tar",
    ] {
        let whole = fs::read(fixture(name)).unwrap();
        let digest = trap.sandbox.is_good(trap.copy(&whole));
        let odd = (1..whole.len()).step_by(997);
        for cut in (0..whole.len()).step_by(512).chain(odd) {
            let copied = trap.copy(&whole[..cut]);
            if copied.is_err() {
                trap.sandbox.is_bad(copied);
            } else {
                let copied = trap.sandbox.is_good(copied);
                assert_eq!(copied, digest, "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn f86_a_cut_compressed_archive_is_refused() {
    let trap = Trap::new();
    let whole = fs::read(fixture("podman/oci-archive.tar.gz")).unwrap();
    trap.sandbox.is_good(trap.copy(&whole));
    for cut in (0..whole.len()).step_by(16) {
        trap.sandbox.is_bad(trap.copy(&whole[..cut]));
    }
}

#[test]
fn s50_names_that_lead_out_are_refused() {
    let trap = Trap::new();
    let digest = trap.accepts(image_of(b"layer"));
    for name in ["../x", "a/../../b", "./../x", "/../x", "blobs/../../x"] {
        trap.refuses(image_of(b"layer").file(name, b"x"));
        trap.refuses(image_of(b"layer").symlink("link", name));
        trap.refuses(image_of(b"layer").hardlink("link", name));
    }
    // Nothing is ever unpacked, so these are names like any other.
    let at = trap.sandbox.at("planted").display().to_string();
    for name in ["a/../b", "/etc/x", &at, "a//b", "C:\\x", "\\..\\x"] {
        let copied = trap.accepts(image_of(b"layer").file(name, b"x"));
        assert_eq!(copied, digest, "{name}");
    }
}

#[test]
fn s50_files_outside_are_never_read() {
    let trap = Trap::new();
    let secret = trap.sandbox.at("secret");
    let content = fs::read(&secret).unwrap();
    for target in [secret.to_str().unwrap(), "../../../secret", "../secret"] {
        let path = blob_path(&content);
        trap.refuses(without_layer(&content).symlink(&path, target));
        trap.refuses(without_layer(&content).hardlink(&path, target));
        trap.refuses(
            Archive::new()
                .symlink("index.json", target)
                .file("oci-layout", MARKER),
        );
        let list = index_of(&[]);
        let unmarked = Archive::new().file("index.json", list.as_bytes());
        trap.refuses(unmarked.symlink("oci-layout", target));
    }
}

#[test]
fn s50_links_are_followed_once_and_inside_only() {
    let trap = Trap::new();
    let digest = trap.accepts(image_of(b"layer"));
    let at = blob_path(b"layer");
    let there = || without_layer(b"layer").file("y/file", b"layer");
    let copied = trap.accepts(there().symlink(&at, "../../y/file"));
    assert_eq!(copied, digest);
    assert_eq!(trap.accepts(there().hardlink(&at, "y/file")), digest);
    let lone = || without_layer(b"layer");
    trap.refuses(lone().symlink(&at, &sha256(b"layer")));
    trap.refuses(lone().hardlink(&at, &at));
    trap.refuses(lone().symlink(&at, "not there"));
    trap.refuses(there().symlink(&at, "../../z").symlink("z", "y/file"));
    trap.refuses(there().hardlink(&at, "z").symlink("z", "y/file"));
    for kind in [
        EntryType::Fifo,
        EntryType::Char,
        EntryType::Block,
        EntryType::Directory,
    ] {
        let mut archive = lone();
        archive.entry(kind, &at, "", b"");
        trap.refuses(archive);
        let mut archive = Archive::new().file("oci-layout", MARKER);
        archive.entry(kind, "index.json", "", b"");
        trap.refuses(archive);
    }
}

#[test]
fn s52_two_entries_of_one_name_must_be_equal() {
    let trap = Trap::new();
    let digest = trap.accepts(image_of(b"layer"));
    let at = blob_path(b"layer");
    let twice = image_of(b"layer")
        .file(&at, b"layer")
        .file("oci-layout", MARKER);
    assert_eq!(trap.accepts(twice), digest);
    trap.refuses(image_of(b"layer").file(&at, b"other"));
    trap.refuses(image_of(b"layer").file(&format!("./{at}"), b"LAYER"));
    let other = manifest_of(b"other");
    let list = index_of(&[("a", &other)]);
    let told = trap.refuses(image_of(b"layer").file("index.json", list.as_bytes()));
    assert!(told.contains("\"index.json\" and differ"), "{told}");
    trap.refuses(image_of(b"layer").symlink("index.json", "oci-layout"));
}

#[test]
fn s08_content_that_is_not_what_it_is_called_is_refused() {
    let trap = Trap::new();
    trap.accepts(image_of(b"layer"));
    let at = blob_path(b"layer");
    let wrong = trap.refuses(without_layer(b"layer").file(&at, b"LAYER"));
    assert!(wrong.contains("its bytes are"), "{wrong}");
    let short = trap.refuses(without_layer(b"layer").file(&at, b"laye"));
    assert!(short.contains("has 4 bytes, not 5"), "{short}");
    trap.refuses(without_layer(b"layer"));
    let manifest = manifest_of(b"layer");
    let list = index_of(&[("a", &manifest)]);
    let bare = || {
        let archive = Archive::new().file("oci-layout", MARKER);
        archive.file("index.json", list.as_bytes())
    };
    let other = manifest
        .replace("amd64", "arm64")
        .replace("layers", "Layers");
    trap.refuses(bare().file(&blob_path(manifest.as_bytes()), other.as_bytes()));
    trap.refuses(bare());
    let flipped = fixture("broken/oci-blob-bitflip.ociarchive.tar");
    trap.sandbox.is_bad(trap.copy(&fs::read(flipped).unwrap()));
}

#[test]
fn s06_documents_that_go_reads_otherwise_are_refused() {
    let trap = Trap::new();
    let list = index_of(&[("a", &manifest_of(b"layer"))]);
    let with = |list: &str, marker: &str| {
        let config = config_of(b"layer");
        let manifest = manifest_of(b"layer");
        let blobs = [config.as_bytes(), manifest.as_bytes(), b"layer"];
        let archive = Archive::new().file("index.json", list.as_bytes());
        let archive = archive.file("oci-layout", marker.as_bytes());
        blobs
            .iter()
            .fold(archive, |it, blob| it.file(&blob_path(blob), blob))
    };
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    trap.accepts(with(&list, marker));
    trap.refuses(with(
        &list.replace("\"manifests\"", "\"Manifests\""),
        marker,
    ));
    trap.refuses(with(&list.replacen('{', "{\"manifests\":[],", 1), marker));
    trap.refuses(with(&format!("{list}{list}"), marker));
    trap.refuses(with("", marker));
    trap.refuses(with(&list, ""));
    trap.refuses(with(
        &list,
        r#"{"imageLayoutVersion":"1.0.0","ImageLayoutVersion":"2"}"#,
    ));
}

#[test]
fn s53_documents_over_their_limits_are_refused_unread() {
    let trap = Trap::new();
    let name = blob_path(manifest_of(b"layer").as_bytes());
    let list = index_of(&[("a", &manifest_of(b"layer"))]);
    // Files with a hole: two gigabytes that nobody should read.
    for large in ["oci-layout", "index.json", &name] {
        let small = [("oci-layout", MARKER), ("index.json", list.as_bytes())];
        let archive = small
            .iter()
            .filter(|(name, _)| *name != large)
            .fold(Archive::new(), |it, (name, content)| it.file(name, content));
        let mut bytes = archive.file(large, b"").bytes();
        bytes.truncate(bytes.len() - 1024);
        let at = bytes.len() - 512;
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&bytes[at..]);
        header.set_size(2 << 30);
        header.set_cksum();
        bytes[at..].copy_from_slice(header.as_bytes());
        let file = fs::File::create(&trap.path).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file.set_len(bytes.len() as u64 + (2 << 30) + 1024).unwrap();
        let args = [in_tar(&trap.path), oci_at(&trap.sandbox.at("out"), "a")];
        let run = run_within(command().args(args), Duration::from_secs(10)).fails(1);
        assert!(run.stderr.contains("over the limit"), "{}", run.stderr);
        assert!(!trap.sandbox.at("out").exists());
    }
}
