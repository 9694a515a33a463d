//! A process that may open 64 files and connections.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::night::Night;
use crate::support::registry::{Action, Fault, Registry};
use crate::support::{
    NO_CACHE, Run, archive_at, assert_whole, image, noise, oci_at, run_within, tempdir,
};
use crate::{LONG, REPO, at};

/// The command, with few descriptors.
fn poor(directory: &Path, args: &[&str]) -> Run {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]);
    shell.arg(env!("CARGO_BIN_EXE_imgcopy")).args(args);
    shell.env(NO_CACHE.0, NO_CACHE.1).current_dir(directory);
    run_within(&mut shell, LONG)
}

fn sizes() -> Vec<usize> {
    (0..120).map(|n| 5_000 + n).collect()
}

#[test]
fn f104_an_image_of_120_layers_travels_with_64_descriptors() {
    let (from, to) = (Registry::start(), Registry::start());
    from.add_image(REPO, "1", &sizes(), 1);
    let directory = tempdir();
    let home = directory.path();
    let all = ["copy", "-q", &at(&from.host(), "1")];
    poor(home, &[&all[..], &[&at(&to.host(), "1")]].concat()).ok();
    to.assert_whole(REPO);
    let places = [
        "oci:layout:1",
        "dir:plain",
        "oci-archive:a.tar",
        "docker-archive:b.tar",
    ];
    for place in places {
        poor(home, &[&all[..], &[place]].concat()).ok();
        poor(home, &["verify", place]).ok();
    }
    assert_whole(&home.join("layout"));
    // Next to nothing had to be read twice.
    let read = from.count("GET", "/blobs/");
    assert!(read <= 5 * (121 + 8), "{read}");
}

#[test]
fn f104_archives_of_120_layers_travel_with_64_descriptors() {
    let directory = tempdir();
    let home = directory.path();
    let layers: Vec<Vec<u8>> = (0..120).map(|n| noise(n, 5_000)).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let archive = archive_at(&image(&layers, "a:1").write(home, "a.tar"));
    let registry = Registry::start();
    let local = oci_at(&home.join("d"), "1");
    for to in [&local, &at(&registry.host(), "1")] {
        poor(home, &["copy", "-q", &archive, to]).ok();
    }
    assert_whole(&home.join("d"));
    registry.assert_whole(REPO);
    poor(home, &["copy", "-q", &local, &at(&registry.host(), "2")]).ok();
}

/// What is asked for by hand may be too much: then the limit is named, and nothing is half done.
#[test]
fn f104_more_at_once_than_descriptors_allow_is_told() {
    let from = Registry::start();
    from.add_image(REPO, "1", &sizes(), 1);
    let held = Fault::on("GET", "/blobs/").always();
    from.fail(held.then(Action::drip(1_000, Duration::from_millis(20))));
    let directory = tempdir();
    let home = directory.path();
    let from = at(&from.host(), "1");
    let ran = poor(
        home,
        &["copy", "-q", "--parallel", "100", &from, "oci:layout:1"],
    );
    if ran.code != Some(0) {
        let told = ran.fails(1).stderr;
        assert!(told.contains("ulimit -n"), "{told}");
        assert_eq!(assert_whole(&home.join("layout")), [""; 0]);
    }
}

#[test]
fn f104_a_sync_of_50_images_to_a_registry_ends_with_64_descriptors() {
    let (night, from, to) = fifty("");
    poor(night.home(), &["sync", "-q"]).ok();
    to.assert_whole(REPO);
    assert_eq!(to.tags(REPO).len(), 50);
    // An upload that got no connection begins anew, and some do.
    let read = from.count("GET", "/blobs/");
    assert!(read <= 2 * 150, "{read}");
}

/// Looking up 50 names in a directory at once may take more: then each of them is told, the registry
/// gets all, and nothing is half done.
#[test]
fn f104_a_sync_to_a_directory_too_ends_with_64_descriptors_or_tells() {
    let (night, _from, to) = fifty(", \"oci:layout\"");
    let ran = poor(night.home(), &["sync", "-q"]);
    let tags = assert_whole(&night.at("layout"));
    to.assert_whole(REPO);
    let is_done = ran.code == Some(0) && tags.len() == 50;
    assert!(
        is_done || ran.stderr.contains("ulimit -n"),
        "{}",
        ran.stderr
    );
}

/// A sync of 50 images to a registry, and to other places.
fn fifty(others: &str) -> (Night, Registry, Registry) {
    let (from, to) = (Registry::start(), Registry::start());
    for n in 0..50 {
        from.add_image(REPO, &n.to_string(), &[9_000, 100], n);
    }
    let night = Night::of(&format!(
        "  - {{from: \"{0}/{REPO}\", tags: [\"*\"], to: [\"{1}/{REPO}\"{others}]}}",
        from.host(),
        to.host()
    ));
    (night, from, to)
}
