//! Each registry is reached by its own rule, and what a rule says stays with its registry.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use imgcopy::error::{ErrorKind, Result};
use imgcopy::store::registry::credentials::{Credential, Environment, Keyring};
use imgcopy::store::registry::{Login, Mirror, Options, Registries, Rules, Tls};
use imgcopy::store::{Source as _, Store as _};

use crate::kit::{REPO, asked, at, copy_by, options, repository, tag};
use crate::support::registry::{Auth, Options as Kind, Registry, Server, Tls as Secured};
use crate::support::{tempdir, told};

struct Table(BTreeMap<String, Options>);

impl Rules for Table {
    fn options(&self, registry: &str) -> Result<Option<Options>> {
        Ok(self.0.get(registry).cloned())
    }
}

fn ruled<const N: usize>(rules: [(&Server, Options); N]) -> Registries {
    let rules = rules.map(|(server, options)| (server.host(), options));
    Registries::by_rules(options(), Arc::new(Table(rules.into())))
}

fn user(name: &str) -> Options {
    Options {
        login: Login::As(Credential::basic(name, "secret").unwrap()),
        ..options()
    }
}

fn registry(auth: Auth) -> Registry {
    let kind = Kind {
        auth,
        ..Kind::default()
    };
    let registry = Registry::with(kind);
    registry.add_image(REPO, "1", &[3000, 5], 1);
    registry
}

/// Reads all of the image.
async fn read(registries: &Registries, server: &Server) -> Result<()> {
    let source = registries.source(&repository(server, REPO))?;
    let found = source.find(&tag("1")).await?.unwrap();
    for blob in found.blobs() {
        source.blob(blob).await?.bytes(1 << 20).await?;
    }
    Ok(())
}

fn mirrored(options: Options, mirrors: &[(&Server, &str)]) -> Options {
    let mirror = |(server, prefix): &(&Server, &str)| Mirror {
        registry: server.host(),
        prefix: (*prefix).to_string(),
    };
    let mirrors = mirrors.iter().map(mirror).collect();
    Options { mirrors, ..options }
}

