//! Uploads: their begin (U) and their bodies (B).

use super::Phase::{Begin, Upload};
use super::download::{LARGE, MIB, layer};
use super::scene::{Scene, must};
use super::{Cell, PLAIN, arrives, cell, fails};
use crate::support::registry::{
    Action, Auth, Fault, Hangup, Locations, Options as Kind, Request, Response, TokenRules,
};
use crate::{Pair, TO, carries_layer};

pub(super) fn cells() -> Vec<Cell> {
    vec![
        f60(),
        f61(),
        f62(),
        f63(),
        f64(),
        f65(),
        f67(),
        f68(),
        f69(),
        f73(),
        f74(),
        f75(),
    ]
}

/// What goes wrong with POSTs that begin an upload.
fn begins(fault: impl Fn(Fault) -> Fault) -> Scene {
    let posts = fault(Fault::on("POST", "/blobs/uploads/"));
    Scene::new(&[LARGE]).destination_fails(posts)
}

/// Whether it is skopeo that asks: it sends blobs by PATCH, in one piece, and completes them by PUT.
pub(super) fn is_skopeo(request: &Request) -> bool {
    let agent = request.header("user-agent").unwrap_or_default();
    agent.starts_with("skopeo")
}

/// Requests that carry the layer; those of skopeo, a blob.
fn bodies() -> Fault {
    Fault::on("*", "/blobs/uploads/").when(|request| match is_skopeo(request) {
        true => request.method == "PATCH",
        false => request.method == "PUT" && carries_layer(request),
    })
}

/// What goes wrong with the body of the layer, of this size.
fn sends(size: usize, fault: impl Fn(Fault) -> Fault) -> Scene {
    let bodies = fault(bodies());
    Scene::new(&[size]).destination_fails(bodies)
}

/// Nothing may stand still for long.
fn impatient(scene: Scene) -> Scene {
    scene.ours(&["--timeout", "1s"])
}

fn f60() -> Cell {
    let row = cell(
        "F-60",
        Begin,
        "500, 503 or a reset where an upload begins, the answer is lost",
        "another one is begun; the source is read once",
    );
    let actions = [
        ("500", Action::status(500)),
        ("503", Action::status(503)),
        ("reset", Action::reset()),
        ("answer lost", Action::lose(Hangup::Reset)),
    ];
    let row = actions.into_iter().fold(row, |row, (name, action)| {
        row.case(name, arrives(PLAIN + 1), move || {
            begins(|posts| posts.then(action.clone()))
                .check_of_ours(|pair| must(pair.asked().len() == 1, "the source was read again"))
        })
    });
    row.case(
        "always",
        fails(1, "gave up after 5 attempts", PLAIN + 6),
        || begins(|posts| posts.always().then(Action::status(503))),
    )
}

fn f61() -> Cell {
    let row = cell(
        "F-61",
        Begin,
        "Location relative, with a query, signed, missing",
        "the upload goes on there, byte for byte; missing: an error",
    );
    let forms = [
        ("absolute", Locations::Absolute),
        ("relative", Locations::Relative),
        ("with a query", Locations::Stateful),
        ("signed", Locations::Signed),
        ("relative with a query", Locations::RelativeStateful),
    ];
    let row = forms.into_iter().fold(row, |row, (name, locations)| {
        row.case(name, arrives(PLAIN), move || {
            let to = Kind {
                locations,
                ..Kind::default()
            };
            Scene::of(&[LARGE], Kind::default(), to)
        })
    });
    let row = row.case(
        "missing",
        fails(1, "where the upload goes on", PLAIN),
        || begins(|posts| posts.always().then(Action::without_header("Location"))),
    );
    row.case("in the clear, elsewhere", fails(1, "", PLAIN), || {
        let away = "http://203.0.113.1/v2/x/blobs/uploads/1";
        begins(|posts| posts.always().then(Action::header("Location", away)))
            .not_for_skopeo("it goes there, and nobody answers here")
    })
}

