//! What refers to an image: by the API, or by the tag that stands in for it.

use imgcopy::image::Digest;
use imgcopy::store::Store as _;
use serde_json::{Value, json};

use crate::kit::{REPO, at, copy_by, copy_of, registries, source};
use crate::support::registry::{
    Action, Fault, OCI_INDEX, OCI_MANIFEST, Options, Registry, Response, Server, descriptor,
};
use crate::two;

const SIGNATURE: &str = "application/x.signature";

fn without_api() -> Registry {
    Registry::with(Options {
        referrers_api: false,
        ..Options::default()
    })
}

/// The tag that stands in for the API.
fn fallback(subject: &str) -> String {
    subject.replace(':', "-")
}

/// Signs an image; the signature has a tag of its own.
fn sign(server: &Registry, subject: &str, name: &str) -> String {
    server.add_blob(REPO, "{}");
    let stored = server.manifest(REPO, subject).unwrap();
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": SIGNATURE,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [], "annotations": { "by": name },
        "subject": descriptor(&stored.media_type, &stored.bytes),
    });
    server.add_manifest(REPO, OCI_MANIFEST, signature.to_string(), Some(name))
}

async fn listed(server: &Registry, subject: &str) -> Vec<String> {
    let subject: Digest = subject.parse().unwrap();
    let found = source(server).referrers(&subject).await.unwrap();
    found.iter().map(|it| it.digest.to_string()).collect()
}

/// Puts a list with one entry at the tag that stands in for the API.
fn list_by_tag(server: &Registry, subject: &str, entry: &Value) -> String {
    let list = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] });
    let tag = fallback(subject);
    server.add_manifest(REPO, OCI_INDEX, list.to_string(), Some(&tag))
}

#[tokio::test]
async fn q76_the_api_is_read_page_by_page() {
    let server = Registry::with(Options {
        page_size: Some(1),
        ..Options::default()
    });
    let image = server.add(REPO, Some("1"), &two());
    let mut signatures = ["a", "b", "c"].map(|name| sign(&server, &image, name));
    signatures.sort();
    assert_eq!(listed(&server, &image).await, signatures);
    assert_eq!(server.count("GET", "/referrers/"), 3);
    assert_eq!(server.count("*", "/manifests/"), 0);
}

#[tokio::test]
async fn q13_q76_only_an_index_is_an_answer_of_the_api() {
    let other = Server::start(|_| Response::new(200).body("text/html", "<html>log in</html>"));
    let html = || Response::new(200).body("text/html", "<html>welcome</html>");
    let list = json!({ "manifests": [] });
    let answers = [
        Action::status(404),
        Action::status(400),
        Action::status(403),
        Action::status(405),
        Action::Answer(html()),
        Action::Answer(Response::new(200)),
        Action::Answer(Response::json(200, &list)),
        Action::Answer(Response::new(303).with("Location", other.url("/login"))),
        Action::redirect(&other.url("/login")),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let server = Registry::start();
        let image = server.add(REPO, Some("1"), &two());
        let signature = sign(&server, &image, "signature");
        let stored = server.manifest(REPO, &signature).unwrap();
        list_by_tag(
            &server,
            &image,
            &descriptor(&stored.media_type, &stored.bytes),
        );
        server.fail(Fault::on("GET", "/referrers/").always().then(answer));
        assert_eq!(
            listed(&server, &image).await,
            [signature],
            "answer {number}"
        );
    }
    assert_eq!(other.log().len(), 0);
}

#[tokio::test]
async fn q76_a_registry_in_trouble_is_not_one_without_the_api() {
    let server = Registry::start();
    let image = server.add(REPO, Some("1"), &two());
    for status in [429, 500, 503] {
        server.fail(
            Fault::on("GET", "/referrers/")
                .always()
                .then(Action::status(status)),
        );
        let subject: Digest = image.parse().unwrap();
        source(&server).referrers(&subject).await.unwrap_err();
        server.heal();
    }
}

