//! Other words and other compression: `--format`, `--recompress`, `--preserve-digests`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod foreign;
mod refused;

use std::process::Command;

use serde_json::Value;
use support::registry::Registry;
use support::{Run, archive_at, copy, fixture, has_peer, imgcopy, oci_at, plan, tempdir};

fn raw(reference: &str) -> Value {
    let told = imgcopy(["inspect", "--raw", reference]).ok();
    serde_json::from_str(&told.stdout).unwrap()
}

fn digest(reference: &str) -> String {
    imgcopy(["digest", reference])
        .ok()
        .stdout
        .trim()
        .to_string()
}

/// The image ID and the DiffIds.
fn identity(reference: &str) -> (String, Value) {
    let config = imgcopy(["inspect", "--config", reference]).ok().stdout;
    let parsed: Value = serde_json::from_str(&config).unwrap();
    (
        support::sha256(config.as_bytes()),
        parsed["rootfs"]["diff_ids"].clone(),
    )
}

fn types(manifest: &Value) -> Vec<&str> {
    let of = |value: &'_ Value| value["mediaType"].as_str().unwrap().to_string().leak();
    let mut types = vec![&*of(manifest)];
    types.extend(manifest.get("config").map(|config| &*of(config)));
    for list in ["layers", "manifests"] {
        types.extend(
            manifest[list]
                .as_array()
                .into_iter()
                .flatten()
                .map(|it| &*of(it)),
        );
    }
    types
}

#[test]
fn an_image_is_said_in_dockers_words_and_in_ocis_again() {
    let home = tempdir();
    let registry = Registry::start();
    let at = |name: &str| home.path().join(name);
    let source = oci_at(&at("source"), "x");
    copy(&archive_at(&fixture("docker28/single.tar")), &source);
    let docker = format!("docker://{}/app:docker", registry.host());
    let told = imgcopy(["copy", &source, &docker, "--format", "v2s2"]).ok();
    assert!(
        told.stderr.contains("the manifest was converted"),
        "{}",
        told.stderr
    );
    let manifest = raw(&docker);
    let vendor = "application/vnd.docker";
    let layer = format!("{vendor}.image.rootfs.diff.tar.gzip");
    let wanted = [
        format!("{vendor}.distribution.manifest.v2+json"),
        format!("{vendor}.container.image.v1+json"),
        layer.clone(),
        layer,
    ];
    assert_eq!(types(&manifest), wanted);
    assert_eq!(identity(&docker), identity(&source));
    imgcopy(["verify", &docker]).ok();

    let back = oci_at(&at("back"), "x");
    imgcopy(["copy", "-q", &docker, &back, "--format", "oci"]).ok();
    assert_eq!(
        digest(&back),
        digest(&source),
        "the words of an image that we wrote are ours"
    );
    // Again, and nothing is written.
    let before = registry.log().len();
    let again = imgcopy(["copy", &source, &docker, "--format", "v2s2"]).ok();
    assert!(again.stderr.contains("up to date"), "{}", again.stderr);
    let asked = registry.log().into_iter().skip(before);
    assert!(
        asked
            .map(|it| it.method)
            .all(|method| method == "HEAD" || method == "GET")
    );
}

