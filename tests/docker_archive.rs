//! Archives for `docker load` as destinations.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod support;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{
    Run, archive_at, command, copy, fixture, fixtures, has_peer, imgcopy, noise, oci_at, tempdir,
    tree,
};

/// The config's digest and the DiffIds: what an archive keeps of an image.
fn identity(reference: &str) -> (Value, Value) {
    let told = imgcopy(["inspect", reference, "--no-tags", "--format", "json"]).ok();
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let config = imgcopy(["inspect", "--config", reference]).ok();
    let config: Value = serde_json::from_str(&config.stdout).unwrap();
    (
        told["ImageID"].clone(),
        config["rootfs"]["diff_ids"].clone(),
    )
}

fn names(reference: &str) -> Vec<String> {
    let told = imgcopy(["tags", reference]).ok();
    told.stdout.lines().map(str::to_string).collect()
}

/// The names of the files in a tar, in their order.
fn files(path: &Path) -> Vec<String> {
    let mut tar = tar::Archive::new(std::fs::File::open(path).unwrap());
    tar.entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect()
}

fn read_json(path: &Path) -> Value {
    let mut tar = tar::Archive::new(std::fs::File::open(path).unwrap());
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap() == Path::new("manifest.json") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            return serde_json::from_str(&text).unwrap();
        }
    }
    panic!("no manifest.json in {}", path.display());
}

/// Every archive and OCI directory of the fixtures that holds container images.
fn sources() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["docker20", "docker28", "podman", "buildx", "variants"] {
        for path in fixtures(folder) {
            let place = match path.is_dir() {
                true => format!("oci:{}", path.display()),
                false => archive_at(&path),
            };
            let listed = imgcopy(["tags", &place]);
            if listed.code == Some(0) {
                found.extend(listed.stdout.lines().map(|name| format!("{place}:{name}")));
            }
        }
    }
    found
}

#[test]
fn every_image_keeps_its_id_and_its_diff_ids() {
    let home = tempdir();
    let mut copied = 0;
    for (number, source) in sources().iter().enumerate() {
        let path = home.path().join(format!("{number}.tar"));
        let made = imgcopy(["copy", "-q", source, &archive_at(&path)]);
        if made.code != Some(0) {
            // Foreign layers have no bytes, and some indexes no image for this machine.
            let known = ["lives at its URLs", "has no image for", "of another kind"];
            assert!(
                known.iter().any(|why| made.stderr.contains(why)),
                "{source}: {}",
                made.stderr
            );
            assert!(!path.exists());
            continue;
        }
        copied += 1;
        let told = imgcopy(["digest", &archive_at(&path)]).ok();
        assert_eq!(made.stdout, told.stdout, "{source}");
        assert_eq!(identity(&archive_at(&path)), identity(source), "{source}");
        imgcopy(["verify", &archive_at(&path)]).ok();
        if number % 5 == 0 && has_peer("skopeo") {
            let mut skopeo = Command::new("skopeo");
            let read =
                Run::of(skopeo.args(["inspect", "--config", "--raw", &archive_at(&path)])).ok();
            let ours = imgcopy(["inspect", "--config", source]).ok();
            assert_eq!(read.stdout.trim(), ours.stdout.trim(), "{source}");
        }
    }
    assert!(copied > 60, "{copied}");
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    let home = tempdir();
    let layout = home.path().join("layout");
    copy(
        &archive_at(&fixture("docker28/manylayers.tar")),
        &oci_at(&layout, "x"),
    );
    let at = |name: &str| home.path().join(name);
    for (name, options) in [("a", ["--parallel", "1"]), ("b", ["--parallel", "8"])] {
        imgcopy(["copy", "-q", &oci_at(&layout, "x"), &archive_at(&at(name))]).ok();
        imgcopy([
            "copy",
            "-q",
            &oci_at(&layout, "x"),
            &archive_at(&at("again")),
            options[0],
            options[1],
        ])
        .ok();
        assert!(std::fs::read(at(name)).unwrap() == std::fs::read(at("again")).unwrap());
        std::fs::remove_file(at("again")).unwrap();
    }
    assert!(std::fs::read(at("a")).unwrap() == std::fs::read(at("b")).unwrap());
}

