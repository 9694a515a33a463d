//! Blobs that several OCI directories share, and Docker engines that are named on the command line.

use std::path::Path;

use crate::engine::Engine;
use crate::pair::{Desk, Pair};
use crate::support::{imgcopy, stages};

/// The files in a directory of blobs.
fn blobs(desk: &Desk, directory: &str) -> Vec<String> {
    let files = desk.content(directory).into_iter();
    files.map(|(name, _)| name).collect()
}

#[test]
fn shared_blobs_are_written_where_skopeo_writes_them() {
    let Some(pair) = Pair::new() else { return };
    let line = "copy --all --dest-shared-blob-dir shared dir:oci-index oci:out:a";
    pair.same(line);
    // The other files are the same, but for blanks.
    assert_eq!(blobs(&pair.theirs, "out"), blobs(&pair.ours, "out"));
    assert_eq!(pair.theirs.content("shared"), pair.ours.content("shared"));
    assert!(pair.ours.at("out/blobs").is_dir(), "a layout has one");
    assert!(
        blobs(&pair.ours, "shared")
            .iter()
            .all(|name| name.starts_with("sha256/"))
    );
    // Each reads what the other wrote.
    for (reader, writer) in [(&pair.theirs, &pair.ours), (&pair.ours, &pair.theirs)] {
        let (layout, shared) = (writer.at("out"), writer.at("shared"));
        let (layout, shared) = (layout.display(), shared.display());
        let line = format!("copy -q --all --src-shared-blob-dir {shared} oci:{layout}:a dir:back");
        assert_eq!(reader.run(&line).code, Some(0), "{line}");
        let line = "copy -q --all dir:oci-index dir:straight";
        assert_eq!(reader.run(line).code, Some(0));
        assert_eq!(reader.content("back"), reader.content("straight"));
    }
    let ours = &pair.ours;
    let with = ours.run("inspect --shared-blob-dir shared oci:out:a");
    assert_eq!(with.stdout, ours.run("inspect dir:oci-index").stdout);
    let without = ours.run("inspect oci:out:a");
    assert_eq!(without.code, Some(1), "the layout itself holds nothing");
}

#[test]
fn two_layouts_hold_a_shared_blob_once() {
    let desk = Desk::ours(None);
    let image = format!("dir:{}", desk.at("gzip").display());
    let at = |name: &str| desk.at(name).display().to_string();
    let copy = |layout: &str| {
        let to = format!("oci:{}:a", at(layout));
        let args = ["copy", "--dest-shared-blob-dir", &at("shared"), &image, &to];
        imgcopy(args).ok()
    };
    let first = copy("one");
    assert!(first.stderr.contains("copied"), "{}", first.stderr);
    let written = blobs(&desk, "shared");
    let second = copy("two");
    assert!(
        second.stderr.contains("copied 0 blobs"),
        "{}",
        second.stderr
    );
    assert_eq!(blobs(&desk, "shared"), written);
    let third = copy("two");
    assert!(third.stderr.contains("up to date"), "{}", third.stderr);
    for place in ["one", "two", "shared"] {
        assert!(stages(&desk.at(place)).is_empty(), "{place}");
    }
    let layout = format!("oci:{}:a", at("two"));
    let verify = ["verify", "--shared-blob-dir", &at("shared"), &layout];
    imgcopy(verify).ok();
    // A damaged blob is found and mended.
    let blob = desk.at("shared").join(written.last().unwrap());
    let size = std::fs::metadata(&blob).unwrap().len();
    std::fs::write(&blob, vec![0; usize::try_from(size).unwrap()]).unwrap();
    assert_eq!(imgcopy(verify).code, Some(1));
    copy("two");
    imgcopy(verify).ok();
}

#[test]
fn a_copy_that_fails_leaves_no_layout_beside_shared_blobs() {
    let desk = Desk::ours(None);
    let broken = desk.at("broken");
    std::fs::create_dir_all(&broken).unwrap();
    for entry in std::fs::read_dir(desk.at("gzip")).unwrap() {
        let entry = entry.unwrap();
        let text = std::fs::read(entry.path()).unwrap();
        let is_blob = entry.file_name().len() == 64;
        let text = if is_blob { vec![0; text.len()] } else { text };
        std::fs::write(broken.join(entry.file_name()), text).unwrap();
    }
    let ended = desk.run("copy --dest-shared-blob-dir shared dir:broken oci:out:a");
    assert_eq!(ended.code, Some(1));
    assert!(!desk.at("out").exists());
    assert!(blobs(&desk, "shared").is_empty());
}

#[test]
fn shared_blobs_are_for_layouts_only() {
    let at = |name: &str| Path::new(name).display().to_string();
    for (option, places) in [
        ("--src-shared-blob-dir", ["dir:a", "oci:b"]),
        ("--dest-shared-blob-dir", ["oci:a", "dir:b"]),
    ] {
        let told = imgcopy(["copy", option, &at("s"), places[0], places[1]]).fails(64);
        assert!(told.stderr.contains(option), "{}", told.stderr);
    }
    imgcopy(["inspect", "--shared-blob-dir", "s", "dir:a"]).fails(64);
}

#[test]
fn an_engine_is_named_on_the_command_line() {
    let Some(pair) = Pair::new() else { return };
    let Some(engine) = Engine::start() else {
        return;
    };
    let socket = format!("unix://{}", engine.home().join("socket").display());
    let put = format!("copy -q --dest-daemon-host {socket} dir:gzip docker-daemon:a:1");
    assert_eq!(pair.ours.run(&put).code, Some(0));
    let inspect = format!("inspect --config --daemon-host {socket} docker-daemon:a:1");
    assert_eq!(pair.same(&inspect).code, Some(0));
    let get = format!("copy --src-daemon-host {socket} docker-daemon:a:1 dir:out");
    assert_eq!(pair.ours.run(&get).code, Some(0));
    assert_eq!(pair.theirs.run(&get).code, Some(0));
    let config = |desk: &Desk| desk.json("out/manifest.json")["config"]["digest"].clone();
    assert_eq!(config(&pair.theirs), config(&pair.ours));
    let elsewhere = format!("inspect --daemon-host {socket}.not docker-daemon:a:1");
    assert_eq!(pair.ours.run(&elsewhere).code, Some(1));
    let wrong = pair
        .ours
        .run("inspect --daemon-host nowhere docker-daemon:a:1");
    assert!(wrong.fatal.contains("unix:///PATH"), "{wrong:?}");
}
