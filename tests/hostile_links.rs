//! Links, FIFOs and devices where files should be, in sources and in destinations (S-54, S-56).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::*;

/// What a program that waits for nobody needs at most.
const SOON: Duration = Duration::from_secs(10);

/// An OCI directory at `in/d` with one image, and all of its blobs.
fn layout(sandbox: &Sandbox) -> (PathBuf, Vec<PathBuf>) {
    let archive = image(&[b"one layer", b"another layer"], "a:1").write(&sandbox.at("in"), "a.tar");
    let path = sandbox.at("in/d");
    copy_here(&archive_at(&archive), &oci_at(&path, "a")).unwrap();
    fs::remove_dir_all(path.join(".imgcopy")).unwrap();
    let blobs = fs::read_dir(path.join("blobs/sha256")).unwrap();
    let blobs: Vec<PathBuf> = blobs.map(|blob| blob.unwrap().path()).collect();
    assert_eq!(blobs.len(), 4);
    (path, blobs)
}

type Put = Box<dyn Fn(&Path)>;

/// Everything that can stand in for a file.
fn impostors(sandbox: &Sandbox, real: &Path) -> Vec<(&'static str, Put)> {
    let copy = sandbox.at("copy");
    Run::of(Command::new("rm").arg("-rf").arg(&copy)).ok();
    Run::of(Command::new("cp").arg("-r").args([real, &copy])).ok();
    let link = |to: PathBuf| -> Put { Box::new(move |at| symlink(&to, at).unwrap()) };
    let run = |program: &'static str, args: &'static [&str]| -> Put {
        Box::new(move |at| drop(Run::of(Command::new(program).arg(at).args(args)).ok()))
    };
    let mut all = vec![
        ("a link to /etc/passwd", link("/etc/passwd".into())),
        ("a link to the very bytes", link(copy)),
        ("a link to /dev/zero", link("/dev/zero".into())),
        ("a link to nothing", link("/not/there".into())),
        ("a FIFO", run("mkfifo", &[])),
        ("a directory", run("mkdir", &[])),
    ];
    let device = sandbox.at("device");
    let made = Command::new("mknod")
        .arg(&device)
        .args(["c", "1", "5"])
        .output();
    if made.is_ok_and(|made| made.status.success()) {
        all.push(("a device", run("mknod", &["c", "1", "5"])));
        fs::remove_file(device).unwrap();
    }
    all
}

