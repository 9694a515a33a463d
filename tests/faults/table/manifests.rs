//! Manifests that are read (M).

use super::Phase::Manifest;
use super::scene::{Scene, must};
use super::{Cell, PLAIN, arrives, cell, fails};
use crate::FROM;
use crate::support::registry::{Action, Fault, Form, Hangup, Image, Logged, Registry, Response};

pub(super) fn cells() -> Vec<Cell> {
    vec![
        f25(),
        f26(),
        f27(),
        f28(),
        f29(),
        f30(),
        f31(),
        f32(),
        f33(),
        f34(),
    ]
}

fn heads() -> Fault {
    Fault::on("HEAD", "/manifests/1")
}

/// What may be asked for by HEAD first, or at once.
fn reads() -> Fault {
    Fault::on("GET", "/manifests/")
}

/// A fault of the source that whoever uses no HEAD never meets.
fn source(fault: Fault) -> Scene {
    Scene::new(&[3000]).source_fails(fault)
}

fn f25() -> Cell {
    let row = cell(
        "F-25",
        Manifest,
        "405, 404, 403 or 500 to HEAD where GET works",
        "GET tells; nothing counts as missing",
    );
    let codes = [("405", 405), ("404", 404), ("403", 403)];
    let row = codes.into_iter().fold(row, |row, (name, code)| {
        row.case(name, arrives(PLAIN), move || {
            source(heads().always().then(Action::status(code)))
        })
    });
    row.case("500", arrives(PLAIN + 1), || {
        source(heads().then(Action::status(500)))
    })
}

fn f26() -> Cell {
    let row = cell(
        "F-26",
        Manifest,
        "HEAD gives no digest, an empty or a malformed or a wrong one",
        "GET tells; the digest is computed",
    );
    let other = format!("sha256:{}", "0".repeat(64));
    let values = [
        ("empty", String::new()),
        ("malformed", "sha256:abc".into()),
        ("unknown", "md5:00".into()),
    ];
    let row = values.into_iter().fold(row, |row, (name, value)| {
        row.case(name, arrives(PLAIN), move || {
            source(
                heads()
                    .always()
                    .then(Action::header("Docker-Content-Digest", &value)),
            )
        })
    });
    row.case("missing", arrives(PLAIN), || {
        source(
            heads()
                .always()
                .then(Action::without_header("Docker-Content-Digest")),
        )
    })
    .case("wrong", arrives(PLAIN + 1), move || {
        source(
            heads()
                .always()
                .then(Action::header("Docker-Content-Digest", &other)),
        )
    })
}

fn f27() -> Cell {
    cell(
        "F-27",
        Manifest,
        "HEAD tells another length than GET",
        "GET counts",
    )
    .case("7 bytes", arrives(PLAIN), || {
        source(heads().always().then(Action::header("Content-Length", "7")))
    })
}

/// Whether everybody left the registry alone for this many seconds after each refusal.
fn left_alone(registry: &Registry, seconds: u64) -> Result<(), String> {
    let log: Vec<Logged> = registry.log();
    let refusals = log.iter().filter(|one| one.status == 429);
    let early = refusals.into_iter().any(|refusal| {
        let until = refusal.ended.unwrap() + std::time::Duration::from_secs(seconds);
        log.iter()
            .any(|one| one.at > refusal.ended.unwrap() && one.at < until)
    });
    must(!early, "the registry was asked before it wanted to be")
}

fn f28() -> Cell {
    cell(
        "F-28",
        Manifest,
        "429 with Retry-After, three times",
        "nobody asks that registry before; then the image arrives",
    )
    .case("1 s each", arrives(PLAIN + 3), || {
        let slow = Action::too_many_requests(Some("1"));
        source(reads().times(3).then(slow)).check(|pair| left_alone(&pair.from, 1))
    })
}

