//! Uploads in chunks (B).

use super::Phase::Upload;
use super::download::MIB;
use super::scene::{Scene, must};
use super::{Cell, PLAIN, arrives, cell, fails};
use crate::Pair;
use crate::support::registry::{Action, Fault, Options as Kind};

pub(super) fn cells() -> Vec<Cell> {
    vec![f70(), f71(), f72()]
}

/// To a registry that takes no large blob in one piece. Whoever sends chunks anyway never sees that.
fn in_chunks(size: usize, to: Kind) -> Scene {
    let scene = Scene::of(&[size], Kind::default(), to);
    scene
        .pair
        .to
        .fail(Pair::sends().always().then(Action::status(413)));
    scene
}

fn f70() -> Cell {
    let wrong = || Action::error(416, "RANGE_INVALID", "wrong place");
    cell(
        "F-70",
        Upload,
        "416 to a chunk",
        "the upload begins anew, 5 times at most",
    )
    .case("once", arrives(PLAIN + 14), move || {
        in_chunks(10 * MIB, Kind::default()).destination_fails(Fault::on("PATCH", "").then(wrong()))
    })
    .case(
        "always",
        fails(1, "gave up after 5 attempts", PLAIN + 24),
        move || {
            let patches = Fault::on("PATCH", "").always().then(wrong());
            in_chunks(10 * MIB, Kind::default()).destination_fails(patches)
        },
    )
}

fn f71() -> Cell {
    cell(
        "F-71",
        Upload,
        "chunks are taken and lost: DIGEST_INVALID at the end",
        "sent once more, at once",
    )
    .case("once", arrives(PLAIN + 12), || {
        let scene = Scene::new(&[10 * MIB]);
        scene.pair.to.fail(Pair::sends().then(Action::status(413)));
        let wrong = Action::error(400, "DIGEST_INVALID", "not the digest of what came");
        let digest = scene.pair.layer(0)[7..].to_string();
        let last =
            Fault::on("PUT", &digest).when(|request| request.header("content-length") == Some("0"));
        scene.destination_fails(last.then(wrong))
    })
}

fn f72() -> Cell {
    let least = 10 * MIB;
    cell(
        "F-72",
        Upload,
        "OCI-Chunk-Min-Length: 10 MiB",
        "chunks are as large, but for the last",
    )
    .case("24 MiB", arrives(PLAIN + 8), move || {
        let to = Kind {
            chunk_min: Some(least),
            ..Kind::default()
        };
        in_chunks(24 * MIB, to).check_of_ours(move |pair| {
            let patches = pair.to.requests("PATCH", "");
            let sizes: Vec<usize> = patches.iter().map(|patch| patch.body_len).collect();
            must(
                sizes.starts_with(&[least, least]) && sizes.len() == 3,
                format!("chunks of {sizes:?}"),
            )
        })
    })
}
