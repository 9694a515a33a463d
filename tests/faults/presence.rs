//! What the destination has already (H).

use imgcopy::error::ErrorKind;

use crate::support::registry::{Action, Fault, Hangup, Options as Kind, Response};
use crate::{Pair, TO, at, copy_with, fails, options};

fn asks(pair: &Pair) -> Fault {
    Fault::on("HEAD", &pair.layer(0))
}

#[test]
fn f35_a_question_that_fails_is_asked_again_and_not_taken_for_no() {
    for code in [500, 502] {
        let pair = Pair::new(&[3000]);
        pair.to.fail(asks(&pair).then(Action::status(code)));
        pair.arrived(&pair.copy());
        assert_eq!(pair.to.count("HEAD", &pair.layer(0)), 2);

        let pair = Pair::new(&[3000]);
        let always = asks(&pair).always().then(Action::status(code));
        pair.to.fail(always);
        fails(pair.copy(), ErrorKind::Io, &code.to_string());
        let tries = if code == 500 { 2 } else { 5 };
        assert_eq!(pair.to.count("HEAD", &pair.layer(0)), tries);
        assert_eq!(pair.to.count("POST", ""), 0, "nothing was begun");
        pair.unchanged();
    }
}

#[test]
fn f36_f38_what_is_no_clear_yes_means_that_the_blob_travels() {
    let other_size = Response::new(200).with("Content-Length", "7");
    for action in [
        Action::status(405),
        Action::status(403),
        Action::Answer(other_size),
    ] {
        let pair = Pair::new(&[3000]);
        pair.to.add_blob(TO, pair.image.blobs[1].clone());
        pair.to.fail(asks(&pair).always().then(action.clone()));
        pair.arrived(&pair.copy());
        assert_eq!(pair.puts().len(), 1, "{action:?}");
    }
}

#[test]
fn f39_a_redirect_means_that_it_is_there() {
    let pair = Pair::new(&[3000]);
    pair.to.add_blob(TO, pair.image.blobs[1].clone());
    let store = crate::support::registry::Server::start(|_| Response::new(403));
    pair.to.fail(
        asks(&pair)
            .always()
            .then(Action::redirect_to_server(&store.origin())),
    );
    pair.arrived(&pair.copy());
    assert_eq!((pair.puts().len(), pair.asked().len()), (0, 0));
}

/// Copies within one registry, from another repository.
fn within(pair: &Pair) -> imgcopy::error::Result<String> {
    pair.to.add("other/app", Some("1"), &pair.image);
    copy_with(options(), &at(&pair.to, "other/app"), &at(&pair.to, TO))
}

fn mounts() -> Fault {
    Fault::on("POST", "mount=")
}

#[test]
fn f40_a_mount_that_begins_an_upload_is_that_upload() {
    let to = Kind {
        mounts: false,
        ..Kind::default()
    };
    let pair = Pair::of(&[3000], Kind::default(), to);
    pair.arrived(&within(&pair));
    assert_eq!(pair.to.count("POST", "mount="), 2);
    assert_eq!(pair.to.count("POST", ""), 2, "no other upload was begun");
    assert_eq!((pair.puts().len(), pair.to.open_uploads()), (1, 0));
}

#[test]
fn f41_a_refused_mount_is_an_ordinary_upload() {
    for code in [400, 401, 403, 404, 405, 500] {
        let pair = Pair::new(&[3000]);
        pair.to.fail(mounts().always().then(Action::status(code)));
        pair.arrived(&within(&pair));
        let plain = pair.to.count("POST", "") - pair.to.count("POST", "mount=");
        assert_eq!(plain, 2, "{code}");
        assert!(pair.to.count("POST", "mount=") <= 4, "{code}");
        assert_eq!(pair.puts().len(), 1);
    }
}

#[test]
fn f43_a_mount_whose_answer_was_lost_is_no_upload() {
    let pair = Pair::new(&[3000]);
    pair.to
        .fail(mounts().times(2).then(Action::lose(Hangup::Reset)));
    pair.arrived(&within(&pair));
    assert_eq!(pair.to.count("PUT", "/blobs/"), 0);
    assert!(pair.to.count("POST", "") <= 4);
}
