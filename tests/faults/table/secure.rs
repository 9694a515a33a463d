//! TLS and proxies (C).

use std::sync::Arc;

use super::Phase::{Connect, Token};
use super::scene::{Scene, must};
use super::{Cell, Expected, PLAIN, arrives, cell, fails};
use crate::FROM;
use crate::support::proxy::Proxy;
use crate::support::registry::{Flaw, Options as Kind, Tls};

pub(super) fn cells() -> Vec<Cell> {
    vec![f06(), f07(), f08(), f09(), f20()]
}

/// From a registry with this certificate, whose authority is known or not.
fn over_tls(flaw: Flaw, is_known: bool) -> Scene {
    let tls = Tls::flawed(flaw);
    let authority = tls.authority.clone();
    let from = Kind {
        tls: Some(tls),
        ..Kind::default()
    };
    let scene = verified(Scene::of(&[3000], from, Kind::default()));
    if is_known {
        let path = scene.home().join("certificates/ca.crt");
        std::fs::write(path, authority.pem()).unwrap();
    }
    scene
}

/// With a source that must show who it is.
fn verified(scene: Scene) -> Scene {
    let certificates = scene.home().join("certificates");
    std::fs::create_dir(&certificates).unwrap();
    let directory = certificates.to_str().unwrap();
    let options = ["--src-tls-verify=true", "--src-cert-dir", directory];
    scene.ours(&options).skopeos(&options).check(|pair| {
        must(
            pair.from.plaintext() == 0,
            "something was said in the clear",
        )
    })
}

/// Nothing but one handshake.
fn once(scene: Scene) -> Scene {
    scene.check_of_ours(|pair| {
        let made = pair.from.connections();
        must(made == 1, format!("{made} connections"))
    })
}

/// The destination was asked; the source says nothing.
fn untrusted(words: &'static str) -> Expected {
    fails(1, words, 1)
}

fn f06() -> Cell {
    cell(
        "F-06",
        Connect,
        "the certificate is expired, for another name, of nobody known",
        "an error at once, and nothing in the clear",
    )
    .case("expired", untrusted("certificate"), || {
        once(over_tls(Flaw::Expired, true))
    })
    .case("another name", untrusted("certificate"), || {
        once(over_tls(Flaw::WrongName, true))
    })
    .case("unknown", untrusted("certificate"), || {
        once(over_tls(Flaw::None, false))
    })
}

fn f07() -> Cell {
    cell("F-07", Connect, "a handshake breaks off", "tried again").case(
        "once",
        arrives(PLAIN),
        || {
            let scene = over_tls(Flaw::None, true);
            scene.pair.from.reset_connections(1);
            scene
        },
    )
}

fn f08() -> Cell {
    cell(
        "F-08",
        Connect,
        "the registry does not speak TLS",
        "an error that says so; nothing is asked in the clear",
    )
    .case("http behind https", untrusted("does not speak TLS"), || {
        let scene = once(verified(Scene::new(&[3000])));
        scene.check(|pair| must(pair.from.log().is_empty(), "it was asked in the clear"))
    })
}

/// From a registry that only this proxy finds.
fn through(proxy: &Proxy, scene: Scene) -> Scene {
    let url = format!("http://who:canary-of-url@127.0.0.1:{}", proxy.port);
    scene
        .from(format!("docker://elsewhere.test/{FROM}:1"))
        .environment("HTTPS_PROXY", &url)
}

/// From there, with these answers of the proxy first, and so many CONNECTs at most.
fn proxied(first: &'static [&'static str], asked: usize) -> Scene {
    let scene = over_tls(Flaw::WrongName, true);
    let proxy = Arc::new(Proxy::start(scene.pair.from.port(), first));
    let seen = proxy.clone();
    let met = move |count: usize| count >= 1 && count <= asked;
    through(&proxy, scene).keep(proxy).check_of_ours(move |_| {
        let count = seen.heads().len();
        must(met(count), format!("{count} CONNECTs"))
    })
}

fn f09() -> Cell {
    cell(
        "F-09",
        Connect,
        "the proxy says 407, 502 once, or is down",
        "407 is told at once, 502 tried again, a proxy that is down named",
    )
    .case(
        "407",
        fails(1, "the proxy wants to know who asks (407)", 1),
        || proxied(&["407 Proxy Authentication Required"; 9], 1),
    )
    // One CONNECT for each connection that is needed.
    .case("502 once", arrives(PLAIN), || {
        proxied(&["502 Bad Gateway"], 4)
    })
    .case("down", fails(1, "proxy", 1), || {
        let scene = over_tls(Flaw::WrongName, true);
        let scene = scene.from(format!("docker://elsewhere.test/{FROM}:1"));
        scene.environment("HTTPS_PROXY", "http://127.0.0.1:1")
    })
}

fn f20() -> Cell {
    cell(
        "F-20",
        Token,
        "this machine's clock is wrong by a day",
        "the error tells of the clock; the life of tokens is not counted by it",
    )
    .case(
        "certificate of yesterday",
        untrusted("this machine's clock"),
        || once(over_tls(Flaw::Yesterday, true)),
    )
    .case(
        "certificate of tomorrow",
        untrusted("this machine's clock"),
        || once(over_tls(Flaw::Tomorrow, true)),
    )
    .case(
        "tokens of another year",
        arrives(PLAIN + 1),
        super::tokens::of_another_year,
    )
}
