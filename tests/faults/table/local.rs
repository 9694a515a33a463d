//! Archives, directories and disks of this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Left;
use super::program::{Program, Ran};
use super::scene::Scene;
use crate::TO;
use crate::support::registry::{Image, digest};
use crate::support::{Archive, Run, copy_here, oci_at, sha256, tempdir, tree};

/// The image as `docker save` writes it, with plain layers.
pub(crate) fn docker_archive(image: &Image) -> Vec<u8> {
    let layers = image.blobs[1..].iter().map(|layer| {
        let mut plain = Vec::new();
        let mut unpacked = flate2::read::GzDecoder::new(&layer[..]);
        std::io::copy(&mut unpacked, &mut plain).unwrap();
        plain
    });
    let layers: Vec<Vec<u8>> = layers.collect();
    let name = |n: usize| format!("{n}/layer.tar");
    let names: Vec<String> = (0..layers.len()).map(name).collect();
    let config = format!("{}.json", sha256(&image.blobs[0]));
    let list = serde_json::json!([{ "Config": config, "RepoTags": ["a:1"], "Layers": names }]);
    let mut archive = Archive::new();
    for (name, layer) in names.iter().zip(&layers) {
        archive = archive.file(name, layer);
    }
    let archive = archive.file(&config, &image.blobs[0]);
    archive
        .file("manifest.json", list.to_string().as_bytes())
        .bytes()
}

/// What an OCI directory of this image consists of, under the tag `1`.
fn layout(image: &Image) -> Vec<(String, Vec<u8>)> {
    let blobs = image.blobs.iter().chain([&image.manifest]);
    let blob = |bytes: &bytes::Bytes| (format!("blobs/sha256/{}", sha256(bytes)), bytes.to_vec());
    let mut files: Vec<(String, Vec<u8>)> = blobs.map(blob).collect();
    let marker = br#"{"imageLayoutVersion":"1.0.0"}"#;
    files.push(("oci-layout".into(), marker.to_vec()));
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": image.media_type, "digest": digest("sha256", &image.manifest),
        "size": image.manifest.len(),
        "annotations": { "org.opencontainers.image.ref.name": "1" },
    }]});
    // Last: an archive that ends before it has no image.
    files.push(("index.json".into(), index.to_string().into_bytes()));
    files
}

/// The image as an OCI archive.
pub(crate) fn oci_archive(image: &Image) -> Vec<u8> {
    let files = layout(image).into_iter();
    let add = |archive: Archive, (name, bytes): (String, Vec<u8>)| archive.file(&name, &bytes);
    files.fold(Archive::new(), add).bytes()
}

/// Writes the image as an OCI directory.
pub(crate) fn oci_directory(image: &Image, directory: &Path) {
    std::fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
    for (name, bytes) in layout(image) {
        std::fs::write(directory.join(name), bytes).unwrap();
    }
}

/// Gives the scene's directory the old image, and nothing else.
pub(crate) fn renew(scene: &Scene) {
    let directory = scene.directory();
    let _ = std::fs::remove_dir_all(directory);
    let old = format!("docker://{}/{TO}@{}", scene.pair.to.host(), scene.pair.old);
    copy_here(&old, &oci_at(directory, "1")).unwrap();
    scene.pair.to.forget();
}

/// What is in an OCI directory that belongs to no image and is not ours for ever.
pub(crate) fn untidy(directory: &Path) -> Option<String> {
    let is_digest = |hex: &str| hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit());
    let own = "blobs blobs/sha256 index.json oci-layout .imgcopy .imgcopy/lock .imgcopy/verified";
    let own: BTreeSet<&str> = own.split(' ').collect();
    let mut rest = tree(directory);
    rest.retain(|name| {
        let is_blob = name.strip_prefix("blobs/sha256/").is_some_and(is_digest);
        !is_blob && !own.contains(&**name)
    });
    (!rest.is_empty()).then(|| format!("it left {rest:?}"))
}

/// Several runs as one: all must have ended like the first, and whatever else was wrong with any is wrong.
pub(crate) fn together(runs: Vec<(String, Ran)>) -> Ran {
    let mut runs = runs.into_iter();
    let (_, mut all) = runs.next().unwrap();
    for (name, ran) in runs {
        let (code, left) = (ran.code, &ran.left);
        if (code == Some(0), left) != (all.code == Some(0), &all.left) || code.is_none() {
            all.odd.push(format!("{name}: exit {code:?}, {left:?}"));
        }
        all.odd
            .extend(ran.odd.iter().map(|odd| format!("{name}: {odd}")));
        all.output = [all.output, format!("--- {name}"), ran.output].join("\n");
        all.requests = all.requests.max(ran.requests);
        all.met &= ran.met;
    }
    // What is odd in the same way again and again is told once.
    all.odd.truncate(3);
    all
}

/// A copy by itself, as a careful user types it.
pub(crate) fn copying(program: Program, home: &Path, from: &str, to: &str) -> Command {
    let line = match program {
        Program::Imgcopy => "copy --debug --referrers never --retry-delay 10ms",
        Program::Skopeo => {
            "--insecure-policy copy --all --retry-times 4 --src-tls-verify=false \
             --dest-tls-verify=false"
        }
    };
    let mut command = program.command(home);
    command.args(line.split_whitespace()).args([from, to]);
    command
}

/// A small disk of our own, as long as this lives.
pub(crate) struct Disk(TempDir);

pub(crate) const PAGE: u64 = 4096;

impl Disk {
    /// `None` where the system gives us none.
    pub(crate) fn new() -> Option<Self> {
        let path = tempdir();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]);
        let mounted = mount.arg(path.path()).output();
        let mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        mounted.then_some(Self(path))
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let mount = mount.args(["-o", &format!("remount,{options}")]);
        Run::of(mount.arg(self.0.path())).ok();
    }

    /// Leaves so many pages free.
    pub(crate) fn leave(&self, pages: u64) {
        let now = rustix::fs::statvfs(self.0.path()).unwrap();
        let used = (now.f_blocks - now.f_bfree) * now.f_frsize;
        self.remount(&format!("size={}", used + pages * PAGE));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        let _ = umount.arg("-l").arg(self.0.path()).status();
    }
}

/// What a case says where no disk can be made full.
pub(crate) fn no_disk() -> Ran {
    Ran::cannot("no tmpfs can be mounted here")
}

/// A run that only tells whether all is well.
pub(crate) fn of_runs(code: Option<i32>, output: String, wrong: Vec<String>) -> Ran {
    let run = Run {
        code,
        stdout: output,
        stderr: String::new(),
    };
    let left = match code {
        Some(0) => Left::New,
        _ => Left::Old,
    };
    let mut ran = Ran::of(run, left);
    ran.odd = wrong;
    ran
}
