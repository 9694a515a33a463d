//! What it takes, and what it refuses.

use serde_json::{Value, json};

use crate::support::registry::{
    DOCKER_MANIFEST, Form, Image, Locations, OCI_INDEX, OCI_MANIFEST, Options, Registry,
    descriptor, digest,
};
use crate::{REPO, and_digest, ask, code_of, header, location, send, status};

#[tokio::test]
async fn a_blob_is_taken_whole_or_in_chunks_at_every_form_of_location() {
    for locations in [
        Locations::Stateful,
        Locations::Signed,
        Locations::Absolute,
        Locations::Relative,
        Locations::RelativeStateful,
    ] {
        let registry = Registry::with(Options {
            locations,
            ..Options::default()
        });
        let start = || ask(&registry, "POST", &format!("{REPO}/blobs/uploads/"));
        for bytes in [&b""[..], b"the whole of it"] {
            let name = digest("sha256", bytes);
            let begun = send(start()).await;
            assert_eq!(
                (begun.status().as_u16(), header(&begun, "range").as_str()),
                (202, "0-0")
            );
            let to = and_digest(&location(&registry, &begun), &name);
            let done = send(ask(&registry, "PUT", &to).body(bytes.to_vec())).await;
            assert_eq!(done.status(), 201, "{locations:?}");
            assert_eq!(header(&done, "docker-content-digest"), name);
            assert_eq!(
                location(&registry, &done),
                registry.url(&format!("/v2/{REPO}/blobs/{name}"))
            );
            assert_eq!(registry.blob(REPO, &name).unwrap(), bytes);
        }
        let name = digest("sha512", b"abcdefghij");
        let mut at = location(&registry, &send(start()).await);
        for (range, piece, told) in [("0-3", "abcd", "0-3"), ("4-8", "efghi", "0-8")] {
            let patch = ask(&registry, "PATCH", &at).header("Content-Range", range);
            let taken = send(patch.body(piece)).await;
            assert_eq!(
                (taken.status().as_u16(), header(&taken, "range").as_str()),
                (202, told)
            );
            at = location(&registry, &taken);
        }
        let told = send(ask(&registry, "GET", &at)).await;
        assert_eq!(
            (told.status().as_u16(), header(&told, "range").as_str()),
            (204, "0-8")
        );
        let to = and_digest(&location(&registry, &told), &name);
        assert_eq!(status(ask(&registry, "PUT", &to).body("j")).await, 201);
        assert_eq!(registry.blob(REPO, &name).unwrap(), "abcdefghij");
        assert_eq!(registry.open_uploads(), 0);
    }
}

#[tokio::test]
async fn an_upload_that_goes_wrong_is_refused_as_in_distribution() {
    let registry = Registry::start();
    let start = async || {
        let begun = send(ask(&registry, "POST", &format!("{REPO}/blobs/uploads/"))).await;
        location(&registry, &begun)
    };
    let name = digest("sha256", b"abcd");
    // The wrong digest ends the session.
    let to = and_digest(&start().await, &name);
    let wrong = send(ask(&registry, "PUT", &to).body("abce")).await;
    assert_eq!(code_of(wrong).await, (400, "DIGEST_INVALID".to_string()));
    let again = send(ask(&registry, "PUT", &to).body("abcd")).await;
    assert_eq!(
        code_of(again).await,
        (404, "BLOB_UPLOAD_UNKNOWN".to_string())
    );
    // An old location knows an old offset; the status tells the new one.
    let first = start().await;
    let patched = send(ask(&registry, "PATCH", &first).body("ab")).await;
    assert_eq!(patched.status(), 202);
    let stale = send(ask(&registry, "PATCH", &first).body("cd")).await;
    assert_eq!(
        (stale.status().as_u16(), header(&stale, "range").as_str()),
        (416, "0-1")
    );
    let fresh = location(&registry, &send(ask(&registry, "GET", &first)).await);
    let gap = ask(&registry, "PATCH", &fresh).header("Content-Range", "3-4");
    assert_eq!(status(gap.body("cd")).await, 416);
    let lie = ask(&registry, "PATCH", &fresh).header("Content-Range", "2-9");
    assert_eq!(code_of(send(lie.body("cd")).await).await.1, "SIZE_INVALID");
    let touched = fresh.replace("%3D%3D", "%3D");
    let touched = send(ask(&registry, "PATCH", &touched).body("cd")).await;
    assert_eq!(code_of(touched).await.1, "BLOB_UPLOAD_INVALID");
    // A session can be given up, or be lost.
    assert_eq!(status(ask(&registry, "DELETE", &fresh)).await, 204);
    assert_eq!(status(ask(&registry, "GET", &fresh)).await, 404);
    let lost = start().await;
    registry.forget_uploads();
    assert_eq!(status(ask(&registry, "PATCH", &lost).body("ab")).await, 404);
    assert_eq!(registry.blobs(REPO), [""; 0]);
}

