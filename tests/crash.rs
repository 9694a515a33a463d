//! Killed or interrupted at any moment, a copy leaves the old image or the new one (R-13, R-17);
//! and what a crash or a bad disk left of a blob is not taken for it (S-08).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "crash/archives.rs"]
mod archives;
mod support;

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::*;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Images whose copies take some tens of milliseconds. All share their lowest layer.
fn some_images(seed: u64, directory: &Path) -> Vec<PathBuf> {
    let shared = noise(0, 300_000);
    let write = |n: u64| {
        let noisy = noise(seed + n, 900_000);
        let soft = format!("{seed} and {n} can be compressed. ").repeat(50_000);
        let archive = image(&[&shared, &noisy, soft.as_bytes()], "app:1");
        archive.write(directory, &format!("{n}.tar"))
    };
    (0..7).map(write).collect()
}

fn spawn(args: [String; 2]) -> Child {
    let mut command = command();
    let command = command.arg("copy").arg("--quiet").args(args);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.unwrap()
}

/// Kills copies until `wanted` of them died of it.
fn kill_copies(seed: u64, wanted: usize) {
    let temporary = tempdir();
    let sources = some_images(seed, temporary.path());
    let mut lifetime = Lifetime::of_copies();
    let (mut killed, mut swept) = (0, 0);
    for n in 0_usize.. {
        assert!(n < wanted * 10, "{killed} of {n} kills hit");
        if killed == wanted {
            break;
        }
        // A fresh directory now and then, so that its making is interrupted too.
        let directory = temporary.path().join(format!("new/{}", n / sources.len()));
        let tag = ["a", "b", "c"][n % 3];
        let args = [
            archive_at(&sources[n % sources.len()]),
            oci_at(&directory, tag),
        ];
        if n % sources.len() == 1 && n / sources.len() < 3 {
            let begun = Instant::now();
            assert!(spawn(args).wait().unwrap().success());
            lifetime.is_at_least(begun.elapsed());
            continue;
        }
        let before = tags(&directory);
        let mut child = spawn(args.clone());
        killed += usize::from(lifetime.kill(&mut child, seed ^ n as u64));
        let after = assert_whole(&directory);
        assert!(
            before.iter().all(|tag| after.contains(tag)),
            "{before:?} became {after:?}"
        );
        // Not after every kill, so that leftovers of several dead copies meet the next one.
        if n % 3 == 2 {
            swept += stages(&directory).len();
            assert!(spawn(args).wait().unwrap().success());
            assert!(assert_whole(&directory).iter().any(|there| there == tag));
            assert_eq!(stages(&directory), [""; 0]);
        }
    }
    assert!(
        swept > 0,
        "no kill left anything to be swept: none came at the right moment"
    );
}

/// The tags of a directory, which may not be there yet.
fn tags(directory: &Path) -> Vec<String> {
    let Ok(text) = fs::read(directory.join("index.json")) else {
        return Vec::new();
    };
    let index: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let entries = index["manifests"].as_array().unwrap().iter();
    let name =
        |entry: &serde_json::Value| entry["annotations"][REF_NAME].as_str().map(str::to_string);
    entries.filter_map(name).collect()
}

#[test]
fn f91_kills_at_random_moments_leave_whole_images_and_a_rerun_succeeds() {
    kill_copies(91_000, 100);
}

#[test]
fn f91_more_kills_at_other_moments_do_too() {
    kill_copies(191_000, 100);
}

/// An image that takes seconds to copy.
fn long_image(directory: &Path) -> PathBuf {
    let part = noise(1, 1 << 20);
    let layers: Vec<Vec<u8>> = (0..8_u8)
        .map(|n| [&[n; 512][..], &part.repeat(40)].concat())
        .collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    image(&layers, "long:1").write(directory, "long.tar")
}

