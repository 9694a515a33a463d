//! Names and connections (C). TLS and proxies are in `secure`.

use std::time::Duration;

use h2::Reason;

use super::Phase::Connect;
use super::program::{Program, Ran};
use super::scene::{Scene, must};
use super::{Cell, Left, PLAIN, arrives, cell, fails};
use crate::FROM;
use crate::names::{AGAIN, BlackHole, HERE, HERE_TOO, Script, from_localhost};
use crate::streams::by_http2;
use crate::support::registry::{Action, Auth, Fault, Gate, Options as Kind, Registry, Upset};

pub(super) fn cells() -> Vec<Cell> {
    vec![f01(), f02(), f03(), f04(), f05(), f10(), f11(), f12()]
}

/// Only our library can be given another resolver.
const RESOLVER: &str = "it asks the system's resolver";

/// Copies from `localhost` as this resolver knows it, into a directory; looked up so often.
fn looked_up(names: &std::sync::Arc<Script>, lookups: usize) -> Ran {
    let registry = Registry::start();
    let digest = registry.add_image(FROM, "1", &[3000], 7);
    let result = from_localhost(registry.port(), names.options());
    let left = match result.as_ref().is_ok_and(|copied| *copied == digest) {
        true => Left::New,
        false => Left::Nothing,
    };
    // One more for each connection that was made.
    let of_failures = names.count("localhost") - registry.connections();
    Ran::of_library(&result, left).check(
        of_failures == lookups,
        format!("{of_failures} lookups that failed"),
    )
}

fn f01() -> Cell {
    cell(
        "F-01",
        Connect,
        "the name cannot be looked up for now",
        "looked up again, 5 times at most",
    )
    .play("twice", arrives(0), |program| match program {
        Program::Imgcopy => looked_up(&Script::new(&[AGAIN; 2], &[HERE]), 2),
        Program::Skopeo => Ran::cannot(RESOLVER),
    })
    .play(
        "always",
        fails(1, "gave up after 5 attempts", 0).leaves(Left::Nothing),
        |program| match program {
            Program::Imgcopy => looked_up(&Script::new(&[AGAIN; 20], &[HERE]), 5),
            Program::Skopeo => Ran::cannot(RESOLVER),
        },
    )
}

fn f02() -> Cell {
    let nobody = "failed to lookup address information: Name or service not known";
    cell(
        "F-02",
        Connect,
        "the name does not exist",
        "asked once more, then an error that names the host",
    )
    .play(
        "always",
        fails(1, "cannot look up localhost", 0).leaves(Left::Nothing),
        move |program| match program {
            Program::Imgcopy => looked_up(&Script::new(&[nobody; 20], &[HERE]), 2),
            Program::Skopeo => Ran::cannot(RESOLVER),
        },
    )
}

fn f03() -> Cell {
    cell(
        "F-03",
        Connect,
        "IPv6 leads nowhere, IPv4 works",
        "the image arrives by IPv4, without waiting for IPv6",
    )
    .play("both addresses", arrives(0), |program| {
        if program == Program::Skopeo {
            return Ran::cannot(RESOLVER);
        }
        let registry = Registry::start();
        registry.add_image(FROM, "1", &[3000], 7);
        let hole = BlackHole::new((HERE_TOO, registry.port()).into());
        let names = Script::new(&[], &[HERE_TOO, HERE]);
        let mut options = names.options();
        // Whoever waits for IPv6 never ends.
        options.limits.connect = Duration::from_hours(1);
        let result = from_localhost(hole.address.port(), options);
        Ran::of_library(&result, Left::New)
    })
}

