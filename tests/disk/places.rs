//! Full disks under archives and plain directories.

use std::fs;
use std::path::Path;

use crate::support::{Run, archive_at, image, imgcopy, noise, sha256, tempdir, tree};
use crate::{Disk, LARGE, PAGE};

/// Copies to disks that are ever a page larger, until one is large enough. Each time, the directory on
/// it is made by `prepare`, and must hold what it held; finished blobs of a plain directory may stay.
fn grow(disk: &Disk, transport: &str, name: &str, prepare: impl Fn(&Path)) -> usize {
    let temporary = tempdir();
    let layers = [noise(1, 20_000), noise(2, 9_000), noise(3, 3_000)];
    let source = image(&[&layers[0], &layers[1], &layers[2]], "new:1");
    let source = archive_at(&source.write(temporary.path(), "new.tar"));
    let directory = disk.at("d");
    let to = format!("{transport}:{}", directory.join(name).display());
    for pages in 1.. {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        prepare(&directory);
        let before = contents(&directory);
        disk.remount(&format!("size={}", disk.used() + pages * PAGE));
        let run = imgcopy([&source, &to]);
        disk.remount(LARGE);
        if run.code == Some(0) {
            imgcopy(["verify", &to]).ok();
            return usize::try_from(pages).unwrap();
        }
        is_told(run, pages);
        still_holds(&contents(&directory), &before);
        // Not in this process: whoever starts another program at that moment holds the file, too, and its
        // pages are not free yet when it is removed.
        imgcopy([&source, &to]).ok();
    }
    0
}

#[track_caller]
fn is_told(run: Run, pages: u64) {
    let told = run.fails(1).stderr;
    let names_it = told.contains("disk is full") || told.contains("No space left on device");
    assert!(names_it, "at {pages} pages: {told}");
}

/// Panics unless all is there that was, and beside it nothing but blobs that are whole, in a
/// directory that may be new.
#[track_caller]
fn still_holds(after: &[(String, Vec<u8>)], before: &[(String, Vec<u8>)]) {
    let names = || after.iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert!(
        before.iter().all(|old| after.contains(old)),
        "{:?}",
        names()
    );
    let is_blob = |(name, bytes): &(String, Vec<u8>)| *name == format!("image/{}", sha256(bytes));
    let mut new = after.iter().filter(|file| !before.contains(file));
    assert!(
        new.all(|file| ["image", "image/version"].contains(&&*file.0) || is_blob(file)),
        "{:?}",
        names()
    );
}

/// Every file, and what is in it.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let content = |name: String| {
        let bytes = fs::read(directory.join(&name)).unwrap_or_default();
        (name, bytes)
    };
    tree(directory).into_iter().map(content).collect()
}

#[test]
fn f89_a_full_disk_leaves_no_part_of_an_archive() {
    for transport in ["docker-archive", "oci-archive"] {
        let Some(disk) = Disk::new(1 << 20) else {
            return;
        };
        let failed = grow(&disk, transport, "new.tar", |_| {});
        assert!(failed > 3, "{transport} failed {failed} times");
    }
}

#[test]
fn f89_a_full_disk_leaves_a_plain_directory_as_it_was() {
    let Some(disk) = Disk::new(1 << 20) else {
        return;
    };
    let temporary = tempdir();
    let old = image(&[b"old", &noise(9, 5_000)], "old:1").write(temporary.path(), "old.tar");
    let place = |directory: &Path| format!("dir:{}", directory.join("image").display());
    let failed = grow(&disk, "dir", "image", |directory| {
        imgcopy([&archive_at(&old), &place(directory)]).ok();
    });
    assert!(failed > 3, "it failed {failed} times");
    let failed = grow(&disk, "dir", "image", |_| {});
    assert!(failed > 3, "it failed {failed} times");
}