#[test]
fn several_images_share_their_layers_and_keep_their_names() {
    let home = tempdir();
    let all = home.path().join("all.tar");
    let multi = archive_at(&fixture("docker28/multitag.tar"));
    let many = archive_at(&fixture("docker28/manylayers.tar"));
    let told = imgcopy(["copy", "-q", &multi, &many, &archive_at(&all)]).ok();
    assert_eq!(told.stdout.lines().count(), 2);
    let mut wanted = names(&multi);
    wanted.extend(names(&many));
    assert_eq!(names(&archive_at(&all)), wanted);
    for name in &wanted {
        let from = if names(&multi).contains(name) {
            &multi
        } else {
            &many
        };
        let both = (
            format!("{from}:{name}"),
            format!("{}:{name}", archive_at(&all)),
        );
        assert_eq!(identity(&both.0), identity(&both.1));
    }
    let mut there = files(&all);
    let count = there.len();
    there.sort();
    there.dedup();
    assert_eq!(there.len(), count, "nothing stands there twice");
    let listed = read_json(&all);
    let layers: usize = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["Layers"].as_array().unwrap().len())
        .sum();
    assert!(
        layers > count - 3,
        "{layers} layers in {count} files: none is shared"
    );
}

#[test]
fn two_images_of_one_name_are_refused_and_leave_nothing() {
    let home = tempdir();
    let old = archive_at(&fixture("docker20/single.tar"));
    let new = archive_at(&fixture("docker28/single.tar"));
    let all = archive_at(&home.path().join("all.tar"));
    let told = imgcopy(["copy", "-q", &old, &new, &all]).fails(1).stderr;
    assert!(
        told.contains("another image called corpus/tiny:base"),
        "{told}"
    );
    assert_eq!(tree(home.path()), [""; 0]);
    let told = imgcopy(["copy", &old, &new, &format!("{all}:own/name:1")])
        .fails(64)
        .stderr;
    assert!(told.contains("cannot have one name"), "{told}");
}

#[test]
fn names_are_typed_added_or_kept() {
    let home = tempdir();
    let path = home.path().join("x.tar");
    let source = archive_at(&fixture("docker28/single.tar"));
    let named = format!("{}:own/name:1", archive_at(&path));
    imgcopy([
        "copy",
        "-q",
        &source,
        &named,
        "--additional-tag",
        "docker.io/library/other:2",
    ])
    .ok();
    assert_eq!(
        read_json(&path)[0]["RepoTags"],
        serde_json::json!(["docker.io/own/name:1", "docker.io/library/other:2"])
    );
    std::fs::remove_file(&path).unwrap();
    copy(&source, &archive_at(&path));
    assert_eq!(
        read_json(&path)[0]["RepoTags"],
        serde_json::json!(["docker.io/corpus/tiny:base"])
    );
    std::fs::remove_file(&path).unwrap();

    // The names in an OCI directory are mostly no names of repositories.
    let layout = home.path().join("layout");
    copy(&source, &oci_at(&layout, "latest"));
    copy(&oci_at(&layout, "latest"), &archive_at(&path));
    assert_eq!(read_json(&path)[0]["RepoTags"], serde_json::json!([]));
    let bad = format!("{}:No/Name:1", archive_at(&home.path().join("y.tar")));
    let told = imgcopy(["copy", &source, &bad]).fails(64).stderr;
    assert!(told.contains("invalid image name"), "{told}");
}

#[test]
fn what_is_there_already_stays() {
    let home = tempdir();
    let path = home.path().join("x.tar");
    let source = archive_at(&fixture("docker28/single.tar"));
    std::fs::write(&path, "something").unwrap();
    let told = imgcopy(["copy", &source, &archive_at(&path)])
        .fails(1)
        .stderr;
    assert!(told.contains("it exists"), "{told}");
    assert_eq!(std::fs::read(&path).unwrap(), b"something");

    // What mktemp made is empty.
    std::fs::write(&path, "").unwrap();
    copy(&source, &archive_at(&path));
    imgcopy(["verify", &archive_at(&path)]).ok();
    assert_eq!(tree(home.path()), ["x.tar"]);

    let nowhere = archive_at(&home.path().join("no/x.tar"));
    let told = imgcopy(["copy", &source, &nowhere]).fails(1).stderr;
    assert!(told.contains("there is no directory"), "{told}");
    let directory = archive_at(home.path());
    let told = imgcopy(["copy", &source, &directory]).fails(1).stderr;
    assert!(told.contains("no file"), "{told}");
}

#[test]
fn a_bad_source_leaves_nothing_behind() {
    for broken in [
        "oci-blob-bitflip",
        "oci-config-bitflip",
        "oci-size-too-small",
    ] {
        let home = tempdir();
        let source = format!("oci:{}", fixture(&format!("broken/{broken}")).display());
        let told = imgcopy([
            "copy",
            "-q",
            &source,
            &archive_at(&home.path().join("x.tar")),
        ]);
        told.fails(1);
        assert_eq!(tree(home.path()), [""; 0], "{broken}");
    }
}

