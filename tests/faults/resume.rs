//! Downloads that break off and go on (D; ).

use std::time::Duration;

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::{Limits, Options, Registries};

use crate::support::registry::{Action, Fault, Form, Hangup, Image, Options as Kind, Registry};
use crate::support::{self, tempdir};
use crate::{FROM, Pair, TO, at, block, copied, fails, has, impatient, options, range};

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

/// Copies an image and then another one, of which a layer breaks off, in one run. Gives how the
/// rest of that layer was asked for.
fn and_another_one(pair: &Pair) -> Option<String> {
    let other = Image::new(Form::OciGzip, &[LARGE], 8);
    let digest = pair.from.add(FROM, Some("2"), &other);
    let layer = support::registry::digest("sha256", &other.blobs[1]);
    let cut = Action::cut(MIB, Hangup::Reset);
    pair.from.fail(Fault::on("GET", &layer).then(cut));
    let registries = Registries::new(options());
    let beside = registries.beside(options());
    let tagged = |registry: &Registry, repository: &str, tag: &str| {
        format!("docker://{}/{repository}:{tag}", registry.host())
    };
    for (tag, digest) in [("1", &pair.digest), ("2", &digest)] {
        let way = [tagged(&pair.from, FROM, tag), tagged(&pair.to, TO, tag)];
        let result = block(copied(&registries, &beside, [&way[0], &way[1]]));
        assert_eq!(result.unwrap(), *digest);
        assert_eq!(pair.to.tag_of(TO, tag).as_ref(), Some(digest));
    }
    pair.to.assert_whole(TO);
    let asked = pair.from.requests("GET", &layer);
    assert_eq!(asked.len(), 2);
    range(&asked[1]).map(str::to_string)
}

#[test]
fn r05_after_a_wrong_part_the_registry_is_not_asked_for_parts() {
    let pair = Pair::new(&[LARGE]);
    pair.from
        .fail(pair.reads().then(Action::cut(MIB, Hangup::Reset)));
    let wrong = pair.from.fail(pair.reads().nth(2).then(Action::flip(10)));
    // Neither when the blob is read again.
    let cut = Action::cut(2 * MIB, Hangup::Reset);
    pair.from.fail(pair.reads().nth(3).then(cut));
    assert_eq!(and_another_one(&pair), None);
    let asked = pair.asked();
    let ranges: Vec<_> = asked.iter().map(range).collect();
    assert_eq!(ranges, [None, Some("bytes=1048576-"), None, None]);
    assert_eq!(wrong.count(), 1);
}

#[test]
fn r05_a_right_part_is_not_held_against_the_registry() {
    // The layer is read again because its upload begins anew.
    let pair = Pair::new(&[LARGE]);
    pair.from
        .fail(pair.reads().then(Action::cut(MIB, Hangup::Reset)));
    let lost = Action::error(400, "BLOB_UPLOAD_INVALID", "lost");
    pair.to.fail(Pair::sends().then(lost));
    let expected = Some("bytes=1048576-".to_string());
    assert_eq!(and_another_one(&pair), expected);
    assert_eq!((pair.asked().len(), pair.puts().len()), (3, 2));
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

/// Nobody waits long for a source; each side by itself may stand still for long.
fn hungry() -> Options {
    let limits = Limits {
        source: Duration::from_millis(500),
        ..options().limits
    };
    Options {
        limits,
        ..options()
    }
}

#[test]
fn r06_an_upload_whose_source_stands_still_begins_anew() {
    let pair = Pair::new(&[LARGE]);
    pair.from
        .fail(pair.reads().then(Action::cut(MIB, Hangup::Stall)));
    pair.arrived(&pair.copy_with(hungry()));
    let asked = pair.asked();
    assert_eq!((asked.len(), pair.puts().len()), (2, 2));
    assert_eq!(range(&asked[1]), None, "the upload needs all of it");
    assert!(pair.puts()[0].body_len < pair.size(0));
    assert_eq!(pair.to.count("POST", ""), 3);
}

#[test]
fn r06_a_source_that_always_stands_still_is_named() {
    let pair = Pair::new(&[LARGE]);
    pair.from
        .fail(pair.reads().always().then(Action::cut(MIB, Hangup::Stall)));
    let mut twice = hungry();
    twice.retry.times = 1;
    let words = "stalled at its source: nothing moved for too long; gave up after 2 attempts";
    fails(pair.copy_with(twice), ErrorKind::Io, words);
    assert_eq!((pair.asked().len(), pair.puts().len()), (2, 2));
    pair.unchanged();
}

#[test]
fn r06_a_source_that_pauses_for_a_moment_is_waited_for() {
    let pair = Pair::new(&[LARGE]);
    // Longer than the destination itself may stand still.
    let pause = Action::drip(2 * MIB, Duration::from_millis(600));
    pair.from.fail(pair.reads().then(pause));
    let mut impatient = impatient();
    impatient.limits.source = Duration::from_mins(1);
    let registries = Registries::new(options());
    let beside = registries.beside(impatient);
    let way = [at(&pair.from, FROM), at(&pair.to, TO)];
    pair.arrived(&block(copied(&registries, &beside, [&way[0], &way[1]])));
    assert_eq!((pair.asked().len(), pair.puts().len()), (1, 1));
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
