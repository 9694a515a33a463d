//! Finding and reading manifests.

use imgcopy::error::ErrorKind;
use imgcopy::store::{Source as _, Store as _};

use crate::kit::{
    REPO, asked, at, copy_by, copy_of, destination, fails, kinds, registries, resolved, sha256,
    source, tag,
};
use crate::support::registry::{
    Action, DOCKER_LIST, Fault, Form, Image, OCI_INDEX, Options, Registry, Response, descriptor,
};
use crate::support::told;
use crate::two;

/// A registry with an image, and the digest of its manifest.
fn with_image() -> (Registry, String) {
    let server = Registry::start();
    let digest = server.add(REPO, Some("1"), &two());
    (server, digest)
}

#[tokio::test]
async fn q14_a_tag_is_missing_only_if_get_says_so_too() {
    let (server, digest) = with_image();
    server.fail(Fault::on("HEAD", "/manifests/").then(Action::status(404)));
    assert_eq!(resolved(&server, "1").await, Some(digest));
    asked(&server, &[("HEAD tag", 1), ("GET tag", 1)]);
    assert_eq!(resolved(&server, "none").await, None);
}

#[tokio::test]
async fn q52_a_head_that_is_forbidden_is_followed_by_a_get() {
    for status in [400, 403] {
        let (server, digest) = with_image();
        server.fail(
            Fault::on("HEAD", "/manifests/")
                .always()
                .then(Action::status(status)),
        );
        assert_eq!(resolved(&server, "1").await, Some(digest));
        assert_eq!(resolved(&server, "none").await, None);
    }
}

