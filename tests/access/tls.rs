//! Certificates, good and bad; and no way back to plain HTTP (S-42, F-06 to F-08).

use std::path::Path;

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::Options;
use imgcopy::store::registry::conf::Places;

use crate::support::registry::{
    Action, Auth, Fault, Flaw, Options as Kind, Registry, Response, Server, Tls,
};
use crate::support::{Run, command, tempdir};
use crate::{REPO, at, fails, nobody, read, registry, sees_nobody, user};

fn secure(tls: &Tls) -> Registry {
    let registry = Registry::with(Kind {
        tls: Some(tls.clone()),
        auth: Auth::basic("me", "secret"),
        ..Kind::default()
    });
    registry.add_image(REPO, "1", &[10], 1);
    registry
}

fn strict() -> Options {
    Options {
        tls_verify: Some(true),
        ..user("me", "secret")
    }
}

fn with_certificates(folder: &Path) -> Options {
    Options {
        certificates: Some(folder.to_path_buf()),
        ..user("me", "secret")
    }
}

#[test]
fn f06_a_bad_certificate_is_looked_at_once_and_nothing_else_is_tried() {
    for (flaw, trusted, says) in [
        (Flaw::None, false, "UnknownIssuer"),
        (Flaw::Expired, true, "clock"),
        (Flaw::WrongName, true, "not valid for name"),
    ] {
        let tls = Tls::flawed(flaw);
        let registry = secure(&tls);
        let home = tempdir();
        let options = match trusted {
            true => {
                std::fs::write(home.path().join("ca.crt"), tls.authority.pem()).unwrap();
                with_certificates(home.path())
            }
            false => strict(),
        };
        fails(read(&at(&registry), options), ErrorKind::Untrusted, &[says]);
        assert_eq!(
            (registry.connections(), registry.plaintext()),
            (1, 0),
            "{flaw:?}"
        );
        assert_eq!(registry.log().len(), 0);
    }
}

#[test]
fn f07_a_handshake_that_breaks_off_is_tried_again() {
    let tls = Tls::default();
    let registry = secure(&tls);
    let home = tempdir();
    std::fs::write(home.path().join("ca.crt"), tls.authority.pem()).unwrap();
    registry.reset_connections(2);
    read(&at(&registry), with_certificates(home.path())).unwrap();
    assert_eq!(registry.plaintext(), 0);
}

#[test]
fn f08_a_server_without_tls_gets_no_plain_request() {
    let plain = registry(Auth::basic("me", "secret"));
    fails(
        read(&at(&plain), strict()),
        ErrorKind::Untrusted,
        &["does not speak TLS", "plain HTTP"],
    );
    assert_eq!((plain.connections(), plain.log().len()), (1, 0));
}

#[test]
fn certificates_are_found_in_certs_d() {
    let tls = Tls::default();
    let registry = secure(&tls);
    let root = tempdir();
    let folder = root
        .path()
        .join("etc/containers/certs.d")
        .join(registry.host());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ca.crt"), tls.authority.pem()).unwrap();
    let mut options = user("me", "secret");
    options.places = Places {
        registries_conf: None,
        home: None,
        root: root.path().to_path_buf(),
    };
    read(&at(&registry), options).unwrap();
    assert_eq!(registry.plaintext(), 0);
}

#[test]
fn certificates_are_named_on_the_command_line_or_by_the_environment() {
    let tls = Tls::default();
    let registry = secure(&tls);
    let home = tempdir();
    let ca = home.path().join("ca.crt");
    std::fs::write(&ca, tls.authority.pem()).unwrap();
    let digest = |arguments: &[&str], variable: Option<&Path>| {
        let mut command = command();
        command
            .env("HOME", home.path())
            .args(["digest", &at(&registry), "--creds", "me:secret"]);
        command.args(arguments).args(["--retry-delay", "1ms"]);
        command.envs(variable.map(|path| ("SSL_CERT_FILE", path)));
        Run::of(&mut command)
    };
    digest(&["--cert-dir", home.path().to_str().unwrap()], None).ok();
    digest(&["--tls-verify=true"], Some(&ca)).ok();
    let refused = digest(&["--tls-verify=true"], None).fails(1);
    assert!(
        refused.stderr.contains("UnknownIssuer"),
        "{}",
        refused.stderr
    );
    digest(&["--tls-verify=false"], None).ok();
    assert_eq!(registry.plaintext(), 0);
}

#[test]
fn s42_plain_http_is_spoken_only_where_it_is_allowed() {
    let plain = registry(Auth::Open);
    let mut options = nobody();
    options.tls_verify = Some(false);
    read(&at(&plain), options).unwrap();
    // By itself, only this very machine is asked so.
    read(&at(&plain), nobody()).unwrap();
    let other = at(&plain).replace("127.0.0.1", "[::ffff:127.0.0.1]");
    plain.forget();
    let _refused = read(&other, nobody()).unwrap_err();
    assert_eq!(plain.log().len(), 0);
}

#[test]
fn a_registry_that_wants_our_certificate_is_asked_once_without_it() {
    let tls = Tls {
        wants_client: true,
        ..Tls::default()
    };
    let registry = secure(&tls);
    let home = tempdir();
    std::fs::write(home.path().join("ca.crt"), tls.authority.pem()).unwrap();
    let refused = read(&at(&registry), with_certificates(home.path()));
    fails(
        refused,
        ErrorKind::Untrusted,
        &["client certificate", "NAME.cert"],
    );
    assert_eq!(registry.connections(), 1);
}

#[test]
fn s43_a_redirect_from_tls_leads_to_tls_without_credentials() {
    let tls = Tls::default();
    let registry = secure(&tls);
    let blobs: Vec<_> = registry.blobs(REPO);
    let blobs: Vec<_> = blobs
        .iter()
        .map(|it| (it.clone(), registry.blob(REPO, it).unwrap()))
        .collect();
    let store = Server::with(Some(&tls), move |request| {
        let found = blobs
            .iter()
            .find(|(digest, _)| request.path.ends_with(digest.as_str()));
        Response::new(200).body("application/octet-stream", found.unwrap().1.clone())
    });
    registry.fail(
        Fault::on("GET", "/blobs/")
            .authorized()
            .always()
            .then(Action::redirect_to_server(&store.origin())),
    );
    let home = tempdir();
    std::fs::write(home.path().join("ca.crt"), tls.authority.pem()).unwrap();
    read(&at(&registry), with_certificates(home.path())).unwrap();
    assert_eq!(store.log().len(), 2);
    sees_nobody(&store);
}
