//! Connections (C). Names and addresses that never answer are in `names`, HTTP/2 in `streams`.

use imgcopy::error::{ErrorKind, Result};
use imgcopy::store::registry::Options;

use crate::support::registry::{
    Action, Authority, Fault, Flaw, Hangup, Options as Kind, Registry, Response, Server, Tls,
};
use crate::support::{Run, command, oci_at, tempdir};
use crate::{FROM, Pair, at, copy_with, failed, fails, has, options};

#[test]
fn f04_a_registry_that_comes_up_is_reached() {
    let pair = Pair::new(&[3000]);
    let mut patient = options();
    patient.retry.times = u32::MAX;
    patient.retry.delay = std::time::Duration::from_millis(50);
    pair.from.down();
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| pair.copy_with(patient));
        // The destination was asked, so the source is next.
        pair.to.wait_for("HEAD", "/manifests/1", 1);
        pair.from.up();
        pair.arrived(&copying.join().unwrap());
    });
}

#[test]
fn f04_a_registry_that_is_down_is_given_up() {
    let pair = Pair::new(&[3000]);
    pair.from.down();
    fails(
        pair.copy(),
        ErrorKind::Unreachable,
        "gave up after 5 attempts",
    );
    pair.unchanged();
    pair.from.up();
    pair.to.down();
    let (kind, said) = failed(pair.copy());
    assert_eq!(kind, ErrorKind::Unreachable, "{said}");
    assert!(said.contains(&pair.to.host()), "{said}");
}

#[test]
fn f07_connections_that_break_before_anything_was_said_are_made_again() {
    let pair = Pair::new(&[3000]);
    pair.from.reset_connections(2);
    pair.to.reset_connections(2);
    pair.arrived(&pair.copy());
}

/// Copies an image of a registry that must speak TLS.
fn over_tls(registry: &Registry, authority: Option<&Authority>) -> Result<String> {
    let home = tempdir();
    if let Some(authority) = authority {
        std::fs::write(home.path().join("ca.crt"), authority.pem()).unwrap();
    }
    let options = Options {
        tls_verify: Some(true),
        certificates: authority.map(|_| home.path().to_path_buf()),
        ..options()
    };
    let directory = tempdir();
    let copied = copy_with(options, &at(registry, FROM), &oci_at(directory.path(), "1"));
    if copied.is_err() {
        has(directory.path(), &[]);
    }
    copied
}

fn with_tls(flaw: Flaw) -> (Registry, Authority) {
    let tls = Tls::flawed(flaw);
    let authority = tls.authority.clone();
    let registry = Registry::with(Kind {
        tls: Some(tls),
        ..Kind::default()
    });
    registry.add_image(FROM, "1", &[3000], 7);
    (registry, authority)
}

#[test]
fn f06_a_certificate_that_is_not_trusted_is_the_end() {
    for (flaw, is_known) in [
        (Flaw::Expired, true),
        (Flaw::WrongName, true),
        (Flaw::None, false),
    ] {
        let (registry, authority) = with_tls(flaw);
        let (kind, said) = failed(over_tls(&registry, is_known.then_some(&authority)));
        assert_eq!(kind, ErrorKind::Untrusted, "{said}");
        assert!(said.contains("certificate"), "{said}");
        assert_eq!(registry.connections(), 1, "{flaw:?}: {said}");
        assert_eq!((registry.plaintext(), registry.log().len()), (0, 0));
    }
    let (registry, authority) = with_tls(Flaw::None);
    over_tls(&registry, Some(&authority)).unwrap();
    // A handshake that breaks off is no refusal (F-07).
    let (registry, authority) = with_tls(Flaw::None);
    registry.reset_connections(1);
    over_tls(&registry, Some(&authority)).unwrap();
    assert_eq!(registry.plaintext(), 0);
}