/// Who sent a password, by the user's name; `None` for a request without.
fn users(server: &Server) -> Vec<Option<String>> {
    use base64::Engine as _;
    let log = server.log();
    let name = |value: &str| {
        let bytes = value.strip_prefix("Basic ").unwrap();
        let bytes = base64::prelude::BASE64_STANDARD.decode(bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        text.split_once(':').unwrap().0.to_string()
    };
    let of = log
        .iter()
        .map(|it| it.headers.get("authorization").map(name));
    of.collect()
}

#[tokio::test]
async fn s39_each_registry_sees_its_own_credentials_only() {
    let (one, two) = (
        registry(Auth::basic("one", "secret")),
        registry(Auth::basic("two", "secret")),
    );
    let other = registry(Auth::Open);
    let registries = ruled([(&one, user("one")), (&two, user("two"))]);
    copy_by(&registries, &at(&one, REPO, "1"), &at(&two, "to/here", "1"))
        .await
        .unwrap();
    read(&registries, &other).await.unwrap();
    let seen = |server| {
        users(server)
            .into_iter()
            .flatten()
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(seen(&one), ["one".to_string()].into());
    assert_eq!(seen(&two), ["two".to_string()].into());
    assert_eq!(seen(&other), [].into());
}

#[tokio::test]
async fn s39_a_mirror_is_asked_first_and_not_as_the_registry() {
    let primary = registry(Auth::basic("one", "secret"));
    let mirror = Registry::start();
    mirror.add_image(&format!("hub/{REPO}"), "1", &[3000, 5], 1);
    let registries = ruled([(&primary, mirrored(user("one"), &[(&mirror, "hub")]))]);
    read(&registries, &primary).await.unwrap();
    assert_eq!(primary.count("*", ""), 0);
    assert!(users(&mirror).iter().all(Option::is_none));
    asked(&mirror, &[("GET tag", 1), ("GET blob", 3)]);

    // By its own rule it has credentials of its own.
    let strict = registry(Auth::basic("two", "secret"));
    let options = mirrored(user("one"), &[(&strict, "")]);
    let registries = ruled([(&primary, options.clone()), (&strict, user("two"))]);
    read(&registries, &primary).await.unwrap();
    assert_eq!(primary.count("*", ""), 0);
    assert!(users(&strict).contains(&Some("two".to_string())));

    // Without, it refuses, and the registry itself answers.
    strict.forget();
    read(&ruled([(&primary, options)]), &primary).await.unwrap();
    assert!(users(&strict).iter().all(Option::is_none));
    assert!(primary.count("GET", "/blobs/") >= 3);
}

#[tokio::test]
async fn s02_wrong_bytes_of_a_mirror_are_not_taken() {
    let (primary, mirror) = (registry(Auth::Open), registry(Auth::Open));
    for blob in mirror.blobs(REPO) {
        mirror.add_blob_as(REPO, &blob, vec![0; 20]);
    }
    let registries = ruled([(&primary, mirrored(options(), &[(&mirror, "")]))]);
    let source = registries.source(&repository(&primary, REPO)).unwrap();
    let found = source.find(&tag("1")).await.unwrap().unwrap();
    for blob in found.blobs() {
        let read = source.blob(blob).await.unwrap().bytes(1 << 20).await;
        match read {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
            Ok(bytes) => assert_eq!(crate::kit::sha256(&bytes), blob.digest.to_string()),
        }
    }
}

#[tokio::test]
async fn q46_tags_are_listed_by_the_registry_itself() {
    let (primary, mirror) = (registry(Auth::Open), registry(Auth::Open));
    primary.add_image(REPO, "2", &[10], 2);
    let registries = ruled([(&primary, mirrored(options(), &[(&mirror, "")]))]);
    let source = registries.source(&repository(&primary, REPO)).unwrap();
    assert_eq!(source.names().await.unwrap(), [tag("1"), tag("2")]);
    assert_eq!(mirror.count("*", ""), 0);
    assert_eq!(source.requests(), 1);
}

#[tokio::test]
async fn nothing_is_written_to_a_mirror() {
    let (from, primary, mirror) = (registry(Auth::Open), Registry::start(), Registry::start());
    let registries = ruled([(&primary, mirrored(options(), &[(&mirror, "")]))]);
    copy_by(&registries, &at(&from, REPO, "1"), &at(&primary, REPO, "1"))
        .await
        .unwrap();
    primary.assert_whole(REPO);
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn p19_what_is_read_and_written_at_one_registry_is_mounted() {
    let registry = registry(Auth::basic("one", "secret"));
    let registries = ruled([(&registry, user("one"))]);
    copy_by(
        &registries,
        &at(&registry, REPO, "1"),
        &at(&registry, "to/here", "1"),
    )
    .await
    .unwrap();
    registry.assert_whole("to/here");
    assert_eq!(registry.count("GET", "/blobs/"), 0);
    assert_eq!(registry.count("PUT", "/blobs/uploads/"), 0);
}

#[tokio::test]
async fn s42_tls_is_what_the_rule_says_and_nothing_else_is_tried() {
    let tls = Secured::default();
    let secured = Registry::with(Kind {
        tls: Some(tls.clone()),
        ..Kind::default()
    });
    secured.add_image(REPO, "1", &[10], 1);
    let plain = registry(Auth::Open);
    let with = |tls| Options {
        tls: Some(tls),
        ..options()
    };
    let tried = async |server: &Registry, options| {
        let registries = ruled([(&**server, options)]);
        let read = read(&registries, server).await;
        read.map_err(|error| error.kind())
    };
    assert_eq!(tried(&secured, with(Tls::Unverified)).await, Ok(()));
    assert_eq!(
        tried(&secured, with(Tls::Verified)).await,
        Err(ErrorKind::Untrusted)
    );
    assert_eq!(secured.plaintext(), 0);
    assert_eq!(tried(&plain, with(Tls::Off)).await, Ok(()));
    plain.forget();
    for never in [Tls::Verified, Tls::Unverified] {
        assert!(tried(&plain, with(never)).await.is_err());
    }
    assert_eq!(plain.count("*", ""), 0);
    // What is to be plain is never anything else.
    assert!(tried(&secured, with(Tls::Off)).await.is_err());
    assert!(secured.plaintext() > 0);

    // Its authority is trusted there, and nowhere else.
    let home = tempdir();
    let ca = home.path().join("ca.pem");
    std::fs::write(&ca, tls.authority.pem()).unwrap();
    let trusting = Options {
        authorities: vec![ca],
        ..with(Tls::Verified)
    };
    assert_eq!(tried(&secured, trusting.clone()).await, Ok(()));
    let other = ruled([(&plain, trusting), (&secured, with(Tls::Verified))]);
    let error = read(&other, &secured).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Untrusted);
}

#[tokio::test]
async fn a_helper_that_a_rule_names_is_asked_whatever_files_say() {
    let registry = registry(Auth::basic("me", "secret"));
    let home = tempdir();
    let program = home.path().join("docker-credential-night");
    let script =
        "#!/bin/sh\n/bin/cat >/dev/null\necho '{\"Username\":\"me\",\"Secret\":\"secret\"}'\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A file that would be an error to read.
    let keyring = Keyring::new(Environment {
        authfile: Some(home.path().join("missing.json")),
        path: Some(home.path().as_os_str().to_os_string()),
        ..Environment::default()
    });
    let with = |keyring| Options {
        login: Login::Keyring(Arc::new(keyring)),
        ..options()
    };
    let named = with(keyring.of_helper("night").unwrap());
    read(&ruled([(&registry, named)]), &registry).await.unwrap();
    let absent = with(keyring.of_helper("day").unwrap());
    let error = read(&ruled([(&registry, absent)]), &registry)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let told = told(&error);
    assert!(
        told.contains("docker-credential-day is not in PATH"),
        "{told}"
    );
}

#[tokio::test]
async fn a_registry_token_is_sent_without_being_asked_for() {
    let registry = registry(Auth::Open);
    let token = imgcopy::store::registry::credentials::Secret::new("given");
    let options = Options {
        login: Login::As(Credential::RegistryToken(token)),
        ..options()
    };
    read(&ruled([(&registry, options)]), &registry)
        .await
        .unwrap();
    let log = registry.log();
    assert!(!log.is_empty());
    let sent = |it: &crate::support::registry::Logged| {
        it.headers.get("authorization") == Some("Bearer given")
    };
    assert!(log.iter().all(sent));
}
