//! Whether blobs are there, and mounts (H).

use super::Phase::Presence;
use super::scene::{Scene, must};
use super::{Cell, PLAIN, arrives, cell, fails};
use crate::support::registry::{Action, Fault, Hangup, Options as Kind, Response, Server};
use crate::{Pair, TO};

pub(super) fn cells() -> Vec<Cell> {
    vec![
        f35(),
        f36(),
        f37(),
        f38(),
        f39(),
        f40(),
        f41(),
        f42(),
        f43(),
    ]
}

/// A destination of which this is the answer to whether it has the layer.
fn asked(scene: Scene, action: Action) -> Scene {
    let heads = Fault::on("HEAD", &scene.pair.layer(0)).always();
    scene.destination_fails(heads.then(action))
}

/// A destination that has the layer already.
fn there() -> Scene {
    let scene = Scene::new(&[3000]);
    scene
        .pair
        .to
        .add_blob(TO, scene.pair.image.blobs[1].clone());
    scene
}

fn f35() -> Cell {
    let heads = |scene: &Scene| Fault::on("HEAD", &scene.pair.layer(0));
    cell(
        "F-35",
        Presence,
        "500 or 502 to whether a blob is there",
        "asked again; never taken for no",
    )
    .case("500 once", arrives(PLAIN + 1), move || {
        let scene = Scene::new(&[3000]);
        let once = heads(&scene).then(Action::status(500));
        scene.destination_fails(once)
    })
    .case(
        "502 always",
        fails(1, "gave up after 5 attempts", PLAIN + 4),
        || asked(Scene::new(&[3000]), Action::status(502)),
    )
}

fn f36() -> Cell {
    let row = cell(
        "F-36",
        Presence,
        "405 or 403 to whether a blob is there",
        "not known: the blob is sent",
    );
    [("405", 405), ("403", 403)]
        .into_iter()
        .fold(row, |row, (name, code)| {
            row.case(name, arrives(PLAIN), move || {
                asked(there(), Action::status(code))
            })
        })
}

/// As if the layer were there.
fn said_to_be_there() -> Scene {
    let scene = Scene::new(&[3000]);
    let size = scene.pair.size(0).to_string();
    asked(
        scene,
        Action::Answer(Response::new(200).with("Content-Length", size)),
    )
}

fn f37() -> Cell {
    cell(
        "F-37",
        Presence,
        "the blob is said to be there, and is not when the manifest comes",
        "it is sent, and the manifest again",
    )
    .case("once", arrives(PLAIN + 7), said_to_be_there)
}

fn f38() -> Cell {
    cell(
        "F-38",
        Presence,
        "the blob is there with another size",
        "it is sent",
    )
    .case("7 bytes", arrives(PLAIN), || {
        asked(
            there(),
            Action::Answer(Response::new(200).with("Content-Length", "7")),
        )
    })
}

fn f39() -> Cell {
    cell(
        "F-39",
        Presence,
        "a redirect to a CDN that takes no HEAD",
        "it is there: nothing is sent",
    )
    .case("403 there", arrives(PLAIN - 3), || {
        let cdn = Server::start(|_| Response::new(403));
        let there = asked(there(), Action::redirect_to_server(&cdn.origin()));
        there
            .keep(cdn)
            .check_of_ours(|pair| must(pair.puts().is_empty(), "the layer was sent"))
    })
}

fn mounts() -> Fault {
    Fault::on("POST", "mount=")
}

/// The requests of a copy within a registry where nothing goes wrong and blobs can be mounted.
const MOUNTED: usize = PLAIN - 4;

/// Within one registry, where whoever does not mount never meets what goes wrong with mounts.
fn within(to: Kind) -> Scene {
    Scene::of(&[3000], Kind::default(), to).within()
}

fn f40() -> Cell {
    cell(
        "F-40",
        Presence,
        "a mount begins an upload (202)",
        "that upload is used; no other is begun",
    )
    .case("always", arrives(PLAIN), || {
        let to = Kind {
            mounts: false,
            ..Kind::default()
        };
        within(to).check_of_ours(|pair| {
            let begun = pair.to.count("POST", "");
            must(
                begun == 2 && pair.to.open_uploads() == 0,
                format!("{begun} uploads were begun"),
            )
        })
    })
}

fn f41() -> Cell {
    let row = cell(
        "F-41",
        Presence,
        "a mount is refused: 400, 401, 403, 404, 405, 500",
        "an ordinary upload",
    );
    let codes = [
        ("400", 400),
        ("401", 401),
        ("403", 403),
        ("404", 404),
        ("405", 405),
        ("500", 500),
    ];
    codes.into_iter().fold(row, |row, (name, code)| {
        // 401 and 500 may be asked once more for each blob.
        row.case(name, arrives(PLAIN + 4), move || {
            let scene = within(Kind::default());
            scene
                .pair
                .to
                .fail(mounts().always().then(Action::status(code)));
            scene
        })
    })
}

fn f42() -> Cell {
    cell(
        "F-42",
        Presence,
        "a mount is said to be done, and is not",
        "the blob is sent, and the manifest again",
    )
    .case("once", arrives(PLAIN + 4), || {
        let scene = within(Kind::default());
        let layer = scene.pair.layer(0);
        let done = Response::new(201).with("Docker-Content-Digest", layer.as_str());
        let fault = Fault::on("POST", &format!("mount={layer}")).always();
        scene.pair.to.fail(fault.then(Action::Answer(done)));
        scene
    })
}

fn f43() -> Cell {
    cell(
        "F-43",
        Presence,
        "the answer to a mount is lost",
        "looked up: nothing is sent",
    )
    .case("both blobs", arrives(MOUNTED + 4), || {
        let scene = within(Kind::default());
        scene
            .pair
            .to
            .fail(mounts().times(2).then(Action::lose(Hangup::Reset)));
        scene.check_of_ours(|pair: &Pair| {
            must(pair.to.count("PUT", "/blobs/") == 0, "a blob was sent")
        })
    })
}