#[tokio::test]
async fn q39_q76_what_nothing_refers_to_has_an_empty_list() {
    for server in [Registry::start(), without_api()] {
        let image = server.add(REPO, Some("1"), &two());
        assert_eq!(listed(&server, &image).await, [""; 0]);
    }
}

/// Copies the image and its signature.
async fn copy_signed(here: &Registry, there: &Registry) -> (String, String) {
    let image = here.add(REPO, Some("1"), &two());
    let signature = sign(here, &image, "signature");
    for tag in ["1", "signature"] {
        copy_of(&at(here, REPO, tag), &at(there, REPO, tag))
            .await
            .unwrap();
    }
    (image, signature)
}

#[tokio::test]
async fn q76_a_registry_with_the_api_gets_no_tag() {
    let (here, there) = (Registry::start(), Registry::start());
    let (image, signature) = copy_signed(&here, &there).await;
    assert_eq!(there.tags(REPO), ["1", "signature"]);
    assert_eq!(listed(&there, &image).await, [signature]);
}

#[tokio::test]
async fn q56_q76_a_registry_without_the_api_gets_a_tag() {
    let (here, there) = (Registry::start(), without_api());
    let (image, signature) = copy_signed(&here, &there).await;
    let list = there.manifest(REPO, &fallback(&image)).unwrap();
    assert_eq!(list.media_type, OCI_INDEX);
    let entry = &list.json()["manifests"][0];
    assert_eq!(entry["digest"], signature);
    assert_eq!(entry["artifactType"], SIGNATURE);
    assert_eq!(entry["annotations"]["by"], "signature");
    assert_eq!(listed(&there, &image).await, [signature]);
}

#[tokio::test]
async fn q07_a_registry_that_only_claims_the_api_gets_a_tag() {
    let (here, there) = (Registry::start(), without_api());
    let claim = Action::header("OCI-Subject", "sha256:whatever");
    there.fail(Fault::on("PUT", "/manifests/").always().then(claim));
    let (image, signature) = copy_signed(&here, &there).await;
    assert_eq!(listed(&there, &image).await, [signature]);
}

#[tokio::test]
async fn q76_what_is_on_the_list_at_the_tag_stays() {
    let (here, there) = (Registry::start(), without_api());
    let image = there.add(REPO, Some("1"), &two());
    let older = sign(&there, &image, "older");
    let stored = there.manifest(REPO, &older).unwrap();
    let mut entry = descriptor(&stored.media_type, &stored.bytes);
    entry["x-unknown"] = json!({ "kept": true });
    list_by_tag(&there, &image, &entry);
    let (_, newer) = copy_signed(&here, &there).await;
    let list = there.manifest(REPO, &fallback(&image)).unwrap().json();
    assert_eq!(list["manifests"][0], entry);
    assert_eq!(list["manifests"][1]["digest"], newer);
    // A second copy adds nothing.
    there.forget();
    copy_of(
        &at(&here, REPO, "signature"),
        &at(&there, REPO, "signature"),
    )
    .await
    .unwrap();
    assert_eq!(there.count("PUT", "/"), 0);
}

#[tokio::test]
async fn q76_two_at_once_lose_nothing_of_each_other() {
    let (here, there) = (Registry::start(), without_api());
    let image = here.add(REPO, Some("1"), &two());
    there.add(REPO, Some("1"), &two());
    let names = ["a", "b", "c", "d"];
    let mut signatures = names.map(|name| sign(&here, &image, name));
    signatures.sort();
    let shared = registries();
    let all = names.map(|name| {
        let (from, to) = (at(&here, REPO, name), at(&there, REPO, name));
        let shared = &shared;
        async move { copy_by(shared, &from, &to).await }
    });
    for copied in futures_util::future::join_all(all).await {
        copied.unwrap();
    }
    let mut found = listed(&there, &image).await;
    found.sort();
    assert_eq!(found, signatures);
}
