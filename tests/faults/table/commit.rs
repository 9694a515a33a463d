//! Uploads that are completed (X), and manifests that are written (W).

use std::time::Duration;

use super::Phase::{Commit, Write};
use super::download::LARGE;
use super::program::{Program, Ran};
use super::scene::{Scene, must};
use super::upload::is_skopeo;
use super::{Cell, Left, PLAIN, arrives, cell, fails};
use crate::support::registry::{Action, Fault, Form, Hangup, Image, Request, Response};
use crate::{TO, at, carries_layer};

pub(super) fn cells() -> Vec<Cell> {
    vec![
        f66(),
        f76(),
        f77(),
        f78(),
        f79(),
        f80(),
        f81(),
        f82(),
        f83(),
        f84(),
        f85(),
    ]
}

/// The true answer to what was processed, with another status.
fn spoiled(status: u16) -> Action {
    Action::change(move |_, response| {
        *response = Response::error(status, "UNKNOWN", "the answer went wrong");
    })
}

/// Requests that complete the upload of the layer; those of skopeo, of a blob.
fn commits() -> Fault {
    let completes = |request: &Request| is_skopeo(request) || carries_layer(request);
    Fault::on("PUT", "/blobs/uploads/").when(completes)
}

fn once(action: Action) -> Scene {
    Scene::new(&[LARGE]).destination_fails(commits().then(action))
}

fn always(action: Action) -> Scene {
    Scene::new(&[LARGE]).destination_fails(commits().always().then(action))
}

/// The layer was sent once.
fn sent_once(scene: Scene) -> Scene {
    scene.check_of_ours(|pair| must(pair.puts().len() == 1, "the layer was sent again"))
}

fn f66() -> Cell {
    let unknown = || Action::error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    cell(
        "F-66",
        Write,
        "the manifest is refused: a blob is unknown",
        "all blobs are sent anew, and the manifest, once",
    )
    .case("once", arrives(PLAIN + 10), move || {
        puts(|puts| puts.then(unknown()))
    })
    .case(
        "always",
        fails(1, "MANIFEST_BLOB_UNKNOWN", PLAIN + 10),
        move || puts(|puts| puts.always().then(unknown())),
    )
}

fn f76() -> Cell {
    cell(
        "F-76",
        Commit,
        "the blob is stored, and the answer lost",
        "looked up; not sent again",
    )
    .case("reset", arrives(PLAIN + 1), || {
        sent_once(once(Action::lose(Hangup::Reset)))
    })
    .case("closed", arrives(PLAIN + 1), || {
        sent_once(once(Action::lose(Hangup::Close)))
    })
}

fn f77() -> Cell {
    let row = cell(
        "F-77",
        Commit,
        "500 or 504 after the blob was sent",
        "looked up; if it is not there it is sent again",
    );
    let row = [("500, stored", 500), ("504, stored", 504)]
        .into_iter()
        .fold(row, |row, (name, code)| {
            row.case(name, arrives(PLAIN + 1), move || {
                sent_once(once(spoiled(code)))
            })
        });
    let row = [("500", 500), ("504", 504)]
        .into_iter()
        .fold(row, |row, (name, code)| {
            row.case(name, arrives(PLAIN + 4), move || once(Action::status(code)))
        });
    row.case(
        "504 always",
        fails(1, "gave up after 5 attempts", PLAIN + 18),
        || always(Action::status(504)),
    )
}

fn f78() -> Cell {
    let row = cell(
        "F-78",
        Commit,
        "success with another digest, without one, with 200 or 204",
        "another digest: an error; else looked up",
    );
    let other = format!("sha256:{}", "0".repeat(64));
    let row = row.case(
        "another digest",
        fails(1, "sha256:00000", PLAIN),
        move || always(Action::header("Docker-Content-Digest", &other)),
    );
    [("201 without", 201), ("200", 200), ("204", 204)]
        .into_iter()
        .fold(row, |row, (name, status)| {
            row.case(name, arrives(PLAIN + 1), move || {
                sent_once(once(Action::change(move |_, response| {
                    response.status = status;
                    response.headers.remove("Docker-Content-Digest");
                })))
            })
        })
}

fn f79() -> Cell {
    cell(
        "F-79",
        Commit,
        "the registry takes its time to store",
        "waited for, longer than for anything that moves",
    )
    .case("three times the limit", arrives(PLAIN), || {
        sent_once(once(Action::delay(Duration::from_secs(3)))).ours(&["--timeout", "1s"])
    })
}

/// What goes wrong with PUTs of the manifest.
fn puts(fault: impl Fn(Fault) -> Fault) -> Scene {
    let puts = fault(Fault::on("PUT", "/manifests/"));
    Scene::new(&[3000]).destination_fails(puts)
}

