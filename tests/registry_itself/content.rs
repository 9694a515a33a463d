//! What it holds, and how it gives that.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::support::registry::{
    DOCKER_LIST, DOCKER_MANIFEST, Form, Image, OCI_INDEX, OCI_MANIFEST, Options, Registry,
    descriptor, digest,
};
use crate::{ALL_TYPES, REPO, ask, code_of, header, json_of, send, status, with_blob};

#[tokio::test]
async fn an_image_is_given_as_it_was_added_and_really_unpacks() {
    let registry = Registry::start();
    let root = registry.add_image(REPO, "1", &[1000, 0], 3);
    assert_eq!(registry.tag_of(REPO, "1").as_ref(), Some(&root));
    registry.assert_whole(REPO);
    assert_eq!(status(ask(&registry, "GET", "")).await, 200);

    let manifest = format!("{REPO}/manifests/1");
    let head = send(ask(&registry, "HEAD", &manifest).header("Accept", ALL_TYPES)).await;
    assert_eq!(header(&head, "docker-content-digest"), root);
    let got = send(ask(&registry, "GET", &manifest).header("Accept", ALL_TYPES)).await;
    assert_eq!(header(&got, "content-type"), OCI_MANIFEST);
    assert_eq!(
        header(&got, "content-length"),
        header(&head, "content-length")
    );
    let bytes = got.bytes().await.unwrap();
    assert_eq!(digest("sha256", &bytes), root);

    let document: Value = serde_json::from_slice(&bytes).unwrap();
    let blob = async |descriptor: &Value| {
        let path = format!("{REPO}/blobs/{}", descriptor["digest"].as_str().unwrap());
        let bytes = send(ask(&registry, "GET", &path))
            .await
            .bytes()
            .await
            .unwrap();
        assert_eq!(json!(digest("sha256", &bytes)), descriptor["digest"]);
        assert_eq!(json!(bytes.len()), descriptor["size"]);
        bytes
    };
    let config: Value = serde_json::from_slice(&blob(&document["config"]).await).unwrap();
    for (at, size) in [1000, 0].into_iter().enumerate() {
        let layer = blob(&document["layers"][at]).await;
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*layer)
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(
            json!(digest("sha256", &plain)),
            config["rootfs"]["diff_ids"][at]
        );
        let mut tar = tar::Archive::new(&*plain);
        let sizes: Vec<u64> = tar
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().size())
            .collect();
        assert_eq!(sizes, [size]);
    }
    assert_ne!(registry.add_image(REPO, "2", &[1000, 0], 4), root);
    assert_eq!(registry.add_image("else", "1", &[1000, 0], 3), root);
}

#[tokio::test]
async fn what_is_not_there_is_said_with_its_code() {
    let registry = Registry::start();
    registry.add_blob(REPO, "x");
    let none = digest("sha256", b"none");
    for (path, expected) in [
        (format!("{REPO}/blobs/{none}"), (404, "BLOB_UNKNOWN")),
        (format!("{REPO}/blobs/sha256:1"), (400, "DIGEST_INVALID")),
        (format!("{REPO}/manifests/no"), (404, "MANIFEST_UNKNOWN")),
        (format!("{REPO}/manifests/-no"), (400, "TAG_INVALID")),
        (format!("{REPO}/manifests/md5:1"), (400, "DIGEST_INVALID")),
        ("no/where/tags/list".to_string(), (404, "NAME_UNKNOWN")),
        (
            format!("{REPO}/blobs/uploads/no"),
            (404, "BLOB_UPLOAD_UNKNOWN"),
        ),
        (
            format!("{REPO}/tags/list?n=x"),
            (400, "PAGINATION_NUMBER_INVALID"),
        ),
    ] {
        let (status, code) = code_of(send(ask(&registry, "GET", &path)).await).await;
        assert_eq!((status, code.as_str()), expected, "{path}");
    }
    let head = send(ask(&registry, "HEAD", &format!("{REPO}/blobs/{none}"))).await;
    assert_eq!(head.status(), 404);
}