fn f04() -> Cell {
    cell(
        "F-04",
        Connect,
        "connections are refused, then not",
        "tried again, 5 times at most",
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

fn f05() -> Cell {
    let expected = fails(1, "no connection in time; gave up after 5 attempts", 0);
    cell(
        "F-05",
        Connect,
        "packets are dropped",
        "5 tries, each as long as a connection may take",
    )
    .play("always", expected.leaves(Left::Nothing), |program| {
        if program == Program::Skopeo {
            return Ran::cannot("it waits half a minute each time");
        }
        let hole = BlackHole::new((HERE, 0).into());
        let names = Script::new(&[], &[HERE]);
        let mut options = names.options();
        options.limits.connect = Duration::from_millis(100);
        let result = from_localhost(hole.address.port(), options);
        let tries = names.count("localhost");
        Ran::of_library(&result, Left::Nothing).check(tries == 5, format!("{tries} tries"))
    })
}

fn f10() -> Cell {
    let row = cell(
        "F-10",
        Connect,
        "a kept connection is closed between two requests",
        "asked again, at once",
    );
    let row = [
        ("HEAD", "/manifests/1"),
        ("GET", "/manifests/"),
        ("GET", "/blobs/"),
    ]
    .into_iter()
    .fold(row, |row, (method, part)| {
        row.case(part, arrives(PLAIN + 1), move || {
            Scene::new(&[3000]).source_fails(Fault::on(method, part).then(Action::close()))
        })
    });
    // The first to a manifest of the destination is a question, which has more than one form.
    [
        ("HEAD", "/blobs/", 1),
        ("POST", "/uploads/", 1),
        ("PUT", "/uploads/", 4),
        ("PUT", "/manifests/", 2),
    ]
    .into_iter()
    .fold(row, |row, (method, part, more)| {
        row.case(part, arrives(PLAIN + more), move || {
            Scene::new(&[3000]).destination_fails(Fault::on(method, part).then(Action::close()))
        })
    })
}

/// To a registry that speaks HTTP/2, with so many streams at once.
fn to_http2(sizes: &[usize], streams: Option<u32>) -> Scene {
    let (to, authority) = by_http2(streams, Auth::Open);
    let scene = Scene::of(sizes, Kind::default(), to);
    let certificates = scene.home().join("certificates");
    std::fs::create_dir(&certificates).unwrap();
    std::fs::write(certificates.join("ca.crt"), authority.pem()).unwrap();
    scene
        .ours(&[
            "--dest-tls-verify=true",
            "--dest-cert-dir",
            certificates.to_str().unwrap(),
        ])
        .not_for_skopeo("it speaks HTTP/1.1 where it has certificates of its own")
        .check(|pair| must(pair.to.multiplexed() >= 1, "no HTTP/2"))
}

fn f11() -> Cell {
    let goes_away = || Action::Upset(Upset::GoAway(Reason::NO_ERROR));
    let refused = || Action::Upset(Upset::Reset(Reason::REFUSED_STREAM));
    cell(
        "F-11",
        Connect,
        "HTTP/2: GOAWAY with requests on their way, refused streams",
        "all of them are sent again",
    )
    .case("GOAWAY", arrives(PLAIN + 4), move || {
        let heads = || Fault::on("HEAD", "/blobs/");
        to_http2(&[3000], None)
            .destination_fails(heads().then(Action::Hold(Gate::closed())))
            .destination_fails(heads().nth(2).then(goes_away()))
    })
    .case("a refused PUT", arrives(PLAIN + 8), move || {
        let puts = Fault::on("PUT", "/manifests/").times(4);
        to_http2(&[3000], None).destination_fails(puts.then(refused()))
    })
    .case(
        "refused for ever",
        fails(1, "gave up after 5 attempts", PLAIN + 20),
        move || {
            let puts = Fault::on("PUT", "/manifests/").always();
            to_http2(&[3000], None).destination_fails(puts.then(refused()))
        },
    )
}

fn f12() -> Cell {
    let many = 20;
    // For each layer: asked for, read, begun, sent.
    cell(
        "F-12",
        Connect,
        "HTTP/2: one stream at a time",
        "requests wait for each other",
    )
    .case("20 layers", arrives(PLAIN + 4 * (many - 1)), move || {
        let sizes: Vec<usize> = (0..many).map(|n| 1000 + n).collect();
        to_http2(&sizes, Some(1)).check(|pair| {
            let most = pair.to.most_at_once("HEAD", "");
            must(most == 1, format!("{most} streams"))
        })
    })
}
