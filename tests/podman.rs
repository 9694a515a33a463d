//! A real podman: it loads the archives that we write, and we read those that it saves. The image
//! keeps its ID and its names.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Run, archive_at, copy, fixture, has_peer, imgcopy, tempdir};

/// A podman whose images lie in a directory of the test.
struct Podman<'a>(&'a Path);

impl Podman<'_> {
    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.0.join("root"));
        command.arg("--runroot").arg(self.0.join("run"));
        command.args(["--storage-driver=vfs", "--events-backend=none"]);
        command.args(["--cgroup-manager=cgroupfs"]).args(args);
        Run::of(&mut command).ok().stdout.trim().to_string()
    }

    #[track_caller]
    fn load(&self, archive: &Path) -> String {
        self.run(&["load", "--quiet", "--input", &archive.display().to_string()])
    }

    #[track_caller]
    fn image_id(&self, name: &str) -> String {
        let id = self.run(&["image", "inspect", "--format", "{{.Id}}", name]);
        format!("sha256:{id}")
    }
}

fn image_id(reference: &str) -> String {
    let told = imgcopy(["inspect", reference, "--format", "json"])
        .ok()
        .stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    told.get("ImageID").unwrap().as_str().unwrap().to_string()
}

const SOURCES: [&str; 8] = [
    "docker-archive:docker20/single.tar",
    "docker-archive:docker20/manylayers.tar",
    "docker-archive:docker28/single.tar.zst",
    "docker-archive:docker28/dup.tar",
    "docker-archive:docker28/whiteout.tar",
    "docker-archive:docker20/empty.tar",
    "oci-archive:buildx/oci-amd64-uncompressed.tar",
    "oci:podman/oci-dir-zstd",
];

#[test]
fn podman_loads_what_we_write_and_we_read_what_it_saves() {
    if !has_peer("podman") {
        return;
    }
    let home = tempdir();
    let podman = Podman(home.path());
    for (n, source) in SOURCES.iter().enumerate() {
        let (transport, path) = source.split_once(':').unwrap();
        let source = format!("{transport}:{}", fixture(path).display());
        let id = image_id(&source);
        for kind in ["docker-archive", "oci-archive"] {
            let name = format!("docker.io/own/{kind}:{n}");
            let written = home.path().join(format!("{kind}-{n}.tar"));
            copy(&source, &format!("{kind}:{}:{name}", written.display()));
            let loaded = podman.load(&written);
            assert_eq!(loaded, format!("Loaded image: {name}"), "{source}");
            assert_eq!(podman.image_id(&name), id, "{source}");

            let saved = home.path().join(format!("saved-{kind}-{n}.tar"));
            let to = saved.display().to_string();
            podman.run(&["save", "--format", kind, "--output", &to, &name]);
            let saved = format!("{kind}:{}", saved.display());
            assert_eq!(image_id(&saved), id, "{source}");
            imgcopy(["verify", &saved]).ok();
        }
    }
}

#[test]
fn podman_loads_every_image_of_one_archive_by_its_own_name() {
    if !has_peer("podman") {
        return;
    }
    let home = tempdir();
    let podman = Podman(home.path());
    let all = home.path().join("all.tar");
    let sources = ["docker20/single.tar", "docker28/imported.tar"].map(fixture);
    let mut args = vec!["copy".to_string(), "-q".into()];
    args.extend(sources.iter().map(|source| archive_at(source)));
    args.push(archive_at(&all));
    imgcopy(args).ok();
    podman.load(&all);
    for source in sources.map(|source| archive_at(&source)) {
        let names = imgcopy(["tags", &source]).ok().stdout;
        let name = names.lines().next().unwrap();
        assert_eq!(podman.image_id(name), image_id(&source), "{name}");
    }
}
