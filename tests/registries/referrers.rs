//! What refers to an image: over the API, and by the tag of registries without it.

use imgcopy::image::{Digest, Reference};
use imgcopy::store::open_source;
use imgcopy::store::registry::{Options, Registries};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use serde_json::json;

use crate::carry;
use crate::server::Server;
use crate::support::{fixture, oci_at, tempdir};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn client() -> oci_client::Client {
    oci_client::Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    })
}

fn reference(there: &str) -> oci_client::Reference {
    there.trim_start_matches("docker://").parse().unwrap()
}

/// oci-client pushes nothing to this registry, which does not say where it put it.
async fn send(method: reqwest::Method, url: String, body: String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(method, url).header("content-type", MANIFEST);
    let answer = request.body(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

/// A signature of `subject`, as notation attaches it.
fn signature(subject: &serde_json::Value) -> String {
    let signature = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.example.signature",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": Digest::of(b"{}"),
            "size": 2,
        },
        "layers": [],
        "subject": subject,
    });
    signature.to_string()
}

async fn referrers(there: &str, subject: &Digest) -> Vec<String> {
    let registries = Registries::new(Options::bare());
    let place: Reference = there.parse().unwrap();
    let source = open_source(&place, &registries).unwrap();
    let found = source.referrers(subject).await.unwrap();
    found.iter().map(|it| it.digest.to_string()).collect()
}

#[tokio::test]
async fn a_referrer_is_found_over_the_api_and_what_was_pushed_is_one() {
    let Some(server) = Server::with_referrers() else {
        return;
    };
    let there = server.image("team/app", "1");
    let image = format!("oci:{}", fixture("podman/oci-dir").display());
    let registries = Registries::new(Options::bare());
    let subject = carry(&registries, &image, &there).await.unwrap().digest;
    assert_eq!(referrers(&there, &subject).await, [""; 0]);

    // Somebody signs it.
    let name = reference(&there);
    let (client, nobody) = (client(), RegistryAuth::Anonymous);
    let pulled = client.pull_manifest_raw(&name, &nobody, &[MANIFEST]).await;
    let (bytes, _) = pulled.unwrap();
    let signature = signature(&json!({
        "mediaType": MANIFEST,
        "digest": subject,
        "size": bytes.len(),
    }));
    let digest = Digest::of(signature.as_bytes());
    let root = format!("http://{}/v2/team/app", server.host());
    send(
        reqwest::Method::POST,
        format!("{root}/blobs/uploads/?digest={}", Digest::of(b"{}")),
        "{}".to_string(),
    )
    .await;
    send(
        reqwest::Method::PUT,
        format!("{root}/manifests/{digest}"),
        signature,
    )
    .await;
    assert_eq!(referrers(&there, &subject).await, [digest.to_string()]);

    // It is copied as an image of its own, into a repository that has the subject, too.
    let other = server.image("other/app", "1");
    carry(&registries, &there, &other).await.unwrap();
    let (from, to) = (
        format!("docker://{}/team/app@{digest}", server.host()),
        server.image("other/app", "signature"),
    );
    carry(&registries, &from, &to).await.unwrap();
    let subject_there = reference(&other).clone_with_digest(subject.to_string());
    let seen = client.pull_referrers(&subject_there, None).await.unwrap();
    let seen: Vec<_> = seen.manifests.into_iter().map(|it| it.digest).collect();
    assert_eq!(seen, [digest.to_string()]);

    // And from a directory it is one again.
    let directory = tempdir();
    let back = oci_at(directory.path(), "signature");
    carry(&registries, &to, &back).await.unwrap();
    let third = server.image("third/app", "1");
    carry(&registries, &back, &third).await.unwrap();
    assert_eq!(referrers(&third, &subject).await, [digest.to_string()]);
}

#[tokio::test]
async fn a_registry_without_the_api_has_no_referrers_and_no_error() {
    let Some(server) = Server::debian() else {
        return;
    };
    let there = server.image("team/app", "1");
    let image = format!("oci:{}", fixture("podman/oci-dir").display());
    let registries = Registries::new(Options::bare());
    let subject = carry(&registries, &image, &there).await.unwrap().digest;
    assert_eq!(referrers(&there, &subject).await, [""; 0]);
}
