//! A registry that does not take the image's own format.

use crate::support::registry::{Action, Fault, Registry, Request};
use crate::support::{archive_at, image, imgcopy, tempdir};
use crate::{raw, types};

/// A registry that takes Docker's manifests only.
fn old() -> Registry {
    let registry = Registry::start();
    let is_oci = |it: &Request| {
        let kind = it.headers.get("content-type").unwrap_or_default();
        kind.starts_with("application/vnd.oci.")
    };
    let refused = Fault::on("PUT", "/manifests/").when(is_oci).always();
    registry.fail(refused.then(Action::status(415)));
    registry
}

#[test]
fn s13_what_promises_no_digest_is_converted_for_a_registry_that_wants_it_and_that_is_said() {
    let home = tempdir();
    let layers: [&[u8]; 2] = [&[0; 1024], &[0; 2048]];
    let archive = archive_at(&image(&layers, "app:1").write(home.path(), "a.tar"));
    let registry = old();
    let at = format!("docker://{}/app:1", registry.host());
    let told = imgcopy(["copy", "--progress", "plain", &archive, &at]).ok();
    // Each blob is compressed and sent once.
    let moved = told.stderr.matches("copied layer").count();
    assert_eq!(moved, 2, "{}", told.stderr);
    let summary = told.stderr.lines().find(|line| line.contains(" read, "));
    assert!(
        summary.is_some_and(|line| line.starts_with("copied 3 blobs") && !line.contains("already")),
        "{}",
        told.stderr
    );
    let why = "converted into another format: ";
    assert!(told.stderr.contains(why), "{}", told.stderr);
    assert!(
        told.stderr
            .contains("does not take application/vnd.oci.image.manifest.v1+json"),
        "{}",
        told.stderr
    );
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    assert_eq!(types(&raw(&at))[0], docker);
    assert_eq!(
        registry.count("PUT", "/blobs/uploads/"),
        3,
        "each blob once"
    );
    assert_eq!(registry.count("PUT", "/manifests/"), 2);
    imgcopy(["verify", &at]).ok();
    // Again: it is there, whatever its words.
    registry.forget();
    let again = imgcopy(["copy", &archive, &at]).ok();
    assert!(again.stderr.contains("up to date"), "{}", again.stderr);
    assert_eq!(again.stdout, told.stdout);
    assert_eq!(registry.count("PUT", "/"), 0);
    // Whoever asks for a format gets that, or an error.
    imgcopy(["copy", &archive, &at, "--format", "oci"]).fails(1);
}

#[test]
fn s13_a_promised_digest_changes_only_where_that_is_asked_for() {
    let (here, there) = (Registry::start(), old());
    let digest = here.add_image("app", "1", &[1000], 1);
    let at = |registry: &Registry| format!("docker://{}/app:1", registry.host());
    let (from, to) = (at(&here), at(&there));
    let told = imgcopy(["copy", &from, &to]).fails(1).stderr;
    assert!(told.contains("--format v2s2 converts the image"), "{told}");
    assert_eq!(there.count("PUT", "/manifests/"), 1);
    imgcopy(["copy", &from, &to, "--format", "auto", "--preserve-digests"]).fails(64);
    let told = imgcopy(["copy", &from, &to, "--format", "auto"]).ok();
    assert!(told.stderr.contains("does not take"), "{}", told.stderr);
    assert_ne!(told.stdout.trim(), digest);
    assert_eq!(there.count("PUT", "/blobs/uploads/"), 2, "each blob once");
    there.assert_whole("app");
    // A signature would be lost.
    let there = old();
    let to = format!("docker://{}/app:1", there.host());
    here.add_image(
        "app",
        &format!("{}.sig", digest.replace(':', "-")),
        &[10],
        2,
    );
    let told = imgcopy(["copy", &from, &to, "--format", "auto"]).fails(1);
    assert!(told.stderr.contains("signed"), "{}", told.stderr);
    assert_eq!(there.tags("app"), [""; 0]);
}

#[test]
fn what_no_format_pleases_fails_as_the_first_did() {
    let home = tempdir();
    let archive = archive_at(&image(&[&[0; 1024]], "app:1").write(home.path(), "a.tar"));
    let registry = Registry::start();
    let refused = Action::error(400, "MANIFEST_INVALID", "no");
    registry.fail(Fault::on("PUT", "/manifests/").always().then(refused));
    let at = format!("docker://{}/app:1", registry.host());
    let told = imgcopy(["copy", &archive, &at]).fails(1).stderr;
    assert!(told.contains("OCI manifests"), "{told}");
    assert_eq!(registry.count("PUT", "/manifests/"), 2);
}
