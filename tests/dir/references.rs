//! What can be typed, and what cannot be done.

use super::*;

#[test]
fn everything_after_the_first_colon_is_the_path() {
    let folder = tempdir();
    let place = folder.path().join("a:b@c:latest");
    let digest = copy(&first_of("podman/oci-dir"), &dir_at(&place));
    assert_eq!(whole(&place), (digest.clone(), vec![]));
    let told = imgcopy(["digest", &dir_at(&place)]).ok().stdout;
    assert_eq!(told.trim(), digest);
}

#[test]
fn a_directory_of_other_things_is_left_alone() {
    let folder = tempdir();
    let place = folder.path().join("d");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("precious"), "precious").unwrap();
    let source = first_of("podman/oci-dir");
    let before = stamps(&place);
    for version in [None, Some("Directory Transport Version: 9\n"), Some("")] {
        if let Some(version) = version {
            std::fs::write(place.join("version"), version).unwrap();
        }
        imgcopy([source.clone(), dir_at(&place)]).fails(1);
        std::fs::remove_file(place.join("version")).ok();
        assert_eq!(tree(&place), ["precious"]);
        assert_eq!(stamps(&place), before);
    }
    // Nor is an OCI layout overwritten.
    let layout = folder.path().join("layout");
    copy_here(&source, &oci_at(&layout, "a")).unwrap();
    imgcopy([source, dir_at(&layout)]).fails(1);
    assert_eq!(assert_whole(&layout), ["a"]);
}

#[test]
fn nothing_is_deleted_from_it() {
    let folder = tempdir();
    let place = folder.path().join("d");
    copy_of(&fixture("dir/gzip"), &place);
    let run = imgcopy(["delete", &dir_at(&place)]).fails(1);
    assert!(
        run.stderr.contains("remove the directory"),
        "{}",
        run.stderr
    );
    assert_eq!(files(&place), files(&fixture("dir/gzip")));
}
