//! Where reading is sent on to, and what goes along (S-30 to S-32, S-36, S-43).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::Options;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::json;

use crate::support::registry::{
    Action, Auth, Fault, Flaw, OCI_MANIFEST, Options as Kind, Registry, Response, Server, Tls,
    TokenRules, descriptor,
};
use crate::support::{noise, tempdir};
use crate::{REPO, at, authorized, fails, nobody, read, registry, sees_nobody, user};

/// A place that has what a registry has, and asks nobody.
fn store(of: &Registry) -> Server {
    let blobs: Vec<_> = of
        .blobs(REPO)
        .into_iter()
        .map(|digest| (digest.clone(), of.blob(REPO, &digest).unwrap()))
        .collect();
    Server::start(move |request| {
        let found = blobs
            .iter()
            .find(|(digest, _)| request.path.ends_with(digest.as_str()));
        match found {
            Some((_, bytes)) => Response::new(200).body("application/octet-stream", bytes.clone()),
            None => Response::new(404),
        }
    })
}

fn basic() -> Registry {
    registry(Auth::basic("me", "secret"))
}

fn me() -> Options {
    user("me", "secret")
}

#[test]
fn s31_credentials_stay_behind_when_a_blob_is_elsewhere() {
    for auth in [
        Auth::basic("me", "secret"),
        Auth::bearer(TokenRules::login("me", "secret")),
    ] {
        let registry = registry(auth);
        let (second, first) = (store(&registry), Server::start(|_| Response::new(500)));
        registry.fail(
            Fault::on("GET", "/blobs/")
                .authorized()
                .always()
                .then(Action::redirect_to_server(&first.origin())),
        );
        first.fail(
            Fault::on("GET", "")
                .always()
                .then(Action::redirect_to_server(&second.origin())),
        );
        let digest = read(&at(&registry), me()).unwrap();
        assert_eq!(registry.tag_of(REPO, "1"), Some(digest));
        assert_eq!(
            (
                first.count("GET", "/blobs/"),
                second.count("GET", "/blobs/")
            ),
            (3, 3)
        );
        sees_nobody(&first);
        sees_nobody(&second);
    }
}

#[test]
fn s31_credentials_stay_behind_even_if_the_way_leads_back() {
    let registry = basic();
    let between = Server::start(|_| Response::new(500));
    let back = registry.origin();
    between.fail(
        Fault::on("GET", "")
            .always()
            .then(Action::change(move |request, response| {
                let to = format!("{back}{}?back=1", request.target);
                *response = Response::new(307).with("Location", to);
            })),
    );
    registry.fail(
        Fault::on("GET", "back=1")
            .always()
            .then(Action::ask(|request| {
                // The registry's own place for those who come back asks nobody.
                request.headers.add("Authorization", "Basic bWU6c2VjcmV0");
            })),
    );
    registry.fail(
        Fault::on("GET", "/blobs/")
            .authorized()
            .always()
            .then(Action::redirect_to_server(&between.origin())),
    );
    read(&at(&registry), me()).unwrap();
    let returned = registry.requests("GET", "back=1");
    assert_eq!(returned.len(), 3);
    for request in returned {
        assert_eq!(request.headers.get("authorization"), None);
    }
    sees_nobody(&between);
}

#[test]
fn s31_who_is_elsewhere_may_ask_and_gets_no_answer() {
    let registry = registry(Auth::bearer(TokenRules::login("me", "secret")));
    let challenges = [
        "Basic realm=\"x\"".to_string(),
        format!(
            "Bearer realm=\"{}\",service=\"registry.test\"",
            registry.url("/token")
        ),
    ];
    for challenge in challenges {
        let elsewhere = Server::start(move |_| {
            Response::error(401, "UNAUTHORIZED", "x").with("WWW-Authenticate", challenge.clone())
        });
        registry.heal();
        registry.forget();
        registry.fail(
            Fault::on("GET", "/blobs/")
                .authorized()
                .always()
                .then(Action::redirect_to_server(&elsewhere.origin())),
        );
        fails(
            read(&at(&registry), me()),
            ErrorKind::Unauthorized,
            &["401"],
        );
        sees_nobody(&elsewhere);
        assert_eq!(registry.count("GET", "/token"), 1);
    }
}

