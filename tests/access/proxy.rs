//! Through a proxy (S-48, F-09). The registry is one that only the proxy can find.

use crate::support::proxy::Proxy;
use crate::support::registry::{Auth, Flaw, Options as Kind, Registry, Tls};
use crate::support::{Run, command, tempdir};
use crate::{REPO, authorized};

const SECRET: &str = "CANARY-proxy";

/// A registry called `elsewhere.test`, and a run that asks it through a proxy.
fn run(first: &'static [&'static str], extra: &[(&str, &str)]) -> (Run, Registry, Proxy) {
    let tls = Tls::flawed(Flaw::WrongName);
    let registry = Registry::with(Kind {
        tls: Some(tls.clone()),
        auth: Auth::basic("me", "secret"),
        ..Kind::default()
    });
    registry.add_image(REPO, "1", &[10], 1);
    let proxy = Proxy::start(registry.port(), first);
    let home = tempdir();
    std::fs::write(home.path().join("ca.crt"), tls.authority.pem()).unwrap();
    let mut command = command();
    command.env("HOME", home.path()).args(["--debug", "digest"]);
    command.arg(format!("docker://elsewhere.test/{REPO}:1"));
    command.args(["--creds", "me:secret", "--retry-delay", "1ms"]);
    command.args(["--retry-times", "1"]);
    command.arg("--cert-dir").arg(home.path());
    let url = format!("http://who:{SECRET}@127.0.0.1:{}", proxy.port);
    command.env("HTTPS_PROXY", url).envs(extra.iter().copied());
    let run = Run::of(&mut command);
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(SECRET) && !text.contains("secret"), "{text}");
    }
    (run, registry, proxy)
}

#[test]
fn s48_the_proxy_knows_its_own_password_and_the_registry_its_own() {
    let (run, registry, proxy) = run(&[], &[]);
    run.ok();
    let heads = proxy.heads();
    assert!(!heads.is_empty());
    for head in heads {
        assert!(head.starts_with("CONNECT elsewhere.test:443 "), "{head}");
        assert!(
            head.to_ascii_lowercase()
                .contains("proxy-authorization: basic "),
            "{head}"
        );
        assert!(
            !head.to_ascii_lowercase().contains("\nauthorization"),
            "{head}"
        );
    }
    assert!(authorized(&registry, "Basic ") > 0);
    for request in registry.log() {
        assert_eq!(request.headers.get("proxy-authorization"), None);
    }
}

#[test]
fn f09_a_proxy_that_refuses_us_is_told_once() {
    let (run, registry, proxy) = run(&["407 Proxy Authentication Required"; 9], &[]);
    let run = run.fails(1);
    assert!(
        run.stderr
            .contains("the proxy wants to know who asks (407)"),
        "{}",
        run.stderr
    );
    assert_eq!((proxy.heads().len(), registry.connections()), (1, 0));
}

#[test]
fn f09_a_proxy_that_fails_once_is_asked_again() {
    let (run, _registry, proxy) = run(&["502 Bad Gateway"], &[]);
    run.ok();
    assert!(proxy.heads().len() >= 2);
}

#[test]
fn f09_a_proxy_that_is_down_is_told_as_that() {
    let (run, registry, _proxy) = run(&[], &[("HTTPS_PROXY", "http://127.0.0.1:1")]);
    let run = run.fails(1);
    assert!(run.stderr.contains("proxy"), "{}", run.stderr);
    assert_eq!(registry.connections(), 0);
}

#[test]
fn s48_who_needs_no_proxy_is_asked_without() {
    let (run, _registry, proxy) = run(&[], &[("NO_PROXY", "elsewhere.test")]);
    run.fails(1);
    assert_eq!(proxy.heads().len(), 0);
}
