//! `sync`: what is copied, what it is called, and what is logged. skopeo 1.9.3 has no `--append-suffix`,
//! `--digestfile` and `images-by-semver`; what comes of these is checked alone.

use crate::pair::{Desk, Pair};
use crate::support::tree;

/// Puts images into the directory `src` of a desk, below it as skopeo writes them.
fn fill(desk: &Desk) {
    for (from, to) in [("gzip", "a/x:1"), ("list", "b/c/y"), ("oci-index", "z")] {
        std::fs::create_dir_all(desk.at("src/a")).unwrap();
        std::fs::create_dir_all(desk.at("src/b/c")).unwrap();
        let line = format!("copy -q --all dir:{from} dir:src/{to}");
        assert_eq!(desk.run(&line).code, Some(0), "{line}");
    }
}

/// Both, each with a registry that holds `m/x:1`, `m/x:2`, `m/other:1` and `n/x:1`.
fn filled() -> Option<Pair> {
    let pair = Pair::with_registries()?;
    for (from, to) in [
        ("gzip", "m/x:1"),
        ("oci-index", "m/x:2"),
        ("gzip", "m/other:1"),
        ("list", "n/x:1"),
    ] {
        let line = format!(
            "copy -q --all --preserve-digests --dest-tls-verify=false dir:{from} docker://HOST/{to}"
        );
        for desk in [&pair.theirs, &pair.ours] {
            assert_eq!(desk.run(&line).code, Some(0), "{line}");
        }
    }
    Some(pair)
}

/// Writes the same file on both desks, with the address of the registry of each for `HOST`.
fn write(pair: &Pair, name: &str, text: &str) {
    for desk in [&pair.theirs, &pair.ours] {
        std::fs::write(desk.at(name), text.replace("HOST", desk.host())).unwrap();
    }
}

/// Both log the same.
#[track_caller]
fn same_log(pair: &Pair, line: &str) -> Vec<String> {
    let (theirs, ours) = (pair.theirs.log(line), pair.ours.log(line));
    assert_eq!(theirs, ours, "{line}");
    ours
}

/// A directory as both have it, with `HOST` for the address.
fn content(desk: &Desk, directory: &str) -> Vec<(String, String)> {
    let files = desk.content(directory).into_iter();
    let files = files.map(|(name, digest)| (name.replace(desk.host(), "HOST"), digest));
    files.collect()
}

#[test]
fn a_directory_goes_to_a_registry() {
    let Some(pair) = Pair::with_registries() else {
        return;
    };
    fill(&pair.theirs);
    fill(&pair.ours);
    // Layers that are compressed on the way come out of another compressor.
    let to = "--src dir --dest docker --dest-tls-verify=false --preserve-digests";
    let log = same_log(&pair, &format!("sync {to} src HOST/base"));
    assert!(log[0].contains("Copying image ref 1/3"), "{log:?}");
    assert!(log[3].contains("Synced 3 images from 1 sources"), "{log:?}");
    for line in [
        format!("sync --all --scoped {to} src HOST/scoped"),
        format!("sync --dry-run {to} src HOST/never"),
        format!("sync -a {to} src/z HOST/whole"),
        // What is there is not copied again.
        format!("sync --all --scoped {to} src/ HOST/scoped"),
    ] {
        same_log(&pair, &line);
    }
    for line in [
        &format!("sync {to} src/a/x:1 HOST/lines"),
        &format!("sync {to} src/a/x:1 HOST/lines"),
        &format!("sync {to} --remove-signatures src/a/x:1 HOST/lines2"),
    ] {
        assert_eq!(pair.same(line).code, Some(0), "{line}");
    }
    for name in [
        "base/x:1",
        "base/y:latest",
        "base/z:latest",
        "scoped/a/x:1",
        "scoped/b/c/y:latest",
        "scoped/z:latest",
        "whole/z:latest",
        "lines/x:1",
        "never/x:1",
    ] {
        let line = format!("inspect --raw --tls-verify=false docker://HOST/{name}");
        let found = pair.same(&line);
        assert_eq!(found.code == Some(0), !name.starts_with("never"), "{name}");
    }
}