#[test]
fn s32_a_redirect_leads_to_no_metadata_service_and_out_of_no_tls() {
    let registry = basic();
    let targets = [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://0.0.0.0:1/",
        "http://u:p@127.0.0.1/",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
    ];
    for target in targets {
        registry.heal();
        registry.forget();
        registry.fail(
            Fault::on("GET", "/blobs/")
                .authorized()
                .always()
                .then(Action::redirect(target)),
        );
        fails(read(&at(&registry), me()), ErrorKind::Denied, &[]);
    }
}

/// Says that every name is this machine; but if told so, from its second question on, that the registry
/// is at an address that everybody can reach.
struct Rebinding {
    is_public: bool,
    cdn: [u8; 4],
    asked: AtomicUsize,
}

impl Resolve for Rebinding {
    fn resolve(&self, name: Name) -> Resolving {
        let again = || self.asked.fetch_add(1, Ordering::SeqCst) > 0;
        let address = match name.as_str() {
            "cdn.test" => self.cdn,
            _ if again() && self.is_public => [8, 8, 8, 8],
            _ => [127, 0, 0, 1],
        };
        let found = std::iter::once(SocketAddr::from((address, 0)));
        Box::pin(async move { Ok(Box::new(found) as Addrs) })
    }
}

#[test]
fn s32_s33_what_a_name_leads_to_counts_and_not_how_it_looks() {
    let near = Server::start(|_| Response::new(200));
    let there = format!("https://cdn.test:{}/x", near.port());
    let challenge = format!("Bearer realm=\"{there}\",service=\"x\"");
    let asks = Response::error(401, "UNAUTHORIZED", "x").with("WWW-Authenticate", challenge);
    let (here, metadata) = ([127, 0, 0, 1], [169, 254, 169, 254]);
    // A registry that is itself near may lead to what is near, but not to a cloud's metadata.
    for (is_public, cdn, refused) in [
        (true, here, true),
        (false, here, false),
        (false, metadata, true),
    ] {
        for action in [Action::redirect(&there), Action::Answer(asks.clone())] {
            let tls = Tls::flawed(Flaw::WrongName);
            let registry = Registry::with(Kind {
                tls: Some(tls.clone()),
                ..Kind::default()
            });
            registry.fail(Fault::on("GET", "/manifests/").always().then(action));
            let home = tempdir();
            std::fs::write(home.path().join("ca.crt"), tls.authority.pem()).unwrap();
            let mut options = me();
            options.certificates = Some(home.path().to_path_buf());
            options.trusted_realms = vec![format!("cdn.test:{}", near.port())];
            options.resolver = Some(Arc::new(Rebinding {
                is_public,
                cdn,
                asked: AtomicUsize::new(0),
            }));
            let from = format!("docker://elsewhere.test:{}/{REPO}:1", registry.port());
            let before = near.connections();
            let error = read(&from, options).unwrap_err();
            let told = crate::support::told(&error);
            assert_eq!(told.contains("no public address"), refused, "{told}");
            assert_eq!(near.connections() == before, refused, "{told}");
        }
    }
}

#[test]
fn s32_encrypted_requests_stay_encrypted() {
    let tls = Tls::default();
    let registry = Registry::with(Kind {
        tls: Some(tls.clone()),
        ..Kind::default()
    });
    registry.add_image(REPO, "1", &[10], 1);
    let plain = store(&registry);
    registry.fail(
        Fault::on("GET", "/blobs/")
            .always()
            .then(Action::redirect_to_server(&plain.origin())),
    );
    let home = tempdir();
    std::fs::write(home.path().join("ca.crt"), tls.authority.pem()).unwrap();
    let mut options = nobody();
    options.certificates = Some(home.path().to_path_buf());
    fails(
        read(&at(&registry), options),
        ErrorKind::Denied,
        &["not encrypted"],
    );
    assert_eq!(plain.connections(), 0);
}

#[test]
fn a_circle_of_redirects_ends() {
    let registry = basic();
    let round = registry.origin();
    registry.fail(
        Fault::on("GET", "/blobs/")
            .authorized()
            .always()
            .then(Action::redirect_to_server(&round)),
    );
    fails(
        read(&at(&registry), me()),
        ErrorKind::Denied,
        &["redirects more than 5 times"],
    );
}