fn remove(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn s54_what_is_no_regular_file_is_neither_read_nor_waited_for() {
    let sandbox = Sandbox::new();
    let (path, mut places) = layout(&sandbox);
    let (source, out) = (oci_at(&path, "a"), sandbox.at("out"));
    let own = ["index.json", "oci-layout", "blobs", "blobs/sha256"];
    places.extend(own.map(|name| path.join(name)));
    for place in places {
        for (what, put) in impostors(&sandbox, &place) {
            let kept = sandbox.at("kept");
            fs::rename(&place, &kept).unwrap();
            put(&place);
            let run = run_within(command().args([&source, &oci_at(&out, "a")]), SOON);
            let told = format!(
                "{what} at {}: {}{}",
                place.display(),
                run.stdout,
                run.stderr
            );
            assert!(matches!(run.code, Some(1 | 2)), "{told}");
            assert!(!told.contains("root:") && !out.exists(), "{told}");
            for verb in ["verify", "inspect", "tags"] {
                let run = run_within(command().args([verb, &source]), SOON);
                let told = format!(
                    "{what} at {}: {}{}",
                    place.display(),
                    run.stdout,
                    run.stderr
                );
                assert!(
                    !told.contains("root:") && !told.contains("panicked"),
                    "{told}"
                );
            }
            remove(&place);
            fs::rename(&kept, &place).unwrap();
        }
    }
    copy_here(&source, &oci_at(&out, "a")).unwrap();
}

#[test]
fn s54_a_blob_that_turns_into_a_link_and_back_is_never_followed() {
    let sandbox = Sandbox::new();
    let (path, blobs) = layout(&sandbox);
    let ended = AtomicBool::new(false);
    let (mut good, mut bad) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (link, kept) = (sandbox.at("link"), sandbox.at("kept"));
            for blob in blobs.iter().cycle() {
                // As long and with the same beginning, so that only reading it tells.
                fs::copy(blob, &kept).unwrap();
                symlink("/etc/passwd", &link).unwrap();
                fs::rename(&link, blob).unwrap();
                fs::rename(&kept, blob).unwrap();
                if ended.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for n in 0..150 {
            let out = sandbox.at(&format!("out-{n}"));
            match copy_here(&oci_at(&path, "a"), &oci_at(&out, "a")) {
                Ok(_) => good += 1,
                Err(_) => bad += 1,
            }
            assert_whole(&out);
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(
        good > 0 && bad > 0,
        "{good} good and {bad} bad copies prove nothing"
    );
}

/// The places in a destination where somebody may have put a link beforehand.
fn traps(blobs: &[PathBuf]) -> Vec<String> {
    let fixed = [
        "index.json",
        "oci-layout",
        "blobs",
        "blobs/sha256",
        ".imgcopy",
        ".imgcopy/lock",
        ".imgcopy/verified",
        ".imgcopy/stage-1",
    ];
    let name = |blob: &PathBuf| format!("blobs/sha256/{}", blob.file_name().unwrap().display());
    fixed
        .map(str::to_string)
        .into_iter()
        .chain(blobs.iter().map(name))
        .collect()
}

#[test]
fn s56_links_that_wait_in_a_destination_are_replaced_or_refused_and_never_followed() {
    let sandbox = Sandbox::new();
    let (path, blobs) = layout(&sandbox);
    let outside = sandbox.at("outside");
    for name in traps(&blobs) {
        for target in ["file", "directory", "nothing", "a FIFO"] {
            fs::create_dir_all(outside.join("directory/sha256")).unwrap();
            fs::write(outside.join("directory/precious"), "precious").unwrap();
            fs::write(
                outside.join("file"),
                r#"{"imageLayoutVersion":"1.0.0","manifests":[]}"#,
            )
            .unwrap();
            Run::of(Command::new("mkfifo").arg(outside.join("a FIFO"))).ok();
            let before = stamps(&outside);
            let out = sandbox.at("out");
            let trap = out.join(&name);
            fs::create_dir_all(trap.parent().unwrap()).unwrap();
            if name != "oci-layout" {
                fs::write(out.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
            }
            symlink(outside.join(target), &trap).unwrap();
            let args = [oci_at(&path, "a"), oci_at(&out, "a")];
            let run = run_within(command().arg("copy").args(args), SOON);
            let told = format!("{name} to {target}: {}", run.stderr);
            assert_eq!(stamps(&outside), before, "{told}");
            if run.code == Some(0) {
                assert_eq!(assert_whole(&out), ["a"], "{told}");
                // What nobody of us wrote may stay what it is, but nothing of ours is a link.
                let is_link = trap
                    .symlink_metadata()
                    .is_ok_and(|found| found.is_symlink());
                assert!(!is_link, "{told}");
            } else {
                run.fails(1);
            }
            fs::remove_dir_all(&out).unwrap();
            fs::remove_dir_all(&outside).unwrap();
        }
    }
}

#[test]
fn s56_other_things_that_wait_in_a_destination_make_nobody_wait() {
    let sandbox = Sandbox::new();
    let (path, blobs) = layout(&sandbox);
    for name in traps(&blobs) {
        for kind in ["mkfifo", "mkdir"] {
            let out = sandbox.at("out");
            let trap = out.join(&name);
            fs::create_dir_all(trap.parent().unwrap()).unwrap();
            if name != "oci-layout" {
                fs::write(out.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
            }
            Run::of(Command::new(kind).arg(&trap)).ok();
            let args = [oci_at(&path, "a"), oci_at(&out, "a")];
            let run = run_within(command().arg("copy").args(args), SOON);
            let told = format!("{kind} {name}: {}", run.stderr);
            match run.code {
                Some(0) => assert_eq!(assert_whole(&out), ["a"], "{told}"),
                _ => drop(run.fails(1)),
            }
            fs::remove_dir_all(&out).unwrap();
        }
    }
}

#[test]
fn s08_a_ledger_that_cannot_be_read_costs_nothing_but_reading() {
    let sandbox = Sandbox::new();
    let (path, _) = layout(&sandbox);
    let out = sandbox.at("out");
    copy_here(&oci_at(&path, "a"), &oci_at(&out, "old")).unwrap();
    let ledger = fs::File::options()
        .write(true)
        .open(out.join(".imgcopy/verified"))
        .unwrap();
    // One that nobody kept small for years.
    ledger.set_len(65 << 20).unwrap();
    imgcopy([oci_at(&path, "a"), oci_at(&out, "new")]).ok();
    imgcopy(["verify", &oci_at(&out, "new")]).ok();
    fs::write(out.join(".imgcopy/verified"), noise(1, 10_000)).unwrap();
    imgcopy([oci_at(&path, "a"), oci_at(&out, "newer")]).ok();
    assert_eq!(assert_whole(&out), ["new", "newer", "old"]);
}

#[test]
fn s55_a_name_is_never_a_path() {
    let sandbox = Sandbox::new();
    let (path, _) = layout(&sandbox);
    let out = sandbox.at("out");
    let names = ["a/../../x", "x/y:1", "CON", "con", "_", "a:b@c"];
    for name in names {
        copy_here(&oci_at(&path, "a"), &oci_at(&out, name)).unwrap();
    }
    let mut found = assert_whole(&out);
    found.sort();
    let mut names = names.map(str::to_string);
    names.sort();
    assert_eq!(found, names);
    let files = tree(&out)
        .into_iter()
        .filter(|file| !file.starts_with(".imgcopy"));
    for file in files {
        let is_ours = ["blobs", "index.json", "oci-layout"]
            .iter()
            .any(|own| file.starts_with(own));
        assert!(is_ours, "{file}");
    }
}