fn signal(child: &Child, name: &str) {
    let mut kill = std::process::Command::new("kill");
    let status = kill.args([name, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Waits until a running copy has got somewhere.
#[track_caller]
fn until(child: &mut Child, is_so: impl Fn(u32) -> bool) {
    let begun = Instant::now();
    while !is_so(child.id()) {
        assert_eq!(child.try_wait().unwrap(), None, "it ended too early");
        assert!(begun.elapsed() < Duration::from_secs(20), "it got nowhere");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process has a file open whose path, as the system shows it, contains `part`.
fn has_open(process: u32, part: &str) -> bool {
    let open = std::fs::read_dir(format!("/proc/{process}/fd"));
    let mut open = open.into_iter().flatten().flatten();
    open.any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().contains(part)))
}

#[test]
fn r17_an_interrupt_ends_a_long_copy_within_two_seconds_and_leaves_nothing_half_done() {
    let temporary = tempdir();
    let long = long_image(temporary.path());
    let old = image(&[b"old"], "old:1").write(temporary.path(), "old.tar");
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let directory = temporary.path().join(name);
        imgcopy([archive_at(&old), oci_at(&directory, "old")]).ok();
        let index = std::fs::read(directory.join("index.json")).unwrap();
        let mut child = spawn([archive_at(&long), oci_at(&directory, "long")]);
        until(&mut child, |_| stages(&directory).len() > 2);
        signal(&child, name);
        let status = ends_within(&mut child, Duration::from_secs(2));
        assert_eq!(status.code(), Some(code), "{name}: {status}");
        assert_eq!(std::fs::read(directory.join("index.json")).unwrap(), index);
        assert_eq!(assert_whole(&directory), ["old"]);
        assert_eq!(stages(&directory), [""; 0], "{name}");
    }
}

#[test]
fn r17_an_interrupt_ends_the_unpacking_of_an_archive() {
    let temporary = tempdir();
    let packed = temporary.path().join("zeros.tar.zst");
    let mut to = zstd::stream::write::Encoder::new(std::fs::File::create(&packed).unwrap(), 1);
    let to = to.as_mut().unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 900 << 20), to).unwrap();
    to.do_finish().unwrap();
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let directory = temporary.path().join("d");
        let mut child = spawn([archive_at(&packed), oci_at(&directory, "long")]);
        until(&mut child, |process| has_open(process, "(deleted)"));
        signal(&child, name);
        let status = ends_within(&mut child, Duration::from_secs(2));
        assert_eq!(status.code(), Some(code), "{name}: {status}");
        assert!(!directory.exists());
    }
}

#[test]
fn r17_an_interrupt_ends_the_wait_for_another_writer() {
    let temporary = tempdir();
    let directory = temporary.path().join("d");
    let source = image(&[b"a layer"], "a:1").write(temporary.path(), "a.tar");
    imgcopy([archive_at(&source), oci_at(&directory, "a")]).ok();
    let other = image(&[b"another"], "b:1").write(temporary.path(), "b.tar");
    let lock = std::fs::File::open(directory.join(".imgcopy/lock")).unwrap();
    lock.lock().unwrap();
    let mut child = spawn([archive_at(&other), oci_at(&directory, "b")]);
    until(&mut child, |process| has_open(process, ".imgcopy/lock"));
    signal(&child, "-INT");
    let status = ends_within(&mut child, Duration::from_secs(2));
    assert_eq!(status.code(), Some(130), "{status}");
    drop(lock);
    assert_eq!(assert_whole(&directory), ["a"]);
    assert_eq!(stages(&directory), [""; 0]);
}

/// What may stand where a blob should be.
const DAMAGES: [&str; 3] = ["empty", "short", "other bytes"];

fn damaged(bytes: &[u8], how: &str) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match how {
        "empty" => bytes.clear(),
        "short" => bytes.truncate(bytes.len() / 2),
        _ => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
    }
    bytes
}

/// An OCI directory with one image, and its blobs.
fn good_copy(directory: &Path) -> (PathBuf, Vec<PathBuf>) {
    let source = directory.join("source.tar");
    let archive = image(&[&noise(3, 5000), b"another layer"], "app:1").bytes();
    fs::write(&source, archive).unwrap();
    imgcopy([archive_at(&source), oci_at(&directory.join("good"), "a")]).ok();
    let blobs = fs::read_dir(directory.join("good/blobs/sha256")).unwrap();
    let blobs: Vec<PathBuf> = blobs.map(|blob| blob.unwrap().path()).collect();
    assert_eq!(blobs.len(), 4);
    (source, blobs)
}