#[test]
fn an_index_is_converted_with_its_images() {
    let home = tempdir();
    let index = format!("oci:{}", fixture("podman/oci-index").display());
    let name = imgcopy(["tags", &index])
        .ok()
        .stdout
        .lines()
        .next()
        .unwrap()
        .to_string();
    let source = format!("{index}:{name}");
    let docker = oci_at(&home.path().join("docker"), "x");
    imgcopy(["copy", "-q", &source, &docker, "--format", "v2s2"]).ok();
    imgcopy(["verify", &docker]).ok();
    let manifest = raw(&docker);
    let vendor = "application/vnd.docker.distribution.manifest";
    assert_eq!(types(&manifest)[0], format!("{vendor}.list.v2+json"));
    assert!(
        types(&manifest)[1..]
            .iter()
            .all(|it| *it == format!("{vendor}.v2+json"))
    );
    assert_ne!(digest(&docker), digest(&source));
    let told = plan(&source, &docker);
    assert_eq!(told["isEmpty"], false, "in its own words it is another one");
    let planned = imgcopy(["plan", &source, &docker, "--manifest-format", "v2s2"]).ok();
    assert!(
        planned.stdout.ends_with("nothing to do\n"),
        "{}",
        planned.stdout
    );
    if has_peer("skopeo") {
        let registry = Registry::start();
        let from = format!("docker://{}/app:x", registry.host());
        imgcopy(["copy", "-q", &source, &from, "--format", "v2s2"]).ok();
        assert_eq!(digest(&from), digest(&docker));
        let to = format!("dir:{}", home.path().join("dir").display());
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "-q", "--all", "--src-tls-verify=false", &from, &to]);
        Run::of(&mut skopeo).ok();
    }
}

#[test]
fn what_docker_has_no_word_for_is_refused_before_anything_is_written() {
    let home = tempdir();
    let zstd = format!("oci:{}", fixture("podman/oci-dir-zstd").display());
    let to = home.path().join("to");
    let told = imgcopy(["copy", &zstd, &oci_at(&to, "x"), "--format", "v2s2"])
        .fails(1)
        .stderr;
    assert!(
        told.contains("no word for application/vnd.oci.image.layer.v1.tar+zstd"),
        "{told}"
    );
    assert!(
        told.contains("--compression gzip --recompress compresses its layers anew"),
        "{told}"
    );
    assert!(!to.exists());
    // zstd has no word there, whoever compresses.
    let docker = ["--format", "v2s2", "--compression", "zstd", "--recompress"];
    let (to_zstd, from) = (oci_at(&to, "x"), ["copy", &zstd]);
    imgcopy(from.into_iter().chain([&*to_zstd]).chain(docker)).fails(1);
    assert!(!to.exists());
}

#[test]
fn layers_of_zstd_are_said_in_dockers_words_when_they_are_compressed_anew() {
    let home = tempdir();
    let zstd = format!("oci:{}", fixture("podman/oci-dir-zstd").display());
    let registry = Registry::start();
    let at = |name: &str| oci_at(&home.path().join(name), "x");
    let docker = format!("docker://{}/app:1", registry.host());
    let vendor = "application/vnd.docker";
    for (method, ending) in [("gzip", "tar.gzip"), ("none", "tar")] {
        for to in [&docker, &at(method)] {
            let options = ["--format", "v2s2", "--compression", method, "--recompress"];
            imgcopy(["copy", "-q", &zstd, to].into_iter().chain(options)).ok();
            let manifest = raw(to);
            let types = types(&manifest);
            assert_eq!(types[0], format!("{vendor}.distribution.manifest.v2+json"));
            let layer = format!("{vendor}.image.rootfs.diff.{ending}");
            assert!(
                types.len() > 2 && types[2..].iter().all(|it| *it == layer),
                "{types:?}"
            );
            assert_eq!(identity(to), identity(&zstd));
            imgcopy(["verify", to]).ok();
            // Again, and nothing changes.
            let plan = ["plan", &zstd, to, "--manifest-format"].into_iter();
            let planned = imgcopy(plan.chain(options.into_iter().skip(1))).ok();
            assert!(
                planned.stdout.ends_with("nothing to do\n"),
                "{}",
                planned.stdout
            );
        }
    }
}

#[test]
fn layers_that_are_there_in_ocis_words_are_said_in_dockers() {
    let home = tempdir();
    let registry = Registry::start();
    let archive = archive_at(&support::image(&[&[0; 1024]], "app:1").write(home.path(), "a.tar"));
    let at = format!("docker://{}/app:1", registry.host());
    imgcopy(["copy", "-q", &archive, &at]).ok();
    imgcopy(["copy", "-q", &archive, &at, "--format", "v2s2"]).ok();
    let manifest = raw(&at);
    let is_docker = |it: &&str| it.starts_with("application/vnd.docker.");
    assert!(types(&manifest).iter().all(is_docker), "{manifest}");
}

