//! Verbs that change a place itself: `tag` and `gc`; and what shells know of the command.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Command;

use support::registry::Registry;
use support::{
    Run, archive_at, blobs, copy, fixture, fixtures, has_peer, imgcopy, oci_at, tempdir, tree,
};

fn names(reference: &str) -> Vec<String> {
    let told = imgcopy(["tags", reference]).ok();
    told.stdout.lines().map(str::to_string).collect()
}

fn gc(directory: &Path, options: &[&str]) -> Run {
    let place = format!("oci:{}", directory.display());
    imgcopy(["gc", &place].iter().chain(options))
}

#[test]
fn a_tag_is_given_in_a_directory_and_moves_nothing() {
    let home = tempdir();
    let layout = home.path().join("layout");
    let digest = copy(
        &archive_at(&fixture("docker28/single.tar")),
        &oci_at(&layout, "a"),
    );
    copy(
        &archive_at(&fixture("docker28/empty.tar")),
        &oci_at(&layout, "b"),
    );
    let before = blobs(&layout);
    let told = imgcopy(["tag", &oci_at(&layout, "a"), "c"]).ok();
    assert_eq!(told.stdout.trim(), digest);
    imgcopy(["tag", &oci_at(&layout, "a"), "b"]).ok();
    for name in ["a", "b", "c"] {
        let now = imgcopy(["digest", &oci_at(&layout, name)]).ok();
        assert_eq!(now.stdout.trim(), digest, "{name}");
    }
    assert_eq!(blobs(&layout), before);
    let told = imgcopy(["tag", &oci_at(&layout, "none"), "c"])
        .fails(2)
        .stderr;
    assert!(told.contains("no image none"), "{told}");
    let nowhere = home.path().join("nowhere");
    imgcopy(["tag", &oci_at(&nowhere, "a"), "c"]).fails(2);
    assert!(!nowhere.exists());
    let archive = archive_at(&fixture("docker28/single.tar"));
    imgcopy(["tag", &archive, "c"]).fails(64);
}

#[test]
fn a_tag_is_given_in_a_registry_by_one_get_and_one_put() {
    let registry = Registry::start();
    let digest = registry.add_image("app", "1", &[1000, 2000], 1);
    let reference = format!("docker://{}/app:1", registry.host());
    let before = registry.log().len();
    let told = imgcopy(["tag", &reference, "stable"]).ok();
    assert_eq!(told.stdout.trim(), digest);
    assert_eq!(registry.tag_of("app", "stable"), Some(digest));
    let asked: Vec<String> = registry
        .log()
        .iter()
        .skip(before)
        .map(|it| it.method.clone())
        .collect();
    assert_eq!(asked, ["GET", "PUT"]);
    let told = imgcopy(["tag", &reference, "not/a/tag"]).fails(64).stderr;
    assert!(told.contains("not/a/tag"), "{told}");
}

#[test]
fn gc_takes_what_nothing_refers_to_and_nothing_else() {
    let home = tempdir();
    let layout = home.path().join("layout");
    copy(
        &archive_at(&fixture("docker28/single.tar")),
        &oci_at(&layout, "keep"),
    );
    let kept = blobs(&layout);
    copy(
        &archive_at(&fixture("docker28/manylayers.tar")),
        &oci_at(&layout, "goes"),
    );
    let all = blobs(&layout);
    let nothing = gc(&layout, &[]).ok();
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("removed 0 blobs"));
    imgcopy(["delete", &oci_at(&layout, "goes")]).ok();
    // What is not called like a blob is not ours.
    std::fs::write(layout.join("blobs/sha256/notes.txt"), "mine").unwrap();

    let listed = gc(&layout, &["--dry-run"]).ok();
    assert_eq!(listed.stdout.lines().count(), all - kept);
    assert!(
        listed.stderr.contains("would be removed"),
        "{}",
        listed.stderr
    );
    assert_eq!(blobs(&layout), all + 1);
    let removed = gc(&layout, &[]).ok();
    assert_eq!(removed.stdout, listed.stdout);
    assert_eq!(blobs(&layout), kept + 1);
    imgcopy(["verify", &oci_at(&layout, "keep")]).ok();
    assert!(layout.join("blobs/sha256/notes.txt").exists());
    copy(
        &archive_at(&fixture("docker28/manylayers.tar")),
        &oci_at(&layout, "goes"),
    );
    imgcopy(["verify", &oci_at(&layout, "goes")]).ok();
}

