//! Manifests that are written (W).

use imgcopy::error::ErrorKind;

use crate::support::registry::{Action, Fault, Form, Hangup, Image, Response};
use crate::{FROM, Pair, TO, at, block, copied, failed, fails, options};

fn puts() -> Fault {
    Fault::on("PUT", "/manifests/")
}

#[test]
fn r09_f80_a_manifest_whose_answer_was_lost_is_looked_up() {
    let broken = |status: u16| {
        Action::change(move |_, response| {
            *response = Response::error(status, "UNKNOWN", "the answer went wrong");
        })
    };
    for action in [
        Action::lose(Hangup::Reset),
        Action::lose(Hangup::Close),
        broken(500),
        broken(502),
        broken(504),
    ] {
        let pair = Pair::new(&[1000]);
        pair.to.fail(puts().then(action.clone()));
        pair.arrived(&pair.copy());
        assert_eq!(pair.tagged(), 1, "{action:?}");
    }
}

#[test]
fn f80_a_manifest_that_was_not_stored_is_sent_again() {
    for action in [
        Action::reset(),
        Action::close(),
        Action::status(500),
        Action::status(503),
        Action::too_many_requests(Some("0")),
    ] {
        let pair = Pair::new(&[1000]);
        pair.to.fail(puts().then(action.clone()));
        pair.arrived(&pair.copy());
        assert_eq!(pair.tagged(), 2, "{action:?}");

        let pair = Pair::new(&[1000]);
        pair.to.fail(puts().always().then(action));
        let (kind, said) = failed(pair.copy());
        assert!(
            [ErrorKind::Io, ErrorKind::RateLimited].contains(&kind),
            "{said}"
        );
        assert!(pair.tagged() <= 5);
        pair.unchanged();
    }
}

#[test]
fn f81_a_manifest_that_the_registry_does_not_take_is_not_made_another() {
    for (status, code, message) in [
        (400, "MANIFEST_INVALID", "manifest invalid"),
        (413, "SIZE_INVALID", "too large"),
        (415, "UNSUPPORTED", "media type not supported"),
        (403, "DENIED", "no OCI here"),
    ] {
        let pair = Pair::new(&[1000]);
        let refusal = Action::error(status, code, message);
        pair.to.fail(puts().always().then(refusal));
        let kind = match code {
            "MANIFEST_INVALID" | "UNSUPPORTED" => ErrorKind::RefusedType,
            _ => ErrorKind::Denied,
        };
        fails(pair.copy(), kind, message);
        assert_eq!(pair.tagged(), 1, "{status}");
        pair.unchanged();
        let old = std::slice::from_ref(&pair.old);
        assert_eq!(pair.to.manifests(TO), old, "nothing else was tried");
    }
}

#[test]
fn r01_a_manifest_that_changed_on_its_way_is_sent_once_more() {
    let wrong = || Action::error(400, "DIGEST_INVALID", "provided digest did not match");
    let pair = Pair::new(&[1000]);
    pair.to.fail(puts().then(wrong()));
    pair.arrived(&pair.copy());
    assert_eq!(pair.tagged(), 2);

    let pair = Pair::new(&[1000]);
    pair.to.fail(puts().always().then(wrong()));
    fails(pair.copy(), ErrorKind::Denied, "DIGEST_INVALID");
    assert_eq!(pair.tagged(), 2);
    pair.unchanged();
}

#[test]
fn f82_f83_a_tag_that_may_not_be_moved_is_right_or_it_is_not() {
    for (status, code, message) in [
        (409, "TAG_IMMUTABLE", "the tag is immutable"),
        (412, "PRECONDITION", "immutable by rule"),
        (400, "TAG_INVALID", "the repository is immutable"),
    ] {
        let refusal = Response::error(status, code, message);
        // Somebody else put the same image there meanwhile.
        let pair = Pair::new(&[1000]);
        let same = refusal.clone();
        pair.to
            .fail(puts().then(Action::change(move |_, response| *response = same.clone())));
        pair.arrived(&pair.copy());
        assert_eq!(pair.tagged(), 1);

        let pair = Pair::new(&[1000]);
        pair.to.fail(puts().always().then(Action::Answer(refusal)));
        let words = "the tag 1 stands for another image";
        fails(pair.copy(), ErrorKind::Denied, words);
        assert_eq!(pair.tagged(), 1);
        pair.unchanged();
    }
}

#[test]
fn f84_a_registry_that_rewrites_manifests_is_not_believed() {
    let other = format!("sha256:{}", "0".repeat(64));
    let pair = Pair::new(&[1000]);
    let rewrites = Action::header("Docker-Content-Digest", &other);
    pair.to.fail(puts().always().then(rewrites));
    let (_, said) = failed(pair.copy());
    assert!(
        said.contains(&other) && said.contains(&pair.digest),
        "{said}"
    );
    assert_eq!(pair.tagged(), 1);
}