#[test]
fn a_signed_image_is_converted_only_without_its_signatures() {
    let home = tempdir();
    let registry = Registry::start();
    let image = registry.add_image("app", "1", &[1000], 1);
    let tag = format!("{}.sig", image.replace(':', "-"));
    registry.add_image("app", &tag, &[10], 2);
    let source = format!("docker://{}/app:1", registry.host());
    let to = oci_at(&home.path().join("to"), "x");
    let told = imgcopy(["copy", &source, &to, "--format", "v2s2"])
        .fails(1)
        .stderr;
    assert!(told.contains("--remove-signatures"), "{told}");
    imgcopy([
        "copy",
        &source,
        &to,
        "--format",
        "v2s2",
        "--remove-signatures",
    ])
    .ok();
    imgcopy(["verify", &to]).ok();
}

#[test]
fn layers_are_compressed_anew_and_back_and_the_image_stays() {
    let home = tempdir();
    let at = |name: &str| oci_at(&home.path().join(name), "x");
    copy(
        &archive_at(&fixture("docker28/manylayers.tar")),
        &at("gzip"),
    );
    let anew = |from: &str, to: &str, method: &str| {
        imgcopy([
            "copy",
            "-q",
            &at(from),
            &at(to),
            "--compression",
            method,
            "--recompress",
        ])
        .ok();
        imgcopy(["verify", &at(to)]).ok();
        assert_eq!(identity(&at(to)), identity(&at("gzip")));
        let suffix = |it: &&str| it.contains("layer");
        let manifest = raw(&at(to));
        types(&manifest)
            .into_iter()
            .filter(suffix)
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let all = |types: &[String], end: &str| types.iter().all(|it| it.ends_with(end));
    assert!(all(&anew("gzip", "zstd", "zstd"), "tar+zstd"));
    assert!(all(&anew("zstd", "back", "gzip"), "tar+gzip"));
    assert!(all(&anew("zstd", "plain", "none"), ".tar"));
    assert_eq!(
        digest(&at("back")),
        digest(&at("gzip")),
        "the same bytes as the first time"
    );
    // Without --recompress what is compressed stays as it is.
    imgcopy([
        "copy",
        "-q",
        &at("gzip"),
        &at("same"),
        "--compression",
        "zstd",
    ])
    .ok();
    assert_eq!(digest(&at("same")), digest(&at("gzip")));
    // The second time nothing is compressed.
    let options = ["--compression", "zstd", "--recompress"];
    let (from, to) = (at("gzip"), at("zstd"));
    let planned = imgcopy(["plan", &from, &to].into_iter().chain(options)).ok();
    assert!(
        planned.stdout.ends_with("nothing to do\n"),
        "{}",
        planned.stdout
    );
    imgcopy(["copy", &from, &to, "--recompress"]).fails(64);
}

#[test]
fn digests_are_preserved_or_nothing_is_copied() {
    let home = tempdir();
    let at = |name: &str| oci_at(&home.path().join(name), "x");
    let archive = archive_at(&fixture("docker20/single.tar"));
    let told = imgcopy(["copy", &archive, &at("a"), "--preserve-digests"])
        .fails(1)
        .stderr;
    assert!(told.contains("--preserve-digests forbids it"), "{told}");
    assert!(!home.path().join("a").exists());
    copy(&archive, &at("b"));
    imgcopy(["copy", "-q", &at("b"), &at("c"), "--preserve-digests"]).ok();
    assert_eq!(digest(&at("b")), digest(&at("c")));
    let to = archive_at(&home.path().join("d.tar"));
    imgcopy(["copy", &at("b"), &to, "--preserve-digests"]).fails(1);
    imgcopy([
        "copy",
        &at("b"),
        &at("e"),
        "--preserve-digests",
        "--format",
        "oci",
    ])
    .fails(64);
}
