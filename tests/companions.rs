//! What belongs to an image goes with it, and which images of an index go at all.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::registry::{Action, Fault, Form, Image, Options, Registry};
use support::*;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

fn docker(registry: &Registry, image: &str) -> String {
    format!("docker://{}/{image}", registry.host())
}

fn with_api(referrers_api: bool) -> Registry {
    Registry::with(Options {
        referrers_api,
        ..Options::default()
    })
}

/// An artifact that refers to a manifest; under a tag if one is given. Gives its digest.
fn refer(registry: &Registry, repo: &str, to: &str, kind: &str, tag: Option<&str>) -> String {
    registry.add_blob(repo, "{}".as_bytes().to_vec());
    let subject = registry.manifest(repo, to).unwrap();
    let text = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": {"mediaType": EMPTY, "digest": format!("sha256:{}", sha256(b"{}")), "size": 2},
        "layers": [],
        "subject": {"mediaType": subject.media_type, "digest": to, "size": subject.bytes.len()},
    });
    registry.add_manifest(repo, MANIFEST, text.to_string().into_bytes(), tag)
}

/// The tag by which registries without the API list referrers.
fn list_tag(digest: &str) -> String {
    digest.replace(':', "-")
}

#[test]
fn referrers_and_what_refers_to_them_go_along_by_the_api() {
    let (from, to) = (with_api(true), with_api(true));
    let image = from.add_image("a/app", "1", &[1000], 1);
    let sbom = refer(&from, "a/app", &image, "application/spdx+json", None);
    let signed = refer(
        &from,
        "a/app",
        &sbom,
        "application/vnd.cncf.notary.signature",
        None,
    );
    let run = imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).ok();
    assert_eq!(to.tag_of("b/app", "1"), Some(image));
    assert!(to.manifest("b/app", &sbom).is_some(), "{}", run.stderr);
    assert!(to.manifest("b/app", &signed).is_some(), "{}", run.stderr);
    to.assert_whole("b/app");
    assert!(run.stderr.contains("2 referrers"), "{}", run.stderr);
}

#[test]
fn names_move_after_what_belongs_to_the_image_is_there() {
    let (from, to) = (with_api(true), with_api(true));
    let image = from.add_image("a/app", "1", &[1000], 2);
    let sbom = refer(&from, "a/app", &image, "application/spdx+json", None);
    imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).ok();
    let puts = to.requests("PUT", "/manifests/");
    let last = puts.last().unwrap();
    assert!(last.path.ends_with("/manifests/1"), "{}", last.path);
    let at = |part: &str| {
        puts.iter()
            .position(|put| put.path.ends_with(part))
            .unwrap()
    };
    assert!(at(&image) < at(&sbom));
}

#[test]
fn q76_a_registry_without_the_api_gets_the_list_under_a_tag() {
    let (from, to) = (with_api(true), with_api(false));
    let image = from.add_image("a/app", "1", &[1000], 3);
    let sbom = refer(&from, "a/app", &image, "application/spdx+json", None);
    imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).ok();
    let list = to.manifest("b/app", &list_tag(&image)).unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list.bytes).unwrap();
    assert_eq!(list["manifests"][0]["digest"], sbom.as_str());
    assert_eq!(
        list["manifests"][0]["artifactType"],
        "application/spdx+json"
    );

    // And from there to a place that has the API again.
    let back = with_api(true);
    imgcopy([&docker(&to, "b/app:1"), &docker(&back, "c/app:1")]).ok();
    assert!(back.manifest("c/app", &sbom).is_some());
}

/// A run that is cut short between a referrer and the list leaves one that nobody finds.
#[test]
fn q76_what_was_written_and_not_listed_is_listed_by_the_next_run() {
    let (from, to) = (with_api(true), with_api(false));
    let image = from.add_image("a/app", "1", &[1000], 3);
    let sbom = refer(&from, "a/app", &image, "application/spdx+json", None);
    let list = list_tag(&image);
    to.fail(Fault::on("PUT", &list).then(Action::status(405)));
    imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).fails(1);
    assert!(to.manifest("b/app", &sbom).is_some());
    assert_eq!(to.tag_of("b/app", "1"), None);
    imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).ok();
    let list = to.manifest("b/app", &list).unwrap().json();
    assert_eq!(list["manifests"][0]["digest"], sbom.as_str());
    assert_eq!(to.count("PUT", &format!("/manifests/{sbom}")), 2);
}