#[tokio::test]
async fn a_range_gives_these_bytes() {
    let (registry, bytes, path) = with_blob(100);
    for (range, expected, said) in [
        ("bytes=10-19", &bytes[10..20], "bytes 10-19/100"),
        ("bytes=90-", &bytes[90..], "bytes 90-99/100"),
        ("bytes=90-500", &bytes[90..], "bytes 90-99/100"),
        ("bytes=-5", &bytes[95..], "bytes 95-99/100"),
    ] {
        let got = send(ask(&registry, "GET", &path).header("Range", range)).await;
        assert_eq!(
            (
                got.status().as_u16(),
                header(&got, "content-range").as_str()
            ),
            (206, said)
        );
        assert_eq!(got.bytes().await.unwrap(), expected);
    }
    let beyond = send(ask(&registry, "GET", &path).header("Range", "bytes=100-")).await;
    assert_eq!(
        (
            beyond.status().as_u16(),
            header(&beyond, "content-range").as_str()
        ),
        (416, "bytes */100")
    );
    for (range, expected) in [
        ("bytes=0-1,5-6", 200),
        ("lines=1-2", 200),
        ("bytes=9-3", 416),
    ] {
        let asked = ask(&registry, "GET", &path).header("Range", range);
        assert_eq!(status(asked).await, expected, "{range}");
    }
    let changed = ask(&registry, "GET", &path).header("Range", "bytes=1-");
    assert_eq!(status(changed.header("If-Range", "\"other\"")).await, 200);
    assert_eq!(
        status(ask(&registry, "GET", &path).header("If-Match", "\"other\"")).await,
        412
    );
    let etag = header(&send(ask(&registry, "GET", &path)).await, "etag");
    let same = ask(&registry, "GET", &path).header("Range", "bytes=1-");
    assert_eq!(status(same.header("If-Range", etag)).await, 206);
}

