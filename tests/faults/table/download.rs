//! Downloads (D). Redirects, mirrors and proxies are in `elsewhere`.

use std::time::Duration;

use super::Phase::Download;
use super::scene::{Scene, must};
use super::{Cell, PLAIN, arrives, cell, fails};
use crate::support::registry::{Action, Fault, Hangup, Response};
use crate::{Pair, range};

pub(super) fn cells() -> Vec<Cell> {
    vec![
        f44(),
        f45(),
        f46(),
        f47(),
        f48(),
        f49(),
        f50(),
        f51(),
        f52(),
        f55(),
    ]
}

pub(super) const LARGE: usize = 3 << 20;
pub(super) const MIB: usize = 1 << 20;

/// What goes wrong with reads of the layer.
pub(super) fn layer(fault: impl Fn(Fault) -> Fault) -> Scene {
    let scene = Scene::new(&[LARGE]);
    let reads = fault(scene.pair.reads());
    scene.source_fails(reads)
}

/// The same, and this is the answer to the second read.
fn and_then(first: &Action, second: Action) -> Scene {
    let scene = layer(|reads| reads.then(first.clone()));
    let again = scene.pair.reads().nth(2).then(second);
    scene.source_fails(again)
}

/// The layer was read twice, hardly more than once in bytes, and sent once.
fn goes_on(scene: Scene, from: usize) -> Scene {
    scene.check_of_ours(move |pair| {
        let (asked, size) = (pair.asked(), pair.size(0));
        let sent: usize = asked.iter().map(|request| request.sent).sum();
        let expected = (from > 0).then(|| format!("bytes={from}-"));
        let is_so = sent <= size + (64 << 10) && pair.puts().len() == 1;
        must(is_so, format!("{sent} bytes of {size} were read"))?;
        let told = format!("the rest was asked for by {:?}", range(&asked[1]));
        must(range(&asked[1]) == expected.as_deref(), told)
    })
}

fn f44() -> Cell {
    let row = cell(
        "F-44",
        Download,
        "a reset at byte 0, 1, 1 MiB, the last",
        "it goes on where it was; nothing is read twice",
    );
    let size = Pair::new(&[LARGE]).size(0);
    let places = [
        ("at 0", 0),
        ("at 1", 1),
        ("at 1 MiB", MIB),
        ("at the last byte", size - 1),
    ];
    places.into_iter().fold(row, |row, (name, at)| {
        row.case(name, arrives(PLAIN + 1), move || {
            goes_on(
                layer(|reads| reads.then(Action::cut(at, Hangup::Reset))),
                at,
            )
        })
    })
}

fn f45() -> Cell {
    let every = |bytes: usize, how: Hangup| {
        move || layer(|reads| reads.always().then(Action::cut(bytes, how)))
    };
    cell(
        "F-45",
        Download,
        "a reset again and again",
        "given up, unless there was a MiB of progress between",
    )
    .case(
        "every 100 KiB",
        fails(1, "gave up after 5 attempts", PLAIN + 4),
        every(100 << 10, Hangup::Reset),
    )
    .case(
        "every 300 KiB",
        arrives(PLAIN + 10),
        every(300 << 10, Hangup::Close),
    )
}

fn f46() -> Cell {
    let row = cell(
        "F-46",
        Download,
        "a clean end that comes too early",
        "it goes on where it was",
    );
    row.case("closed", arrives(PLAIN + 1), || {
        goes_on(
            layer(|reads| reads.then(Action::cut(MIB, Hangup::Close))),
            MIB,
        )
    })
    .case("a shorter length", arrives(PLAIN + 1), || {
        goes_on(layer(|reads| reads.then(Action::truncate(MIB))), MIB)
    })
    .case("chunked", arrives(PLAIN + 1), || {
        goes_on(
            layer(|reads| reads.then(Action::truncate_chunked(MIB))),
            MIB,
        )
    })
}

fn f47() -> Cell {
    cell(
        "F-47",
        Download,
        "the body goes on after its end",
        "read once more; then an error",
    )
    .case("once", arrives(PLAIN + 3), || {
        layer(|reads| reads.then(Action::extend("x")))
    })
    .case(
        "always",
        fails(1, "it goes on after its", PLAIN + 2),
        || {
            layer(|reads| reads.always().then(Action::extend(vec![0; 32 << 20]))).check_of_ours(
                |pair| {
                    let (asked, size) = (pair.asked(), pair.size(0));
                    // What the buffers of the system take was sent; nobody read it.
                    let is_so = asked.iter().all(|one| one.sent < size + (24 << 20));
                    must(is_so && asked.len() == 2, "too much was read")
                },
            )
        },
    )
}