#[test]
fn a_registry_goes_to_a_directory() {
    let Some(pair) = filled() else { return };
    let from = "--src docker --dest dir --src-tls-verify=false";
    for (line, to) in [
        (format!("sync {from} HOST/n/x one"), "one"),
        (format!("sync {from} --all --scoped HOST/m/x all"), "all"),
        (
            "sync -s docker -d dir -a --src-tls-verify=0 HOST/m/x:2 tag".to_string(),
            "tag",
        ),
        (format!("sync {from} HOST/m/x:nothing none"), "none"),
    ] {
        let (theirs, ours) = (pair.theirs.run(&line), pair.ours.run(&line));
        assert_eq!(
            (theirs.code, theirs.fatal),
            (ours.code, ours.fatal),
            "{line}"
        );
        if to != "none" {
            assert_eq!(content(&pair.theirs, to), content(&pair.ours, to), "{line}");
        }
    }
    assert!(
        !pair.ours.at("none/x:nothing").exists(),
        "skopeo leaves a directory"
    );
    same_log(&pair, &format!("sync {from} HOST/n/x again"));
    same_log(
        &pair,
        &format!("sync {from} --keep-going HOST/m/x:nothing kept"),
    );
    // Why the registry refused is told in other words.
    let ended = pair.ours.run(&format!("sync {from} HOST/nobody/x lost"));
    let told = "Error determining repository tags for image HOST/nobody/x: ";
    assert!(ended.fatal.contains(told), "{ended:?}");
    assert_eq!(ended.code, Some(1));
    let between = "--src-tls-verify=false --dest-tls-verify=false --preserve-digests";
    same_log(
        &pair,
        &format!("sync --src docker --dest docker {between} HOST/n/x HOST/copies"),
    );
    pair.same("inspect --raw --tls-verify=false docker://HOST/copies/x:1");
}

#[test]
fn a_file_names_what_is_copied() {
    let Some(pair) = filled() else { return };
    let digest = "inspect --no-tags --tls-verify=false --format {{.Digest}} docker://HOST/m/x:1";
    let digest = pair.same(digest).stdout;
    write(
        &pair,
        "some.yaml",
        &format!(
            "HOST:\n  images:\n    m/x: [1, \"{digest}\"]\n    m/other:\n  images-by-tag-regex:\n    n/x: '[0-9]'\n  tls-verify: false\nother.example: {{}}\n"
        ),
    );
    for (line, to) in [
        (
            "sync --src yaml --dest dir --scoped some.yaml scoped",
            "scoped",
        ),
        (
            "sync --src yaml --dest dir --all --scoped some.yaml all",
            "all",
        ),
    ] {
        let (theirs, ours) = (pair.theirs.run(line), pair.ours.run(line));
        assert_eq!((theirs.code, ours.code), (Some(0), Some(0)), "{ours:?}");
        assert_eq!(content(&pair.theirs, to), content(&pair.ours, to), "{line}");
    }
    // The order of skopeo is that of chance.
    let line = "sync --dry-run --src yaml --dest dir --scoped some.yaml dry";
    let sorted = |desk: &Desk| {
        let mut log = desk.log(line);
        log.retain(|said| !said.contains("Start filtering"));
        log.sort();
        log
    };
    assert_eq!(sorted(&pair.theirs), sorted(&pair.ours));
    assert!(
        !pair.ours.at("dry").exists(),
        "skopeo makes the directories"
    );
}

#[test]
fn what_a_file_names_and_is_not_there_makes_the_run_fail() {
    let Some(pair) = filled() else { return };
    let file = "HOST:\n  images:\n    m/nobody: []\n    m/x: [1, 'no tag']\n    Upper: []\n  images-by-tag-regex:\n    m/other: '['\n  tls-verify: false\n";
    write(&pair, "missing.yaml", file);
    write(
        &pair,
        "unknown.yaml",
        "HOST:\n  imgaes:\n    m/x: [1]\n  tls-verify: false\n",
    );
    let ended = pair.same("sync --src yaml --dest dir missing.yaml out");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.fatal.contains("Sync failed due to previous"),
        "{ended:?}"
    );
    assert_eq!(pair.theirs.content("out"), pair.ours.content("out"));
    let log = pair
        .ours
        .log("sync --dry-run --src yaml --dest dir missing.yaml out2")
        .join("\n");
    for told in [
        "Error determining repository tags for image HOST/m/nobody",
        "invalid tag format",
        "repository name must be lowercase",
        "error parsing regexp",
        "Would have synced 1 images from 1 sources",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    let ended = pair.same("sync --src yaml --dest dir unknown.yaml out");
    assert!(ended.fatal.contains("imgaes"), "{ended:?}");
}

