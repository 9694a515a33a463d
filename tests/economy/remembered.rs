//! What was compressed before is neither read nor compressed again.

use std::path::Path;
use std::sync::Arc;

use imgcopy::copy::{Job, Outcome};
use imgcopy::image::Compression;
use imgcopy::store::Recompressed;
use imgcopy::store::compress::Coding;

use crate::five;
use crate::kit::{REPO, asked, at, copy_with, directory, kinds, registries, writes};
use crate::support::registry::{Action, Fault, Registry};
use crate::support::{archive_at, command, image, tempdir};

/// Compresses by zstd what is compressed by gzip, as a run of its own that remembers in a folder.
async fn to_zstd(folder: &Path, from: &str, to: &str) -> Outcome {
    let change = |job: &mut Job<'_>| {
        job.compression = Coding::new(Compression::Zstd, None).ok();
        job.recompress = true;
        job.memory = Some(Arc::new(Recompressed::open(folder).unwrap()));
    };
    let copied = copy_with(&registries(), from, to, change).await;
    copied.unwrap()
}

/// Two registries; the second has the image with layers of zstd, and that is remembered.
async fn copied(folder: &Path) -> (Registry, Registry, Outcome) {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    let outcome = to_zstd(folder, &at(&here, REPO, "1"), &at(&there, REPO, "1")).await;
    assert_eq!(outcome.moved, 6);
    for server in [&here, &there] {
        server.forget();
    }
    (here, there, outcome)
}

#[tokio::test]
async fn the_second_time_no_blob_is_read_and_none_is_written() {
    let folder = tempdir();
    let (here, there, first) = copied(folder.path()).await;
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    let again = to_zstd(folder.path(), &from, &to).await;
    assert_eq!((again.moved, again.manifests), (0, 0));
    assert_eq!(again.digest, first.digest);
    asked(&here, &[("GET tag", 1)]);
    asked(&there, &[("HEAD tag", 1), ("GET manifest by digest", 1)]);
    assert_eq!(writes(&there), 0);
}

#[tokio::test]
async fn another_tag_costs_questions_and_no_bytes() {
    let folder = tempdir();
    let (here, there, first) = copied(folder.path()).await;
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "2"));
    let again = to_zstd(folder.path(), &from, &to).await;
    assert_eq!((again.moved, again.bytes_read), (0, 0));
    assert_eq!(again.digest, first.digest);
    asked(&here, &[("GET tag", 1)]);
    asked(&there, &[("HEAD tag", 1), ("HEAD blob", 6), ("PUT tag", 1)]);
    there.assert_whole(REPO);
}

#[tokio::test]
async fn another_repository_of_the_registry_mounts_the_layers() {
    let folder = tempdir();
    let (here, there, first) = copied(folder.path()).await;
    let (from, to) = (at(&here, REPO, "1"), at(&there, "other/app", "1"));
    let again = to_zstd(folder.path(), &from, &to).await;
    assert_eq!((again.mounted, again.moved), (5, 1), "the config travels");
    assert_eq!(again.digest, first.digest);
    assert_eq!(there.count("PUT", "/blobs/uploads/"), 1);
    there.assert_whole("other/app");
    // And from then on that repository is known, too.
    there.forget();
    let to = at(&there, "other/app", "2");
    let third = to_zstd(folder.path(), &from, &to).await;
    assert_eq!((third.mounted, third.moved), (0, 0), "{:?}", kinds(&there));
}

#[tokio::test]
async fn what_can_no_longer_be_mounted_is_compressed_again_to_the_same() {
    let folder = tempdir();
    let (here, there, first) = copied(folder.path()).await;
    let refused = Fault::on("POST", "/blobs/uploads/")
        .when(|it| it.query.iter().any(|(name, _)| name == "mount"));
    there.fail(refused.always().then(Action::status(403)));
    let (from, to) = (at(&here, REPO, "1"), at(&there, "other/app", "1"));
    let again = to_zstd(folder.path(), &from, &to).await;
    assert_eq!((again.mounted, again.moved), (0, 6));
    assert_eq!(again.digest, first.digest);
    there.assert_whole("other/app");
}

