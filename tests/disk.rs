//! Disks that are full or read-only, and places of the wrong kind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "disk/places.rs"]
mod places;
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::*;
use tempfile::TempDir;

/// What a program that waits for nobody needs at most.
const SOON: Duration = Duration::from_secs(10);

/// A small disk of our own, as long as this lives.
struct Disk {
    path: TempDir,
}

impl Disk {
    /// `None`, after saying so, where the system gives us none.
    fn new(bytes: u64) -> Option<Self> {
        let path = tempdir();
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        let mount = mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path.path());
        if mount.output().is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self { path });
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must let the tests mount a tmpfs"
        );
        eprintln!("left out: no tmpfs can be mounted here, so no disk is full or read-only");
        None
    }

    fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let mount = mount
            .args(["-o", &format!("remount,{options}")])
            .arg(self.path.path());
        Run::of(mount).ok();
    }

    fn used(&self) -> u64 {
        let now = rustix::fs::statvfs(self.path.path()).unwrap();
        (now.f_blocks - now.f_bfree) * now.f_frsize
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.path().join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.path.path())
            .status();
    }
}

const LARGE: &str = "size=64m";
const PAGE: u64 = 4096;

/// Copies to disks that are ever a page larger, until one is large enough: so the disk is full at
/// every write there is. `prepare` makes what is there before.
fn grow(disk: &Disk, source: &Path, from: u64, prepare: impl Fn(&Path)) {
    let directory = disk.at("d");
    let (source, new) = (archive_at(source), oci_at(&directory, "new"));
    let index = || fs::read(directory.join("index.json")).ok();
    let mut failed = 0;
    for pages in from.. {
        let _ = fs::remove_dir_all(&directory);
        prepare(&directory);
        let (tags, old_index) = (assert_whole(&directory), index());
        disk.remount(&format!("size={}", disk.used() + pages * PAGE));
        let run = imgcopy([&source, &new]);
        disk.remount(LARGE);
        if run.code == Some(0) {
            break;
        }
        let told = run.fails(1).stderr;
        let names_it = told.contains("disk is full") || told.contains("No space left on device");
        assert!(names_it, "at {pages} pages: {told}");
        assert_eq!(index(), old_index, "at {pages} pages: {told}");
        assert_eq!(assert_whole(&directory), tags, "at {pages} pages");
        assert_eq!(stages(&directory), [""; 0], "at {pages} pages: {told}");
        copy_here(&source, &new).unwrap();
        assert!(assert_whole(&directory).len() > tags.len());
        failed += 1;
    }
    for tag in assert_whole(&directory) {
        imgcopy(["verify", &oci_at(&directory, &tag)]).ok();
    }
    assert!(failed > 3, "the disk was full at {failed} places only");
}

#[test]
fn f89_a_full_disk_leaves_the_old_images_and_nothing_half_done() {
    let Some(disk) = Disk::new(1 << 20) else {
        return;
    };
    let temporary = tempdir();
    let old = image(&[b"old"], "old:1").write(temporary.path(), "old.tar");
    let layers = [noise(1, 20_000), noise(2, 9_000), noise(3, 3_000)];
    let new =
        image(&[&layers[0], &layers[1], &layers[2]], "new:1").write(temporary.path(), "new.tar");
    grow(&disk, &new, 1, |directory| {
        copy_here(&archive_at(&old), &oci_at(directory, "old")).unwrap();
    });
}

#[test]
fn f89_a_full_disk_leaves_no_image_where_none_was() {
    let Some(disk) = Disk::new(1 << 20) else {
        return;
    };
    let temporary = tempdir();
    let new = image(&[&noise(1, 9_000), b"small"], "new:1").write(temporary.path(), "new.tar");
    grow(&disk, &new, 1, |_| {});
}

#[test]
fn f89_a_full_disk_is_no_failure_once_the_image_is_there() {
    let Some(disk) = Disk::new(1 << 20) else {
        return;
    };
    let temporary = tempdir();
    let old = image(&[b"old"], "old:1").write(temporary.path(), "old.tar");
    // What is learnt about so many layers fills more pages than the old index.json frees.
    let layers: Vec<Vec<u8>> = (0..60).map(|n| noise(n, 100)).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let new = image(&layers, "new:1").write(temporary.path(), "new.tar");
    // Each layer has a page, and so have the config and the manifests: only what follows is new.
    grow(&disk, &new, 58, |directory| {
        copy_here(&archive_at(&old), &oci_at(directory, "old")).unwrap();
    });
}

#[test]
fn f90_a_read_only_destination_is_told_and_read() {
    let Some(disk) = Disk::new(1 << 20) else {
        return;
    };
    let temporary = tempdir();
    let old = image(&[b"old"], "old:1").write(temporary.path(), "old.tar");
    let new = image(&[b"new"], "new:1").write(temporary.path(), "new.tar");
    let directory = disk.at("d");
    imgcopy([archive_at(&old), oci_at(&directory, "old")]).ok();
    disk.remount("ro");
    for place in [&directory, &disk.at("not/there")] {
        let told = imgcopy([archive_at(&new), oci_at(place, "new")])
            .fails(1)
            .stderr;
        assert!(told.contains("Read-only file system"), "{told}");
        assert!(told.contains(&place.display().to_string()), "{told}");
    }
    // There is nothing to write, so nothing is in the way.
    imgcopy([archive_at(&old), oci_at(&directory, "old")]).ok();
    imgcopy([
        oci_at(&directory, "old"),
        oci_at(&temporary.path().join("d"), "a"),
    ])
    .ok();
    imgcopy(["verify", &oci_at(&directory, "old")]).ok();
    assert_eq!(assert_whole(&directory), ["old"]);
}

