//! What manifests can be.

use bytes::Bytes;
use imgcopy::error::ErrorKind;
use serde_json::{Value, json};

use crate::kit::{REPO, at, copy_of, directory, fails};
use crate::support::registry::{OCI_INDEX, OCI_MANIFEST, Registry, descriptor, digest};
use crate::support::{tempdir, told};
use crate::two;

const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// Stores a manifest of these blobs; the first one is its config.
fn add(server: &Registry, blobs: &[(&str, &str)], more: &Value) -> String {
    for (_, content) in blobs {
        server.add_blob(REPO, content.to_string());
    }
    let named: Vec<Value> = blobs
        .iter()
        .map(|(kind, content)| descriptor(kind, content.as_bytes()))
        .collect();
    let mut manifest = json!({ "schemaVersion": 2, "config": named[0], "layers": named[1..] });
    for (key, value) in more.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    server.add_manifest(REPO, OCI_MANIFEST, manifest.to_string(), Some("1"))
}

/// Copies on to a second registry, and from there into a directory: all of it byte for byte.
async fn travels(here: &Registry, digest: &str) {
    let there = Registry::start();
    let folder = tempdir();
    let (from, to) = (at(here, REPO, "1"), at(&there, REPO, "1"));
    copy_of(&from, &to).await.unwrap();
    copy_of(&to, &directory(folder.path(), "1")).await.unwrap();
    assert_eq!(there.tag_of(REPO, "1").unwrap(), digest);
    for child in here.manifests(REPO) {
        assert_eq!(there.manifest(REPO, &child), here.manifest(REPO, &child));
    }
    there.assert_whole(REPO);
    assert_eq!(crate::support::assert_whole(folder.path()), ["1"]);
}

#[tokio::test]
async fn q79_artifacts_travel_untouched() {
    let here = Registry::start();
    let artifact = json!({ "mediaType": OCI_MANIFEST, "artifactType": "application/x.thing" });
    let blobs = [
        ("application/vnd.oci.empty.v1+json", "{}"),
        ("application/x.whatever+type", "anything at all"),
        ("", "a layer without a type"),
    ];
    let digest = add(&here, &blobs, &artifact);
    travels(&here, &digest).await;
}

#[tokio::test]
async fn q80_q81_indexes_travel_with_attestations_artifacts_and_nested_indexes() {
    let here = Registry::start();
    let image = here.add(REPO, None, &two());
    let empty = ("application/vnd.oci.empty.v1+json", "{}");
    let attestation = add(
        &here,
        &[empty, ("application/vnd.in-toto+json", "{\"a\":1}")],
        &json!({}),
    );
    let inner = here.add_index(REPO, "inner", &[("arm64", &image)]);
    let entry = |of: &str| {
        let stored = here.manifest(REPO, of).unwrap();
        descriptor(&stored.media_type, &stored.bytes)
    };
    let mut attested = entry(&attestation);
    attested["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    attested["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image,
    });
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [entry(&image), attested, entry(&inner), entry(&image)],
    });
    let digest = here.add_manifest(REPO, OCI_INDEX, index.to_string(), Some("1"));
    travels(&here, &digest).await;
}

#[tokio::test]
async fn q88_a_manifest_need_not_say_its_own_type() {
    let here = Registry::start();
    let blobs = [
        (
            "application/vnd.oci.image.config.v1+json",
            "{\"os\":\"linux\"}",
        ),
        ("application/vnd.oci.image.layer.v1.tar", "a layer"),
    ];
    let digest = add(&here, &blobs, &json!({}));
    assert!(
        here.manifest(REPO, &digest)
            .unwrap()
            .json()
            .get("mediaType")
            .is_none()
    );
    travels(&here, &digest).await;
}

#[tokio::test]
async fn q88_types_that_contradict_each_other_are_refused() {
    let here = Registry::start();
    let docker = crate::support::registry::DOCKER_MANIFEST;
    add(
        &here,
        &[("application/vnd.oci.image.config.v1+json", "{}")],
        &json!({ "mediaType": docker }),
    );
    let there = Registry::start();
    let error = fails(&at(&here, REPO, "1"), &at(&there, REPO, "1")).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{}", told(&error));
    assert_eq!(here.count("GET", "/blobs/"), 0);
}

#[tokio::test]
async fn q86_schema_1_is_refused_and_said_to_be_old() {
    let here = Registry::start();
    let old = json!({
        "schemaVersion": 1, "name": REPO, "tag": "1", "architecture": "amd64",
        "fsLayers": [{ "blobSum": digest("sha256", b"x") }],
        "history": [{ "v1Compatibility": "{}" }],
    });
    here.add_manifest(REPO, SCHEMA_1, old.to_string(), Some("1"));
    let there = Registry::start();
    let error = fails(&at(&here, REPO, "1"), &at(&there, REPO, "1")).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", told(&error));
    assert!(told(&error).contains("schema 1"), "{}", told(&error));
}

#[tokio::test]
async fn q83_layers_that_live_elsewhere_stay_there() {
    let here = Registry::start();
    let elsewhere = Registry::start();
    let config = r#"{"architecture":"amd64","os":"windows"}"#;
    here.add_blob(REPO, config);
    here.add_blob(REPO, "a layer");
    let mut foreign = descriptor(
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        b"not for you",
    );
    foreign["urls"] = json!([elsewhere.url("/layer")]);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [foreign, descriptor("application/vnd.oci.image.layer.v1.tar", b"a layer")],
    });
    let digest = here.add_manifest(REPO, OCI_MANIFEST, manifest.to_string(), Some("1"));
    let there = Registry::start();
    let outcome = copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(outcome.absent, 1);
    assert_eq!(there.tag_of(REPO, "1"), Some(digest));
    assert_eq!(elsewhere.log().len(), 0);
    let name = foreign["digest"].as_str().unwrap();
    assert_eq!(there.count("*", name), 0);
}

#[tokio::test]
async fn q84_blobs_of_no_and_two_bytes_travel() {
    let here = Registry::start();
    let blobs = [
        ("application/vnd.oci.empty.v1+json", "{}"),
        ("application/x.nothing", ""),
    ];
    let manifest = add(&here, &blobs, &json!({}));
    let there = Registry::start();
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(there.tag_of(REPO, "1"), Some(manifest));
    let empty = digest("sha256", b"");
    assert_eq!(there.blob(REPO, &empty), Some(Bytes::new()));
    let hex = empty.split_once(':').unwrap().1;
    let put = there.requests("PUT", hex).remove(0);
    assert_eq!(put.headers.get("content-length"), Some("0"));
}

#[tokio::test]
async fn q85_blobs_by_sha512_travel_and_the_registry_knows_beforehand() {
    let here = Registry::start();
    let content = b"named by another hash";
    let name = digest("sha512", content);
    here.add_blob_as(REPO, &name, content.to_vec());
    here.add_blob(REPO, "{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [{ "mediaType": "application/x.thing", "digest": name, "size": content.len() }],
    });
    let manifest = here.add_manifest(REPO, OCI_MANIFEST, manifest.to_string(), Some("1"));
    let there = Registry::start();
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(there.tag_of(REPO, "1"), Some(manifest));
    assert_eq!(there.blob(REPO, &name).unwrap(), &content[..]);
    assert_eq!(there.count("POST", "digest-algorithm=sha512"), 1);
    assert_eq!(there.count("POST", "digest-algorithm"), 1);
}
