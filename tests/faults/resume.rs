//! Downloads that break off and go on (D; ).

use std::time::Duration;

use imgcopy::error::ErrorKind;

use crate::support::registry::{Action, Hangup, Options as Kind};
use crate::support::tempdir;
use crate::{Pair, fails, has, impatient, options, range};

const LARGE: usize = 3 << 20;
const MIB: usize = 1 << 20;
const SLACK: usize = 64 << 10;

#[test]
fn r05_f44_f46_a_download_that_breaks_off_goes_on_where_it_was() {
    for how in [Hangup::Reset, Hangup::Close] {
        let pair = Pair::new(&[LARGE]);
        let size = pair.size(0);
        for at in [0, 1, MIB, size - 1] {
            pair.from.forget();
            pair.from.fail(pair.reads().then(Action::cut(at, how)));
            let directory = tempdir();
            let result = pair.copy_to_directory(options(), directory.path());
            assert_eq!(result.unwrap(), pair.digest, "{how:?} at {at}");
            has(directory.path(), &["1"]);
            let asked = pair.asked();
            assert_eq!(asked.len(), 2, "{how:?} at {at}");
            let expected = (at > 0).then(|| format!("bytes={at}-"));
            assert_eq!(range(&asked[1]), expected.as_deref(), "{how:?}");
            let sent: usize = asked.iter().map(|request| request.sent).sum();
            assert!(sent <= size + SLACK, "{sent} at {at}");
        }
        assert_eq!(pair.from.count("GET", "/manifests/"), 1);
    }
}

#[test]
fn s15_f46_a_body_with_a_good_end_that_comes_too_early_goes_on() {
    for action in [
        Action::truncate_chunked(MIB),
        Action::truncate(MIB),
        Action::header("Content-Length", "5000000"),
    ] {
        let pair = Pair::new(&[LARGE]);
        pair.from.fail(pair.reads().then(action.clone()));
        pair.arrived(&pair.copy());
        assert!(pair.asked().len() <= 2, "{action:?}");
        assert_eq!(pair.puts().len(), 1);
    }
}

#[test]
fn f45_without_progress_there_is_an_end() {
    let pair = Pair::new(&[LARGE]);
    let breaks = pair.from.fail(
        pair.reads()
            .always()
            .then(Action::cut(100 << 10, Hangup::Reset)),
    );
    fails(pair.copy(), ErrorKind::Io, "gave up after 5 attempts");
    assert_eq!(breaks.count(), 5);
    pair.unchanged();
    assert_eq!(pair.puts().len(), 1, "it was not begun again");

    // A mebibyte between failures makes good for them.
    let pair = Pair::new(&[LARGE]);
    let breaks = pair.from.fail(
        pair.reads()
            .always()
            .then(Action::cut(300 << 10, Hangup::Close)),
    );
    pair.arrived(&pair.copy());
    assert_eq!(breaks.count(), 11);
}

#[test]
fn f48_what_is_not_the_rest_is_not_taken_for_it() {
    let missing_range = Action::without_header("Content-Range");
    let size = Pair::new(&[LARGE]).size(0);
    let total = format!("bytes {MIB}-{}/{}", size - 1, size + 1);
    let table = [
        // What the registry does with the range, and how often it is asked altogether.
        (Action::ignore_range(), 2),
        (Action::content_range("bytes 5-9/10"), 3),
        (Action::content_range(&total), 3),
        (Action::content_range("nonsense"), 3),
        (missing_range, 3),
        (Action::multipart(), 3),
        (Action::error(416, "RANGE_INVALID", "no"), 3),
        (Action::status(503), 3),
    ];
    for (action, requests) in table {
        let pair = Pair::new(&[LARGE]);
        pair.from
            .fail(pair.reads().then(Action::cut(MIB, Hangup::Reset)));
        pair.from.fail(pair.reads().nth(2).then(action.clone()));
        pair.arrived(&pair.copy());
        let asked = pair.asked();
        assert_eq!(asked.len(), requests, "{action:?}");
        assert_eq!(range(&asked[1]), Some("bytes=1048576-"));
        assert_eq!(pair.puts().len(), 1, "{action:?}");
    }
}

#[test]
fn f48_a_wrong_part_that_says_it_is_the_right_one_is_found_out() {
    let pair = Pair::new(&[LARGE]);
    pair.from
        .fail(pair.reads().then(Action::cut(MIB, Hangup::Reset)));
    pair.from
        .fail(pair.reads().nth(2).then(Action::change(|_, response| {
            let mut bytes = response.body.to_vec();
            bytes.rotate_left(1);
            response.body = bytes.into();
        })));
    pair.arrived(&pair.copy());
    let asked = pair.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(range(&asked[2]), None, "it began anew");
}

#[test]
fn f49_another_version_is_not_put_together_with_the_first() {
    let pair = Pair::new(&[LARGE]);
    let first = Action::change(|_, response| {
        response.headers.set("ETag", "\"a\"");
        response.end = Some((MIB, Hangup::Reset));
    });
    pair.from.fail(pair.reads().then(first));
    // It does not heed If-Range.
    let other = Action::ask(|request| request.headers.remove("if-range"));
    pair.from.fail(pair.reads().nth(2).then(other));
    pair.arrived(&pair.copy());
    let asked = pair.asked();
    assert_eq!(asked[1].headers.get("if-range"), Some("\"a\""));
    assert_eq!((asked.len(), range(&asked[2])), (3, None));
}

