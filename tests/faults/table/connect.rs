//! Connections (C).

use std::time::Duration;

use super::Phase::Connect;
use super::scene::Scene;
use super::{Cell, PLAIN, arrives, cell, fails};
use crate::support::registry::{Action, Fault};

pub(super) fn cells() -> Vec<Cell> {
    vec![f04(), f10()]
}

fn f04() -> Cell {
    cell(
        "F-04",
        Connect,
        "connection refused, then not",
        "the image arrives; at most 5 tries",
    )
    .case("the source comes up", arrives(PLAIN), || {
        let scene = Scene::new(&[3000]);
        scene.pair.from.down();
        // The default, so that five tries take longer than what is waited for here.
        let scene = scene.ours(&["--retry-delay", "500ms"]);
        scene.during(|pair, _| {
            std::thread::sleep(Duration::from_millis(300));
            pair.from.up();
        })
    })
    .case(
        "it stays down",
        fails(1, "gave up after 5 attempts", 2),
        || {
            let scene = Scene::new(&[3000]);
            scene.pair.from.down();
            scene
        },
    )
}

fn f10() -> Cell {
    let row = cell(
        "F-10",
        Connect,
        "a kept connection is closed between requests",
        "the image arrives; asked again at once",
    );
    let at_source = [
        ("HEAD", "/manifests/1"),
        ("GET", "/manifests/"),
        ("GET", "/blobs/"),
    ];
    let at_destination = [
        ("POST", "/uploads/"),
        ("PUT", "/uploads/"),
        ("PUT", "/manifests/"),
    ];
    let row = at_source.into_iter().fold(row, |row, (method, part)| {
        row.case(part, arrives(PLAIN + 4), move || {
            Scene::new(&[3000]).source_fails(Fault::on(method, part).then(Action::close()))
        })
    });
    at_destination.into_iter().fold(row, |row, (method, part)| {
        row.case(part, arrives(PLAIN + 4), move || {
            Scene::new(&[3000]).destination_fails(Fault::on(method, part).then(Action::close()))
        })
    })
}
