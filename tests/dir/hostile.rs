//! Links, FIFOs and devices where files should be (S-54, S-56).

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use super::*;

/// What a program that waits for nobody needs at most.
const SOON: Duration = Duration::from_secs(10);

/// Puts something at a path that is no regular file.
fn put(kind: &str, at: &Path, good: &Path) {
    match kind {
        "a link to /etc/passwd" => symlink("/etc/passwd", at).unwrap(),
        "a link to the very bytes" => symlink(good, at).unwrap(),
        "a link to /dev/zero" => symlink("/dev/zero", at).unwrap(),
        "a link to nothing" => symlink("/not/there", at).unwrap(),
        "a directory" => fs::create_dir(at).unwrap(),
        _ => drop(Run::of(Command::new("mkfifo").arg(at)).ok()),
    }
}

const KINDS: [&str; 6] = [
    "a link to /etc/passwd",
    "a link to the very bytes",
    "a link to /dev/zero",
    "a link to nothing",
    "a directory",
    "a FIFO",
];

#[test]
fn s54_what_is_no_regular_file_is_neither_read_nor_waited_for() {
    let sandbox = Sandbox::new();
    let good = fixture("dir/list");
    let place = sandbox.at("in/d");
    let out = sandbox.at("out");
    for file in tree(&good) {
        for kind in KINDS {
            copy_of(&good, &place);
            fs::remove_file(place.join(&file)).unwrap();
            put(kind, &place.join(&file), &good.join(&file));
            let run = run_within(command().args([&dir_at(&place), &dir_at(&out)]), SOON);
            let told = format!("{kind} at {file}: {}{}", run.stdout, run.stderr);
            assert!(matches!(run.code, Some(1 | 2)), "{told}");
            assert!(!told.contains("root:"), "{told}");
            assert_eq!(tree(&out), [""; 0], "{told}");
            assert!(!out.exists(), "{told}");
            fs::remove_dir_all(&place).unwrap();
        }
    }
}

#[test]
fn s56_what_waits_in_a_destination_is_replaced_or_refused_and_never_followed() {
    let sandbox = Sandbox::new();
    let good = fixture("dir/list");
    let outside = sandbox.at("outside");
    let mut names = tree(&good);
    names.extend([".imgcopy-1".into(), ".imgcopy-1-0000000000000000".into()]);
    for file in names {
        for kind in KINDS {
            copy_of(&good, &outside);
            fs::write(outside.join(&file), "precious").unwrap();
            let before = stamps(&outside);
            let place = sandbox.at("d");
            fs::create_dir(&place).unwrap();
            fs::write(place.join("version"), VERSION).unwrap();
            fs::remove_file(place.join(&file)).ok();
            put(kind, &place.join(&file), &outside.join(&file));
            let run = run_within(command().args([&dir_at(&good), &dir_at(&place)]), SOON);
            let told = format!("{kind} at {file}: {}", run.stderr);
            assert_eq!(stamps(&outside), before, "{told}");
            if run.code == Some(0) {
                let (digest, left) = whole(&place);
                assert_eq!(digest, whole(&good).0, "{told}");
                let is_own = |name: &String| name.starts_with(".imgcopy-");
                assert!(left.iter().all(is_own), "{told}: {left:?}");
            } else {
                assert!(
                    ["version", "manifest.json"].contains(&file.as_str()),
                    "{told}"
                );
                run.fails(1);
            }
            fs::remove_dir_all(&place).unwrap();
        }
    }
}

#[test]
fn s17_a_manifest_without_end_is_not_read_to_its_end() {
    let sandbox = Sandbox::new();
    let place = sandbox.at("in/d");
    copy_of(&fixture("dir/list"), &place);
    let child = tree(&place)
        .into_iter()
        .find(|name| name.len() > 64)
        .unwrap();
    for file in ["manifest.json", "version", &child] {
        let at = place.join(file);
        let good = fs::read(&at).unwrap();
        let long = fs::File::options().write(true).open(&at).unwrap();
        long.set_len(1 << 40).unwrap();
        let told = sandbox.is_bad(sandbox.copy_from(&dir_at(&place)));
        assert!(told.contains("over the limit"), "{told}");
        fs::write(&at, good).unwrap();
    }
}

#[test]
fn s01_a_digest_is_never_a_path() {
    let sandbox = Sandbox::new();
    let place = sandbox.at("in/d");
    for bad in ["sha256:../../../secret", "../secret", "sha256:..%2fsecret"] {
        copy_of(&fixture("dir/gzip"), &place);
        let at = place.join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&at).unwrap()).unwrap();
        manifest["layers"][0]["digest"] = bad.into();
        fs::write(&at, manifest.to_string()).unwrap();
        let told = sandbox.is_bad(sandbox.copy_from(&dir_at(&place)));
        assert!(!told.contains("nobody"), "{told}");
    }
}
