//! Manifests and indexes.

use serde_json::{Value, json};

use super::{Operation, Story, ask, blobs::pushed, story};
use crate::support::registry::{
    DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, descriptor, digest,
};

const CONFIG: &str =
    r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
const LAYER: &str = "a layer";

/// An image of one layer; `note` makes it another one.
pub(super) fn image(media_type: &str, note: &str) -> String {
    let (config, layer) = match media_type {
        DOCKER_MANIFEST => (
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
        _ => (
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar",
        ),
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "annotations": { "note": note },
        "config": descriptor(config, CONFIG.as_bytes()),
        "layers": [descriptor(layer, LAYER.as_bytes())],
    });
    manifest.to_string()
}

fn index(media_type: &str, of: &str, child: &str) -> String {
    let mut child = descriptor(of, child.as_bytes());
    child["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [child] }).to_string()
}

/// Pushes what [`image`] refers to.
pub(super) fn pieces(repository: &str) -> Vec<Operation> {
    let mut operations = Vec::from(pushed(
        repository,
        CONFIG,
        ["begin the config", "end the config"],
    ));
    operations.extend(pushed(
        repository,
        LAYER,
        ["begin the layer", "end the layer"],
    ));
    operations
}

/// A manifest on its way.
pub(super) fn put(name: &'static str, path: &str, (media_type, body): (&str, &str)) -> Operation {
    let put = ask(name, "PUT", path).with("Content-Type", media_type);
    put.body(body.to_string()).gives(201)
}

pub(super) fn stories() -> Vec<Story> {
    let mut all = vec![
        by_tag(),
        by_digest(),
        index_of(OCI_INDEX, OCI_MANIFEST, ["an OCI index", "man/index"]),
    ];
    all.push(index_of(
        DOCKER_LIST,
        DOCKER_MANIFEST,
        ["a list of Docker's", "man/list"],
    ));
    all.extend([
        accepted(),
        refused(),
        missing(),
        deleted(),
        untagged(),
        subject(),
    ]);
    all
}

fn by_tag() -> Story {
    let manifest = image(OCI_MANIFEST, "a");
    let path = "man/tag/manifests/one";
    let read = |name, method| ask(name, method, path).with("Accept", OCI_MANIFEST);
    let name = digest("sha256", manifest.as_bytes());
    let etag = format!("\"{name}\"");
    let mut operations = pieces("man/tag");
    operations.extend([
        put("push", path, (OCI_MANIFEST, &manifest)),
        read("look", "HEAD"),
        read("read", "GET"),
        read("read what is known", "GET")
            .with("If-None-Match", &etag)
            .gives(304),
        read("read what is other", "GET").with("If-None-Match", "\"other\""),
        ask("read by digest", "GET", format!("man/tag/manifests/{name}"))
            .with("Accept", OCI_MANIFEST),
        put("push again", path, (OCI_MANIFEST, &manifest)),
        put(
            "move the tag",
            path,
            (OCI_MANIFEST, &image(OCI_MANIFEST, "b")),
        ),
        read("look at the moved tag", "HEAD"),
        ask(
            "the old one stays",
            "HEAD",
            format!("man/tag/manifests/{name}"),
        )
        .with("Accept", OCI_MANIFEST),
        ask("another method", "POST", path).gives(405),
    ]);
    story("manifest by tag", operations)
}

fn by_digest() -> Story {
    let manifest = image(DOCKER_MANIFEST, "a");
    let name = digest("sha256", manifest.as_bytes());
    let path = format!("man/digest/manifests/{name}");
    let mut operations = pieces("man/digest");
    operations.extend([
        put("push", &path, (DOCKER_MANIFEST, &manifest)),
        ask("look", "HEAD", &path).with("Accept", DOCKER_MANIFEST),
        ask("read", "GET", &path).with("Accept", DOCKER_MANIFEST),
        ask("read what may be escaped", "GET", path.replace(':', "%3A"))
            .with("Accept", DOCKER_MANIFEST),
        ask("no tag came", "GET", "man/digest/tags/list"),
    ]);
    story("manifest by digest", operations)
}

fn index_of(list: &str, of: &str, [name, repository]: [&'static str; 2]) -> Story {
    let child = image(of, "child");
    let index = index(list, of, &child);
    let (path, child_path) = (
        format!("{repository}/manifests/all"),
        format!(
            "{repository}/manifests/{}",
            digest("sha256", child.as_bytes())
        ),
    );
    let mut operations = pieces(repository);
    operations.extend([
        put("without its child", &path, (list, &index)).fails(400, "MANIFEST_BLOB_UNKNOWN"),
        put("its child", &child_path, (of, &child)),
        put("push", &path, (list, &index)),
        ask("look", "HEAD", &path).with("Accept", list),
        ask("read", "GET", &path).with("Accept", list),
    ]);
    story(name, operations)
}

fn accepted() -> Story {
    let (oci, docker) = (image(OCI_MANIFEST, "a"), image(DOCKER_MANIFEST, "a"));
    let child = format!(
        "man/accept/manifests/{}",
        digest("sha256", docker.as_bytes())
    );
    let list = index(DOCKER_LIST, DOCKER_MANIFEST, &docker);
    let listed = format!("man/accept/manifests/{}", digest("sha256", list.as_bytes()));
    let mut operations = pieces("man/accept");
    operations.extend([
        put("push oci", "man/accept/manifests/oci", (OCI_MANIFEST, &oci)),
        put("push docker", &child, (DOCKER_MANIFEST, &docker)),
        put(
            "push list",
            "man/accept/manifests/list",
            (DOCKER_LIST, &list),
        ),
        ask("oci of several", "GET", "man/accept/manifests/oci")
            .with("Accept", format!("a/b;q=1, {OCI_MANIFEST};q=0.5")),
        ask("oci in a second line", "GET", "man/accept/manifests/oci")
            .with("Accept", DOCKER_MANIFEST)
            .with("Accept", OCI_MANIFEST),
        ask("docker as anything", "GET", &child).with("Accept", "*/*"),
        ask(
            "list as an image, by tag",
            "GET",
            "man/accept/manifests/list",
        )
        .with("Accept", DOCKER_MANIFEST),
        ask("list as anything, by digest", "GET", &listed).with("Accept", "*/*"),
        ask("oci as anything", "GET", "man/accept/manifests/oci")
            .with("Accept", "*/*")
            .fails(404, "MANIFEST_UNKNOWN"),
        ask("oci as Docker's", "HEAD", "man/accept/manifests/oci")
            .with("Accept", DOCKER_MANIFEST)
            .gives(404),
    ]);
    story("accept", operations)
}

fn refused() -> Story {
    let manifest = image(OCI_MANIFEST, "a");
    let foreign = |urls: Value| {
        let mut document: Value = serde_json::from_str(&manifest).unwrap();
        let mut layer = descriptor(
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            b"elsewhere",
        );
        layer["urls"] = urls;
        document["layers"] = json!([layer]);
        document.to_string()
    };
    let other = digest("sha256", b"other");
    let path = "man/refused/manifests/a";
    let large = format!("{manifest}{}", " ".repeat(4 << 20));
    let mut operations = vec![
        put("without its blobs", path, (OCI_MANIFEST, &manifest))
            .fails(400, "MANIFEST_BLOB_UNKNOWN"),
        ask("nothing came", "GET", path)
            .with("Accept", OCI_MANIFEST)
            .fails(404, "MANIFEST_UNKNOWN"),
    ];
    operations.extend(pieces("man/refused"));
    operations.extend([
        put(
            "another digest",
            &format!("man/refused/manifests/{other}"),
            (OCI_MANIFEST, &manifest),
        )
        .fails(400, "DIGEST_INVALID"),
        put(
            "what is no digest",
            "man/refused/manifests/sha256:1",
            (OCI_MANIFEST, &manifest),
        )
        .fails(400, "DIGEST_INVALID"),
        put(
            "what is no tag",
            "man/refused/manifests/-a",
            (OCI_MANIFEST, &manifest),
        )
        .fails(400, "TAG_INVALID"),
        put("no JSON", path, (OCI_MANIFEST, "{")).fails(400, "MANIFEST_INVALID"),
        put("nothing", path, (OCI_MANIFEST, "")).fails(400, "MANIFEST_INVALID"),
        put("another type", path, (DOCKER_MANIFEST, &manifest)).fails(400, "MANIFEST_INVALID"),
        put("too large", path, (OCI_MANIFEST, &large)).fails(413, "SIZE_INVALID"),
        put(
            "a layer elsewhere",
            path,
            (OCI_MANIFEST, &foreign(json!(["https://elsewhere.test/x"]))),
        ),
    ]);
    story("refused manifest", operations)
}

fn missing() -> Story {
    let none = digest("sha256", b"none");
    let manifest = image(OCI_MANIFEST, "a");
    let get = |name, path: String| ask(name, "GET", path).with("Accept", OCI_MANIFEST);
    let mut operations = pieces("man/missing");
    operations.extend([
        put("push", "man/missing/manifests/a", (OCI_MANIFEST, &manifest)),
        get("by tag", "man/missing/manifests/none".into()).fails(404, "MANIFEST_UNKNOWN"),
        get("by digest", format!("man/missing/manifests/{none}")).fails(404, "MANIFEST_UNKNOWN"),
        get("in no repository", "man/nowhere/manifests/a".into()).fails(404, "MANIFEST_UNKNOWN"),
        get(
            "a digest that is none",
            "man/missing/manifests/sha256:1".into(),
        )
        .fails(400, "DIGEST_INVALID"),
        get("a tag that is none", "man/missing/manifests/-a".into()).fails(400, "TAG_INVALID"),
        ask("look", "HEAD", "man/missing/manifests/none")
            .with("Accept", OCI_MANIFEST)
            .gives(404),
        ask(
            "delete by digest",
            "DELETE",
            format!("man/missing/manifests/{none}"),
        )
        .fails(404, "MANIFEST_UNKNOWN"),
    ]);
    story("missing manifest", operations)
}

fn deleted() -> Story {
    let manifest = image(OCI_MANIFEST, "a");
    let path = format!(
        "man/deleted/manifests/{}",
        digest("sha256", manifest.as_bytes())
    );
    let get = |name, path: &str| ask(name, "GET", path).with("Accept", OCI_MANIFEST);
    let mut operations = pieces("man/deleted");
    operations.extend([
        put("push", "man/deleted/manifests/a", (OCI_MANIFEST, &manifest)),
        put(
            "push another name",
            "man/deleted/manifests/b",
            (OCI_MANIFEST, &manifest),
        ),
        ask("delete", "DELETE", &path).gives(202),
        get("read by digest", &path).fails(404, "MANIFEST_UNKNOWN"),
        get("read by tag", "man/deleted/manifests/a").fails(404, "MANIFEST_UNKNOWN"),
        ask("tags", "GET", "man/deleted/tags/list"),
        ask("delete again", "DELETE", &path).fails(404, "MANIFEST_UNKNOWN"),
        put(
            "push again",
            "man/deleted/manifests/a",
            (OCI_MANIFEST, &manifest),
        ),
        get("read again", &path),
    ]);
    story("deleted manifest", operations)
}

fn untagged() -> Story {
    let manifest = image(OCI_MANIFEST, "a");
    let mut operations = pieces("man/untagged");
    operations.extend([
        put(
            "push",
            "man/untagged/manifests/a",
            (OCI_MANIFEST, &manifest),
        ),
        ask(
            "delete a tag that is not there",
            "DELETE",
            "man/untagged/manifests/b",
        )
        .fails(404, "MANIFEST_UNKNOWN"),
        ask("delete the tag", "DELETE", "man/untagged/manifests/a").gives(202),
    ]);
    story("untagged manifest", operations)
}

fn subject() -> Story {
    let root = image(OCI_MANIFEST, "a");
    let mut about: Value = serde_json::from_str(&image(OCI_MANIFEST, "about it")).unwrap();
    about["subject"] = descriptor(OCI_MANIFEST, root.as_bytes());
    about["artifactType"] = json!("a/sbom");
    let path = format!(
        "man/subject/referrers/{}",
        digest("sha256", root.as_bytes())
    );
    let mut operations = pieces("man/subject");
    operations.extend([
        put("push", "man/subject/manifests/a", (OCI_MANIFEST, &root)),
        ask("nothing refers to it", "GET", &path),
        put(
            "push a referrer",
            "man/subject/manifests/b",
            (OCI_MANIFEST, &about.to_string()),
        ),
        ask("the referrer", "GET", &path),
        ask(
            "referrers of a kind",
            "GET",
            format!("{path}?artifactType=a/sbom"),
        ),
        ask(
            "referrers of no digest",
            "GET",
            "man/subject/referrers/sha256:1",
        )
        .fails(400, "DIGEST_INVALID"),
    ]);
    story("referrers", operations)
}
