//! Who gets in: certificates, passwords and tokens of distribution.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::credentials::{Credential, Secret};
use imgcopy::store::registry::{Login, Options, Registries};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use serde_json::json;

use crate::carry;
use crate::server::{Server, Setup};
use crate::support::{Run, archive_at, fixture, imgcopy, oci_at, tempdir};
use crate::tokens::{Rules, guarded, refresh_token};

fn image() -> String {
    format!("oci:{}", fixture("podman/oci-dir").display())
}

/// What goes there comes back.
#[track_caller]
fn goes_both_ways(there: &str, to: &[&str], from: &[&str]) {
    let directory = tempdir();
    let back = oci_at(&directory.path().join("back"), "x");
    let pushed = imgcopy([&["copy", "-q", &image(), there], to].concat()).ok();
    let pulled = imgcopy([&["copy", "-q", there, &back], from].concat()).ok();
    assert_eq!(pushed.stdout, pulled.stdout);
    imgcopy(["verify", &back]).ok();
}

#[track_caller]
fn is_refused(there: &str, options: &[&str]) -> Run {
    imgcopy([&["copy", "-q", &image(), there], options].concat()).fails(1)
}

/// A certificate of an authority, and its key, as files `NAME.cert` and `NAME.key`.
fn write_pair(
    authority: &CertifiedIssuer<'_, KeyPair>,
    purpose: ExtendedKeyUsagePurpose,
    at: &Path,
) {
    let names = vec!["127.0.0.1".to_string(), "localhost".to_string()];
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    std::fs::write(at.with_extension("cert"), certificate.pem()).unwrap();
    std::fs::write(at.with_extension("key"), key.serialize_pem()).unwrap();
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "an authority of the tests");
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::self_signed(params, key).unwrap()
}

#[test]
fn a_registry_with_tls_is_trusted_by_its_authority() {
    let directory = tempdir();
    let at = |name: &str| directory.path().join(name);
    let authority = authority();
    for name in ["certs", "certs-and-client"] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("ca.crt"), authority.pem()).unwrap();
    }
    write_pair(
        &authority,
        ExtendedKeyUsagePurpose::ServerAuth,
        &at("server"),
    );
    let client = at("certs-and-client").join("client");
    write_pair(&authority, ExtendedKeyUsagePurpose::ClientAuth, &client);
    let text = |path: PathBuf| path.display().to_string();
    let (certs, with_client) = (text(at("certs")), text(at("certs-and-client")));
    let pair = json!({ "certificate": at("server.cert"), "key": at("server.key") });
    let setup = |tls| Setup {
        tls: Some(tls),
        ..Setup::default()
    };

    let Some(server) = Server::debian_with(setup(pair.clone())) else {
        return;
    };
    let there = server.image("team/app", "1");
    let refused = is_refused(&there, &["--dest-tls-verify=true"]);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    goes_both_ways(
        &there,
        &["--dest-cert-dir", &certs],
        &["--src-cert-dir", &certs],
    );

    // One that wants to see our certificate, too.
    let mut both = pair;
    both["clientcas"] = json!([at("certs").join("ca.crt")]);
    let server = Server::debian_with(setup(both)).unwrap();
    let there = server.image("team/app", "1");
    is_refused(&there, &["--dest-cert-dir", &certs, "--retry-times", "0"]);
    goes_both_ways(
        &there,
        &["--dest-cert-dir", &with_client],
        &["--src-cert-dir", &with_client],
    );
}

#[test]
fn a_registry_with_passwords_lets_in_who_knows_one() {
    let made = std::process::Command::new("htpasswd")
        .args(["-Bbn", "me", "secret"])
        .output();
    if !crate::support::has_peer("htpasswd") {
        return;
    }
    let directory = tempdir();
    let file = directory.path().join("htpasswd");
    std::fs::write(&file, made.unwrap().stdout).unwrap();
    let auth = json!({ "htpasswd": { "realm": "the tests", "path": file } });
    let setup = Setup {
        auth: Some(auth),
        ..Setup::default()
    };
    let Some(server) = Server::debian_with(setup) else {
        return;
    };
    let there = server.image("team/app", "1");
    for options in [&["--dest-no-creds"][..], &["--dest-creds", "me:wrong"]] {
        let refused = is_refused(&there, options);
        assert!(!refused.stderr.contains("wrong"), "{}", refused.stderr);
        assert!(refused.stderr.contains(server.host()), "{}", refused.stderr);
    }
    goes_both_ways(
        &there,
        &["--dest-creds", "me:secret"],
        &["--src-creds", "me:secret"],
    );
    let known = directory.path().join("auth.json");
    // me:secret
    let entry = json!({ "auths": { server.host(): { "auth": "bWU6c2VjcmV0" } } });
    std::fs::write(&known, entry.to_string()).unwrap();
    let known = known.display().to_string();
    let keyring = ["--authfile", &known];
    goes_both_ways(&server.image("team/app", "2"), &keyring, &keyring);
}