#[test]
fn s43_our_certificate_is_shown_to_the_registry_alone() {
    let tls = Tls {
        wants_client: true,
        ..Tls::default()
    };
    let kind = Kind {
        tls: Some(tls.clone()),
        ..Kind::default()
    };
    let registry = Registry::with(kind);
    registry.add_image(REPO, "1", &[10], 1);
    let home = tempdir();
    let (certificate, key) = tls.authority.client();
    for (name, text) in [
        ("ca.crt", tls.authority.pem()),
        ("me.cert", certificate),
        ("me.key", key),
    ] {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    let mut options = nobody();
    options.certificates = Some(home.path().to_path_buf());
    read(&at(&registry), options.clone()).unwrap();
    // The other one would let us in with it.
    let elsewhere = Server::with(Some(&tls), |_| Response::new(200));
    registry.fail(
        Fault::on("GET", "/blobs/")
            .always()
            .then(Action::redirect_to_server(&elsewhere.origin())),
    );
    fails(
        read(&at(&registry), options),
        ErrorKind::Untrusted,
        &["client certificate"],
    );
    assert!(elsewhere.connections() > 0);
    assert_eq!(elsewhere.log().len(), 0);
}

#[test]
fn s36_the_next_page_is_at_the_registry_whatever_it_says() {
    let registry = Registry::with(Kind {
        auth: Auth::basic("me", "secret"),
        page_size: Some(1),
        ..Kind::default()
    });
    for tag in ["1", "2", "3"] {
        registry.add_image(REPO, tag, &[10], 1);
    }
    let evil = Server::start(|_| Response::new(200));
    let to = evil.origin();
    registry.fail(Fault::on("GET", "/tags/list").always().then(Action::change(
        move |_, response| {
            if let Some(link) = response.headers.get("link").map(str::to_string) {
                let path = link.find("/v2/").unwrap();
                response
                    .headers
                    .set("Link", format!("<{to}{}", &link[path..]));
            }
        },
    )));
    let reference: imgcopy::image::Reference = at(&registry).parse().unwrap();
    let names = crate::waiting(async {
        let registries = imgcopy::store::registry::Registries::new(me());
        let source = imgcopy::store::open_source(&reference, &registries).unwrap();
        source.names().await.unwrap()
    });
    assert_eq!(names.len(), 3);
    assert_eq!(evil.connections(), 0);

    for link in ["/token?x", "../../../../secret", "javascript:1"] {
        registry.heal();
        let link = format!("<{link}>; rel=\"next\"");
        registry.fail(
            Fault::on("GET", "/tags/list")
                .always()
                .then(Action::header("Link", &link)),
        );
        let listed = crate::waiting(async {
            let registries = imgcopy::store::registry::Registries::new(me());
            let source = imgcopy::store::open_source(&reference, &registries).unwrap();
            source.names().await
        });
        fails(listed, ErrorKind::Denied, &["next page"]);
    }
}

/// An image one layer of which says that it is elsewhere.
fn foreign(layer_type: &str, url: &str) -> Registry {
    let registry = basic();
    let config = br#"{"architecture":"amd64","os":"linux"}"#;
    let bytes = noise(9, 100);
    let mut layer = descriptor(layer_type, &bytes);
    layer["urls"] = json!([url]);
    registry.add_blob(REPO, config.to_vec());
    let config = descriptor("application/vnd.oci.image.config.v1+json", config);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer],
    });
    registry.add_manifest(REPO, OCI_MANIFEST, manifest.to_string(), Some("1"));
    registry
}

#[test]
fn s30_the_urls_of_a_layer_are_never_asked() {
    let evil = Server::start(|_| {
        Response::error(401, "UNAUTHORIZED", "x").with("WWW-Authenticate", "Basic realm=\"x\"")
    });
    let url = evil.url("/layer");
    let kinds = [
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ];
    for kind in kinds {
        let registry = foreign(kind, &url);
        // It may live elsewhere, so it is left there.
        read(&at(&registry), me()).unwrap();
        assert!(authorized(&registry, "Basic ") > 0);
    }
    assert_eq!(evil.connections(), 0);
}
