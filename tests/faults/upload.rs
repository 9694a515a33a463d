//! Uploads: their beginning (U) and their bytes (B).

use imgcopy::error::ErrorKind;

use crate::support::registry::{
    Action, Auth, Fault, Hangup, Locations, Options as Kind, Response, TokenRules,
};
use crate::{Pair, TO, failed, fails, impatient};

const LARGE: usize = 3 << 20;
const MIB: usize = 1 << 20;

fn kind(change: impl Fn(&mut Kind)) -> Kind {
    let mut kind = Kind::default();
    change(&mut kind);
    kind
}

/// Requests that begin an upload, for the layer: the config's comes first or second.
fn begins() -> Fault {
    Fault::on("POST", "/blobs/uploads/")
}

#[test]
fn f60_an_upload_that_could_not_be_begun_is_begun_again() {
    for action in [
        Action::status(500),
        Action::status(503),
        Action::reset(),
        Action::close(),
        Action::lose(Hangup::Reset),
    ] {
        let pair = Pair::new(&[LARGE]);
        pair.to.fail(begins().then(action.clone()));
        pair.arrived(&pair.copy());
        assert_eq!(pair.to.count("POST", ""), 3, "{action:?}");
        assert_eq!(pair.asked().len(), 1, "the source was read once");
    }
    let pair = Pair::new(&[LARGE]);
    let breaks = pair.to.fail(begins().always().then(Action::status(503)));
    fails(pair.copy(), ErrorKind::Io, "gave up after 5 attempts");
    assert!(breaks.count() <= 10, "two blobs, five attempts each");
    pair.unchanged();
}

#[test]
fn f61_an_upload_goes_on_where_the_registry_says() {
    for locations in [
        Locations::Stateful,
        Locations::Signed,
        Locations::Absolute,
        Locations::Relative,
        Locations::RelativeStateful,
    ] {
        let to = kind(|kind| kind.locations = locations);
        let pair = Pair::of(&[LARGE], Kind::default(), to);
        pair.arrived(&pair.copy());
        assert_eq!(pair.puts().len(), 1, "{locations:?}");
    }
    let pair = Pair::new(&[LARGE]);
    pair.to
        .fail(begins().always().then(Action::without_header("Location")));
    fails(pair.copy(), ErrorKind::Io, "where the upload goes on");
    assert!(pair.to.count("POST", "") <= 2);
    pair.unchanged();
}

#[test]
fn f62_what_the_registry_will_not_take_is_said_at_once() {
    for (status, code, message, words) in [
        (
            404,
            "NAME_UNKNOWN",
            "no such repository",
            "create it there first",
        ),
        (403, "DENIED", "quota exceeded", "quota exceeded"),
        (405, "UNSUPPORTED", "read only", "read only"),
    ] {
        let pair = Pair::new(&[LARGE]);
        let refusal = Action::error(status, code, message);
        pair.to.fail(begins().always().then(refusal));
        fails(pair.copy(), ErrorKind::Denied, words);
        assert!(pair.to.count("POST", "") <= 2, "one for each blob");
        pair.unchanged();
    }
    // ECR closes the connection where the repository does not exist.
    let pair = Pair::new(&[LARGE]);
    pair.to.fail(begins().always().then(Action::close()));
    fails(pair.copy(), ErrorKind::Io, "gave up after 5 attempts");
    assert!(pair.to.count("POST", "") <= 10);
    pair.unchanged();
}

#[test]
fn r08_f63_an_upload_that_breaks_off_begins_anew() {
    let size = Pair::new(&[LARGE]).size(0);
    for at in [0, 64 << 10, size / 2, size - 1] {
        for how in [Hangup::Reset, Hangup::Close] {
            let pair = Pair::new(&[LARGE]);
            pair.to
                .fail(Pair::sends().then(Action::hang_up_midway(at, how)));
            pair.arrived(&pair.copy());
            assert_eq!(pair.puts().len(), 2, "{how:?} at {at}");
            assert_eq!(pair.asked().len(), 2, "the source was read once more");
            assert_eq!(pair.to.count("POST", ""), 3);
            assert_eq!(pair.to.count("PATCH", ""), 0);
            assert_eq!(pair.tagged(), 1);
        }
    }
}

#[test]
fn r08_f63_from_a_directory_too() {
    let pair = Pair::new(&[LARGE]);
    let directory = crate::support::tempdir();
    pair.copy_to_directory(crate::options(), directory.path())
        .unwrap();
    pair.to
        .fail(Pair::sends().then(Action::hang_up_midway(MIB, Hangup::Reset)));
    let from = crate::support::oci_at(directory.path(), "1");
    let result = crate::copy_with(crate::options(), &from, &crate::at(&pair.to, TO));
    pair.arrived(&result);
    assert_eq!(pair.puts().len(), 2);
}