/// The command, run by a user who may read and write next to nothing.
fn as_nobody(args: &[&str]) -> Run {
    let mut command = Command::new("setpriv");
    let command = command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.env(support::NO_CACHE.0, support::NO_CACHE.1);
    run_within(command.arg(env!("CARGO_BIN_EXE_imgcopy")).args(args), SOON)
}

#[test]
fn f90_what_may_not_be_read_or_written_is_told() {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let program = is_root && has_peer("setpriv");
    if !program {
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
        eprintln!("left out: only root can become a user who may not read or write");
        return;
    }
    let temporary = tempdir();
    let open =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(temporary.path(), 0o777);
    let source = image(&[b"a layer"], "a:1").write(temporary.path(), "a.tar");
    let (from, to) = (archive_at(&source), temporary.path().join("d"));
    open(&source, 0o600);
    let told = as_nobody(&[&from, &oci_at(&to, "a")]).fails(1).stderr;
    assert!(
        told.contains("Permission denied") && told.contains("a.tar"),
        "{told}"
    );
    assert!(!to.exists());
    open(&source, 0o644);
    open(temporary.path(), 0o755);
    let told = as_nobody(&[&from, &oci_at(&to, "a")]).fails(1).stderr;
    assert!(told.contains("Permission denied"), "{told}");
    assert!(!to.exists());
    imgcopy([&from, &oci_at(&to, "a")]).ok();
    let blob = fs::read_dir(to.join("blobs/sha256"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    open(&blob, 0o000);
    let elsewhere = temporary.path().join("theirs");
    fs::create_dir(&elsewhere).unwrap();
    open(&elsewhere, 0o777);
    let told = as_nobody(&[&oci_at(&to, "a"), &oci_at(&elsewhere, "a")])
        .fails(1)
        .stderr;
    assert!(told.contains("Permission denied"), "{told}");
    assert!(!elsewhere.join("index.json").exists());
}

#[test]
fn f90_a_source_or_destination_of_the_wrong_kind_is_told() {
    let temporary = tempdir();
    let at = |name: &str| temporary.path().join(name);
    let source = image(&[b"a layer"], "a:1").write(temporary.path(), "a.tar");
    fs::write(at("file"), "not a directory").unwrap();
    fs::create_dir(at("directory")).unwrap();
    fs::write(at("directory/other"), "somebody's own").unwrap();
    let before = tree(temporary.path());
    let fails = |from: &str, to: &str, code: i32| imgcopy([from, to]).fails(code).stderr;
    let (good, new) = (archive_at(&source), oci_at(&at("new"), "a"));
    fails(&good, &oci_at(&at("file"), "a"), 1);
    fails(&good, &oci_at(&at("file/below"), "a"), 1);
    assert!(fails(&good, &oci_at(&at("directory"), "a"), 1).contains("not empty"));
    assert!(fails(&archive_at(&at("directory")), &new, 1).contains("is a directory"));
    fails(&archive_at(&at("missing.tar")), &new, 2);
    fails(&archive_at(&at("file/below.tar")), &new, 1);
    fails(&oci_at(&at("missing"), "a"), &new, 2);
    fails(&oci_at(&at("directory"), "a"), &new, 1);
    fails(&oci_at(&at("file"), "a"), &new, 1);
    fails(&format!("{good}:b:2"), &new, 2);
    assert_eq!(tree(temporary.path()), before);
}

#[test]
fn f90_what_is_no_file_is_refused_and_does_not_hang() {
    let temporary = tempdir();
    let fifo = temporary.path().join("fifo");
    Run::of(Command::new("mkfifo").arg(&fifo)).ok();
    let new = temporary.path().join("new");
    // A FIFO as an archive is one that comes through a pipe: tests/oci_archive.rs.
    for source in [oci_at(&fifo, "a"), archive_at(Path::new("/dev/zero"))] {
        run_within(command().args([&source, &oci_at(&new, "a")]), SOON).fails(1);
        run_within(command().args(["tags", &source]), SOON).fails(1);
    }
    let good = image(&[b"a layer"], "a:1").write(temporary.path(), "a.tar");
    run_within(
        command().args([archive_at(&good), oci_at(&fifo, "a")]),
        SOON,
    )
    .fails(1);
    assert!(!new.exists());
}

/// Copies an archive that must be unpacked first, with a directory for temporary files.
fn unpack_in(temporary: &Path, place: &Path) -> Run {
    let packed = fixture("docker20/single.tar.gz");
    let mut command = command();
    let command = command.args([archive_at(&packed), oci_at(&temporary.join("new"), "a")]);
    run_within(command.env("TMPDIR", place), SOON)
}

#[test]
fn f90_a_missing_temporary_directory_is_told() {
    let temporary = tempdir();
    let missing = temporary.path().join("missing");
    let told = unpack_in(temporary.path(), &missing).fails(1).stderr;
    assert!(told.contains(&missing.display().to_string()), "{told}");
    assert!(!temporary.path().join("new").exists());
}

#[test]
fn f90_a_full_temporary_directory_is_told() {
    let Some(disk) = Disk::new(PAGE) else {
        return;
    };
    let temporary = tempdir();
    let told = unpack_in(temporary.path(), disk.path.path())
        .fails(1)
        .stderr;
    assert!(told.contains("No space left on device"), "{told}");
    assert!(
        told.contains(&disk.path.path().display().to_string()),
        "{told}"
    );
    assert!(!temporary.path().join("new").exists());
    assert_eq!(tree(disk.path.path()), [""; 0]);
}