#[test]
fn s21_referrers_that_refer_to_each_other_are_copied_once() {
    let (from, to) = (with_api(false), with_api(false));
    let image = from.add_image("a/app", "1", &[1000], 4);
    let one = refer(&from, "a/app", &image, "x/one", None);
    let two = refer(&from, "a/app", &one, "x/two", None);
    // The lists lead in a circle: each names the other.
    for (subject, referrer) in [(&image, &one), (&one, &two), (&two, &one)] {
        let entry = from.manifest("a/app", referrer).unwrap();
        let list = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{"mediaType": entry.media_type, "digest": referrer, "size": entry.bytes.len()}],
        });
        let media_type = list["mediaType"].as_str().unwrap().to_string();
        from.add_manifest(
            "a/app",
            &media_type,
            list.to_string().into_bytes(),
            Some(&list_tag(subject)),
        );
    }
    imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).ok();
    assert_eq!(to.count("PUT", &format!("/manifests/{one}")), 1);
    assert_eq!(to.count("PUT", &format!("/manifests/{two}")), 1);
}

#[test]
fn tags_of_cosign_go_along() {
    let (from, to) = (with_api(false), with_api(false));
    let image = from.add_image("a/app", "1", &[1000], 5);
    let stem = list_tag(&image);
    let signature = from.add_image("a/app", &format!("{stem}.sig"), &[10], 6);
    let attestation = from.add_image("a/app", &format!("{stem}.att"), &[11], 7);
    from.add_image("a/app", "unrelated.sig", &[12], 8);
    imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).ok();
    assert_eq!(to.tag_of("b/app", &format!("{stem}.sig")), Some(signature));
    assert_eq!(
        to.tag_of("b/app", &format!("{stem}.att")),
        Some(attestation.clone())
    );
    assert_eq!(to.tag_of("b/app", "unrelated.sig"), None);

    let bare = with_api(false);
    let to = docker(&bare, "b/app:1");
    imgcopy([&docker(&from, "a/app:1"), &to, "--remove-signatures"]).ok();
    assert_eq!(bare.tag_of("b/app", &format!("{stem}.sig")), None);
    assert_eq!(
        bare.tag_of("b/app", &format!("{stem}.att")),
        Some(attestation)
    );
}

#[test]
fn types_can_be_chosen_and_all_of_it_left_out() {
    let from = with_api(true);
    let image = from.add_image("a/app", "1", &[1000], 9);
    let wanted = refer(&from, "a/app", &image, "x/wanted", None);
    let other = refer(&from, "a/app", &image, "x/other", None);
    let to = with_api(true);
    let target = docker(&to, "b/app:1");
    imgcopy([
        &docker(&from, "a/app:1"),
        &target,
        "--referrer-type",
        "x/wanted",
    ])
    .ok();
    assert!(to.manifest("b/app", &wanted).is_some());
    assert!(to.manifest("b/app", &other).is_none());
    let to = with_api(true);
    from.forget();
    let target = docker(&to, "b/app:1");
    imgcopy([&docker(&from, "a/app:1"), &target, "--referrers", "never"]).ok();
    assert_eq!(from.count("GET", "/referrers/"), 0);
    assert!(to.manifest("b/app", &wanted).is_none());
}

#[test]
fn what_was_signed_later_is_found_when_asked_for() {
    let (from, to) = (with_api(true), with_api(true));
    let image = from.add_image("a/app", "1", &[1000], 10);
    let (source, target) = (docker(&from, "a/app:1"), docker(&to, "b/app:1"));
    imgcopy([&source, &target]).ok();
    let late = refer(&from, "a/app", &image, "x/late", None);
    from.forget();
    imgcopy([&source, &target]).ok();
    // An unchanged image costs one question and no more.
    assert_eq!(from.log().len(), 1);
    assert!(to.manifest("b/app", &late).is_none());
    imgcopy([
        &source,
        &target,
        &"--referrers".to_string(),
        &"always".to_string(),
    ])
    .ok();
    assert!(to.manifest("b/app", &late).is_some());
}

