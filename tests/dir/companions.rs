//! What belongs to an image and cannot go along.

use super::*;
use support::registry::Registry;

/// A manifest that refers to another one. Gives its digest.
fn refer(registry: &Registry, to: &str, kind: &str, tag: Option<&str>) -> String {
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    registry.add_blob("a/app", "{}".as_bytes().to_vec());
    let size = registry.manifest("a/app", to).unwrap().bytes.len();
    let text = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json",
                   "digest": format!("sha256:{}", sha256(b"{}")), "size": 2},
        "layers": [],
        "subject": {"mediaType": MANIFEST, "digest": to, "size": size},
    });
    registry.add_manifest("a/app", MANIFEST, text.to_string().into_bytes(), tag)
}

#[test]
fn a_directory_takes_the_image_and_what_it_leaves_behind_is_said() {
    let here = Registry::start();
    let image = here.add_image("a/app", "1", &[1000], 1);
    let sbom = refer(&here, &image, "application/spdx+json", None);
    refer(&here, &sbom, "application/vnd.cncf.notary.signature", None);
    let cosign = format!("{}.sig", image.replace(':', "-"));
    refer(&here, &image, "application/x", Some(&cosign));
    let folder = tempdir();
    let place = folder.path().join("d");
    let source = format!("docker://{}/a/app:1", here.host());
    let run = imgcopy([&source, &dir_at(&place)]).ok();
    assert!(
        run.stderr
            .contains("left behind: the destination has no place"),
        "{}",
        run.stderr
    );
    assert_eq!(whole(&place), (image.clone(), vec![]));
    let before = stamps(&place);
    let run = imgcopy([&source, &dir_at(&place), "--referrers", "always"]).ok();
    assert!(run.stderr.contains("left behind"), "{}", run.stderr);
    assert_eq!(stamps(&place), before);
    let quiet = folder.path().join("quiet");
    let run = imgcopy([&source, &dir_at(&quiet), "--referrers", "never"]).ok();
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
}

#[test]
fn simple_signatures_that_stay_are_said() {
    let folder = tempdir();
    let [place, out] = ["d", "out"].map(|name| folder.path().join(name));
    copy_of(&fixture("dir/gzip"), &place);
    for name in ["signature-1", "signature-2"] {
        std::fs::write(place.join(name), "signed").unwrap();
    }
    let run = imgcopy([dir_at(&place), oci_at(&out, "a")]).ok();
    assert!(
        run.stderr
            .contains("2 referrers and signatures left behind"),
        "{}",
        run.stderr
    );
    let args = [
        dir_at(&place),
        oci_at(&out, "b"),
        "--remove-signatures".to_string(),
    ];
    let run = imgcopy(args).ok();
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
}
