//! From and to places that are no registries.

use crate::kit::{REPO, asked, at, copy_of, directory, writes};
use crate::support::registry::Registry;
use crate::support::{archive_at, image, tempdir};
use crate::{changed, five};

#[tokio::test]
async fn p04_a_directory_that_is_up_to_date_costs_one_question() {
    let here = Registry::start();
    here.add(REPO, Some("1"), &five());
    let folder = tempdir();
    let (from, to) = (at(&here, REPO, "1"), directory(folder.path(), "1"));
    copy_of(&from, &to).await.unwrap();
    here.forget();
    let outcome = copy_of(&from, &to).await.unwrap();
    asked(&here, &[("HEAD tag", 1)]);
    assert_eq!((outcome.moved, outcome.manifests), (0, 0));
}

#[tokio::test]
async fn a_directory_gets_only_what_is_new() {
    let here = Registry::start();
    here.add(REPO, Some("1"), &five());
    let folder = tempdir();
    let (from, to) = (at(&here, REPO, "1"), directory(folder.path(), "1"));
    copy_of(&from, &to).await.unwrap();
    here.add(REPO, Some("1"), &changed());
    here.forget();
    copy_of(&from, &to).await.unwrap();
    assert_eq!(here.count("GET", "/blobs/"), 2);
    assert_eq!(here.count("GET", "/manifests/"), 1);
}

#[tokio::test]
async fn r18_a_directory_is_not_written_to_a_registry_twice() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    let folder = tempdir();
    let between = directory(folder.path(), "1");
    copy_of(&at(&here, REPO, "1"), &between).await.unwrap();
    copy_of(&between, &at(&there, REPO, "1")).await.unwrap();
    there.assert_whole(REPO);
    there.forget();
    copy_of(&between, &at(&there, REPO, "1")).await.unwrap();
    asked(&there, &[("HEAD tag", 1)]);
}

#[tokio::test]
async fn r18_an_archive_is_compressed_once() {
    let there = Registry::start();
    let folder = tempdir();
    // Two empty blocks are a tar of nothing, and a layer.
    let layers: [&[u8]; 2] = [&[0; 1024], &[0; 2048]];
    let archive = image(&layers, "app:1").write(folder.path(), "app.tar");
    let (from, to) = (archive_at(&archive), at(&there, REPO, "1"));
    let first = copy_of(&from, &to).await.unwrap();
    assert_eq!(first.moved, 3);
    there.forget();
    let second = copy_of(&from, &to).await.unwrap();
    assert_eq!((second.moved, second.bytes_read), (0, 0));
    assert_eq!(second.digest, first.digest);
    assert_eq!(writes(&there), 0);
    // What it knows of the layers is in the image that is there.
    asked(
        &there,
        &[
            ("HEAD tag", 2),
            ("GET manifest by digest", 1),
            ("GET blob", 1),
        ],
    );
}
