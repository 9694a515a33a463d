//! Downloads that come from elsewhere, or through somebody (D): redirects, mirrors, proxies, tokens.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::Phase::Download;
use super::download::{LARGE, MIB, layer};
use super::scene::{Scene, must};
use super::{Cell, PLAIN, arrives, cell, fails};
use crate::download::{cdn, given, packed};
use crate::support::registry::{
    Action, Auth, Fault, Framing, Hangup, Options as Kind, Registry, Response, Server, TokenRules,
};
use crate::{FROM, range};

pub(super) fn cells() -> Vec<Cell> {
    vec![f53(), f54(), f56(), f57(), f58(), f59()]
}

fn f53() -> Cell {
    cell(
        "F-53",
        Download,
        "the signed address has expired when it goes on",
        "the registry is asked for a new one",
    )
    .case("each address is good once", arrives(PLAIN + 1), || {
        let scene = Scene::new(&[LARGE]);
        let bytes = scene.pair.image.blobs[1].clone();
        let used = Mutex::new(BTreeSet::new());
        let cdn = Server::start(move |request| {
            match used.lock().unwrap().insert(request.target.clone()) {
                true => given(&bytes, request),
                false => Response::new(403).body("application/xml", "<Error>expired</Error>"),
            }
        });
        let cut = Fault::on("GET", "").then(Action::cut(MIB, Hangup::Reset));
        let hits = cdn.fail(cut);
        let (origin, signature) = (cdn.origin(), AtomicUsize::new(0));
        let signs = Action::change(move |_, response| {
            let number = signature.fetch_add(1, Ordering::SeqCst);
            let to = format!("{origin}/layer?signature=canary-of-url-{number}");
            *response = Response::new(307).with("Location", to);
        });
        let reads = scene.pair.reads().always().then(signs);
        scene.source_fails(reads).met(hits).keep(cdn)
    })
}

fn f54() -> Cell {
    cell(
        "F-54",
        Download,
        "a CDN that refuses whoever shows a second credential",
        "it is shown none",
    )
    .case("S3", arrives(PLAIN + 2), || {
        let from = Kind {
            auth: Auth::bearer(TokenRules::default()),
            ..Kind::default()
        };
        let scene = Scene::of(&[LARGE], from, Kind::default());
        let cdn = Arc::new(cdn(&scene.pair));
        let two = Action::error(400, "InvalidArgument", "Only one auth mechanism allowed");
        cdn.fail(Fault::on("GET", "").authorized().always().then(two));
        let leads = Action::redirect_to_server(&cdn.origin());
        let reads = scene.pair.reads().authorized().always().then(leads);
        let asked = cdn.clone();
        scene
            .source_fails(reads)
            .keep(cdn)
            .check(move |_| must(asked.count("GET", "") >= 1, "the CDN was not asked"))
    })
}

fn f56() -> Cell {
    let row = cell(
        "F-56",
        Download,
        "redirects in a circle, many, out of TLS, to private addresses",
        "five are followed; never into danger",
    );
    row.case(
        "in a circle",
        fails(1, "redirects more than 5 times", PLAIN + 5),
        || {
            let scene = Scene::new(&[LARGE]);
            let path = format!("/v2/{FROM}/blobs/{}", scene.pair.layer(0));
            let here = Action::redirect(&scene.pair.from.url(&path));
            let reads = scene.pair.reads().always().then(here);
            scene.source_fails(reads)
        },
    )
    .case("five", arrives(PLAIN + 5), || {
        layer(|reads| {
            reads.times(5).then(Action::change(|request, response| {
                let to = format!("{}{}?x", request.origin(), request.target);
                *response = Response::new(302).with("Location", to);
            }))
        })
    })
    .case(
        "to the metadata service",
        fails(1, "169.254.169.254", PLAIN),
        || {
            layer(|reads| {
                reads
                    .always()
                    .then(Action::redirect("http://169.254.169.254/latest/meta-data/"))
            })
            .not_for_skopeo("it goes there, and nobody answers here")
        },
    )
}

/// From a registry with a mirror, which is asked first.
fn mirrored(fault: impl Fn(&Scene, &Registry)) -> Scene {
    let scene = Scene::new(&[LARGE]);
    let mirror = Registry::start();
    mirror.add(FROM, Some("1"), &scene.pair.image);
    fault(&scene, &mirror);
    let conf = scene.home().join("registries.conf");
    let text = format!(
        "[[registry]]\nlocation = \"{}\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
        scene.pair.from.host(),
        mirror.host()
    );
    std::fs::write(&conf, text).unwrap();
    let mirror = Arc::new(mirror);
    let asked = mirror.clone();
    let conf = conf.to_str().unwrap();
    scene
        .environment("CONTAINERS_REGISTRIES_CONF", conf)
        .skopeos(&["--registries-conf", conf])
        .keep(mirror)
        .check(move |_| {
            must(
                asked.count("GET", "/manifests/") >= 1,
                "the mirror was not asked",
            )
        })
}

fn f57() -> Cell {
    cell(
        "F-57",
        Download,
        "a mirror lacks the blob, or fails in the midst of it",
        "the next place goes on with it",
    )
    .case("404", arrives(PLAIN), || {
        mirrored(|scene, mirror| mirror.delete_blob(FROM, &scene.pair.layer(0)))
    })
    .case("in the midst", arrives(PLAIN), || {
        mirrored(|scene, mirror| {
            let reads = || Fault::on("GET", &scene.pair.layer(0));
            mirror.fail(reads().then(Action::cut(MIB, Hangup::Reset)));
            mirror.fail(reads().nth(2).always().then(Action::status(503)));
        })
    })
}

fn f58() -> Cell {
    let row = cell(
        "F-58",
        Download,
        "a proxy compresses the blob",
        "it is unpacked; as a mere word Content-Encoding is ignored; unknown: an error that names it",
    );
    row.case("gzip", arrives(PLAIN), || {
        layer(|reads| reads.always().then(packed("gzip", Framing::Chunked, None)))
    })
    .case("the word alone", arrives(PLAIN), || {
        layer(|reads| {
            reads
                .always()
                .then(Action::header("Content-Encoding", "gzip"))
        })
    })
    .case(
        "unknown",
        fails(1, "it comes with Content-Encoding br", PLAIN),
        || layer(|reads| reads.always().then(packed("br", Framing::Length, None))),
    )
}

fn f59() -> Cell {
    cell(
        "F-59",
        Download,
        "the token ends during a download that breaks off",
        "it goes on with a new token",
    )
    .case("once", arrives(PLAIN + 7), || {
        let auth = Auth::bearer(TokenRules::default());
        let Auth::Bearer(issuer) = auth.clone() else {
            unreachable!()
        };
        let from = Kind {
            auth,
            ..Kind::default()
        };
        let scene = Scene::of(&[LARGE], from, Kind::default());
        let ends = Action::change(move |_, response| {
            issuer.revoke_all();
            response.end = Some((MIB, Hangup::Reset));
        });
        let reads = scene.pair.reads().authorized().then(ends);
        scene.source_fails(reads).check_of_ours(|pair| {
            let asked = pair.asked();
            let last = asked.last().unwrap();
            must(
                range(last) == Some("bytes=1048576-"),
                "it was read from the beginning",
            )
        })
    })
}