#[tokio::test]
async fn q71_a_registry_without_head_is_asked_so_once() {
    let (server, digest) = with_image();
    let refused = server.fail(Fault::on("HEAD", "/").always().then(Action::status(405)));
    let place = source(&server);
    for _ in 0..3 {
        let found = place.resolve(&tag("1")).await.unwrap().unwrap();
        assert_eq!(found.digest.to_string(), digest);
    }
    assert_eq!(refused.count(), 1);
    // And as a destination it gets the image all the same.
    let there = Registry::start();
    there.fail(Fault::on("HEAD", "/").always().then(Action::status(405)));
    copy_of(&at(&server, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(there.tag_of(REPO, "1"), Some(digest));
    there.assert_whole(REPO);
}

#[tokio::test]
async fn q63_q70_without_a_digest_in_the_header_it_is_computed() {
    for change in [
        Action::without_header("Docker-Content-Digest"),
        Action::header("Docker-Content-Digest", ""),
        Action::header("Docker-Content-Digest", "sha256:abc"),
        Action::header("Docker-Content-Digest", "latest"),
    ] {
        let (server, digest) = with_image();
        server.fail(Fault::on("*", "/manifests/").always().then(change));
        let there = Registry::start();
        assert_eq!(resolved(&server, "1").await.as_ref(), Some(&digest));
        let (from, to) = (at(&server, REPO, "1"), at(&there, REPO, "1"));
        copy_of(&from, &to).await.unwrap();
        // Nor does it cost blobs where nothing has changed.
        server.forget();
        copy_of(&from, &to).await.unwrap();
        asked(&server, &[("HEAD tag", 1), ("GET tag", 1)]);
        assert_eq!(there.tag_of(REPO, "1"), Some(digest));
    }
}

#[tokio::test]
async fn q70_what_is_asked_for_by_digest_needs_no_header() {
    let (server, digest) = with_image();
    server.fail(
        Fault::on("*", "/manifests/")
            .always()
            .then(Action::without_header("Docker-Content-Digest")),
    );
    let (from, to) = (at(&server, REPO, "1"), at(&server, REPO, "2"));
    copy_of(&from, &to).await.unwrap();
    assert_eq!(server.count("*", "/blobs/"), 0, "{:?}", kinds(&server));
    assert_eq!(server.tag_of(REPO, "2"), Some(digest));
}

#[tokio::test]
async fn s03_a_wrong_digest_in_the_header_does_not_spoil_right_bytes() {
    let (server, digest) = with_image();
    let wrong = Action::header("Docker-Content-Digest", &sha256(b"something else"));
    server.fail(Fault::on("GET", "/manifests/1").always().then(wrong));
    let found = source(&server).find(&tag("1")).await.unwrap().unwrap();
    assert_eq!(found.descriptor().digest.to_string(), digest);
}

#[tokio::test]
async fn s03_bytes_that_no_digest_names_are_refused() {
    let (server, _) = with_image();
    // A space at its end changes no meaning.
    let more = Action::extend(" ");
    server.fail(Fault::on("GET", "/manifests/1").always().then(more));
    let error = source(&server).find(&tag("1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", told(&error));
}

#[tokio::test]
async fn q35_q57_every_type_is_asked_for_by_its_name() {
    let server = Registry::start();
    let child = server.add(REPO, None, &Image::new(Form::DockerGzip, &[900], 1));
    let stored = server.manifest(REPO, &child).unwrap();
    let mut entry = descriptor(&stored.media_type, &stored.bytes);
    entry["platform"] = serde_json::json!({ "architecture": "amd64", "os": "linux" });
    let list = serde_json::json!({
        "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [entry],
    });
    let digest = server.add_manifest(REPO, DOCKER_LIST, list.to_string(), Some("1"));
    let there = Registry::start();
    copy_of(&at(&server, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(there.tag_of(REPO, "1"), Some(digest.clone()));
    assert_eq!(resolved(&server, "1").await, Some(digest));
    for request in server.requests("*", "/manifests/") {
        let accept: Vec<&str> = request.headers.all("accept").collect();
        let accept = accept.join(",");
        for kind in [OCI_INDEX, DOCKER_LIST] {
            assert!(accept.contains(kind), "{accept}");
        }
        assert!(!accept.contains('*'), "{accept}");
    }
}

#[tokio::test]
async fn q35_another_type_than_the_index_says_is_refused() {
    let server = Registry::start();
    let image = two();
    let child = server.add(REPO, None, &image);
    server.add_index(REPO, "1", &[("amd64", &child)]);
    let docker = crate::support::registry::DOCKER_MANIFEST;
    let other = Action::header("Content-Type", docker);
    server.fail(Fault::on("GET", &child).always().then(other));
    let there = Registry::start();
    let error = fails(&at(&server, REPO, "1"), &at(&there, REPO, "1")).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(told(&error).contains(docker), "{}", told(&error));
    assert_eq!(there.tags(REPO), [""; 0]);
}

#[tokio::test]
async fn q45_a_head_may_tell_the_size_of_another_form() {
    let (server, _) = with_image();
    let there = Registry::start();
    let (from, to) = (at(&server, REPO, "1"), at(&there, REPO, "1"));
    copy_of(&from, &to).await.unwrap();
    let new = server.add_image(REPO, "1", &[500], 2);
    let size = Action::header("Content-Length", "77");
    server.fail(Fault::on("HEAD", "/manifests/1").always().then(size));
    copy_of(&from, &to).await.unwrap();
    assert_eq!(there.tag_of(REPO, "1"), Some(new));
    for request in server.log().iter().chain(&there.log()) {
        assert_eq!(request.headers.get("accept-encoding"), Some("identity"));
    }
}

#[tokio::test]
async fn q65_a_type_that_says_nothing_does_not_hide_an_image() {
    let plain = [
        "application/octet-stream",
        "application/json",
        "text/plain",
        "binary/octet-stream",
    ];
    for media_type in plain {
        let (server, digest) = with_image();
        let change = Action::change(move |_, response: &mut Response| {
            response.headers.set("Content-Type", media_type);
            response.headers.remove("Docker-Content-Digest");
            response.headers.remove("ETag");
        });
        server.fail(Fault::on("*", "/manifests/").always().then(change));
        let there = Registry::start();
        copy_of(&at(&server, REPO, "1"), &at(&there, REPO, "1"))
            .await
            .unwrap();
        assert_eq!(there.tag_of(REPO, "1"), Some(digest), "{media_type}");
    }
}

#[tokio::test]
async fn q87_parameters_of_a_type_count_for_nothing_and_are_not_sent() {
    let (server, _) = with_image();
    let child = server.tag_of(REPO, "1").unwrap();
    let index = server.add_index(REPO, "2", &[("amd64", &child)]);
    let change = Action::change(|_, response: &mut Response| {
        let media_type = response.headers.get("Content-Type").unwrap_or_default();
        let with = format!("{media_type}; charset=utf-8");
        response.headers.set("Content-Type", with);
    });
    server.fail(Fault::on("*", "/manifests/").always().then(change));
    let there = Registry::start();
    copy_of(&at(&server, REPO, "2"), &at(&there, REPO, "2"))
        .await
        .unwrap();
    assert_eq!(there.tag_of(REPO, "2"), Some(index));
    for put in there.requests("PUT", "/manifests/") {
        let media_type = put.headers.get("content-type").unwrap();
        assert!(!media_type.contains(';'), "{media_type}");
    }
}

#[tokio::test]
async fn q39_q54_a_500_is_asked_again_and_not_for_ever() {
    let (server, digest) = with_image();
    let twice = Fault::on("GET", "/manifests/").times(2);
    let hits = server.fail(twice.then(Action::status(502)));
    let found = source(&server).find(&tag("1")).await.unwrap().unwrap();
    assert_eq!(found.descriptor().digest.to_string(), digest);
    assert_eq!(hits.count(), 2);
    server.forget();
    server.fail(
        Fault::on("GET", "/manifests/")
            .always()
            .then(Action::status(500)),
    );
    source(&server).find(&tag("1")).await.unwrap_err();
    assert!(server.log().len() <= 4);
}

#[tokio::test]
async fn q49_names_may_have_many_parts_and_blobs_may_be_elsewhere() {
    let cdn = Registry::start();
    let server = Registry::start();
    let path = "group/sub/team/app";
    let image = two();
    let digest = server.add(path, Some("1"), &image);
    for blob in &image.blobs {
        cdn.add_blob(path, blob.clone());
    }
    let away = Action::redirect_to_server(&cdn.origin());
    server.fail(Fault::on("GET", "/blobs/").always().then(away));
    let there = Registry::start();
    let shared = registries();
    copy_by(&shared, &at(&server, path, "1"), &at(&there, path, "1"))
        .await
        .unwrap();
    assert_eq!(cdn.count("GET", "/blobs/"), 3);
    assert_eq!(there.tag_of(path, "1"), Some(digest));
}

#[tokio::test]
async fn q94_a_blob_that_is_kept_elsewhere_is_there_and_its_signed_address_is_not_asked() {
    let cdn = Registry::start();
    let there = Registry::start();
    let image = two();
    for blob in &image.blobs {
        there.add_blob(REPO, blob.clone());
    }
    let away = Action::redirect_to_server(&cdn.origin());
    there.fail(Fault::on("HEAD", "/blobs/").always().then(away));
    let here = Registry::start();
    here.add(REPO, Some("1"), &image);
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(here.count("GET", "/blobs/"), 0);
    assert_eq!(there.count("POST", "/blobs/uploads/"), 0);
    assert_eq!(cdn.log().len(), 0);
}

#[tokio::test]
async fn q84_a_blob_of_no_bytes_is_read_without_a_range() {
    let server = Registry::start();
    let digest = server.add_blob(REPO, "");
    let named = imgcopy::image::Descriptor::new("".into(), digest.parse().unwrap(), 0);
    let blob = source(&server).blob(&named).await.unwrap();
    assert_eq!(blob.bytes(10).await.unwrap(), "");
    let asked = server.requests("GET", "/blobs/");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].headers.get("range"), None);
}

#[tokio::test]
async fn q95_nobody_but_a_mirror_is_told_of_a_namespace() {
    let (here, _) = with_image();
    let there = Registry::with(Options::default());
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    for request in here.log().iter().chain(&there.log()) {
        assert!(request.query.iter().all(|(name, _)| name != "ns"));
        assert_eq!(request.headers.get("oci-namespace"), None);
    }
    drop(destination(&there));
}
