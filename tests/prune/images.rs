//! Images that several tags, indexes and artifacts need.

use imgcopy::sync::report::Status;
use serde_json::json;

use crate::Mirror;
use crate::support::registry::{Action, Fault, OCI_MANIFEST, Options, Registry};
use crate::support::sha256;

const DELETE: &str = "{mode: delete, max: 90%}";

/// An artifact that refers to a manifest. Gives its digest.
fn refer(registry: &Registry, to: &str, kind: &str, tag: Option<&str>) -> String {
    let repo = "copy/app";
    registry.add_blob(repo, "{}".as_bytes().to_vec());
    let subject = registry.manifest(repo, to).unwrap();
    let config = format!("sha256:{}", sha256(b"{}"));
    let text = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "layers": [],
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "subject": {"mediaType": subject.media_type, "digest": to, "size": subject.bytes.len()},
    });
    registry.add_manifest(repo, OCI_MANIFEST, text.to_string().into_bytes(), tag)
}

/// As distribution 2: a tag cannot be deleted, and a digest takes all of its tags with it.
fn only_by_digest(registry: &Registry) {
    let refuse = Action::error(405, "UNSUPPORTED", "the operation is unsupported");
    for tag in ["old", "older", "part"] {
        let path = format!("/manifests/{tag}");
        registry.fail(Fault::on("DELETE", &path).always().then(refuse.clone()));
    }
}

/// The defect of Harbor that a.9.10 tells of: deleting a tag deletes what it stands for, and so the
/// other tags.
#[test]
fn a9_10_an_image_that_a_kept_tag_has_stays() {
    let mirror = Mirror::with(&[]);
    let registry = &mirror.registry;
    let kept = registry.tag_of("copy/app", "v1").unwrap();
    registry.set_tag("copy/app", "old", &kept);
    let night = mirror.night(&mirror.file(DELETE), &[]).ends(0);
    night.is("app:old", Status::Kept, "it is the same image as v1");
    // Not even tried: nobody knows what the registry makes of it.
    assert_eq!(registry.count("DELETE", ""), 0);
    assert_eq!(mirror.tags("copy/app"), ["old", "v1", "v2", "v3"]);
}

#[test]
fn a_registry_that_deletes_no_tags_deletes_the_image() {
    let mirror = Mirror::with(&["old"]);
    let registry = &mirror.registry;
    only_by_digest(registry);
    let old = registry.tag_of("copy/app", "old").unwrap();
    // Two tags of one image that both go.
    registry.set_tag("copy/app", "older", &old);
    let night = mirror.night(&mirror.file(DELETE), &[]).ends(0);
    night.is("app:old", Status::Pruned, "");
    night.is("app:older", Status::Pruned, "");
    assert_eq!(mirror.tags("copy/app"), ["v1", "v2", "v3"]);
    assert_eq!(registry.count("DELETE", &old), 1);
}

#[test]
fn a_part_of_an_index_that_stays_is_not_deleted() {
    let mirror = Mirror::empty();
    let registry = &mirror.registry;
    only_by_digest(registry);
    for repo in ["source/app", "copy/app"] {
        let part = registry.add_image(repo, "part", &[100], 1);
        registry.add_index(repo, "v1", &[("amd64", &part)]);
    }
    let file = mirror.file(DELETE).replace("'*'", "[v1]");
    let night = mirror.night(&file, &[]).ends(0);
    night.is("app:part", Status::Kept, "it is a part of v1");
    assert_eq!(registry.count("DELETE", ""), 0);
}

#[test]
fn an_artifact_of_an_image_that_stays_is_not_deleted() {
    let mirror = Mirror::with(&[]);
    let registry = &mirror.registry;
    let kept = registry.tag_of("copy/app", "v1").unwrap();
    refer(registry, &kept, "application/spdx+json", Some("sbom"));
    let night = mirror.night(&mirror.file(DELETE), &[]).ends(0);
    night.is("app:sbom", Status::Kept, "it belongs to v1");
    assert_eq!(registry.count("DELETE", ""), 0);
}

#[test]
fn what_belongs_to_an_image_goes_with_it_and_last() {
    for referrers_api in [true, false] {
        let mut mirror = Mirror::with(&[]);
        mirror.registry = Registry::with(Options {
            referrers_api,
            ..Options::default()
        });
        let registry = &mirror.registry;
        let mut stays = Vec::new();
        for repo in ["source/app", "copy/app"] {
            let kept = registry.add_image(repo, "v1", &[100], 1);
            stays.push(format!("{}.sig", kept.replace(':', "-")));
        }
        let old = registry.add_image("copy/app", "old", &[100], 2);
        // Signatures of both, by cosign's tags and by reference.
        let signed = format!("{}.sig", old.replace(':', "-"));
        registry.add_image("copy/app", &signed, &[10], 3);
        registry.add_image("copy/app", &stays[1], &[10], 4);
        let sbom = refer(registry, &old, "application/spdx+json", None);
        if !referrers_api {
            let list = registry.add_index("copy/app", "list", &[("amd64", &sbom)]);
            registry.set_tag("copy/app", &old.replace(':', "-"), &list);
            registry.delete_tag("copy/app", "list");
        }
        mirror
            .night(&mirror.file(DELETE), &[])
            .ends(0)
            .is("app:old", Status::Pruned, "");
        assert_eq!(
            mirror.tags("copy/app"),
            [stays[1].clone(), "v1".to_string()]
        );
        assert!(registry.manifest("copy/app", &sbom).is_none());
        let deleted = registry.requests("DELETE", "");
        assert!(deleted[0].path.ends_with("/old"), "{}", deleted[0].path);
    }
}

#[test]
fn nothing_goes_if_what_tags_stand_for_cannot_be_told() {
    let mirror = Mirror::with(&["old", "kept"]);
    let bad = Fault::on("*", "/copy/app/manifests/kept")
        .always()
        .then(Action::status(403));
    mirror.registry.fail(bad);
    let file = mirror.file("{mode: delete, max: 50%, keep: [kept]}");
    let night = mirror.night(&file, &[]).ends(3);
    night.is("app", Status::Failed, "cannot prune");
    assert_eq!(mirror.registry.count("DELETE", ""), 0);
}

#[test]
fn a_registry_that_deletes_nothing_is_a_failure() {
    let mirror = Mirror::with(&["old"]);
    let refuse = Action::error(405, "UNSUPPORTED", "the operation is unsupported");
    mirror
        .registry
        .fail(Fault::on("DELETE", "").always().then(refuse));
    let night = mirror.night(&mirror.file(DELETE), &[]).ends(3);
    night.is("app:old", Status::Failed, "does not let anybody delete");
    assert_eq!(mirror.tags("copy/app").len(), 4);
}