#[test]
fn f20_a_clock_that_may_be_wrong_is_told() {
    for (flaw, words) in [
        (Flaw::Yesterday, "its certificate has expired"),
        (Flaw::Tomorrow, "its certificate is not valid yet"),
    ] {
        let (registry, authority) = with_tls(flaw);
        let (kind, said) = failed(over_tls(&registry, Some(&authority)));
        assert_eq!(kind, ErrorKind::Untrusted, "{said}");
        assert!(said.contains(words), "{said}");
        assert!(said.contains("this machine's clock"), "{said}");
        assert_eq!(registry.connections(), 1, "{flaw:?}: {said}");
    }
}

#[test]
fn f08_a_registry_without_tls_is_not_asked_in_the_clear() {
    let registry = Registry::start();
    registry.add_image(FROM, "1", &[3000], 7);
    let result = over_tls(&registry, None);
    fails(result, ErrorKind::Untrusted, "does not speak TLS");
    assert_eq!((registry.connections(), registry.log().len()), (1, 0));
}

#[test]
fn f10_a_connection_that_was_closed_meanwhile_is_no_failure() {
    for (at_source, method, part) in [
        (true, "HEAD", "/manifests/1"),
        (true, "GET", "/manifests/"),
        (true, "GET", "/blobs/"),
        (false, "HEAD", "/blobs/"),
        (false, "POST", "/uploads/"),
        (false, "PUT", "/uploads/"),
        (false, "PUT", "/manifests/"),
    ] {
        for how in [Action::close(), Action::reset()] {
            let pair = Pair::new(&[3000]);
            let registry = if at_source { &pair.from } else { &pair.to };
            let breaks = registry.fail(Fault::on(method, part).then(how));
            pair.arrived(&pair.copy());
            assert_eq!(breaks.count(), 1, "{method} {part}");
        }
    }
}

#[test]
fn without_repetitions_the_first_failure_is_the_last() {
    let mut once = options();
    once.retry.times = 0;
    for (at_source, method, part) in [
        (true, "HEAD", "/manifests/1"),
        (true, "GET", "/blobs/"),
        (false, "HEAD", "/blobs/"),
        (false, "POST", "/uploads/"),
        (false, "PUT", "/uploads/"),
        (false, "PUT", "/manifests/"),
    ] {
        for action in [Action::status(503), Action::cut(0, Hangup::Reset)] {
            let pair = Pair::new(&[3000]);
            let registry = if at_source { &pair.from } else { &pair.to };
            let is_cut = matches!(action, Action::Change(_));
            if is_cut && method != "GET" {
                continue;
            }
            // Both blobs travel at once.
            let breaks = registry.fail(Fault::on(method, part).always().then(action));
            let (kind, said) = failed(pair.copy_with(once.clone()));
            assert_eq!(kind, ErrorKind::Io, "{said}");
            assert!(!said.contains("gave up"), "{said}");
            let most = if part == "/blobs/" || part == "/uploads/" {
                2
            } else {
                1
            };
            assert!((1..=most).contains(&breaks.count()), "{method} {part}");
            pair.unchanged();
        }
    }
    // What merely was not known before is no failure.
    let pair = Pair::new(&[3000]);
    pair.arrived(&pair.copy_with(once));
}

/// Runs the command against a registry that only a proxy knows.
fn through(proxy: &str) -> Run {
    let directory = tempdir();
    let ran = Run::of(
        command()
            .env("HTTPS_PROXY", proxy)
            .env("HOME", directory.path())
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .args([
                "copy",
                "--quiet",
                "--retry-times",
                "1",
                "docker://registry.test/team/app:1",
            ])
            .arg(oci_at(&directory.path().join("out"), "1")),
    );
    assert!(!directory.path().join("out").exists());
    ran
}

#[test]
fn f09_a_proxy_that_fails_is_asked_again_and_named() {
    for (status, times) in [(502, 2), (407, 1)] {
        let proxy = Server::start(move |_| Response::new(status));
        let ran = through(&proxy.origin());
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let names_it = ran.stderr.contains("tunnel error") || ran.stderr.contains("proxy");
        assert!(names_it, "{}", ran.stderr);
        assert_eq!(proxy.count("CONNECT", "registry.test:443"), times);
    }
}