fn f62() -> Cell {
    let row = cell(
        "F-62",
        Begin,
        "no such repository, no quota, read only; a close without a word",
        "an error at once, with what to do; the close is tried 5 times",
    );
    let refusals = [
        (
            "NAME_UNKNOWN",
            404,
            "no such repository",
            "create it there first",
        ),
        ("DENIED", 403, "quota exceeded", "quota exceeded"),
        ("UNSUPPORTED", 405, "read only", "read only"),
    ];
    let row = refusals
        .into_iter()
        .fold(row, |row, (code, status, message, words)| {
            row.case(code, fails(1, words, PLAIN - 2), move || {
                begins(|posts| posts.always().then(Action::error(status, code, message)))
            })
        });
    row.case(
        "closed",
        fails(1, "gave up after 5 attempts", PLAIN + 6),
        || begins(|posts| posts.always().then(Action::close())),
    )
}

fn f63() -> Cell {
    let row = cell(
        "F-63",
        Upload,
        "a reset at byte 0, 64 KiB, in the middle, at the last",
        "the upload begins anew; no tag is moved before",
    );
    let size = Pair::new(&[LARGE]).size(0);
    let places = [
        ("at 0", 0),
        ("at 64 KiB", 64 << 10),
        ("in the middle", size / 2),
        ("at the last byte", size - 1),
    ];
    places.into_iter().fold(row, |row, (name, at)| {
        row.case(name, arrives(PLAIN + 4), move || {
            sends(LARGE, |puts| {
                puts.then(Action::hang_up_midway(at, Hangup::Reset))
            })
            .check_of_ours(|pair| {
                must(
                    pair.asked().len() == 2,
                    "the source was read more than twice",
                )
            })
        })
    })
}

fn f64() -> Cell {
    let row = cell(
        "F-64",
        Upload,
        "413, 400 or 403 before the body is sent, with or without a proper end",
        "413: in chunks; else the error is seen; where it is lost, chunks are tried",
    );
    let refusals = [
        ("403", 403, "403 Forbidden"),
        ("400", 400, "400 Bad Request"),
    ];
    let row = refusals
        .into_iter()
        .fold(row, |row, (name, status, words)| {
            row.case(name, fails(1, words, PLAIN), move || {
                let refusal = Response::error(status, "DENIED", "policy");
                sends(8 * MIB, |puts| {
                    puts.always()
                        .then(Action::answer_midway(64 << 10, refusal.clone()))
                })
            })
        });
    let too_large = Response::error(413, "SIZE_INVALID", "too large");
    let actions = [
        ("413", Action::answer_midway(64 << 10, too_large.clone())),
        (
            "413, closed at once",
            Action::answer_midway_and_close(64 << 10, too_large),
        ),
        ("closed", Action::hang_up_midway(64 << 10, Hangup::Close)),
    ];
    actions.into_iter().fold(row, |row, (name, action)| {
        row.case(name, arrives(PLAIN + 14), move || {
            sends(10 * MIB, |puts| puts.always().then(action.clone()))
                .check_of_ours(|pair| must(pair.to.count("PATCH", "") >= 2, "no chunks"))
        })
    })
}

fn f65() -> Cell {
    let stops = || Action::stop_reading(64 << 10);
    cell(
        "F-65",
        Upload,
        "the registry stops reading",
        "after the limit the upload begins anew; always: an error",
    )
    .case("once", arrives(PLAIN + 4), move || {
        impatient(sends(24 * MIB, |puts| puts.then(stops())))
    })
    .case(
        "always",
        fails(1, "nothing moved for too long", PLAIN + 14),
        move || impatient(sends(24 * MIB, |puts| puts.always().then(stops()))),
    )
}

