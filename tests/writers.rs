//! Several writers at one directory, some of which know nothing of locks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use support::*;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Eight images that share their lowest layer, and pairs of them one more.
fn eight_archives(directory: &Path) -> Vec<PathBuf> {
    let shared = noise(0, 150_000);
    let write = |n: u8| {
        let (paired, own) = (
            noise(u64::from(n / 2) + 100, 20_000),
            noise(u64::from(n) + 1, 9_000),
        );
        let archive = image(&[&shared, &paired, &own], "app:1");
        archive.write(directory, &format!("{n}.tar"))
    };
    (0..8).map(write).collect()
}

fn start(source: &str, destination: &str) -> Child {
    let mut command = command();
    let command = command.args([source, destination]);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Copies everything at once and waits for all of it.
fn at_once(pairs: &[(String, String)]) -> Vec<Run> {
    let running: Vec<Child> = pairs.iter().map(|(from, to)| start(from, to)).collect();
    running
        .into_iter()
        .map(|child| Run::from(child.wait_with_output().unwrap()))
        .collect()
}

#[test]
fn f93_eight_copies_at_once_all_arrive() {
    let temporary = tempdir();
    let archives = eight_archives(temporary.path());
    for round in 0..20 {
        let directory = temporary.path().join(format!("{round}/not/there/yet"));
        match round % 3 {
            0 => {}
            1 => fs::create_dir_all(&directory).unwrap(),
            _ => drop(imgcopy([archive_at(&archives[0]), oci_at(&directory, "0")]).ok()),
        }
        let tag = |n: usize| n.to_string();
        let pair = |(n, path): (usize, &PathBuf)| (archive_at(path), oci_at(&directory, &tag(n)));
        let pairs: Vec<_> = archives.iter().enumerate().map(pair).collect();
        for run in at_once(&pairs) {
            run.ok();
        }
        let tags: Vec<String> = (0..8).map(tag).collect();
        assert_eq!(assert_whole(&directory), tags, "round {round}");
        assert_eq!(stages(&directory), [""; 0]);
        imgcopy(["verify", &oci_at(&directory, &tag(round % 8))]).ok();
    }
}

#[test]
fn f93_a_directory_can_be_opened_at_every_moment_of_its_making() {
    let temporary = tempdir();
    let source = image(&[b"a layer"], "a:1").write(temporary.path(), "a.tar");
    for round in 0..200 {
        let place = oci_at(&temporary.path().join(format!("{round}/new")), "a");
        let ended = AtomicBool::new(false);
        let opened = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let reference = place.parse().unwrap();
                while !ended.load(Ordering::Relaxed) {
                    imgcopy::store::open_destination(&reference, &support::nobody(), false)?;
                }
                Ok::<_, imgcopy::error::Error>(())
            });
            copy_here(&archive_at(&source), &place).unwrap();
            ended.store(true, Ordering::Relaxed);
            other.join().unwrap()
        });
        assert!(
            opened.is_ok(),
            "round {round}: {}",
            told(&opened.unwrap_err())
        );
    }
}

#[test]
fn f85_eight_copies_to_one_tag_leave_one_of_them() {
    let temporary = tempdir();
    let archives = eight_archives(temporary.path());
    for round in 0..4 {
        let directory = temporary.path().join(round.to_string());
        let pair = |path: &PathBuf| (archive_at(path), oci_at(&directory, "same"));
        let pairs: Vec<_> = archives.iter().map(pair).collect();
        let digests: Vec<String> = at_once(&pairs)
            .into_iter()
            .map(|run| run.ok().stdout)
            .collect();
        assert_eq!(assert_whole(&directory), ["same"]);
        let left = imgcopy(["digest", &oci_at(&directory, "same")]).ok().stdout;
        assert!(digests.contains(&left), "{left} is none of {digests:?}");
    }
}

fn entry_of(tag: &str, image: &Value) -> Value {
    let mut entry = image.clone();
    entry["annotations"] = json!({ REF_NAME: tag });
    entry
}

fn index_of(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join("index.json")).unwrap()).unwrap()
}

/// Adds a tag as a program would that knows no lock: reads, changes, renames. It looks at what it
/// displaced, though, and puts that back in, so that a tag of ours is never lost by its fault.
fn add_without_lock(directory: &Path, tag: &str, image: &Value) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let (index, own) = (
        directory.join("index.json"),
        directory.join(format!("own-{tag}")),
    );
    let mut expected = fs::read(&index).unwrap();
    let mut new: Value = serde_json::from_slice(&expected).unwrap();
    new["manifests"]
        .as_array_mut()
        .unwrap()
        .push(entry_of(tag, image));
    loop {
        let text = serde_json::to_vec(&new).unwrap();
        fs::write(&own, &text).unwrap();
        renameat_with(CWD, &own, CWD, &index, RenameFlags::EXCHANGE).unwrap();
        let displaced = fs::read(&own).unwrap();
        if displaced == expected {
            fs::remove_file(&own).unwrap();
            return;
        }
        expected = text;
        let there: Value = serde_json::from_slice(&displaced).unwrap();
        let list = new["manifests"].as_array_mut().unwrap();
        for entry in there["manifests"].as_array().unwrap() {
            if !list.contains(entry) {
                list.push(entry.clone());
            }
        }
    }
}