#[test]
fn f50_one_wrong_bit_is_fetched_again_from_the_beginning() {
    for flipped in [10, MIB + 10] {
        let pair = Pair::new(&[LARGE]);
        let spoil = move |body: &mut Vec<u8>, from: usize| {
            if let Some(byte) = flipped
                .checked_sub(from)
                .and_then(|place| body.get_mut(place))
            {
                *byte ^= 1;
            }
        };
        pair.from
            .fail(pair.reads().then(Action::change(move |_, response| {
                let mut body = response.body.to_vec();
                spoil(&mut body, 0);
                response.body = body.into();
                response.end = Some((MIB, Hangup::Close));
            })));
        pair.from
            .fail(pair.reads().nth(2).then(Action::change(move |_, response| {
                let mut body = response.body.to_vec();
                spoil(&mut body, MIB);
                response.body = body.into();
            })));
        pair.arrived(&pair.copy());
        let asked = pair.asked();
        assert_eq!((asked.len(), range(&asked[2])), (3, None), "{flipped}");
        // The first PUT was never completed.
        let puts = pair.puts();
        assert_eq!(puts.len(), 2);
        assert!(puts[0].body_len < pair.size(0));
    }
}

#[test]
fn f51_a_download_that_stands_still_goes_on_elsewhere() {
    for at in [0, MIB] {
        let pair = Pair::new(&[LARGE]);
        pair.from
            .fail(pair.reads().then(Action::cut(at, Hangup::Stall)));
        pair.arrived(&pair.copy_with(impatient()));
        let asked = pair.asked();
        let expected = (at > 0).then(|| format!("bytes={at}-"));
        assert_eq!(range(&asked[1]), expected.as_deref());
        assert!(asked[0].connection != asked[1].connection);
    }
}

#[test]
fn f51_for_ever_is_not_waited() {
    let pair = Pair::new(&[LARGE]);
    pair.from
        .fail(pair.reads().always().then(Action::cut(0, Hangup::Stall)));
    let result = pair.copy_with(impatient());
    fails(result, ErrorKind::Io, "nothing moved for too long");
    assert_eq!(pair.asked().len(), 5);
    assert_eq!(pair.to.count("POST", ""), 1, "the config's alone (R-07)");
    pair.unchanged();
}

#[test]
fn f52_a_download_that_hardly_moves_counts_as_standing_still() {
    let pair = Pair::new(&[LARGE]);
    let drip = Action::drip(1, Duration::from_millis(10));
    pair.from.fail(pair.reads().then(drip.clone()));
    pair.arrived(&pair.copy_with(impatient()));
    assert!(range(&pair.asked()[1]).is_some());

    let pair = Pair::new(&[LARGE]);
    pair.from.fail(pair.reads().always().then(drip));
    fails(
        pair.copy_with(impatient()),
        ErrorKind::Io,
        "nothing moved for too long",
    );
    assert!(pair.asked().len() <= 5);
    pair.unchanged();
}

#[test]
fn r06_f73_a_source_that_breaks_off_does_not_break_the_upload() {
    for at in [1, MIB, LARGE] {
        let pair = Pair::new(&[LARGE]);
        pair.from
            .fail(pair.reads().then(Action::cut(at, Hangup::Reset)));
        pair.arrived(&pair.copy());
        assert_eq!((pair.asked().len(), pair.puts().len()), (2, 1));
        assert_eq!(pair.puts()[0].body_len, pair.size(0));
    }
}

#[test]
fn f74_an_upload_whose_source_fails_is_never_completed() {
    let pair = Pair::new(&[LARGE]);
    pair.from
        .fail(pair.reads().then(Action::cut(MIB, Hangup::Reset)));
    pair.from
        .fail(pair.reads().nth(2).always().then(Action::status(403)));
    fails(pair.copy(), ErrorKind::Denied, "403 Forbidden");
    let puts = pair.puts();
    assert_eq!((puts.len(), puts[0].status), (1, 0));
    assert!(puts[0].body_len < pair.size(0));
    pair.unchanged();
    assert_eq!(pair.to.blob(super::TO, &pair.layer(0)), None);
}

#[test]
fn s12_f75_wrong_bytes_are_never_completed_at_a_registry_that_takes_anything() {
    let size = Pair::new(&[LARGE]).size(0);
    for at in [0, MIB, size - 1] {
        let lax = Kind {
            lax: true,
            ..Kind::default()
        };
        let pair = Pair::of(&[LARGE], Kind::default(), lax);
        pair.from.fail(pair.reads().always().then(Action::flip(at)));
        fails(pair.copy(), ErrorKind::Corrupt, "its bytes are sha256:");
        assert_eq!(pair.asked().len(), 2, "once more, and no more");
        for put in pair.puts() {
            assert!(put.body_len < size, "{at}");
            assert_eq!(put.status, 0, "it was never answered");
        }
        pair.unchanged();
        assert_eq!(pair.to.blob(super::TO, &pair.layer(0)), None);
    }
}