fn login(credential: Credential) -> Registries {
    Registries::new(Options {
        login: Login::As(credential),
        ..Options::bare()
    })
}

fn me() -> Credential {
    Credential::basic("me", "secret").unwrap()
}

fn scopes(tokens: &crate::tokens::TokenServer) -> Vec<Vec<String>> {
    let asked = tokens.requests("GET", "/token");
    let scopes = asked.iter().map(|request| {
        let scopes = request.query.iter().filter(|(name, _)| name == "scope");
        scopes.map(|(_, value)| value.clone()).collect()
    });
    scopes.collect()
}

#[tokio::test]
async fn one_token_with_two_scopes_mounts_from_another_repository() {
    let Some((server, tokens)) = guarded(Rules::default()) else {
        return;
    };
    let (one, two) = (server.image("team/one", "1"), server.image("team/two", "1"));
    let pushed = carry(&login(me()), &image(), &one).await.unwrap();
    assert_eq!(scopes(&tokens), [["repository:team/one:pull,push"]]);
    tokens.forget();

    let mounted = carry(&login(me()), &one, &two).await.unwrap();
    assert_eq!(mounted.digest, pushed.digest);
    assert_eq!((mounted.moved, mounted.mounted), (0, pushed.moved));
    server.saw(pushed.moved, "POST", "mount=", 201);
    let both = ["repository:team/two:pull,push", "repository:team/one:pull"];
    let asked = scopes(&tokens);
    assert!(asked.iter().any(|scopes| *scopes == both), "{asked:?}");
    assert!(asked.len() <= 2, "{asked:?}");
}

#[tokio::test]
async fn a_token_that_expired_is_replaced_once() {
    // distribution takes them a minute longer.
    let rules = Rules {
        lives: vec![6 - 60],
        ..Rules::default()
    };
    let Some((server, tokens)) = guarded(rules) else {
        return;
    };
    let registries = login(me());
    let (one, two) = (server.image("team/app", "1"), server.image("team/app", "2"));
    carry(&registries, &image(), &one).await.unwrap();
    assert_eq!(tokens.count("GET", "/token"), 1);
    let url = format!("http://{}/v2/team/app/manifests/1", server.host());
    let begun = Instant::now();
    while tokens.is_taken(&url).await {
        assert!(begun.elapsed() < Duration::from_mins(1), "it never expires");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    carry(&registries, &image(), &two).await.unwrap();
    assert_eq!(tokens.count("GET", "/token"), 2);
}

#[tokio::test]
async fn f17_a_token_that_is_never_taken_is_not_asked_for_again_and_again() {
    let rules = Rules {
        lives: vec![-3600; 50],
        ..Rules::default()
    };
    let Some((server, tokens)) = guarded(rules) else {
        return;
    };
    let there = server.image("team/app", "1");
    let refused = carry(&login(me()), &image(), &there).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{refused:?}");
    assert!(tokens.count("GET", "/token") <= 2);
}

#[tokio::test]
async fn a_refresh_token_is_posted_and_its_successor_used_next() {
    let rules = Rules {
        refresh: Some(1),
        ..Rules::default()
    };
    let Some((server, tokens)) = guarded(rules) else {
        return;
    };
    let registries = login(Credential::IdentityToken(Secret::new(refresh_token(1))));
    // Nothing of the one is in the other, so that nothing is mounted.
    let other = archive_at(&fixture("docker20/bigconfig.tar"));
    for (repository, image) in [("team/one", image()), ("team/two", other)] {
        let there = server.image(repository, "1");
        carry(&registries, &image, &there).await.unwrap();
    }
    assert_eq!(tokens.count("POST", "/token"), 2);
    assert_eq!(tokens.count("GET", "/token"), 0);
}

#[tokio::test]
async fn nobody_may_read_and_is_told_that_he_may_not_write() {
    let rules = Rules {
        anonymous: &["pull"],
        ..Rules::default()
    };
    let Some((server, _tokens)) = guarded(rules) else {
        return;
    };
    let there = server.image("team/app", "1");
    let pushed = carry(&login(me()), &image(), &there).await.unwrap();
    let nobody = || Registries::new(Options::bare());
    let directory = tempdir();
    let back = oci_at(&directory.path().join("back"), "x");
    let pulled = carry(&nobody(), &there, &back).await.unwrap();
    assert_eq!(pulled.digest, pushed.digest);

    let other = server.image("team/app", "2");
    let error = carry(&nobody(), &image(), &other).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unauthorized),
        "{error:?}"
    );
    let wrong = login(Credential::basic("me", "not it").unwrap());
    let error = carry(&wrong, &there, &back).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    let told = crate::support::told(&error);
    assert!(!told.contains("not it"), "{told}");
}