#[test]
fn gc_keeps_every_image_of_every_kind_of_directory() {
    for folder in ["podman", "variants"] {
        for original in fixtures(folder).into_iter().filter(|path| path.is_dir()) {
            let home = tempdir();
            let layout = home.path().join("layout");
            let copied = Command::new("cp")
                .arg("-r")
                .arg(&original)
                .arg(&layout)
                .status();
            assert!(copied.unwrap().success());
            let before = tree(&layout);
            let run = gc(&layout, &["--dry-run"]).ok();
            gc(&layout, &[]).ok();
            let place = format!("oci:{}", layout.display());
            for name in names(&place) {
                imgcopy(["verify", &format!("{place}:{name}")]).ok();
            }
            let gone = run.stdout.lines().count();
            let now = tree(&layout)
                .into_iter()
                .filter(|path| !path.starts_with(".imgcopy"));
            assert_eq!(now.count(), before.len() - gone, "{}", original.display());
        }
    }
}

#[test]
fn gc_removes_nothing_where_a_manifest_cannot_be_read() {
    let home = tempdir();
    let layout = home.path().join("layout");
    let digest = copy(
        &archive_at(&fixture("docker28/single.tar")),
        &oci_at(&layout, "x"),
    );
    let manifest = layout.join("blobs").join(digest.replace(':', "/"));
    std::fs::write(&manifest, "{}").unwrap();
    let before = blobs(&layout);
    let told = gc(&layout, &[]).fails(1).stderr;
    assert!(told.contains("cannot tell what manifest"), "{told}");
    assert_eq!(blobs(&layout), before);
}

#[test]
fn gc_waits_for_no_writer_and_disturbs_none() {
    let home = tempdir();
    let layout = home.path().join("layout");
    copy(
        &archive_at(&fixture("docker28/single.tar")),
        &oci_at(&layout, "x"),
    );
    // A writer is known by the lock on its stage.
    let stage = layout.join(".imgcopy/stage-1-0000000000000000");
    std::fs::create_dir(&stage).unwrap();
    let alive = std::fs::File::open(&stage).unwrap();
    alive.lock().unwrap();
    for options in [&["--dry-run"][..], &[]] {
        let told = gc(&layout, options).fails(1).stderr;
        assert!(told.contains("somebody is writing"), "{told}");
    }
    drop(alive);
    gc(&layout, &[]).ok();
    assert!(!stage.exists(), "what a dead writer left goes, too");
}

#[test]
fn only_directories_as_a_whole_are_cleaned() {
    let archive = archive_at(&fixture("docker28/single.tar"));
    for place in [archive.as_str(), "docker://localhost/x", "oci:dir:tag"] {
        let told = imgcopy(["gc", place]).fails(64).stderr;
        assert!(told.contains("only OCI directories"), "{told}");
    }
    imgcopy(["gc", "oci:not-there"]).fails(2);
}

#[test]
fn shells_and_manuals_know_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = imgcopy(["completions", shell]).ok().stdout;
        for verb in ["copy", "inspect", "gc", "override-arch"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
        if shell == "bash" && has_peer("bash") {
            let home = tempdir();
            let path = home.path().join("completions");
            std::fs::write(&path, script).unwrap();
            Run::of(Command::new("bash").arg("-n").arg(path)).ok();
        }
    }
    let home = tempdir();
    imgcopy(["man", &home.path().display().to_string()]).ok();
    let pages = tree(home.path());
    for page in ["imgcopy.1", "imgcopy-copy.1", "imgcopy-gc.1"] {
        assert!(pages.contains(&page.to_string()), "{pages:?}");
    }
    let page = std::fs::read_to_string(home.path().join("imgcopy-copy.1")).unwrap();
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
}