#[test]
fn f64_a_refusal_during_the_upload_is_seen() {
    for (status, words) in [(403, "403 Forbidden"), (400, "400 Bad Request")] {
        let pair = Pair::new(&[8 * MIB]);
        let refusal = Response::error(status, "DENIED", "policy");
        pair.to.fail(
            Pair::sends()
                .always()
                .then(Action::answer_midway(64 << 10, refusal)),
        );
        fails(pair.copy(), ErrorKind::Denied, words);
        assert_eq!(pair.puts().len(), 1, "{status}");
        pair.unchanged();
    }
}

#[test]
fn f64_what_is_too_large_in_one_piece_goes_in_chunks() {
    let refusal = Response::error(413, "SIZE_INVALID", "too large");
    // The last three never say why: the answer is lost, or there is none.
    for action in [
        Action::answer_midway(64 << 10, refusal.clone()),
        Action::Answer(refusal.clone()),
        Action::answer_midway_and_close(64 << 10, refusal),
        Action::hang_up_midway(64 << 10, Hangup::Reset),
        Action::hang_up_midway(64 << 10, Hangup::Close),
    ] {
        let pair = Pair::new(&[10 * MIB, LARGE]);
        pair.to.fail(Pair::sends().always().then(action.clone()));
        pair.arrived(&pair.copy());
        let largest = 8 << 20;
        let patches = pair.to.requests("PATCH", "");
        assert!(patches.iter().all(|patch| patch.body_len <= largest));
        assert!(patches.len() >= 3, "{action:?}");
        assert!(pair.puts().len() <= 4, "{action:?}");
    }
}

#[test]
fn f64_connections_that_always_break_are_explained() {
    let pair = Pair::new(&[LARGE]);
    let breaks = Action::hang_up_midway(1000, Hangup::Reset);
    pair.to.fail(Pair::sends().always().then(breaks.clone()));
    pair.to.fail(Fault::on("PATCH", "").always().then(breaks));
    let (kind, said) = failed(pair.copy());
    assert_eq!(kind, ErrorKind::Io);
    assert!(said.contains("perhaps a limit of size"), "{said}");
    let tries = pair.puts().len() + pair.to.count("PATCH", "");
    assert!((3..=6).contains(&tries), "{tries}");
    pair.unchanged();
}

#[test]
fn f65_a_registry_that_stops_reading_is_left() {
    let pair = Pair::new(&[24 * MIB]);
    pair.to
        .fail(Pair::sends().then(Action::stop_reading(64 << 10)));
    pair.arrived(&pair.copy_with(impatient()));
    assert_eq!(pair.puts().len(), 2);

    let pair = Pair::new(&[24 * MIB]);
    pair.to
        .fail(Pair::sends().always().then(Action::stop_reading(64 << 10)));
    let words = "nothing moved for too long";
    fails(pair.copy_with(impatient()), ErrorKind::Io, words);
    assert!(pair.puts().len() <= 5);
    pair.unchanged();
}

#[test]
fn f67_f68_a_registry_that_forgot_the_upload_gets_a_new_one() {
    for (status, code) in [
        (404, "BLOB_UPLOAD_UNKNOWN"),
        (400, "BLOB_UPLOAD_INVALID"),
        (400, "BLOB_UPLOAD_UNKNOWN"),
    ] {
        let pair = Pair::new(&[LARGE]);
        let lost = Action::error(status, code, "lost");
        pair.to.fail(Pair::sends().then(lost.clone()));
        pair.arrived(&pair.copy());
        assert_eq!((pair.puts().len(), pair.to.count("POST", "")), (2, 3));

        if code == "BLOB_UPLOAD_INVALID" {
            // It may mean something else.
            continue;
        }
        let pair = Pair::new(&[LARGE]);
        pair.to.fail(Pair::sends().always().then(lost));
        // Not `NotFound`: the image is there.
        let kind = match status {
            404 => ErrorKind::Io,
            _ => ErrorKind::Denied,
        };
        fails(pair.copy(), kind, "gave up after 5 attempts");
        assert_eq!(pair.puts().len(), 5);
        pair.unchanged();
    }
}

#[test]
fn f69_a_token_that_ended_is_renewed_for_the_upload() {
    let kind = || Kind {
        auth: Auth::bearer(TokenRules::default()),
        ..Kind::default()
    };
    let expired = Action::ask(|request| request.headers.set("authorization", "Bearer ended"));
    let pair = Pair::of(&[LARGE], Kind::default(), kind());
    pair.to.fail(Pair::sends().then(expired.clone()));
    pair.arrived(&pair.copy());
    assert_eq!(pair.puts().len(), 2);
    assert!(pair.to.count("GET", "/token") <= 4);

    // In chunks, and for the empty PUT at their end.
    let pair = Pair::of(&[LARGE], Kind::default(), kind());
    pair.to.fail(Pair::sends().then(Action::status(413)));
    let patches = Fault::on("PATCH", "").authorized();
    let patch = pair.to.fail(patches.then(expired.clone()));
    let last = Fault::on("PUT", &pair.layer(0)[7..])
        .when(|request| request.header("content-length") == Some("0"));
    let last = pair.to.fail(last.then(expired));
    pair.arrived(&pair.copy());
    assert_eq!((patch.count(), last.count()), (1, 1));
    assert_eq!(pair.asked().len(), 2, "once for each way to send it");
}
