//! The answer to a whole upload (X; R-09).

use std::time::Duration;

use imgcopy::error::ErrorKind;

use crate::support::registry::{Action, Hangup, Response};
use crate::{Pair, TO, fails, impatient};

const LARGE: usize = 3 << 20;

/// The true answer to what was processed, with another status.
fn status(status: u16) -> Action {
    Action::change(move |_, response| {
        *response = Response::error(status, "UNKNOWN", "the answer went wrong");
    })
}

#[test]
fn r09_f76_f77_a_blob_whose_answer_was_lost_is_looked_up() {
    for action in [
        Action::lose(Hangup::Reset),
        Action::lose(Hangup::Close),
        status(500),
        status(502),
        status(504),
        status(404),
    ] {
        let pair = Pair::new(&[LARGE]);
        let blob = pair.layer(0);
        pair.to.fail(Pair::sends().then(action.clone()));
        pair.arrived(&pair.copy());
        assert_eq!(pair.puts().len(), 1, "{action:?}");
        assert_eq!(pair.asked().len(), 1, "{action:?}");
        assert_eq!(pair.to.count("HEAD", &blob), 2, "in the survey and after");
    }
}

#[test]
fn f77_a_blob_that_was_not_stored_is_sent_again() {
    for code in [500, 503, 504] {
        let pair = Pair::new(&[LARGE]);
        pair.to.fail(Pair::sends().then(Action::status(code)));
        pair.arrived(&pair.copy());
        assert_eq!(pair.puts().len(), 2, "{code}");

        let pair = Pair::new(&[LARGE]);
        pair.to
            .fail(Pair::sends().always().then(Action::status(code)));
        fails(pair.copy(), ErrorKind::Io, &code.to_string());
        // Registries that say 500 often mean it for good.
        let tries = if code == 500 { 2 } else { 5 };
        assert_eq!(pair.puts().len(), tries, "{code}");
        pair.unchanged();
    }
}

#[test]
fn f78_a_blob_that_the_registry_calls_otherwise_is_refused() {
    let other = format!("sha256:{}", "0".repeat(64));
    let pair = Pair::new(&[LARGE]);
    let calls = Action::header("Docker-Content-Digest", &other);
    pair.to.fail(Pair::sends().always().then(calls));
    fails(pair.copy(), ErrorKind::Io, &other);
    assert_eq!(pair.puts().len(), 1, "sending it again would not help");
    pair.unchanged();
}

#[test]
fn f78_every_success_counts_if_the_blob_is_there() {
    let changed = |status: u16| {
        Action::change(move |_, response| {
            response.status = status;
            response.headers.remove("Docker-Content-Digest");
        })
    };
    for (code, heads) in [(201, 1), (200, 2), (202, 2), (204, 2)] {
        let pair = Pair::new(&[LARGE]);
        pair.to.fail(Pair::sends().then(changed(code)));
        pair.arrived(&pair.copy());
        assert_eq!(pair.puts().len(), 1, "{code}");
        assert_eq!(pair.to.count("HEAD", &pair.layer(0)), heads, "{code}");
    }
    // Not if it is not.
    let pair = Pair::new(&[LARGE]);
    let nothing = Action::Answer(Response::new(204));
    pair.to.fail(Pair::sends().always().then(nothing));
    let words = "answered 204 and does not have the blob";
    fails(pair.copy(), ErrorKind::Io, words);
    assert_eq!(pair.puts().len(), 5);
    pair.unchanged();
}

#[test]
fn f79_a_registry_may_take_its_time_to_store() {
    let pair = Pair::new(&[LARGE]);
    // Three times as long as anything may stand still while it moves.
    let late = Action::delay(Duration::from_millis(900));
    pair.to.fail(Pair::sends().then(late));
    pair.arrived(&pair.copy_with(impatient()));
    assert_eq!(pair.puts().len(), 1);
}

#[test]
fn f79_but_not_for_ever() {
    let pair = Pair::new(&[LARGE]);
    pair.to
        .fail(Pair::sends().always().then(Action::lose(Hangup::Stall)));
    let mut options = impatient();
    options.limits.commit = Duration::from_millis(300);
    // It was stored, and that is found out.
    pair.arrived(&pair.copy_with(options));
    assert_eq!(pair.puts().len(), 1);
    assert!(pair.to.blob(TO, &pair.layer(0)).is_some());
}