#[tokio::test]
async fn what_the_registry_has_lost_is_compressed_again_and_the_rest_is_not() {
    let folder = tempdir();
    let (here, there, first) = copied(folder.path()).await;
    let manifest = there.manifest(REPO, "1").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let lost = manifest["layers"][0]["digest"].as_str().unwrap();
    there.delete_blob(REPO, lost);
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "2"));
    let again = to_zstd(folder.path(), &from, &to).await;
    assert_eq!((again.moved, again.kept), (1, 5));
    assert_eq!(again.digest, first.digest);
    // The layer, and the config that tells its DiffId.
    assert_eq!(here.count("GET", "/blobs/"), 2);
    there.assert_whole(REPO);
}

#[tokio::test]
async fn without_a_memory_or_with_another_level_everything_is_read() {
    let folder = tempdir();
    let (here, there, _) = copied(folder.path()).await;
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "2"));
    let harder = |job: &mut Job<'_>| {
        job.compression = Coding::new(Compression::Zstd, Some(19)).ok();
        job.recompress = true;
        job.memory = Some(Arc::new(Recompressed::open(folder.path()).unwrap()));
    };
    copy_with(&registries(), &from, &to, harder).await.unwrap();
    assert_eq!(here.count("GET", "/blobs/"), 6);
}

#[tokio::test]
async fn a_directory_is_asked_too() {
    let (home, folder) = (tempdir(), tempdir());
    let here = Registry::start();
    here.add(REPO, Some("1"), &five());
    let from = at(&here, REPO, "1");
    to_zstd(folder.path(), &from, &directory(home.path(), "1")).await;
    here.forget();
    let again = to_zstd(folder.path(), &from, &directory(home.path(), "2")).await;
    assert_eq!(again.moved, 0);
    assert_eq!(here.count("GET", "/blobs/"), 0);
}

#[test]
fn an_archive_is_compressed_once_for_a_registry_whatever_it_is_called_there() {
    let there = Registry::start();
    let (folder, home) = (tempdir(), tempdir());
    let layers: [&[u8]; 2] = [&[0; 1024], &[0; 2048]];
    let archive = image(&layers, "app:1").write(folder.path(), "app.tar");
    let run = |args: &[&str]| {
        let mut command = command();
        command.env("XDG_CACHE_HOME", home.path()).args(args);
        crate::support::Run::of(&mut command).ok()
    };
    let copy = |to: &str| {
        there.forget();
        run(&["copy", &archive_at(&archive), to]);
    };
    let uploads = || there.count("PUT", "/blobs/uploads/");
    copy(&at(&there, REPO, "1"));
    assert_eq!(uploads(), 3);
    copy(&at(&there, REPO, "2"));
    assert_eq!(uploads(), 0);
    copy(&at(&there, "other/app", "1"));
    assert_eq!(uploads(), 1, "the config: {:?}", kinds(&there));
    assert_eq!(there.count("POST", "mount="), 2);
    assert_eq!(there.tag_of(REPO, "1"), there.tag_of("other/app", "1"));
    there.assert_whole("other/app");

    let told = run(&["cache"]).stdout;
    let file = home.path().join("imgcopy/recompressed");
    assert!(
        told.starts_with(&format!("{}: 2 entries, ", file.display())),
        "{told}"
    );
    run(&["cache", "clear"]);
    assert!(!file.exists());
    assert!(
        run(&["cache", "show"])
            .stdout
            .ends_with(": 0 entries, 0 B\n")
    );
    run(&[
        "copy",
        "--no-cache",
        &archive_at(&archive),
        &at(&there, "third/app", "1"),
    ]);
    assert!(!file.exists(), "nothing is remembered");
}

#[test]
fn where_nothing_can_be_remembered_copies_work() {
    let there = Registry::start();
    let folder = tempdir();
    let archive = image(&[&[0; 1024]], "app:1").write(folder.path(), "app.tar");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for cache in [file.as_path(), Path::new("relative")] {
        let mut command = command();
        command.env("XDG_CACHE_HOME", cache).env("HOME", &file);
        command.args(["-q", &archive_at(&archive), &at(&there, REPO, "1")]);
        let run = crate::support::Run::of(&mut command).ok();
        assert_eq!(run.stderr, "");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"");
    there.assert_whole(REPO);
}