#[test]
fn f37_f66_a_registry_that_lacks_what_it_said_it_had_gets_it() {
    let pair = Pair::new(&[3000, 2000]);
    let size = pair.size(0).to_string();
    let there = Response::new(200).with("Content-Length", size);
    let asks = || Fault::on("HEAD", &pair.layer(0)).always();
    pair.to.fail(asks().then(Action::Answer(there.clone())));
    pair.arrived(&pair.copy());
    assert_eq!((pair.tagged(), pair.puts().len()), (2, 1));

    // The second time it is a failure.
    let pair = Pair::new(&[3000]);
    pair.to.fail(asks().then(Action::Answer(there)));
    let unknown = Action::error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    pair.to.fail(puts().always().then(unknown));
    fails(pair.copy(), ErrorKind::Io, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(pair.tagged(), 2);
    pair.unchanged();
}

#[test]
fn f42_a_mount_that_was_none_is_made_good() {
    let pair = Pair::new(&[3000]);
    pair.to.add("other/app", Some("1"), &pair.image);
    let mounted = Response::new(201).with("Docker-Content-Digest", pair.layer(0));
    pair.to.fail(
        Fault::on("POST", &format!("mount={}", pair.layer(0)))
            .always()
            .then(Action::Answer(mounted)),
    );
    let from = at(&pair.to, "other/app");
    let result = crate::copy_with(options(), &from, &at(&pair.to, TO));
    pair.arrived(&result);
    assert_eq!((pair.tagged(), pair.puts().len()), (2, 1));
}

#[test]
fn f85_two_copies_of_one_tag_leave_one_of_them_whole() {
    let pair = Pair::new(&[100_000]);
    let other = Image::new(Form::OciGzip, &[100_000, 50_000], 8);
    let other = pair.from.add("team/other", Some("1"), &other);
    let one = imgcopy::store::registry::Registries::new(options());
    let two = imgcopy::store::registry::Registries::new(options());
    let to = at(&pair.to, TO);
    let (from_one, from_two) = (at(&pair.from, FROM), at(&pair.from, "team/other"));
    let done = block(async {
        tokio::join!(
            copied(&one, &one, [&from_one, &to]),
            copied(&two, &two, [&from_two, &to])
        )
    });
    assert_eq!(
        (done.0.unwrap(), done.1.unwrap()),
        (pair.digest.clone(), other.clone())
    );
    let now = pair.to.tag_of(TO, "1").unwrap();
    assert!([pair.digest, other].contains(&now));
    pair.to.assert_whole(TO);
    assert_eq!(pair.to.manifests(TO).len(), 3, "the old one and both");
}

#[test]
fn r12_a_child_is_written_as_soon_as_its_blobs_are_there() {
    let pair = Pair::new(&[1000]);
    let late = Image::new(Form::OciGzip, &[2000], 9);
    let late_digest = pair.from.add(FROM, None, &late);
    let platforms = [("amd64", pair.digest.as_str()), ("arm64", &late_digest)];
    let index = pair.from.add_index(FROM, "1", &platforms);
    let gate = crate::support::registry::Gate::closed();
    let slow = crate::support::registry::digest("sha256", &late.blobs[1]);
    pair.from.fail(
        Fault::on("GET", &slow)
            .always()
            .then(Action::Hold(gate.clone())),
    );
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| pair.copy());
        // One layer is still held.
        pair.to
            .wait_for("PUT", &format!("/manifests/{}", pair.digest), 1);
        assert_eq!(pair.to.count("PUT", "/manifests/"), 1);
        gate.open();
        assert_eq!(copying.join().unwrap().unwrap(), index);
    });
    assert_eq!(pair.to.tag_of(TO, "1"), Some(index));
    let puts = pair.to.requests("PUT", "/manifests/");
    assert!(
        puts[2].target.ends_with("/manifests/1"),
        "the tag moves last"
    );
    pair.to.assert_whole(TO);
}

#[test]
fn r07_no_upload_waits_for_a_slow_source() {
    let pair = Pair::new(&[1000]);
    let gate = crate::support::registry::Gate::closed();
    pair.from
        .fail(pair.reads().then(Action::Hold(gate.clone())));
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| pair.copy());
        // The config has come and gone meanwhile.
        pair.to.wait_for("PUT", "/blobs/uploads/", 1);
        pair.from.wait_for("GET", &pair.layer(0), 1);
        assert_eq!(pair.to.count("POST", ""), 1, "the config's");
        gate.open();
        pair.arrived(&copying.join().unwrap());
    });
    assert_eq!(pair.to.count("POST", ""), 2);
}