fn f80() -> Cell {
    let row = cell(
        "F-80",
        Write,
        "the manifest is stored, and the answer lost or 500",
        "looked up; not sent again",
    );
    let actions = [
        ("reset", Action::lose(Hangup::Reset)),
        ("500", spoiled(500)),
        ("504", spoiled(504)),
    ];
    let row = actions.into_iter().fold(row, |row, (name, action)| {
        row.case(name, arrives(PLAIN + 1), move || {
            puts(|puts| puts.then(action.clone()))
                .check_of_ours(|pair| must(pair.tagged() == 1, "the manifest was sent again"))
        })
    });
    row.case("500, not stored", arrives(PLAIN + 2), || {
        puts(|puts| puts.then(Action::status(500)))
    })
}

fn f81() -> Cell {
    let row = cell(
        "F-81",
        Write,
        "the manifest is refused: 400, 413, 415",
        "an error; nothing is converted that nobody asked for",
    );
    let refusals = [
        ("400", 400, "MANIFEST_INVALID", "manifest invalid"),
        ("413", 413, "SIZE_INVALID", "too large"),
        ("415", 415, "UNSUPPORTED", "media type not supported"),
    ];
    refusals
        .into_iter()
        .fold(row, |row, (name, status, code, message)| {
            row.case(name, fails(1, message, PLAIN), move || {
                puts(|puts| puts.always().then(Action::error(status, code, message))).check(
                    |pair| {
                        let old = std::slice::from_ref(&pair.old);
                        must(pair.to.manifests(TO) == old, "another manifest was written")
                    },
                )
            })
        })
}

/// What registries say where a tag may not be moved.
const IMMUTABLE: [(&str, u16, &str, &str); 3] = [
    ("409", 409, "TAG_IMMUTABLE", "the tag is immutable"),
    ("412", 412, "PRECONDITION", "immutable by rule"),
    ("400", 400, "TAG_INVALID", "the repository is immutable"),
];

fn f82() -> Cell {
    let row = cell(
        "F-82",
        Write,
        "the tag is immutable, and is this image already",
        "done",
    );
    IMMUTABLE
        .into_iter()
        .fold(row, |row, (name, status, code, message)| {
            // Somebody else put the same image there meanwhile.
            row.case(name, arrives(PLAIN + 1), move || {
                let refusal = Response::error(status, code, message);
                puts(|puts| {
                    let refusal = refusal.clone();
                    puts.then(Action::change(move |_, response| {
                        *response = refusal.clone();
                    }))
                })
            })
        })
}

fn f83() -> Cell {
    let row = cell(
        "F-83",
        Write,
        "the tag is immutable, and is another image",
        "an error at once that says so",
    );
    IMMUTABLE
        .into_iter()
        .fold(row, |row, (name, status, code, message)| {
            row.case(
                name,
                fails(1, "the tag 1 stands for another image", PLAIN + 1),
                move || {
                    puts(|puts| puts.always().then(Action::error(status, code, message)))
                        .check_of_ours(|pair| must(pair.tagged() == 1, "it was tried again"))
                },
            )
        })
}

fn f84() -> Cell {
    // It was stored as we sent it; what the registry says of it is not believed.
    let expected = fails(1, "sha256:00000", PLAIN + 1).leaves(Left::New);
    cell(
        "F-84",
        Write,
        "201 with another digest: the registry rewrote the manifest",
        "an error with both digests",
    )
    .case("once", expected, || {
        let other = format!("sha256:{}", "0".repeat(64));
        puts(|puts| {
            puts.always()
                .then(Action::header("Docker-Content-Digest", &other))
        })
    })
}

fn f85() -> Cell {
    cell(
        "F-85",
        Write,
        "two processes write one tag",
        "the last one wins; both images are whole",
    )
    .play("at once", arrives(2 * PLAIN + 6), two_at_once)
}

fn two_at_once(program: Program) -> Ran {
    let scene = Scene::new(&[100_000]);
    let other = Image::new(Form::OciGzip, &[100_000, 50_000], 8);
    let digest = scene.pair.from.add("team/other", Some("1"), &other);
    let (mut first, _) = scene.command(program, "first").unwrap();
    let source = at(&scene.pair.from, "team/other");
    let scene = scene.from(source);
    let (mut second, _) = scene.command(program, "second").unwrap();
    let [one, two] = std::thread::scope(|scope| {
        let first = scope.spawn(|| program.run(&mut first, |_| {}));
        let second = scope.spawn(|| program.run(&mut second, |_| {}));
        [first, second].map(|run| run.join().unwrap())
    });
    let scene = scene.or_wants(&digest);
    let manifests = scene.pair.to.manifests(TO).len();
    let mut ran = Ran::of(one, scene.left())
        .check(two.code == Some(0), "the other one fails")
        .check(manifests == 3, format!("{manifests} manifests"));
    ran.requests = scene.requests();
    ran
}