fn f48() -> Cell {
    let row = cell(
        "F-48",
        Download,
        "the rest is refused, or is not the rest",
        "read from the beginning; no wrong byte is taken",
    );
    let size = Pair::new(&[LARGE]).size(0);
    let total = format!("bytes {MIB}-{}/{}", size - 1, size + 1);
    let answers: [(&str, Action); 8] = [
        ("all of it", Action::ignore_range()),
        ("another range", Action::content_range("bytes 5-9/10")),
        ("another total", Action::content_range(&total)),
        ("nonsense", Action::content_range("nonsense")),
        ("no range", Action::without_header("Content-Range")),
        ("multipart", Action::multipart()),
        ("416", Action::error(416, "RANGE_INVALID", "no")),
        ("503", Action::status(503)),
    ];
    let row = answers.into_iter().fold(row, |row, (name, answer)| {
        row.case(name, arrives(PLAIN + 2), move || {
            let cut = Action::cut(MIB, Hangup::Reset);
            and_then(&cut, answer.clone())
                .check_of_ours(|pair| must(pair.puts().len() == 1, "the upload was begun anew"))
        })
    });
    row.case("wrong bytes", arrives(PLAIN + 4), || {
        let wrong = Action::change(|_, response| {
            let mut bytes = response.body.to_vec();
            bytes.rotate_left(1);
            response.body = bytes.into();
        });
        and_then(&Action::cut(MIB, Hangup::Reset), wrong)
    })
}

fn f49() -> Cell {
    cell(
        "F-49",
        Download,
        "another version when it goes on",
        "read from the beginning",
    )
    .case("ETag", arrives(PLAIN + 4), || {
        let first = Action::change(|_, response| {
            response.headers.set("ETag", "\"a\"");
            response.end = Some((MIB, Hangup::Reset));
        });
        // It does not heed If-Range.
        let other = Action::ask(|request| request.headers.remove("if-range"));
        and_then(&first, other)
    })
}

fn f50() -> Cell {
    let spoiled = |response: &mut Response, at: Option<usize>| {
        let mut body = response.body.to_vec();
        if let Some(byte) = at.and_then(|at| body.get_mut(at)) {
            *byte ^= 1;
        }
        response.body = body.into();
    };
    let row = cell(
        "F-50",
        Download,
        "a wrong bit before or after the place where it went on",
        "read from the beginning, once",
    );
    [("before", 10), ("after", MIB + 10)]
        .into_iter()
        .fold(row, |row, (name, at)| {
            row.case(name, arrives(PLAIN + 4), move || {
                let first = Action::change(move |_, response| {
                    spoiled(response, Some(at));
                    response.end = Some((MIB, Hangup::Close));
                });
                let second =
                    Action::change(move |_, response| spoiled(response, at.checked_sub(MIB)));
                and_then(&first, second)
            })
        })
}

/// Nothing may stand still for long.
fn impatient(scene: Scene) -> Scene {
    scene.ours(&["--timeout", "1s"])
}

fn f51() -> Cell {
    let row = cell(
        "F-51",
        Download,
        "the download stands still for ever",
        "after the limit it goes on where it was; always: an error",
    );
    let row = [("at 0", 0), ("at 1 MiB", MIB)]
        .into_iter()
        .fold(row, |row, (name, at)| {
            row.case(name, arrives(PLAIN + 4), move || {
                impatient(layer(|reads| reads.then(Action::cut(at, Hangup::Stall))))
            })
        });
    row.case(
        "always",
        fails(1, "nothing moved for too long", PLAIN + 4),
        || {
            impatient(layer(|reads| {
                reads.always().then(Action::cut(0, Hangup::Stall))
            }))
        },
    )
}

fn f52() -> Cell {
    cell(
        "F-52",
        Download,
        "a byte now and then",
        "counts as standing still",
    )
    .case("once", arrives(PLAIN + 4), || {
        let drip = Action::drip(1, Duration::from_millis(20));
        impatient(layer(|reads| reads.then(drip.clone())))
    })
}

fn f55() -> Cell {
    let page = |length: usize| {
        let mut page = b"<html><title>Service unavailable</title>".to_vec();
        page.resize(length, b' ');
        Action::Answer(Response::new(200).body("text/html", page))
    };
    let size = Pair::new(&[LARGE]).size(0);
    cell(
        "F-55",
        Download,
        "an HTML page in place of the blob, status 200",
        "read again; then an error",
    )
    .case("once, short", arrives(PLAIN + 4), move || {
        layer(|reads| reads.then(page(200)))
    })
    .case("once, as long", arrives(PLAIN + 4), move || {
        layer(|reads| reads.then(page(size)))
    })
    .case(
        "always",
        fails(1, "its bytes are sha256:", PLAIN + 2),
        move || layer(|reads| reads.always().then(page(size))),
    )
}
