//! Where tokens are asked for (S-33, S-34).

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::Options;

use crate::support::registry::{
    Action, Auth, Authority, Fault, Issuer, Options as Kind, Registry, Response, Server, Tls,
    TokenRules, TokenServer,
};
use crate::support::tempdir;
use crate::{REPO, at, authorized, fails, read, registry, sees_nobody, user};

#[test]
fn s33_no_request_goes_to_a_realm_that_may_be_somebody_elses() {
    let evil = Server::start(|_| Response::new(401));
    let (port, host) = (evil.port(), evil.host());
    let realms = [
        format!("http://localhost:{port}/token"),
        format!("http://u:p@{host}/token"),
        format!("http://127.0.0.2:{port}/token"),
        format!("http://[::ffff:127.0.0.1]:{port}/token"),
        "http://169.254.169.254/token".to_string(),
        "https://10.0.0.1/token".to_string(),
        "null://token".to_string(),
        "ftp://127.0.0.1/token".to_string(),
        "file:///etc/passwd".to_string(),
        "https://accounts.example/token".to_string(),
        "/token".to_string(),
    ];
    for realm in realms {
        let registry = registry(Auth::bearer(TokenRules {
            realm: Some(realm.clone()),
            ..TokenRules::login("me", "secret")
        }));
        let refused = read(&at(&registry), user("me", "secret"));
        let kind = match realm.starts_with('/') {
            true => ErrorKind::Io,
            false => ErrorKind::Denied,
        };
        fails(refused, kind, &["cannot get a token"]);
        assert_eq!(authorized(&registry, ""), 0, "{realm}");
    }
    assert_eq!(evil.connections(), 0);
}

/// A directory with the certificate of an authority.
fn trusting(authority: &Authority) -> (tempfile::TempDir, Options) {
    let home = tempdir();
    std::fs::write(home.path().join("ca.crt"), authority.pem()).unwrap();
    let options = Options {
        certificates: Some(home.path().to_path_buf()),
        ..user("me", "secret")
    };
    (home, options)
}

#[test]
fn s33_a_realm_at_another_host_gets_a_password_only_if_it_is_trusted() {
    let tls = Tls::default();
    let tokens = TokenServer::with(Some(&tls), TokenRules::login("me", "secret"));
    let realm = tokens.url("/token").replace("127.0.0.1", "localhost");
    let challenge = format!("Bearer realm=\"{realm}\",service=\"registry.test\"");
    let registry = Registry::with(Kind {
        tls: Some(tls.clone()),
        auth: Auth::Bearer(tokens.issuer()),
        ..Kind::default()
    });
    registry.add_image(REPO, "1", &[10], 1);
    registry.fail(
        Fault::on("*", "/v2/")
            .always()
            .then(Action::change(move |_, response| {
                if response.status == 401 {
                    response.headers.set("WWW-Authenticate", challenge.as_str());
                }
            })),
    );
    let (_home, mut options) = trusting(&tls.authority);
    fails(
        read(&at(&registry), options.clone()),
        ErrorKind::Denied,
        &["localhost"],
    );
    assert_eq!(tokens.connections(), 0);
    options.trusted_realms = vec![format!("localhost:{}", tokens.port())];
    read(&at(&registry), options).unwrap();
    assert_eq!(authorized(&tokens, "Basic "), 1);
}

#[test]
fn s33_what_is_allowed_for_a_registry_does_not_hold_for_another_hosts_token_server() {
    // Nobody has signed either certificate whom we trust, and verification is off for the registry.
    let tls = Tls::default();
    let tokens = TokenServer::with(Some(&tls), TokenRules::login("me", "secret"));
    let realm = tokens.url("/token").replace("127.0.0.1", "localhost");
    let registry = Registry::with(Kind {
        tls: Some(tls),
        auth: Auth::bearer(TokenRules {
            realm: Some(realm),
            ..TokenRules::login("me", "secret")
        }),
        ..Kind::default()
    });
    let mut options = user("me", "secret");
    options.tls_verify = Some(false);
    options.trusted_realms = vec![format!("localhost:{}", tokens.port())];
    fails(
        read(&at(&registry), options),
        ErrorKind::Untrusted,
        &["cannot get a token"],
    );
    assert_eq!(tokens.log().len(), 0);
}

#[test]
fn a_registry_in_the_clear_may_have_a_token_server_with_tls_on_its_host() {
    let tokens = TokenServer::with(Some(&Tls::default()), TokenRules::login("me", "secret"));
    let registry = registry(Auth::Bearer(tokens.issuer()));
    let mut options = user("me", "secret");
    options.tls_verify = Some(false);
    read(&at(&registry), options).unwrap();
    assert_eq!(authorized(&tokens, "Basic "), 1);
}

/// A registry that names another realm as soon as a blob is asked for, once.
fn changing(realm: &str) -> Registry {
    let registry = registry(Auth::bearer(TokenRules::login("me", "secret")));
    let challenge = format!("Bearer realm=\"{realm}\",service=\"registry.test\"");
    let refusal = Response::error(401, "UNAUTHORIZED", "x").with("WWW-Authenticate", challenge);
    registry.fail(Fault::on("GET", "/blobs/").then(Action::Answer(refusal)));
    registry
}

#[test]
fn s34_a_token_server_does_not_change_midway() {
    let rules = TokenRules::login("me", "secret");
    let other = Issuer::new(rules);
    let evil = Server::start(move |request| other.answer(request));
    let registry = changing(&evil.url("/token"));
    let refused = read(&at(&registry), user("me", "secret"));
    fails(
        refused,
        ErrorKind::Denied,
        &["another token service than before"],
    );
    assert_eq!(evil.connections(), 0);
}

#[test]
fn f19_a_token_server_may_change_its_path() {
    // The path is what the registry itself serves; only the query is another one.
    let registry = registry(Auth::bearer(TokenRules::login("me", "secret")));
    let realm = registry.url("/token?part=2");
    let challenge = format!("Bearer realm=\"{realm}\",service=\"registry.test\"");
    let refusal = Response::error(401, "UNAUTHORIZED", "x").with("WWW-Authenticate", challenge);
    registry.fail(Fault::on("GET", "/blobs/").then(Action::Answer(refusal)));
    read(&at(&registry), user("me", "secret")).unwrap();
    assert!(registry.count("GET", "part=2") >= 1);
}

#[test]
fn a_token_server_is_not_followed_elsewhere() {
    let evil = Server::start(|_| Response::new(200));
    let registry = registry(Auth::bearer(TokenRules::login("me", "secret")));
    let to_evil = Action::redirect(&evil.url("/token"));
    registry.fail(Fault::on("GET", "/token").always().then(to_evil));
    assert!(read(&at(&registry), user("me", "secret")).is_err());
    assert_eq!(evil.connections(), 0);
}

#[test]
fn who_asks_for_nothing_is_told_nothing() {
    let registry = registry(Auth::Open);
    read(&at(&registry), user("me", "secret")).unwrap();
    sees_nobody(&registry);
}
