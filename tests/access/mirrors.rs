//! `registries.conf`: mirrors, blocked and insecure registries.

use std::sync::Arc;

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::Options;
use imgcopy::store::registry::conf::{Places, RegistriesConf};
use serde_json::json;

use crate::support::registry::{Action, Auth, Fault, Options as Kind, Registry, Tls};
use crate::support::tempdir;
use crate::{
    REPO, at, authorized, copy, fails, from_file, nobody, read, registry, sees_nobody, user,
};

fn with(conf: &str, options: Options) -> Options {
    let home = tempdir();
    let file = home.path().join("registries.conf");
    std::fs::write(&file, conf).unwrap();
    let places = Places {
        registries_conf: Some(file),
        home: None,
        root: home.path().to_path_buf(),
    };
    Options {
        conf: Arc::new(RegistriesConf::load(&places).unwrap()),
        ..options
    }
}

fn mirrored(registry: &Registry, mirrors: &[&Registry]) -> String {
    let mirror = |it: &&Registry| format!("[[registry.mirror]]\nlocation = \"{}\"\n", it.host());
    let mirrors: Vec<String> = mirrors.iter().map(mirror).collect();
    let registry = format!("[[registry]]\nlocation = \"{}\"\n", registry.host());
    registry + &mirrors.concat()
}

#[test]
fn f57_what_one_mirror_lacks_comes_from_the_next() {
    let (primary, mirror) = (registry(Auth::Open), registry(Auth::Open));
    let (empty, broken) = (Registry::start(), registry(Auth::Open));
    broken.fail(Fault::on("*", "").always().then(Action::status(403)));
    let conf = mirrored(&primary, &[&empty, &broken, &mirror]);
    let digest = read(&at(&primary), with(&conf, nobody())).unwrap();
    assert_eq!(primary.tag_of(REPO, "1"), Some(digest));
    assert_eq!(primary.count("GET", "/manifests/1"), 0);
    assert_eq!(primary.count("GET", "/blobs/"), 0);
    assert!(empty.connections() > 0 && broken.connections() > 0);

    // Half of it is at a mirror: the rest comes from the registry.
    let half = registry(Auth::Open);
    for blob in half.blobs(REPO) {
        half.delete_blob(REPO, &blob);
    }
    let conf = mirrored(&primary, &[&half]);
    read(&at(&primary), with(&conf, nobody())).unwrap();
    assert_eq!(primary.count("GET", "/manifests/1"), 0);
    assert_eq!(primary.count("GET", "/blobs/"), 3);

    // And nothing at all of what is written.
    let to = format!("docker://{}/other/app:1", primary.host());
    half.forget();
    copy(&at(&mirror), nobody(), &to, with(&conf, nobody())).unwrap();
    assert_eq!(half.log().len(), 0);
}

#[test]
fn s39_a_mirror_gets_no_credentials_of_the_registry_that_it_stands_for() {
    let primary = registry(Auth::basic("me", "secret"));
    // These would let it in.
    let mirror = registry(Auth::basic("me", "secret"));
    let conf = mirrored(&primary, &[&mirror]);
    read(&at(&primary), with(&conf, user("me", "secret"))).unwrap();
    assert!(mirror.connections() > 0);
    sees_nobody(&mirror);
    assert!(authorized(&primary, "Basic ") > 0);

    let home = tempdir();
    let file = home.path().join("auth.json");
    let entry = json!({ primary.host(): { "auth": "bWU6c2VjcmV0" } });
    std::fs::write(&file, json!({ "auths": entry }).to_string()).unwrap();
    read(&at(&primary), with(&conf, from_file(&file, home.path()))).unwrap();
    sees_nobody(&mirror);

    // A mirror's own credentials are found under its own name.
    let primary = registry(Auth::Open);
    let conf = mirrored(&primary, &[&mirror]);
    let entry = json!({ mirror.host(): { "auth": "bWU6c2VjcmV0" } });
    std::fs::write(&file, json!({ "auths": entry }).to_string()).unwrap();
    read(&at(&primary), with(&conf, from_file(&file, home.path()))).unwrap();
    assert!(authorized(&mirror, "Basic ") > 0);
    assert_eq!(primary.count("GET", "/blobs/"), 0);
    sees_nobody(&primary);
}

#[test]
fn s39_another_location_gets_no_credentials_that_were_given_for_the_name() {
    let place = registry(Auth::basic("me", "secret"));
    let conf = format!(
        "[[registry]]\nprefix = \"name.test\"\nlocation = \"{}\"\n",
        place.host()
    );
    let from = format!("docker://name.test/{REPO}:1");
    fails(
        read(&from, with(&conf, user("me", "secret"))),
        ErrorKind::Unauthorized,
        &[&place.host()],
    );
    sees_nobody(&place);
}

#[test]
fn what_is_blocked_is_not_contacted() {
    let blocked = registry(Auth::Open);
    let conf = format!(
        "[[registry]]\nlocation = \"{}\"\nblocked = true\n",
        blocked.host()
    );
    let other = registry(Auth::Open);
    fails(
        read(&at(&blocked), with(&conf, nobody())),
        ErrorKind::Denied,
        &["blocked"],
    );
    let written = copy(&at(&other), nobody(), &at(&blocked), with(&conf, nobody()));
    fails(written, ErrorKind::Denied, &["blocked"]);
    assert_eq!(blocked.connections(), 0);
}

#[test]
fn an_insecure_registry_is_read_with_a_certificate_that_nobody_trusts() {
    let tls = Registry::with(Kind {
        tls: Some(Tls::default()),
        ..Kind::default()
    });
    tls.add_image(REPO, "1", &[10], 1);
    let conf = |insecure| {
        format!(
            "[[registry]]\nlocation = \"{}\"\ninsecure = {insecure}\n",
            tls.host()
        )
    };
    read(&at(&tls), with(&conf(true), nobody())).unwrap();
    let mut strict = with(&conf(true), nobody());
    strict.tls_verify = Some(true);
    fails(
        read(&at(&tls), strict),
        ErrorKind::Untrusted,
        &["UnknownIssuer"],
    );
    assert_eq!(tls.plaintext(), 0);
}
