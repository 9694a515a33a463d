//! Other clients agree with it.

use std::process::Command;

use crate::REPO;
use crate::support::registry::{
    Auth, Form, Image, Options, Registry, Tls, TokenRules, TokenServer,
};
use crate::support::{Run, has_peer, noise, tempdir};

#[tokio::test]
async fn another_client_pushes_and_pulls() {
    use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
    use oci_client::secrets::RegistryAuth;
    let auth = Auth::bearer(TokenRules::login("me", "secret"));
    let registry = Registry::with(Options {
        auth,
        ..Options::default()
    });
    let login = RegistryAuth::Basic("me".to_string(), "secret".to_string());
    for use_monolithic_push in [true, false] {
        let config = ClientConfig {
            protocol: ClientProtocol::Http,
            use_monolithic_push,
            ..ClientConfig::default()
        };
        let client = oci_client::Client::new(config);
        let name = format!("{}/{REPO}:m{use_monolithic_push}", registry.host())
            .parse()
            .unwrap();
        let layer = ImageLayer::oci_v1(noise(1, 9_000_000), None);
        let pushed = Config::oci_v1("{}", None);
        client
            .push(&name, std::slice::from_ref(&layer), pushed, &login, None)
            .await
            .unwrap();
        let types = vec!["application/vnd.oci.image.layer.v1.tar"];
        let pulled = client.pull(&name, &login, types).await.unwrap();
        assert_eq!(pulled.layers[0].data, layer.data);
        let subject = name.clone_with_digest(pulled.digest.unwrap());
        let referrers = client.pull_referrers(&subject, None).await.unwrap();
        assert_eq!(referrers.manifests.len(), 0);
    }
    registry.assert_whole(REPO);
}

#[test]
fn skopeo_copies_from_one_to_another() {
    if !has_peer("skopeo") {
        return;
    }
    let tls = Tls::default();
    let directory = tempdir();
    std::fs::write(directory.path().join("ca.crt"), tls.authority.pem()).unwrap();
    let tokens = TokenServer::start(TokenRules::login("me", "secret"));
    let auth = Auth::Bearer(tokens.issuer());
    let from = Registry::with(Options {
        tls: Some(tls),
        auth,
        ..Options::default()
    });
    let auth = Auth::basic("you", "other");
    let to = Registry::with(Options {
        auth,
        ..Options::default()
    });
    let first = from.add_image(REPO, "one", &[100_000, 5], 1);
    let second = from.add(REPO, None, &Image::new(Form::OciPlain, &[7], 2));
    let index = from.add_index(REPO, "all", &[("amd64", &first), ("arm64", &second)]);
    let copied = Run::of(
        Command::new("skopeo")
            .args([
                "copy",
                "--all",
                "--preserve-digests",
                "--src-creds=me:secret",
                "--dest-creds=you:other",
            ])
            .arg(format!("--src-cert-dir={}", directory.path().display()))
            .arg("--dest-tls-verify=false")
            .arg(format!("docker://{}/{REPO}:all", from.host()))
            .arg(format!("docker://{}/copies/app:all", to.host())),
    );
    copied.ok();
    assert_eq!(to.tag_of("copies/app", "all"), Some(index));
    assert_eq!(to.manifests("copies/app"), from.manifests(REPO));
    assert_eq!(to.blobs("copies/app"), from.blobs(REPO));
    to.assert_whole("copies/app");
    assert_eq!(to.open_uploads(), 0);
}
