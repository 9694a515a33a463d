//! skopeo on the other side.

use std::process::Command;

use super::*;

fn skopeo(args: &[&str]) -> Run {
    Run::of(Command::new("skopeo").arg("--insecure-policy").args(args))
}

/// Sources of one image or several, in OCI's words and in Docker's, of gzip, zstd and plain layers.
fn sources() -> Vec<String> {
    let layouts = ["podman/oci-dir", "podman/oci-dir-zstd", "podman/oci-index"];
    let layouts = layouts.map(first_of);
    let plain =
        ["gzip", "plain", "list", "oci-index"].map(|name| dir_at(&fixture("dir").join(name)));
    layouts.into_iter().chain(plain).collect()
}

#[test]
fn what_we_write_is_what_skopeo_writes_and_skopeo_reads_it() {
    if !has_peer("skopeo") {
        return;
    }
    for source in sources() {
        let folder = tempdir();
        let [ours, theirs, read] = ["ours", "theirs", "read"].map(|name| folder.path().join(name));
        let digest = copy_here(&source, &dir_at(&ours)).unwrap();
        assert_eq!(whole(&ours), (digest, vec![]));
        // skopeo 1.9.3 does not know oci:DIR:@0, and these hold one image.
        let named = source.trim_end_matches(":@0");
        skopeo(&["copy", "-q", "--all", named, &dir_at(&theirs)]).ok();
        assert_eq!(files(&ours), files(&theirs), "{source}");
        skopeo(&["copy", "-q", "--all", &dir_at(&ours), &dir_at(&read)]).ok();
        assert_eq!(files(&read), files(&ours), "{source}");
        skopeo(&["inspect", "--raw", &dir_at(&ours)]).ok();
    }
}

#[test]
fn what_skopeo_makes_of_an_archive_is_read() {
    if !has_peer("skopeo") {
        return;
    }
    let archive = fixture("docker20/single.tar");
    let images = truth::saved(&archive).unwrap();
    let folder = tempdir();
    let [theirs, layout] = ["theirs", "layout"].map(|name| folder.path().join(name));
    // Without compressing, skopeo 1.9.3 calls plain layers gzip, and such an image is refused.
    let compress = ["copy", "-q", "--dest-compress"];
    let places = [archive_at(&archive), dir_at(&theirs)];
    let places = places.iter().map(String::as_str);
    let args: Vec<&str> = compress.into_iter().chain(places).collect();
    skopeo(&args).ok();
    let digest = copy(&dir_at(&theirs), &oci_at(&layout, "a"));
    assert_eq!(digest, whole(&theirs).0);
    imgcopy(["verify", &dir_at(&theirs)]).ok();
    let entry = truth::entry(&layout, "a");
    let found = truth::graph(&layout, &entry).images.remove(0);
    assert_eq!(found.diff_ids, images[0].diff_ids);
}

#[test]
fn skopeo_reads_what_we_make_of_an_archive() {
    if !has_peer("skopeo") {
        return;
    }
    let folder = tempdir();
    let [ours, layout] = ["ours", "layout"].map(|name| folder.path().join(name));
    let digest = copy(&archive_at(&fixture("docker28/single.tar")), &dir_at(&ours));
    let to = oci_at(&layout, "a");
    skopeo(&["copy", "-q", &dir_at(&ours), &to]).ok();
    let read = imgcopy(["digest", &to]).ok().stdout;
    assert_eq!(read.trim(), digest);
}

#[test]
fn both_work_in_one_directory_in_turn() {
    if !has_peer("skopeo") {
        return;
    }
    let folder = tempdir();
    let place = folder.path().join("d");
    let [one, other] = ["podman/oci-dir", "podman/oci-index"].map(first_of);
    for source in [&one, &other, &one] {
        let named = source.trim_end_matches(":@0");
        skopeo(&["copy", "-q", "--all", named, &dir_at(&place)]).ok();
        let (theirs, _) = whole(&place);
        assert_eq!(plan(source, &dir_at(&place))["isEmpty"], true, "{theirs}");
        for source in [&other, &one] {
            let digest = copy(source, &dir_at(&place));
            assert_eq!(whole(&place), (digest, vec![]));
        }
    }
}
