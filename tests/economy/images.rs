//! One image, from registry to registry.

use imgcopy::copy::{Companions, Job};

use crate::kit::{REPO, asked, at, copy_of, copy_with, registries, sha256, writes};
use crate::support::registry::{Form, Image, Registry};
use crate::{changed, five};

#[tokio::test]
async fn r18_an_unchanged_image_takes_one_question_at_each_side() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    copy_of(&from, &to).await.unwrap();
    for server in [&here, &there] {
        server.forget();
    }
    let outcome = copy_of(&from, &to).await.unwrap();
    asked(&here, &[("HEAD tag", 1)]);
    asked(&there, &[("HEAD tag", 1)]);
    assert_eq!(outcome.moved, 0);
}

#[tokio::test]
async fn p01_a_new_image_takes_three_requests_for_each_blob_and_two_for_its_name() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    asked(&here, &[("GET tag", 1), ("GET blob", 6)]);
    asked(
        &there,
        &[
            ("HEAD tag", 1),
            ("HEAD blob", 6),
            ("POST upload", 6),
            ("PUT upload", 6),
            ("PUT tag", 1),
        ],
    );
    there.assert_whole(REPO);
}

#[tokio::test]
async fn what_belongs_to_an_image_is_asked_for_once_where_it_is_new() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    let default = |job: &mut Job<'_>| job.companions = Companions::default();
    copy_with(&registries(), &from, &to, default).await.unwrap();
    // Those of cosign's tags that are not there: the first answer is asked for twice (Q-14).
    asked(
        &here,
        &[
            ("GET tag", 2),
            ("GET blob", 6),
            ("GET referrers", 1),
            ("HEAD tag", 3),
        ],
    );
    here.forget();
    copy_with(&registries(), &from, &to, default).await.unwrap();
    asked(&here, &[("HEAD tag", 1)]);
}

#[tokio::test]
async fn p05_of_a_changed_tag_only_new_blobs_are_asked_for() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    copy_of(&from, &to).await.unwrap();
    let new = changed();
    here.add(REPO, Some("1"), &new);
    for server in [&here, &there] {
        server.forget();
    }
    let outcome = copy_of(&from, &to).await.unwrap();
    assert_eq!((outcome.moved, outcome.kept), (2, 4));
    asked(
        &here,
        &[
            ("HEAD tag", 1),
            ("GET manifest by digest", 1),
            ("GET blob", 2),
        ],
    );
    asked(
        &there,
        &[
            ("HEAD tag", 1),
            // Whether the new image is there already, and what is known from the old one.
            ("HEAD manifest by digest", 1),
            ("GET manifest by digest", 1),
            ("HEAD blob", 2),
            ("POST upload", 2),
            ("PUT upload", 2),
            ("PUT tag", 1),
        ],
    );
    assert_eq!(there.tag_of(REPO, "1").unwrap(), sha256(&new.manifest));
}

#[tokio::test]
async fn another_tag_of_the_same_repository_needs_no_blob() {
    let server = Registry::start();
    server.add(REPO, Some("1"), &five());
    copy_of(&at(&server, REPO, "1"), &at(&server, REPO, "2"))
        .await
        .unwrap();
    asked(&server, &[("GET tag", 1), ("HEAD tag", 1), ("PUT tag", 1)]);
    assert_eq!(server.tag_of(REPO, "1"), server.tag_of(REPO, "2"));
}

#[tokio::test]
async fn an_image_that_went_back_to_an_older_one_needs_no_blob() {
    let (here, there) = (Registry::start(), Registry::start());
    let old = here.add(REPO, Some("1"), &five());
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    copy_of(&from, &to).await.unwrap();
    here.add(REPO, Some("1"), &changed());
    copy_of(&from, &to).await.unwrap();
    here.set_tag(REPO, "1", &old);
    for server in [&here, &there] {
        server.forget();
    }
    copy_of(&from, &to).await.unwrap();
    assert_eq!(here.count("*", "/blobs/") + there.count("*", "/blobs/"), 0);
    assert_eq!(writes(&there), 1);
    assert_eq!(there.tag_of(REPO, "1").unwrap(), old);
}

#[tokio::test]
async fn q02_children_that_the_destination_has_are_not_fetched() {
    let (here, there) = (Registry::start(), Registry::start());
    let image = |seed| Image::new(Form::OciGzip, &[2000, 1000], seed);
    let mut children = [1, 2, 3].map(|seed| here.add(REPO, None, &image(seed)));
    let index = |children: &[String; 3]| {
        let platforms = ["amd64", "arm64", "riscv64"];
        let of: Vec<_> = platforms
            .into_iter()
            .zip(children.iter().map(String::as_str))
            .collect();
        here.add_index(REPO, "1", &of)
    };
    index(&children);
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    copy_of(&from, &to).await.unwrap();
    // One of three platforms is built anew.
    children[2] = here.add(REPO, None, &image(4));
    let new = index(&children);
    for server in [&here, &there] {
        server.forget();
    }
    copy_of(&from, &to).await.unwrap();
    asked(
        &here,
        &[
            ("HEAD tag", 1),
            ("GET manifest by digest", 2),
            ("GET blob", 3),
        ],
    );
    assert_eq!(here.count("GET", &format!("/manifests/{}", children[2])), 1);
    assert_eq!(there.count("POST", "/blobs/uploads/"), 3);
    assert_eq!(there.count("PUT", "/manifests/"), 2);
    assert_eq!(there.tag_of(REPO, "1").unwrap(), new);
    there.assert_whole(REPO);
}

#[tokio::test]
async fn q81_what_an_image_names_twice_moves_once() {
    let (here, there) = (Registry::start(), Registry::start());
    let child = here.add(REPO, None, &five());
    here.add_index(REPO, "1", &[("amd64", &child), ("arm64", &child)]);
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(here.count("GET", &format!("/manifests/{child}")), 1);
    assert_eq!(here.count("GET", "/blobs/"), 6);
    assert_eq!(there.count("PUT", "/blobs/uploads/"), 6);
    assert_eq!(there.count("PUT", "/manifests/"), 2);
    there.assert_whole(REPO);
}

#[tokio::test]
async fn r19_the_same_layer_several_times_in_an_image_moves_once() {
    let (here, there) = (Registry::start(), Registry::start());
    let config = here.add_blob(REPO, r#"{"architecture":"amd64","os":"linux"}"#);
    let layer = here.add_blob(REPO, "a layer");
    let named = |kind: &str, digest: &str| {
        let size = here.blob(REPO, digest).unwrap().len();
        serde_json::json!({ "mediaType": kind, "digest": digest, "size": size })
    };
    let layers = vec![named("application/vnd.oci.image.layer.v1.tar", &layer); 5];
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": named("application/vnd.oci.image.config.v1+json", &config),
        "layers": layers,
    });
    let media_type = crate::support::registry::OCI_MANIFEST;
    here.add_manifest(REPO, media_type, manifest.to_string(), Some("1"));
    copy_with(
        &registries(),
        &at(&here, REPO, "1"),
        &at(&there, REPO, "1"),
        |_| {},
    )
    .await
    .unwrap();
    assert_eq!(here.count("GET", &layer), 1);
    assert_eq!(there.count("HEAD", &layer), 1);
    assert_eq!(there.count("PUT", "/blobs/uploads/"), 2);
    there.assert_whole(REPO);
}
