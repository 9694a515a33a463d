//! Manifests that are read (M).

use imgcopy::error::ErrorKind;

use crate::support::registry::{Action, Fault, Form, Hangup, Image, Response, digest};
use crate::{FROM, Pair, TO, fails};

fn head() -> Fault {
    Fault::on("HEAD", "/manifests/1")
}

#[test]
fn f25_a_head_that_fails_says_nothing_about_the_image() {
    for code in [405, 404, 403, 400, 500] {
        let pair = Pair::new(&[1000]);
        pair.from.fail(head().then(Action::status(code)));
        pair.arrived(&pair.copy());
        assert!(pair.from.count("*", "/manifests/") <= 3, "{code}");
    }
    for code in [405, 404, 403] {
        let pair = Pair::new(&[1000]);
        pair.from.fail(head().always().then(Action::status(code)));
        pair.arrived(&pair.copy());
        assert!(pair.from.count("*", "/manifests/") <= 3, "{code}");
    }
}

#[test]
fn f26_a_head_without_a_good_digest_is_followed_by_a_get() {
    for action in [
        Action::without_header("Docker-Content-Digest"),
        Action::header("Docker-Content-Digest", ""),
        Action::header("Docker-Content-Digest", "sha256:abc"),
        Action::header("Docker-Content-Digest", "md5:00"),
    ] {
        let pair = Pair::new(&[1000]);
        pair.from.fail(head().always().then(action.clone()));
        pair.arrived(&pair.copy());
        assert!(pair.from.count("GET", "/manifests/") <= 2, "{action:?}");
    }
}

#[test]
fn f27_the_length_that_a_head_tells_does_not_count() {
    let pair = Pair::new(&[1000]);
    let lies = head().always().then(Action::header("Content-Length", "7"));
    pair.from.fail(lies);
    pair.arrived(&pair.copy());
    assert_eq!(pair.from.count("GET", "/manifests/"), 1);
}

#[test]
fn f31_a_manifest_that_breaks_off_is_read_again() {
    let size = Pair::new(&[1000]).image.manifest.len();
    for at in [0, 1, size / 2, size - 1] {
        for how in [Hangup::Reset, Hangup::Close] {
            let pair = Pair::new(&[1000]);
            let reads = Fault::on("GET", "/manifests/");
            pair.from.fail(reads.then(Action::cut(at, how)));
            pair.arrived(&pair.copy());
            assert_eq!(pair.from.count("GET", "/manifests/"), 2, "{how:?} at {at}");
        }
    }
}

#[test]
fn f32_a_manifest_with_a_wrong_bit_is_read_once_more() {
    let pair = Pair::new(&[1000]);
    let reads = || Fault::on("GET", "/manifests/");
    pair.from.fail(reads().then(Action::flip(100)));
    pair.arrived(&pair.copy());
    assert_eq!(pair.from.count("GET", "/manifests/"), 2);

    let pair = Pair::new(&[1000]);
    pair.from.fail(reads().always().then(Action::flip(100)));
    fails(pair.copy(), ErrorKind::Corrupt, &pair.digest);
    assert_eq!(pair.from.count("GET", "/manifests/"), 2);
    assert_eq!(pair.to.count("POST", ""), 0);
    pair.unchanged();
}

#[test]
fn f33_a_tag_that_moves_meanwhile_gives_one_image_and_not_two() {
    let pair = Pair::new(&[1000]);
    let other = Image::new(Form::OciGzip, &[500, 600], 8);
    let other = pair.from.add(FROM, None, &other);
    let manifest = pair.from.manifest(FROM, &other).unwrap();
    let before = Response::new(200)
        .with("Docker-Content-Digest", other.as_str())
        .with("Content-Type", manifest.media_type.as_str())
        .with("Content-Length", manifest.bytes.len().to_string());
    pair.from.fail(head().then(Action::Answer(before)));
    assert_eq!(pair.copy().unwrap(), other);
    assert_eq!(pair.to.tag_of(TO, "1"), Some(other));
    assert_eq!(pair.to.blobs(TO).len(), 2 + 3);
    pair.to.assert_whole(TO);
}

#[test]
fn f34_an_index_whose_image_is_missing_moves_no_tag() {
    let pair = Pair::new(&[1000]);
    let lost = Image::new(Form::OciGzip, &[500], 8);
    let lost = pair.from.add(FROM, None, &lost);
    let platforms = [("amd64", pair.digest.as_str()), ("arm64", &lost)];
    pair.from.add_index(FROM, "1", &platforms);
    pair.from.delete_manifest(FROM, &lost);
    fails(pair.copy(), ErrorKind::Incomplete, &lost);
    assert_eq!(pair.to.count("PUT", ""), 0);
    pair.unchanged();
}

#[test]
fn f34_an_image_whose_layer_is_missing_is_incomplete() {
    let pair = Pair::new(&[1000]);
    pair.from.delete_blob(FROM, &pair.layer(0));
    fails(pair.copy(), ErrorKind::Incomplete, &pair.layer(0));
    assert_eq!(pair.asked().len(), 1);
    assert_eq!(digest("sha256", &pair.image.blobs[1]), pair.layer(0));
    pair.unchanged();
}