#[tokio::test]
async fn a_signed_location_must_come_back_byte_for_byte() {
    for (locations, expected) in [(Locations::Stateful, 202), (Locations::Signed, 400)] {
        let registry = Registry::with(Options {
            locations,
            ..Options::default()
        });
        let begun = send(ask(&registry, "POST", &format!("{REPO}/blobs/uploads/"))).await;
        let touched = location(&registry, &begun)
            .replace("%2b", "%2B")
            .replace("%7E", "~");
        assert_eq!(
            status(ask(&registry, "PATCH", &touched).body("a")).await,
            expected
        );
    }
}

#[tokio::test]
async fn a_registry_can_have_other_manners() {
    let name = digest("sha256", b"small");
    let post = |registry: &Registry| {
        ask(
            registry,
            "POST",
            &format!("{REPO}/blobs/uploads/?digest={name}"),
        )
        .body("small")
    };
    let single = Registry::with(Options {
        single_post: true,
        ..Options::default()
    });
    assert_eq!(status(post(&single)).await, 201);
    assert_eq!(single.blob(REPO, &name).unwrap(), "small");
    let ordinary = Registry::start();
    assert_eq!(status(post(&ordinary)).await, 202);
    assert_eq!(ordinary.blob(REPO, &name), None);

    let lax = Registry::with(Options {
        lax: true,
        checks_references: false,
        ..Options::default()
    });
    let begun = send(ask(&lax, "POST", &format!("{REPO}/blobs/uploads/"))).await;
    let to = and_digest(&location(&lax, &begun), &name);
    assert_eq!(status(ask(&lax, "PUT", &to).body("wrong")).await, 201);
    assert_eq!(lax.blob(REPO, &name).unwrap(), "wrong");
    let manifest = Image::new(Form::OciGzip, &[1], 1).manifest;
    let put = ask(&lax, "PUT", &format!("{REPO}/manifests/a")).header("Content-Type", OCI_MANIFEST);
    assert_eq!(status(put.body(manifest)).await, 201);
}

#[tokio::test]
async fn tags_and_chunks_can_have_rules_of_their_own() {
    let ordinary = Registry::start();
    let tagging = Registry::with(Options {
        tag_parameters: true,
        ..Options::default()
    });
    for registry in [&tagging, &ordinary] {
        let root = registry.add_image(REPO, "a", &[1], 1);
        let stored = registry.manifest(REPO, &root).unwrap();
        let put = ask(
            registry,
            "PUT",
            &format!("{REPO}/manifests/{root}?tag=b&tag=c"),
        );
        let put = put.header("Content-Type", OCI_MANIFEST).body(stored.bytes);
        assert_eq!(status(put).await, 201);
    }
    assert_eq!(tagging.tags(REPO), ["a", "b", "c"]);
    assert_eq!(ordinary.tags(REPO), ["a"]);

    let chunks = Registry::with(Options {
        chunk_min: Some(3),
        ..Options::default()
    });
    let begun = send(ask(&chunks, "POST", &format!("{REPO}/blobs/uploads/"))).await;
    assert_eq!(header(&begun, "oci-chunk-min-length"), "3");
    let first = send(ask(&chunks, "PATCH", &location(&chunks, &begun)).body("123")).await;
    let short = send(ask(&chunks, "PATCH", &location(&chunks, &first)).body("12")).await;
    assert_eq!(short.status(), 202, "it may be the last");
    let more = ask(&chunks, "PATCH", &location(&chunks, &short)).body("123");
    assert_eq!(code_of(send(more).await).await.1, "SIZE_INVALID");
}