#[test]
fn what_is_no_container_image_is_refused_before_anything_is_written() {
    let home = tempdir();
    let path = archive_at(&home.path().join("x.tar"));
    let index = format!("oci:{}", fixture("podman/oci-index").display());
    let name = names(&index).remove(0);
    let index = format!("{index}:{name}");
    let told = imgcopy(["copy", &index, &path, "--all"]).fails(64).stderr;
    assert!(told.contains("holds no indexes"), "{told}");
    let told = imgcopy(["copy", &index, &path, "--compression", "zstd"])
        .fails(64)
        .stderr;
    assert!(told.contains("plain layers only"), "{told}");
    let both = ["--platform", "linux/amd64", "--platform", "linux/arm64"];
    let args = ["copy", &index, &path].into_iter().chain(both);
    imgcopy(args).fails(64);
    assert_eq!(tree(home.path()), [""; 0]);

    imgcopy(["copy", "-q", &index, &path, "--platform", "linux/arm64"]).ok();
    let config = imgcopy(["inspect", "--config", &path]).ok().stdout;
    assert!(config.contains("arm64"), "{config}");
}

#[test]
fn a_pipe_carries_the_archive_and_nothing_else() {
    let home = tempdir();
    let layout = home.path().join("layout");
    copy(
        &archive_at(&fixture("docker28/manylayers.tar")),
        &oci_at(&layout, "x"),
    );
    let piped = home.path().join("piped.tar");
    let out = std::fs::File::create(&piped).unwrap();
    let run = command()
        .args(["copy", &oci_at(&layout, "x"), "docker-archive:-"])
        .stdout(out)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stderr).contains("copied"));
    let file = home.path().join("file.tar");
    copy(&oci_at(&layout, "x"), &archive_at(&file));
    assert!(std::fs::read(&piped).unwrap() == std::fs::read(&file).unwrap());
    // Layers that must be unpacked are kept one at a time, and not beside the archive.
    assert_eq!(names(&archive_at(&piped)), names(&archive_at(&file)));
}

#[test]
fn a_pipe_that_closes_early_is_a_clear_error() {
    let home = tempdir();
    let layout = home.path().join("layout");
    let big = support::image(&[&noise(1, 4 << 20)], "big:1");
    let source = big.write(home.path(), "big.tar");
    copy(&archive_at(&source), &oci_at(&layout, "x"));
    let mut child = command()
        .args(["copy", "-q", &oci_at(&layout, "x"), "docker-archive:-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run = Run::from(child.wait_with_output().unwrap());
    assert!(run.fails(1).stderr.contains("Broken pipe"));
}

/// Whatever `docker load` prints is of no interest: the engine must have the image, with its ID.
#[path = "support/engine.rs"]
mod engine;

#[test]
fn an_engine_loads_what_was_written() {
    let Some(engine) = engine::Engine::start() else {
        return;
    };
    let home = tempdir();
    let at = |name: &str| -> PathBuf { home.path().join(name) };
    let layout = at("layout");
    for (number, name) in ["single", "manylayers", "empty", "whiteout"]
        .iter()
        .enumerate()
    {
        let source = archive_at(&fixture(&format!("docker28/{name}.tar")));
        copy(&source, &oci_at(&layout, name));
        let path = at(&format!("{name}.tar"));
        imgcopy([
            "copy",
            "-q",
            &oci_at(&layout, name),
            &format!("{}:own/{name}:{number}", archive_at(&path)),
        ])
        .ok();
        engine.docker(&["load", "--quiet", "--input", &path.display().to_string()]);
        let id = engine.image_id(&format!("own/{name}:{number}"));
        assert_eq!(Value::from(id), identity(&oci_at(&layout, name)).0);
    }
    let both = at("both.tar");
    let multi = archive_at(&fixture("docker28/multitag.tar"));
    let many = archive_at(&fixture("docker28/manylayers.tar"));
    imgcopy(["copy", "-q", &multi, &many, &archive_at(&both)]).ok();
    engine.docker(&["load", "--quiet", "--input", &both.display().to_string()]);
    for name in names(&archive_at(&both)) {
        let id = identity(&format!("{}:{name}", archive_at(&both))).0;
        assert_eq!(Value::from(engine.image_id(&name)), id);
    }
}