#[test]
fn through_a_directory_and_back_nothing_is_lost() {
    let (from, to) = (with_api(true), with_api(true));
    let image = from.add_image("a/app", "1", &[1000], 11);
    let sbom = refer(&from, "a/app", &image, "application/spdx+json", None);
    let stem = list_tag(&image);
    let signature = from.add_image("a/app", &format!("{stem}.sig"), &[10], 12);
    let temporary = tempdir();
    let directory = temporary.path().join("layout");
    imgcopy([&docker(&from, "a/app:1"), &oci_at(&directory, "1")]).ok();
    assert_whole(&directory);
    // The image is still the only image there.
    let sole = format!("oci:{}", directory.display());
    assert_eq!(imgcopy(["digest", &sole]).ok().stdout.trim(), image);
    imgcopy([&oci_at(&directory, "1"), &docker(&to, "b/app:1")]).ok();
    assert_eq!(to.tag_of("b/app", "1"), Some(image));
    assert!(to.manifest("b/app", &sbom).is_some());
    assert_eq!(to.tag_of("b/app", &format!("{stem}.sig")), Some(signature));
}

/// An index with images for three CPUs. Gives its digest and theirs.
fn index(registry: &Registry, repo: &str) -> (String, Vec<String>) {
    let images: Vec<(&str, String)> = ["amd64", "arm64", "s390x"]
        .into_iter()
        .zip(20..)
        .map(|(arch, seed)| {
            let image = Image::new(Form::OciGzip, &[2000], seed);
            (arch, registry.add(repo, None, &image))
        })
        .collect();
    let entries: Vec<(&str, &str)> = images
        .iter()
        .map(|(arch, digest)| (*arch, digest.as_str()))
        .collect();
    let digest = registry.add_index(repo, "1", &entries);
    (
        digest,
        images.into_iter().map(|(_, digest)| digest).collect(),
    )
}

#[test]
fn an_index_is_copied_whole_and_word_for_word() {
    let (from, to) = (Registry::start(), Registry::start());
    let (digest, images) = index(&from, "a/app");
    imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).ok();
    assert_eq!(to.tag_of("b/app", "1"), Some(digest.clone()));
    let (one, other) = (
        from.manifest("a/app", "1").unwrap(),
        to.manifest("b/app", "1").unwrap(),
    );
    assert_eq!(one.bytes, other.bytes);
    assert!(
        images
            .iter()
            .all(|image| to.manifest("b/app", image).is_some())
    );
    to.assert_whole("b/app");
}

#[test]
fn one_platform_is_its_image_and_several_are_a_smaller_index() {
    let from = Registry::start();
    let (digest, images) = index(&from, "a/app");
    let source = docker(&from, "a/app:1");
    let to = Registry::start();
    let target = docker(&to, "b/app:1");
    imgcopy([&source, &target, "--platform", "linux/arm64"]).ok();
    assert_eq!(to.tag_of("b/app", "1").as_ref(), Some(&images[1]));

    let to = Registry::start();
    let target = docker(&to, "b/app:1");
    let two = ["--platform", "linux/amd64", "--platform", "linux/s390x"];
    let args = [source.as_str(), &target].into_iter().chain(two);
    let run = imgcopy(args.clone()).ok();
    let trimmed = to.tag_of("b/app", "1").unwrap();
    assert_ne!(trimmed, digest);
    assert!(
        run.stderr.contains(&digest) && run.stderr.contains(&trimmed),
        "{}",
        run.stderr
    );
    assert!(to.manifest("b/app", &images[1]).is_none());
    to.assert_whole("b/app");
    // Again: nothing to do.
    to.forget();
    imgcopy(args).ok();
    assert_eq!(to.log().len(), 1, "{:?}", to.log());
}

#[test]
fn a_sparse_index_keeps_its_digest() {
    let from = Registry::start();
    let (digest, images) = index(&from, "a/app");
    let temporary = tempdir();
    let target = oci_at(&temporary.path().join("layout"), "1");
    let source = docker(&from, "a/app:1");
    imgcopy([
        &source,
        &target,
        "--platform",
        "linux/amd64",
        "--index",
        "sparse",
    ])
    .ok();
    assert_eq!(imgcopy(["digest", &target]).ok().stdout.trim(), digest);
    assert_eq!(from.count("GET", &images[1]), 0);
}

