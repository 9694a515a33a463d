//! Where uploads are sent on to, and what goes along (S-35, S-44).

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::Options;

use crate::support::registry::{
    Action, Auth, Fault, Options as Kind, Registry, Response, Server, Tls, TokenRules,
};
use crate::support::tempdir;
use crate::{REPO, at, authorized, copy, fails, nobody, registry, sees_nobody, user};

/// A registry to write to, which takes images without their blobs.
fn target(tls: Option<&Tls>) -> Registry {
    Registry::with(Kind {
        tls: tls.cloned(),
        auth: Auth::bearer(TokenRules::login("me", "secret")),
        checks_references: false,
        ..Kind::default()
    })
}

fn elsewhere(registry: &Registry, location: &str) {
    let answer = Response::new(202).with("Location", location);
    registry.fail(
        Fault::on("POST", "/uploads/")
            .authorized()
            .always()
            .then(Action::Answer(answer)),
    );
}

struct Trusting {
    _home: tempfile::TempDir,
    options: Options,
}

fn trusting(tls: &Tls) -> Trusting {
    let home = tempdir();
    std::fs::write(home.path().join("ca.crt"), tls.authority.pem()).unwrap();
    let mut options = user("me", "secret");
    options.certificates = Some(home.path().to_path_buf());
    Trusting {
        _home: home,
        options,
    }
}

#[test]
fn s35_an_upload_that_goes_elsewhere_goes_without_credentials() {
    let tls = Tls::default();
    let (source, registry) = (registry(Auth::Open), target(Some(&tls)));
    let other = Server::with(Some(&tls), |_| Response::new(201));
    elsewhere(&registry, &other.url("/upload?state=1"));
    let me = trusting(&tls);
    copy(&at(&source), nobody(), &at(&registry), me.options).unwrap();
    assert_eq!(other.count("PUT", "/upload?state=1&digest=sha256:"), 3);
    sees_nobody(&other);
    assert!(authorized(&registry, "Bearer ") > 0);
}

#[test]
fn s35_who_is_elsewhere_may_ask_and_gets_no_answer() {
    let tls = Tls::default();
    let (source, registry) = (registry(Auth::Open), target(Some(&tls)));
    let challenge = format!(
        "Bearer realm=\"{}\",service=\"registry.test\"",
        registry.url("/token")
    );
    let other = Server::with(Some(&tls), move |_| {
        Response::error(401, "UNAUTHORIZED", "x").with("WWW-Authenticate", challenge.clone())
    });
    elsewhere(&registry, &other.url("/upload"));
    let me = trusting(&tls);
    fails(
        copy(&at(&source), nobody(), &at(&registry), me.options),
        ErrorKind::Unauthorized,
        &[],
    );
    sees_nobody(&other);
    assert_eq!(registry.tags(REPO), [] as [String; 0]);
}

#[test]
fn s35_an_upload_goes_to_no_place_that_it_should_not() {
    let source = registry(Auth::Open);
    let other = Server::start(|_| Response::new(201));
    let locations = [
        (other.url("/upload"), ErrorKind::Denied),
        (format!("//{}/upload", other.host()), ErrorKind::Denied),
        (
            format!("http://u:p@{}/upload", other.host()),
            ErrorKind::Denied,
        ),
        (
            "https://169.254.169.254/upload".to_string(),
            ErrorKind::Denied,
        ),
        ("javascript:alert(1)".to_string(), ErrorKind::Denied),
        (format!("/upload?{}", "x".repeat(9000)), ErrorKind::Io),
    ];
    for (location, kind) in locations {
        let registry = target(None);
        elsewhere(&registry, &location);
        let refused = copy(&at(&source), nobody(), &at(&registry), user("me", "secret"));
        let told = fails(refused, kind, &[]);
        assert!(!told.contains("u:p"), "{told}");
        assert_eq!(registry.tags(REPO), [] as [String; 0]);
    }
    assert_eq!(other.connections(), 0);
}

#[test]
fn s44_another_registry_does_not_learn_what_the_source_is_called() {
    let source = Registry::start();
    source.add_image("secret/project", "1", &[10], 1);
    let registry = target(None);
    let from = format!("docker://{}/secret/project:1", source.host());
    copy(&from, nobody(), &at(&registry), user("me", "secret")).unwrap();
    for request in registry.log() {
        assert!(!request.target.contains("secret"), "{}", request.target);
        assert!(!request.target.contains("from="), "{}", request.target);
    }
}

#[test]
fn s37_credentials_of_one_side_are_not_used_for_the_other() {
    // The hosts differ by their ports only.
    let source = registry(Auth::basic("reader", "of the source"));
    let registry = Registry::with(Kind {
        auth: Auth::basic("writer", "of the destination"),
        ..Kind::default()
    });
    let (reader, writer) = (
        user("reader", "of the source"),
        user("writer", "of the destination"),
    );
    copy(&at(&source), reader, &at(&registry), writer).unwrap();
    let distinct = |server: &Server| {
        let log = server.log();
        let mut sent: Vec<_> = log
            .iter()
            .filter_map(|it| it.headers.get("authorization"))
            .collect();
        sent.sort_unstable();
        sent.dedup();
        sent.len()
    };
    assert_eq!((distinct(&source), distinct(&registry)), (1, 1));
    let one_side = copy(
        &at(&source),
        user("reader", "of the source"),
        &at(&registry),
        nobody(),
    );
    fails(one_side, ErrorKind::Unauthorized, &[&registry.host()]);
}