#[test]
fn a_file_has_credentials_for_each_registry() {
    let Some(pair) = Pair::with_passwords() else {
        return;
    };
    let put = "copy -q --dest-tls-verify=false --dest-creds me:secret dir:gzip docker://HOST/a:1";
    pair.same(put);
    let file = "HOST:\n  images: {a: []}\n  credentials: {username: me, password: secret}\n  tls-verify: false\n";
    write(&pair, "good.yaml", file);
    write(
        &pair,
        "bad.yaml",
        &file.replace("password: secret", "password: wrong"),
    );
    let line = "sync --src yaml --dest dir good.yaml out";
    pair.writes_the_same(line, "out");
    let log = pair
        .ours
        .log("sync --src yaml --dest dir bad.yaml out2")
        .join("\n");
    assert!(
        log.contains("Synced 0 images") && !log.contains("wrong"),
        "{log}"
    );
    assert!(!pair.ours.at("out2").exists());
    let line =
        "sync --src docker --dest dir --src-tls-verify=false --src-creds me:secret HOST/a out3";
    pair.writes_the_same(line, "out3");
}

#[test]
fn what_newer_versions_have_is_there() {
    let Some(pair) = filled() else { return };
    let ours = &pair.ours;
    let from = "--src docker --dest dir --src-tls-verify=false --all";
    let line = format!("sync {from} --append-suffix -old --digestfile digests HOST/m/x:2 out");
    assert_eq!(ours.run(&line).code, Some(0));
    assert!(ours.at("out/x:2-old/manifest.json").exists());
    let noted = std::fs::read_to_string(ours.at("digests")).unwrap();
    let shown = "inspect --no-tags --tls-verify=false --format {{.Digest}} docker://HOST/m/x:2";
    let digest = ours.run(shown).stdout;
    assert_eq!(noted, format!("{digest} dir:out/x:2-old\n"));
    write(
        &pair,
        "ranges.yaml",
        "HOST:\n  images-by-semver: {m/x: '>= 2'}\n  tls-verify: false\n",
    );
    assert_eq!(
        ours.run("sync --src yaml --dest dir ranges.yaml out2").code,
        Some(0)
    );
    assert!(ours.at("out2/x:2").exists() && !ours.at("out2/x:1").exists());
}

#[test]
fn two_images_do_not_get_one_name() {
    let Some(pair) = filled() else { return };
    let file = "HOST:\n  images: {m/x: [1], n/x: [1]}\n  tls-verify: false\n";
    write(&pair, "clash.yaml", file);
    let ours = &pair.ours;
    for to in [
        "dir clash.yaml out",
        "docker --dest-tls-verify=false clash.yaml HOST/out",
    ] {
        let ended = ours.run(&format!("sync --src yaml --dest {to}"));
        assert_eq!(ended.code, Some(1), "{to}");
        assert!(ended.fatal.contains("--scoped"), "{ended:?}");
    }
    assert!(!ours.at("out").exists());
    let listed = ours.run("list-tags --tls-verify=false docker://HOST/out/x");
    assert_eq!(listed.code, Some(1), "nothing was copied");
    let ended = ours.run("sync --scoped --src yaml --dest dir clash.yaml out");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// skopeo refuses a directory that is there, so that no second run ever works.
#[test]
fn a_second_run_brings_directories_up_to_date() {
    let Some(pair) = filled() else { return };
    let ours = &pair.ours;
    let line = "sync --src docker --dest dir --src-tls-verify=false --all HOST/m/x out";
    assert_eq!(ours.run(line).code, Some(0));
    let first = tree(&ours.at("out"));
    std::fs::remove_file(ours.at("out/x:1/manifest.json")).unwrap();
    let moved = "copy -q --dest-tls-verify=false dir:gzip docker://HOST/m/x:3";
    assert_eq!(ours.run(moved).code, Some(0));
    assert_eq!(ours.run(line).code, Some(0));
    let second = tree(&ours.at("out"));
    assert!(first.iter().all(|name| second.contains(name)), "{second:?}");
    assert!(ours.at("out/x:3/manifest.json").exists());
    // What is no image is left alone.
    std::fs::create_dir_all(ours.at("mine/x:1")).unwrap();
    std::fs::write(ours.at("mine/x:1/diary"), "mine").unwrap();
    let line = "sync --src docker --dest dir --src-tls-verify=false HOST/m/x:1 mine";
    assert_eq!(ours.run(line).code, Some(1));
    assert_eq!(tree(&ours.at("mine/x:1")), ["diary"]);
}