#[test]
fn f94_a_tag_survives_a_writer_that_ignores_the_lock_and_hardly_takes_any() {
    let temporary = tempdir();
    let old = image(&[b"old"], "old:1").write(temporary.path(), "old.tar");
    let new = image(&[b"new"], "new:1").write(temporary.path(), "new.tar");
    let (mut told, mut lost, mut foreign) = (0, 0, 0);
    for round in 0..9 {
        let directory = temporary.path().join(round.to_string());
        imgcopy([archive_at(&old), oci_at(&directory, "old")]).ok();
        let entry = index_of(&directory)["manifests"][0].clone();
        let ended = AtomicBool::new(false);
        let (run, added) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut added = Vec::new();
                while !ended.load(Ordering::Relaxed) {
                    added.push(format!("foreign-{}", added.len()));
                    add_without_lock(&directory, added.last().unwrap(), &entry);
                    // In some rounds it leaves room between its changes.
                    std::thread::sleep(std::time::Duration::from_millis(4 * (round % 3)));
                }
                added
            });
            let run = imgcopy([archive_at(&new), oci_at(&directory, "new")]);
            ended.store(true, Ordering::Relaxed);
            (run, writer.join().unwrap())
        });
        let tags = assert_whole(&directory);
        match run.code {
            Some(0) => assert!(
                tags.contains(&"new".to_string()),
                "lost in round {round}: {tags:?}"
            ),
            _ => {
                told += 1;
                assert!(run.fails(1).stderr.contains("index.json"));
            }
        }
        foreign += added.len();
        lost += added.iter().filter(|tag| !tags.contains(tag)).count();
    }
    assert!(told < 9, "no copy at all came through");
    // Between looking and renaming nothing can be seen; without looking, most rounds would lose one.
    assert!(lost <= 3, "{lost} of {foreign} foreign tags are lost");
}

#[test]
fn f94_skopeo_at_the_same_time_leaves_everything_whole() {
    if !has_peer("skopeo") {
        return;
    }
    let temporary = tempdir();
    let archives = eight_archives(temporary.path());
    let directory = temporary.path().join("d");
    for round in 0..4 {
        let [ours, theirs] = [format!("ours-{round}"), format!("theirs-{round}")];
        let mut skopeo = Command::new("skopeo");
        let skopeo = skopeo.args(["copy", "--insecure-policy", "-q"]);
        let skopeo = skopeo.args([archive_at(&archives[round]), oci_at(&directory, &theirs)]);
        let other = skopeo
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let source = archive_at(&archives[7 - round]);
        imgcopy([&source, &oci_at(&directory, &ours)]).ok();
        Run::from(other.wait_with_output().unwrap()).ok();
        assert_whole(&directory);
        // skopeo may have written the index that it read before ours; we can be asked again.
        imgcopy([&source, &oci_at(&directory, &ours)]).ok();
        assert!(assert_whole(&directory).contains(&ours));
        let config = |of: &str| imgcopy(["inspect", "--config", of]).ok().stdout;
        assert_eq!(config(&oci_at(&directory, &ours)), config(&source));
        imgcopy(["verify", &oci_at(&directory, &ours)]).ok();
    }
}