fn f67() -> Cell {
    let row = cell(
        "F-67",
        Upload,
        "the registry forgot the upload (restart)",
        "another one is begun",
    );
    let answers = [
        ("404", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("400", 400, "BLOB_UPLOAD_INVALID"),
    ];
    answers.into_iter().fold(row, |row, (name, status, code)| {
        row.case(name, arrives(PLAIN + 4), move || {
            sends(LARGE, |puts| puts.then(Action::error(status, code, "lost")))
        })
    })
}

fn f68() -> Cell {
    let lost = || Action::error(404, "BLOB_UPLOAD_UNKNOWN", "not on this node");
    cell(
        "F-68",
        Upload,
        "replicas that know nothing of each other's uploads",
        "begun anew, 5 times at most",
    )
    .case("four times", arrives(PLAIN + 16), move || {
        sends(LARGE, |puts| puts.times(4).then(lost()))
    })
    .case(
        "always",
        fails(1, "gave up after 5 attempts", PLAIN + 17),
        move || sends(LARGE, |puts| puts.always().then(lost())),
    )
}

/// To a registry that wants tokens.
fn with_tokens() -> Scene {
    let to = Kind {
        auth: Auth::bearer(TokenRules::default()),
        ..Kind::default()
    };
    Scene::of(&[LARGE], Kind::default(), to)
}

fn f69() -> Cell {
    let ended = || Action::ask(|request| request.headers.set("authorization", "Bearer ended"));
    cell(
        "F-69",
        Upload,
        "401 to PUT or PATCH: the token ended",
        "a new token, and the same again",
    )
    .case("PUT", arrives(PLAIN + 9), move || {
        with_tokens().destination_fails(bodies().then(ended()))
    })
    .case("PATCH", arrives(PLAIN + 14), move || {
        let patches = Fault::on("PATCH", "").authorized().then(ended());
        let scene = with_tokens();
        // Whoever sends in chunks anyway needs no 413.
        scene.pair.to.fail(Pair::sends().then(Action::status(413)));
        scene.destination_fails(patches)
    })
}

fn f73() -> Cell {
    let row = cell(
        "F-73",
        Upload,
        "the source breaks off in the midst of an upload",
        "the upload goes on: the destination sees one PUT",
    );
    let places = [("at 1", 1), ("at 1 MiB", MIB), ("near the end", LARGE)];
    places.into_iter().fold(row, |row, (name, at)| {
        row.case(name, arrives(PLAIN + 1), move || {
            layer(|reads| reads.then(Action::cut(at, Hangup::Reset)))
                .check_of_ours(|pair| must(pair.puts().len() == 1, "the upload was begun anew"))
        })
    })
}

fn f74() -> Cell {
    cell(
        "F-74",
        Upload,
        "the source breaks off and cannot be read on",
        "the upload is never completed",
    )
    .case("always", fails(1, "403 Forbidden", PLAIN), || {
        let scene = layer(|reads| reads.then(Action::cut(MIB, Hangup::Reset)));
        let refused = scene.pair.reads().nth(2).always().then(Action::status(403));
        scene.source_fails(refused).check(never_completed)
    })
    .case("from the beginning only", arrives(PLAIN + 4), || {
        let scene = layer(|reads| reads.then(Action::cut(MIB, Hangup::Reset)));
        let ignored = scene.pair.reads().nth(2).then(Action::ignore_range());
        scene.source_fails(ignored)
    })
}

fn never_completed(pair: &Pair) -> Result<(), String> {
    let completed = pair.puts().iter().any(|put| put.body_len == pair.size(0));
    must(
        !completed && pair.to.blob(TO, &pair.layer(0)).is_none(),
        "a wrong upload was completed",
    )
}

fn f75() -> Cell {
    let row = cell(
        "F-75",
        Upload,
        "a wrong bit at the source, and a registry that takes anything",
        "the upload is never completed; read once more, then an error",
    );
    let size = Pair::new(&[LARGE]).size(0);
    let places = [
        ("the first byte", 0),
        ("in the middle", MIB),
        ("the last byte", size - 1),
    ];
    places.into_iter().fold(row, |row, (name, at)| {
        row.case(
            name,
            fails(1, "its bytes are sha256:", PLAIN + 4),
            move || {
                let lax = Kind {
                    lax: true,
                    ..Kind::default()
                };
                let scene = Scene::of(&[LARGE], Kind::default(), lax);
                let reads = scene.pair.reads().always().then(Action::flip(at));
                scene.source_fails(reads).check(never_completed)
            },
        )
    })
}