#[tokio::test]
async fn a_blob_can_be_mounted_from_another_repository() {
    let registry = Registry::start();
    let name = registry.add_blob("other", "x");
    let mount = |digest: &str, rest: &str| {
        ask(
            &registry,
            "POST",
            &format!("{REPO}/blobs/uploads/?mount={digest}{rest}"),
        )
    };
    let none = digest("sha256", b"none");
    assert_eq!(status(mount(&none, "&from=other")).await, 202);
    assert_eq!(status(mount(&name, "&from=nowhere")).await, 202);
    assert_eq!(status(mount(&name, "")).await, 202);
    assert_eq!(registry.open_uploads(), 3);
    assert_eq!(registry.blobs(REPO), [""; 0]);
    assert_eq!(status(mount(&name, "&from=other")).await, 201);
    assert_eq!(registry.blob(REPO, &name).unwrap(), "x");

    let without = Registry::with(Options {
        mounts: false,
        ..Options::default()
    });
    without.add_blob("other", "x");
    let path = format!("{REPO}/blobs/uploads/?mount={name}&from=other");
    assert_eq!(status(ask(&without, "POST", &path)).await, 202);
}

#[tokio::test]
async fn a_manifest_needs_what_it_refers_to() {
    let registry = Registry::start();
    let image = Image::new(Form::DockerGzip, &[10], 1);
    let put = |reference: &str, media_type: &str, body: bytes::Bytes| {
        let put = ask(&registry, "PUT", &format!("{REPO}/manifests/{reference}"));
        put.header("Content-Type", media_type).body(body)
    };
    let whole = || put("a", DOCKER_MANIFEST, image.manifest.clone());
    assert_eq!(
        code_of(send(whole()).await).await,
        (400, "MANIFEST_BLOB_UNKNOWN".to_string())
    );
    assert_eq!(registry.tags(REPO), [""; 0]);
    assert_eq!(
        status(ask(&registry, "GET", &format!("{REPO}/tags/list"))).await,
        404
    );
    for blob in &image.blobs {
        registry.add_blob(REPO, blob.clone());
    }
    let name = digest("sha256", &image.manifest);
    let index =
        json!({ "schemaVersion": 2, "manifests": [descriptor(DOCKER_MANIFEST, &image.manifest)] });
    let index = || put("index", OCI_INDEX, index.to_string().into());
    assert_eq!(
        code_of(send(index()).await).await.1,
        "MANIFEST_BLOB_UNKNOWN"
    );
    let done = send(whole()).await;
    assert_eq!(
        (
            done.status().as_u16(),
            header(&done, "docker-content-digest")
        ),
        (201, name.clone())
    );
    assert_eq!(status(index()).await, 201);
    assert_eq!(
        status(put(&name, DOCKER_MANIFEST, image.manifest.clone())).await,
        201
    );

    let other = digest("sha256", b"other");
    let other = put(&other, DOCKER_MANIFEST, image.manifest.clone());
    assert_eq!(code_of(send(other).await).await.1, "DIGEST_INVALID");
    let typed = put("b", OCI_MANIFEST, image.manifest.clone());
    assert_eq!(code_of(send(typed).await).await.1, "MANIFEST_INVALID");
    assert_eq!(
        code_of(send(put("b", OCI_MANIFEST, "{".into())).await)
            .await
            .1,
        "MANIFEST_INVALID"
    );
    let large = format!("{{}}{}", " ".repeat(4 << 20));
    assert_eq!(status(put("b", OCI_MANIFEST, large.into())).await, 413);
    assert_eq!(registry.tags(REPO), ["a", "index"]);
    registry.assert_whole(REPO);
}

#[tokio::test]
async fn a_layer_that_is_elsewhere_need_not_be_here() {
    let registry = Registry::start();
    let config = descriptor("application/vnd.oci.image.config.v1+json", b"{}");
    registry.add_blob(REPO, "{}");
    let mut layer = descriptor(
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        b"x",
    );
    let manifest =
        |layer: &Value| json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    let put = |layer: &Value| {
        let put = ask(&registry, "PUT", &format!("{REPO}/manifests/a"));
        put.header("Content-Type", OCI_MANIFEST)
            .body(manifest(layer).to_string())
    };
    assert_eq!(status(put(&layer)).await, 201);
    layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
    assert_eq!(status(put(&layer)).await, 400);
    layer["urls"] = json!(["https://elsewhere.test/x"]);
    assert_eq!(status(put(&layer)).await, 201);
}

#[test]
#[should_panic = "lacks these"]
fn assert_whole_notices_what_is_missing() {
    let registry = Registry::start();
    registry.add_image(REPO, "a", &[1], 1);
    registry.delete_blob(REPO, &registry.blobs(REPO)[0]);
    registry.assert_whole(REPO);
}

#[test]
#[should_panic = "is something else"]
fn assert_whole_notices_what_is_wrong() {
    let registry = Registry::start();
    registry.add_blob_as(REPO, &digest("sha256", b"a"), "b");
    registry.assert_whole(REPO);
}