/// An image one of whose layers has other bytes than its config says.
fn bad_archive(directory: &Path, good_bytes: usize) -> PathBuf {
    let archive = image(
        &[&noise(5, good_bytes), b"this layer will be changed"],
        "bad:1",
    );
    let mut bytes = archive.bytes();
    let at = bytes
        .windows(10)
        .position(|part| part == b"this layer")
        .unwrap();
    bytes[at] = b'T';
    let path = directory.join(format!("bad-{good_bytes}.tar"));
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn f93_a_bad_copy_takes_back_nothing_that_good_ones_wrote() {
    let temporary = tempdir();
    let bad: Vec<_> = [0, 3000, 200_000]
        .map(|n| bad_archive(temporary.path(), n))
        .into();
    // The good image has a layer in common with the bad one.
    let good = image(&[&noise(5, 3000), b"good"], "good:1").write(temporary.path(), "good.tar");
    let mut failures = Vec::new();
    for round in 0..150 {
        let directory = temporary.path().join(format!("{round}/new/layout"));
        let start = Barrier::new(3);
        let copy = |source: &Path, tag: &str| {
            start.wait();
            copy_here(&archive_at(source), &oci_at(&directory, tag))
        };
        let (good_ones, bad_one) = std::thread::scope(|scope| {
            let bad = scope.spawn(|| copy(&bad[round % 3], "bad"));
            let goods = ["one", "two"].map(|tag| scope.spawn(|| copy(&good, tag)));
            (goods.map(|good| good.join().unwrap()), bad.join().unwrap())
        });
        assert!(bad_one.is_err());
        for error in good_ones.iter().filter_map(|good| good.as_ref().err()) {
            failures.push(format!("round {round}: {}", told(error)));
        }
        let tags = assert_whole(&directory);
        if good_ones.iter().all(Result::is_ok) {
            assert_eq!(tags, ["one", "two"], "round {round}");
        }
    }
    assert!(
        failures.is_empty(),
        "{} good copies failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn f93_a_good_copy_that_found_something_of_a_bad_one_does_not_fail_when_that_is_taken_back() {
    let temporary = tempdir();
    let at = |name: &str| temporary.path().join(name);
    let (shared, large) = (noise(1, 100), noise(2, 1 << 20));
    for (name, layers) in [
        ("good", &[&shared[..], b"own"]),
        ("bad", &[&shared[..], &large]),
    ] {
        let archive = image(layers, "a:1").write(temporary.path(), "a.tar");
        copy_here(&archive_at(&archive), &oci_at(&at(name), "a")).unwrap();
    }
    // Its largest blob proves bad at the very end.
    let blobs = fs::read_dir(at("bad/blobs/sha256")).unwrap();
    let largest = blobs
        .map(|blob| blob.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len());
    let largest = largest.unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&largest, bytes).unwrap();
    let mut failures = Vec::new();
    for round in 0..150 {
        let place = at(&format!("{round}/new"));
        let good = std::thread::scope(|scope| {
            scope
                .spawn(|| copy_here(&oci_at(&at("bad"), "a"), &oci_at(&place, "bad")).unwrap_err());
            std::thread::sleep(std::time::Duration::from_micros(200 * (round % 50)));
            copy_here(&oci_at(&at("good"), "a"), &oci_at(&place, "good"))
        });
        match good {
            Ok(_) => assert_eq!(assert_whole(&place), ["good"], "round {round}"),
            Err(error) => failures.push(format!("round {round}: {}", told(&error))),
        }
    }
    assert!(
        failures.is_empty(),
        "{} good copies failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn f93_a_bad_copy_leaves_an_older_directory_alone_and_no_new_one_behind() {
    let temporary = tempdir();
    let bad = archive_at(&bad_archive(temporary.path(), 50_000));
    let directory = temporary.path().join("d/e");
    imgcopy([&bad, &oci_at(&directory, "bad")]).fails(1);
    assert!(
        !temporary.path().join("d").exists(),
        "{:?}",
        tree(temporary.path())
    );
    let old = image(&[b"old"], "old:1").write(temporary.path(), "old.tar");
    imgcopy([archive_at(&old), oci_at(&directory, "old")]).ok();
    let index = fs::read(directory.join("index.json")).unwrap();
    imgcopy([&bad, &oci_at(&directory, "old")]).fails(1);
    assert_eq!(fs::read(directory.join("index.json")).unwrap(), index);
    assert_eq!(assert_whole(&directory), ["old"]);
    assert_eq!(stages(&directory), [""; 0]);
}

#[test]
fn r14_what_dead_writers_left_goes_and_what_living_ones_have_stays() {
    let temporary = tempdir();
    let directory = temporary.path().join("d");
    let first = image(&[b"a"], "a:1").write(temporary.path(), "a.tar");
    let second = image(&[b"b"], "b:1").write(temporary.path(), "b.tar");
    imgcopy([archive_at(&first), oci_at(&directory, "a")]).ok();
    // The second time there is nothing to write, and leftovers go all the same.
    for source in [&second, &second] {
        let own = directory.join(".imgcopy");
        for stage in ["stage-dead", "stage-alive"] {
            fs::create_dir_all(own.join(stage)).unwrap();
            fs::write(own.join(stage).join("0"), "half a blob").unwrap();
        }
        let alive = File::open(own.join("stage-alive")).unwrap();
        alive.lock().unwrap();
        imgcopy([archive_at(source), oci_at(&directory, "b")]).ok();
        assert_eq!(stages(&directory), ["stage-alive", "stage-alive/0"]);
        drop(alive);
    }
    imgcopy([archive_at(&first), oci_at(&directory, "c")]).ok();
    assert_eq!(stages(&directory), [""; 0]);
}

#[test]
fn r18_a_second_copy_writes_nothing() {
    let temporary = tempdir();
    let directory = temporary.path().join("d");
    let source = eight_archives(temporary.path()).remove(0);
    imgcopy([archive_at(&source), oci_at(&directory, "a")]).ok();
    let before = stamps(&directory);
    imgcopy([archive_at(&source), oci_at(&directory, "a")]).ok();
    assert_eq!(stamps(&directory), before);
}