#[tokio::test]
async fn accept_decides_as_in_distribution() {
    let registry = Registry::start();
    let oci = registry.add_image(REPO, "oci", &[1], 1);
    let docker = registry.add(REPO, Some("docker"), &Image::new(Form::DockerGzip, &[1], 2));
    let mut child = descriptor(
        DOCKER_MANIFEST,
        &registry.manifest(REPO, &docker).unwrap().bytes,
    );
    child["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    let list = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [child] });
    let list = registry.add_manifest(REPO, DOCKER_LIST, list.to_string(), Some("list"));
    let index = registry.add_index(REPO, "index", &[("arm64", &oci)]);

    let any = "*/*";
    for (reference, accept, expected) in [
        ("oci", any, None),
        (oci.as_str(), DOCKER_MANIFEST, None),
        (
            "oci",
            "a/b;q=1, application/vnd.oci.image.manifest.v1+json;q=0.5",
            Some(&oci),
        ),
        ("index", OCI_MANIFEST, None),
        ("index", OCI_INDEX, Some(&index)),
        ("docker", any, Some(&docker)),
        ("list", any, Some(&docker)),
        (list.as_str(), any, Some(&list)),
        ("list", DOCKER_LIST, Some(&list)),
    ] {
        let path = format!("{REPO}/manifests/{reference}");
        let got = send(ask(&registry, "GET", &path).header("Accept", accept)).await;
        let given = header(&got, "docker-content-digest");
        assert_eq!(
            given,
            expected.map_or("", |digest| digest),
            "{reference} {accept}"
        );
    }
    let path = format!("{REPO}/manifests/oci");
    let etag = format!("\"{oci}\"");
    let again = ask(&registry, "GET", &path).header("Accept", ALL_TYPES);
    assert_eq!(status(again.header("If-None-Match", etag)).await, 304);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let registry = Registry::with(Options {
        page_size: Some(2),
        ..Options::default()
    });
    let root = registry.add_image(REPO, "a", &[1], 1);
    for tag in ["c", "b", "d", "e"] {
        registry.set_tag(REPO, tag, &root);
    }
    let (mut next, mut tags, mut pages) = (format!("/v2/{REPO}/tags/list?n=50"), Vec::new(), 0);
    while !next.is_empty() {
        let got = send(ask(&registry, "GET", &registry.url(&next))).await;
        let link = header(&got, "link");
        next = link
            .split(['<', '>'])
            .nth(1)
            .unwrap_or_default()
            .to_string();
        assert!(
            link.is_empty() || link.ends_with("; rel=\"next\""),
            "{link}"
        );
        let page = json_of(got).await;
        tags.extend(page["tags"].as_array().unwrap().clone());
        pages += 1;
    }
    assert_eq!((json!(tags), pages), (json!(["a", "b", "c", "d", "e"]), 3));
    let none = send(ask(&registry, "GET", &format!("{REPO}/tags/list?n=0"))).await;
    assert_eq!(json_of(none).await["tags"], json!([]));
    let catalog = send(ask(&registry, "GET", "_catalog")).await;
    assert_eq!(json_of(catalog).await["repositories"], json!([REPO]));
}

#[tokio::test]
async fn referrers_are_listed_if_there_is_such_an_api() {
    let registry = Registry::start();
    let subject = registry.add_image(REPO, "a", &[1], 1);
    let config = registry.add_blob(REPO, "{}");
    let put = async |kind: &str| {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "layers": [],
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
            "subject": { "mediaType": OCI_MANIFEST, "digest": subject, "size": 1 },
            "annotations": { "k": kind },
        });
        let path = format!(
            "{REPO}/manifests/{}",
            digest("sha256", manifest.to_string().as_bytes())
        );
        let put = ask(&registry, "PUT", &path).header("Content-Type", OCI_MANIFEST);
        let put = send(put.body(manifest.to_string())).await;
        assert_eq!(
            (put.status().as_u16(), header(&put, "oci-subject")),
            (201, subject.clone())
        );
    };
    put("a/sbom").await;
    put("a/signature").await;
    let path = format!("{REPO}/referrers/{subject}");
    let all = send(ask(&registry, "GET", &path)).await;
    assert_eq!(header(&all, "content-type"), OCI_INDEX);
    assert_eq!(json_of(all).await["manifests"].as_array().unwrap().len(), 2);
    let one = send(ask(
        &registry,
        "GET",
        &format!("{path}?artifactType=a/sbom"),
    ))
    .await;
    assert_eq!(header(&one, "oci-filters-applied"), "artifactType");
    let one = json_of(one).await;
    assert_eq!(one["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(one["manifests"][0]["artifactType"], "a/sbom");
    assert_eq!(one["manifests"][0]["annotations"]["k"], "a/sbom");
    let nowhere = format!("nowhere/referrers/{subject}");
    assert_eq!(status(ask(&registry, "GET", &nowhere)).await, 200);
    let nobody = format!("{REPO}/referrers/{}", digest("sha256", b""));
    assert_eq!(
        json_of(send(ask(&registry, "GET", &nobody)).await).await["manifests"],
        json!([])
    );

    let without = Registry::with(Options {
        referrers_api: false,
        ..Options::default()
    });
    without.add_image(REPO, "a", &[1], 1);
    assert_eq!(status(ask(&without, "GET", &path)).await, 404);
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let registry = Registry::start();
    let root = registry.add_image(REPO, "a", &[1], 1);
    registry.set_tag(REPO, "b", &root);
    let blob = registry.blobs(REPO).remove(0);
    assert_eq!(
        status(ask(&registry, "DELETE", &format!("{REPO}/blobs/{blob}"))).await,
        202
    );
    assert_eq!(
        status(ask(&registry, "HEAD", &format!("{REPO}/blobs/{blob}"))).await,
        404
    );
    assert_eq!(
        status(ask(&registry, "DELETE", &format!("{REPO}/manifests/a"))).await,
        202
    );
    assert_eq!(registry.tags(REPO), ["b"]);
    assert_eq!(
        status(ask(
            &registry,
            "DELETE",
            &format!("{REPO}/manifests/{root}")
        ))
        .await,
        202
    );
    assert_eq!(registry.tags(REPO), [""; 0]);
    assert_eq!(
        status(ask(
            &registry,
            "DELETE",
            &format!("{REPO}/manifests/{root}")
        ))
        .await,
        404
    );
}