#[test]
fn a_registry_that_wants_whole_indexes_is_told_to_get_a_trimmed_one() {
    let (from, to) = (Registry::start(), Registry::start());
    let (digest, _) = index(&from, "a/app");
    let lacking = Action::error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    to.fail(Fault::on("PUT", "manifests/1").always().then(lacking));
    let args = ["--platform", "linux/amd64", "--index", "sparse"];
    let (source, target) = (docker(&from, "a/app:1"), docker(&to, "b/app:1"));
    let run = imgcopy([&[source.as_str(), &target], &args[..]].concat()).fails(1);
    assert!(run.stderr.contains("--index trim"), "{}", run.stderr);
    // It lacks what nobody sends: once is enough.
    assert_eq!(to.count("PUT", "manifests/1"), 1);
    assert!(to.manifest("b/app", &digest).is_none());
}

#[test]
fn a_platform_that_is_not_there_is_an_error_that_lists_those_that_are() {
    let (from, to) = (Registry::start(), Registry::start());
    index(&from, "a/app");
    let (source, target) = (docker(&from, "a/app:1"), docker(&to, "b/app:1"));
    let run = imgcopy([&source, &target, "--platform", "linux/riscv64"]).fails(2);
    assert!(run.stderr.contains("linux/arm64"), "{}", run.stderr);
    assert_eq!(to.count("PUT", ""), 0);
}

#[test]
fn f34_an_index_whose_image_is_lost_is_not_copied() {
    let (from, to) = (Registry::start(), Registry::start());
    let (_, images) = index(&from, "a/app");
    from.fail(
        Fault::on("GET", &images[2])
            .always()
            .then(Action::status(404)),
    );
    let run = imgcopy([&docker(&from, "a/app:1"), &docker(&to, "b/app:1")]).fails(1);
    assert!(run.stderr.contains(&images[2]), "{}", run.stderr);
    assert_eq!(to.tag_of("b/app", "1"), None);
}

#[test]
fn what_referred_to_an_index_that_changes_is_said_to_be_left_behind() {
    let (from, to) = (with_api(true), with_api(true));
    let (digest, images) = index(&from, "a/app");
    refer(&from, "a/app", &digest, "x/of-the-index", None);
    let kept = refer(&from, "a/app", &images[0], "x/of-the-image", None);
    let (source, target) = (docker(&from, "a/app:1"), docker(&to, "b/app:1"));
    let run = imgcopy([
        &source,
        &target,
        "--platform",
        "linux/amd64",
        "--index",
        "trim",
    ])
    .ok();
    assert!(
        run.stderr
            .contains("1 referrers and signatures left behind"),
        "{}",
        run.stderr
    );
    assert!(to.manifest("b/app", &kept).is_some());
}

#[test]
fn delete_says_which_tags_would_go_too() {
    let registry = Registry::start();
    let image = registry.add_image("a/app", "1", &[1000], 30);
    registry.set_tag("a/app", "latest", &image);
    let reference = docker(&registry, "a/app:1");
    let run = imgcopy(["delete", &reference]).fails(64);
    assert!(
        run.stderr.contains("latest") && run.stderr.contains("--all-tags"),
        "{}",
        run.stderr
    );
    assert_eq!(registry.tag_of("a/app", "1"), Some(image.clone()));
    imgcopy(["delete", &reference, "--all-tags"]).ok();
    assert_eq!(registry.tags("a/app"), Vec::<String>::new());
    imgcopy(["delete", &reference]).fails(2);
}

#[test]
fn delete_takes_a_name_out_of_a_directory_and_nothing_else() {
    let temporary = tempdir();
    let archive = image(&[b"a layer"], "a:1").write(temporary.path(), "a.tar");
    let directory = temporary.path().join("layout");
    for tag in ["one", "two"] {
        copy(&archive_at(&archive), &oci_at(&directory, tag));
    }
    imgcopy(["delete", &oci_at(&directory, "one")]).ok();
    assert_eq!(assert_whole(&directory), ["two"]);
    imgcopy(["delete", &oci_at(&directory, "one")]).fails(2);
    imgcopy(["delete", &archive_at(&archive)]).fails(1);
}