#[test]
fn s08_f95_blobs_that_were_there_before_the_first_copy_are_not_trusted() {
    let temporary = tempdir();
    let (archive, blobs) = good_copy(temporary.path());
    let sources = [
        archive_at(&archive),
        oci_at(&temporary.path().join("good"), "a"),
    ];
    for source in &sources {
        for (n, how) in DAMAGES.iter().enumerate() {
            let directory = temporary.path().join(format!("{n}"));
            fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
            fs::write(
                directory.join("oci-layout"),
                r#"{"imageLayoutVersion":"1.0.0"}"#,
            )
            .unwrap();
            for blob in &blobs {
                let bytes = damaged(&fs::read(blob).unwrap(), how);
                fs::write(
                    directory
                        .join("blobs/sha256")
                        .join(blob.file_name().unwrap()),
                    bytes,
                )
                .unwrap();
            }
            copy_here(source, &oci_at(&directory, "a")).unwrap();
            assert_eq!(assert_whole(&directory), ["a"], "{how} from {source}");
            fs::remove_dir_all(&directory).unwrap();
        }
    }
}

/// A change of one blob, in place.
struct Damage<'a> {
    blob: &'a Path,
    how: &'a str,
    /// Whether imgcopy knew the blob to be right before.
    recorded: bool,
    /// Whether the time of the last change was put back.
    old_time: bool,
}

impl Damage<'_> {
    /// Makes a copy with the damage.
    fn done(&self, directory: &Path, source: &str) -> PathBuf {
        let place = directory.join("damaged");
        let _ = fs::remove_dir_all(&place);
        copy_here(source, &oci_at(&place, "a")).unwrap();
        if !self.recorded {
            fs::remove_dir_all(place.join(".imgcopy")).unwrap();
        }
        let at = place
            .join("blobs/sha256")
            .join(self.blob.file_name().unwrap());
        let time = fs::metadata(&at).unwrap().modified().unwrap();
        fs::write(&at, damaged(&fs::read(self.blob).unwrap(), self.how)).unwrap();
        if self.old_time {
            let file = File::options().write(true).open(&at).unwrap();
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        }
        place
    }
}

#[test]
fn s08_f95_blobs_that_were_changed_later_are_replaced() {
    let temporary = tempdir();
    let (archive, blobs) = good_copy(temporary.path());
    let sources = [
        archive_at(&archive),
        oci_at(&temporary.path().join("good"), "a"),
    ];
    for (source, recorded) in sources
        .iter()
        .flat_map(|source| [(source, false), (source, true)])
    {
        for (blob, how) in blobs.iter().flat_map(|blob| DAMAGES.map(|how| (blob, how))) {
            let damage = Damage {
                blob,
                how,
                recorded,
                old_time: false,
            };
            let place = damage.done(temporary.path(), source);
            copy_here(source, &oci_at(&place, "a")).unwrap();
            assert_eq!(assert_whole(&place), ["a"], "{how} from {source}");
        }
    }
}

/// A flipped byte that cannot be seen without reading the blob.
fn unseen(blob: &Path) -> Damage<'_> {
    Damage {
        blob,
        how: "other bytes",
        recorded: true,
        old_time: true,
    }
}

#[test]
fn s08_deep_finds_a_byte_that_was_flipped_behind_the_back_of_the_clock() {
    let temporary = tempdir();
    let (archive, blobs) = good_copy(temporary.path());
    let sources = [
        archive_at(&archive),
        oci_at(&temporary.path().join("good"), "a"),
    ];
    for (source, blob) in sources
        .iter()
        .flat_map(|source| blobs.iter().map(move |blob| (source, blob)))
    {
        let place = unseen(blob).done(temporary.path(), source);
        imgcopy(["copy", source, &oci_at(&place, "a"), "--deep"]).ok();
        assert_eq!(assert_whole(&place), ["a"], "from {source}");
    }
}

#[test]
fn s08_a_manifest_that_was_read_and_seen_to_be_damaged_is_written_anew() {
    let temporary = tempdir();
    let (archive, blobs) = good_copy(temporary.path());
    let good = oci_at(&temporary.path().join("good"), "a");
    let digest = imgcopy(["digest", &good]).ok().stdout;
    let is_manifest =
        |blob: &&PathBuf| digest.contains(&*blob.file_name().unwrap().to_string_lossy());
    let manifest = blobs.iter().find(is_manifest).unwrap();
    for source in [archive_at(&archive), good] {
        let place = unseen(manifest).done(temporary.path(), &source);
        // Even without --deep: the manifest that a tag stands for is read every time.
        copy_here(&source, &oci_at(&place, "a")).unwrap();
        assert_eq!(assert_whole(&place), ["a"], "from {source}");
    }
}