fn f29() -> Cell {
    cell(
        "F-29",
        Manifest,
        "429 with Retry-After of six hours",
        "an error at once, which says until when",
    )
    .case("always", fails(4, "rate limited until", 2), || {
        source(
            Fault::on("*", "/manifests/")
                .always()
                .then(Action::too_many_requests(Some("21600"))),
        )
    })
}

fn f30() -> Cell {
    let body = format!("<b>slow\u{1b}[31m down</b> {}", "x".repeat(5000));
    let raw = format!("HTTP/1.1 429 Too Many Requests\nContent-Type: text/plain\n\n{body}");
    let odd = move || Action::Raw(raw.clone().into_bytes().into());
    let always = odd.clone();
    cell(
        "F-30",
        Manifest,
        "429 in plain text with odd headers and a long body",
        "tried again with pauses; the body is shown in short",
    )
    .case("twice", arrives(PLAIN + 2), move || {
        source(reads().times(2).then(odd()))
    })
    .case(
        "always",
        fails(4, "gave up after 5 attempts", 6),
        move || source(Fault::on("*", "/manifests/").always().then(always())),
    )
}

fn f31() -> Cell {
    let row = cell(
        "F-31",
        Manifest,
        "the connection breaks in a manifest",
        "read again",
    );
    let breaks = [
        ("reset at 0", 0, Hangup::Reset),
        ("reset at 1", 1, Hangup::Reset),
        ("reset in the middle", 200, Hangup::Reset),
        ("closed at 0", 0, Hangup::Close),
        ("closed in the middle", 200, Hangup::Close),
    ];
    breaks.into_iter().fold(row, |row, (name, at, how)| {
        row.case(name, arrives(PLAIN + 1), move || {
            source(reads().then(Action::cut(at, how)))
        })
    })
}

fn f32() -> Cell {
    cell(
        "F-32",
        Manifest,
        "a wrong bit in a manifest",
        "read once more; then an error",
    )
    .case("once", arrives(PLAIN + 1), || {
        source(reads().then(Action::flip(100)))
    })
    .case("always", fails(1, "its bytes are sha256:", 5), || {
        source(reads().always().then(Action::flip(100)))
    })
}

fn f33() -> Cell {
    cell(
        "F-33",
        Manifest,
        "the tag moves between HEAD and GET",
        "one of the images, whole",
    )
    .case("once", arrives(PLAIN + 2), || {
        let scene = Scene::new(&[3000]);
        let from = &scene.pair.from;
        let other = from.add(FROM, None, &Image::new(Form::OciGzip, &[500], 8));
        let manifest = from.manifest(FROM, &other).unwrap();
        let before = Response::new(200)
            .with("Docker-Content-Digest", other.as_str())
            .with("Content-Type", manifest.media_type.as_str())
            .with("Content-Length", manifest.bytes.len().to_string());
        // Whoever asks for the digest that HEAD told gets that image; whoever reads the tag, the new one.
        scene
            .source_fails(heads().then(Action::Answer(before)))
            .or_wants(&other)
    })
}

fn f34() -> Cell {
    let row = cell(
        "F-34",
        Manifest,
        "an image of an index, or a layer, is missing",
        "exit 2 or 1, nothing is written; the error names what is missing",
    );
    row.case("an image", fails(1, "sha256:", 8), || {
        let scene = Scene::new(&[3000]);
        let from = &scene.pair.from;
        let lost = from.add(FROM, None, &Image::new(Form::OciGzip, &[500], 8));
        from.add_index(
            FROM,
            "1",
            &[("amd64", &scene.pair.digest), ("arm64", &lost)],
        );
        from.delete_manifest(FROM, &lost);
        let untouched = |pair: &crate::Pair| {
            must(
                pair.to.count("PUT", "/manifests/") == 0,
                "a manifest was written",
            )
        };
        scene.check_of_ours(untouched)
    })
    .case("a layer", fails(1, "sha256:", PLAIN), || {
        let scene = Scene::new(&[3000]);
        scene.pair.from.delete_blob(FROM, &scene.pair.layer(0));
        scene
    })
}
