//! Debian's skopeo and umoci read what imgcopy wrote, imgcopy reads what they wrote, and they work
//! in one directory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice;

use serde_json::Value;
use support::{Run, copy, fixture, fixtures, has_peer, imgcopy, plan, tempdir, tree, truth};

/// What the peers of Debian 12 cannot do, whoever wrote the image: the object, and what they say of
/// it. Newer ones may be able to.
const LIMITS: &[(&str, &str)] = &[
    // skopeo 1.9.3 does not copy an index that is inside another one.
    (
        "oci-nested-index",
        "received a manifest list instead of a manifest",
    ),
    // skopeo 1.9.3 names what it writes by SHA-256 only.
    ("oci-sha512-layers", "saved with digest sha256:"),
    // skopeo 1.9.3 finds only OCI manifests by name (containers/image).
    (
        "docker-schema2-foreign-in-layout",
        "no descriptor found for reference",
    ),
    // skopeo 1.9.3 loses a block of an archive that is compressed by gzip (klauspost/pgzip#50).
    ("single.tar.gz", "unexpected EOF"),
    ("docker-archive.tar.gz", "unexpected EOF"),
    // umoci 0.4.7 knows no zstd.
    ("umoci of zstd", "blob is not correct mediatype"),
];

/// Whether a peer did it; if not, this must be a known limit of it.
#[track_caller]
fn could(run: &Run, object: &str) -> bool {
    let is_known =
        |(limited, says): &&(&str, &str)| *limited == object && run.stderr.contains(says);
    let is_limit = LIMITS.iter().any(|limit| is_known(&limit));
    assert!(run.code == Some(0) || is_limit, "{object}: {run:?}");
    run.code == Some(0)
}

fn skopeo(args: &[&str]) -> Run {
    Run::of(Command::new("skopeo").arg("--insecure-policy").args(args))
}

fn umoci(args: &[&str]) -> Run {
    Run::of(Command::new("umoci").args(args))
}

/// Every archive as `docker save` writes it, and its images.
fn archives() -> Vec<(PathBuf, Vec<truth::Image>)> {
    let folders = [
        "docker20", "docker28", "podman", "buildx", "others", "variants",
    ];
    let files = folders
        .iter()
        .flat_map(|folder| fixtures(folder))
        .filter(|path| path.is_file());
    let found: Vec<_> = files
        .filter_map(|file| Some((file.clone(), truth::saved(&file)?)))
        .collect();
    assert!(found.len() > 50, "{} archives", found.len());
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_string()
}

/// What skopeo wrote into a `dir:`: the digest of the manifest, the manifest, and the image.
fn written_by_skopeo(directory: &Path) -> (String, Value, truth::Image) {
    let text = std::fs::read(directory.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    let read = |piece: &Value| {
        let (_, hex) = piece["digest"].as_str().unwrap().split_once(':').unwrap();
        std::fs::read(directory.join(hex)).unwrap()
    };
    let layers = manifest["layers"].as_array().unwrap().iter();
    let layers = layers.map(|layer| Some(read(layer))).collect();
    let image = truth::image(&read(&manifest["config"]), layers);
    (truth::digest("sha256", &text), manifest, image)
}

fn is_zstd(manifest: &Value) -> bool {
    let layers = manifest["layers"].as_array().unwrap();
    layers
        .iter()
        .any(|layer| layer["mediaType"].as_str().unwrap().ends_with("zstd"))
}

/// Copies every image of every archive and has both peers read it.
fn peers_read(compression: &str) {
    if !has_peer("skopeo") || !has_peer("umoci") {
        return;
    }
    let mut seen = BTreeSet::new();
    for (archive, images) in archives() {
        let directory = tempdir();
        let at = |what: &str| directory.path().join(what);
        for (position, image) in images.iter().enumerate() {
            let source = format!("docker-archive:{}:@{position}", archive.display());
            let place = format!("{}:n{position}", at("layout").display());
            let args = [
                &source,
                &format!("oci:{place}"),
                "--compression",
                compression,
                "-q",
            ];
            let digest = imgcopy(args).ok().stdout.trim().to_string();

            // Archives share images; those with the digest of one that was read are the same.
            let entry = truth::entry(&at("layout"), &format!("n{position}"));
            assert_eq!(
                truth::graph(&at("layout"), &entry).images,
                slice::from_ref(image)
            );
            if !seen.insert(digest.clone()) {
                continue;
            }

            let out = at(&format!("skopeo{position}"));
            skopeo(&[
                "copy",
                "-q",
                &format!("oci:{place}"),
                &format!("dir:{}", out.display()),
            ])
            .ok();
            let (read, manifest, found) = written_by_skopeo(&out);
            assert_eq!((read, &found), (digest.clone(), image), "{source}");

            let bundle = at(&format!("umoci{position}"));
            let unpacked = umoci(&[
                "unpack",
                "--rootless",
                "--image",
                &place,
                bundle.to_str().unwrap(),
            ]);
            let object = if is_zstd(&manifest) {
                "umoci of zstd"
            } else {
                "umoci"
            };
            if could(&unpacked, object) {
                // umoci checks the DiffIds itself, and calls its notes by the manifest.
                let notes = format!("{}.mtree", digest.replace(':', "_"));
                assert!(
                    bundle.join(notes).is_file(),
                    "{source}: {:?}",
                    tree(&bundle)
                );
            }
        }
    }
}

#[test]
fn peers_read_what_was_compressed_by_gzip() {
    peers_read("gzip");
}

#[test]
fn peers_read_what_was_compressed_by_zstd() {
    peers_read("zstd");
}

#[test]
fn peers_read_what_was_left_plain() {
    peers_read("none");
}

#[test]
fn skopeo_finds_a_copied_directory_to_be_like_the_original() {
    if !has_peer("skopeo") {
        return;
    }
    let folders = fixtures("podman").into_iter().chain(fixtures("variants"));
    for original in folders.filter(|path| path.is_dir()) {
        let object = name(&original);
        // skopeo would look for this one's foreign layer at its URL, though it is here.
        if object == "oci-nondistributable-urls-present-blob" {
            continue;
        }
        let directory = tempdir();
        let at = |what: &str| directory.path().join(what);
        for (position, entry) in truth::entries(&original).iter().enumerate() {
            let ours = format!("oci:{}:n{position}", at("layout").display());
            copy(&format!("oci:{}:@{position}", original.display()), &ours);
            let out = at(&format!("ours{position}"));
            let read = skopeo(&[
                "copy",
                "-q",
                "--all",
                &ours,
                &format!("dir:{}", out.display()),
            ]);
            let tag = &entry["annotations"]["org.opencontainers.image.ref.name"];
            let (true, Some(tag)) = (could(&read, &object), tag.as_str()) else {
                continue;
            };

            let theirs = format!("oci:{}:{tag}", original.display());
            let reference = at(&format!("theirs{position}"));
            skopeo(&[
                "copy",
                "-q",
                "--all",
                &theirs,
                &format!("dir:{}", reference.display()),
            ])
            .ok();
            assert_eq!(tree(&out), tree(&reference), "{object}");
            for file in tree(&out) {
                let bytes = |of: &Path| std::fs::read(of.join(&file)).unwrap();
                assert_eq!(bytes(&out), bytes(&reference), "{object}: {file}");
            }
        }
    }
}

#[test]
fn what_skopeo_wrote_is_read_and_known_again() {
    if !has_peer("skopeo") {
        return;
    }
    for (archive, images) in archives() {
        let directory = tempdir();
        let layout = directory.path().join("layout");
        for (position, image) in images.iter().enumerate() {
            let source = format!("docker-archive:{}:@{position}", archive.display());
            let place = format!("oci:{}:n{position}", layout.display());
            if !could(&skopeo(&["copy", "-q", &source, &place]), &name(&archive)) {
                continue;
            }
            imgcopy(["verify", &place]).ok();
            // skopeo writes the config anew, so the image ID is its own.
            let entry = truth::entry(&layout, &format!("n{position}"));
            let found = truth::graph(&layout, &entry).images.remove(0);
            assert_eq!(found.diff_ids, image.diff_ids, "{source}");
            let copied = format!(
                "oci:{}:n{position}",
                directory.path().join("copy").display()
            );
            assert_eq!(entry["digest"], copy(&place, &copied), "{source}");

            let plan = plan(&source, &place);
            let steps = plan["plan"]["blobs"].as_array().unwrap().iter();
            let mut to_pack = steps.filter(|step| step["diffId"].is_string());
            assert!(to_pack.all(|step| step["action"] == "keep"), "{plan}");
        }
    }
}

#[test]
fn a_layer_of_skopeos_is_kept_for_another_image() {
    if !has_peer("skopeo") {
        return;
    }
    let archive = format!(
        "docker-archive:{}",
        fixture("docker20/multiimage.tar").display()
    );
    let directory = tempdir();
    let place = format!("oci:{}", directory.path().display());
    skopeo(&[
        "copy",
        "-q",
        &format!("{archive}:corpus/tiny:child1"),
        &format!("{place}:other"),
    ])
    .ok();

    let (source, destination) = (
        format!("{archive}:corpus/tiny:base"),
        format!("{place}:base"),
    );
    let planned = plan(&source, &destination);
    let steps = planned["plan"]["blobs"].as_array().unwrap();
    let layers: Vec<&Value> = steps
        .iter()
        .filter(|step| step["diffId"].is_string())
        .collect();
    assert_eq!(layers.len(), 2);
    for layer in layers {
        assert_eq!(layer["action"], "keep", "{layer}");
        assert_eq!(
            layer["because"], "a layer there unpacks to the same",
            "{layer}"
        );
    }
    let before = support::blobs(directory.path());
    copy(&source, &destination);
    assert_eq!(
        support::blobs(directory.path()),
        before + 2,
        "a config and a manifest"
    );
    imgcopy(["verify", &destination]).ok();
    assert_eq!(plan(&source, &destination)["isEmpty"], true);
}

#[test]
fn what_umoci_wrote_is_read() {
    if !has_peer("umoci") {
        return;
    }
    let directory = tempdir();
    let at = |what: &str| directory.path().join(what).display().to_string();
    let (layout, bundle) = (at("layout"), at("bundle"));
    let image = |tag: &str| format!("{layout}:{tag}");
    umoci(&["init", "--layout", &layout]).ok();
    umoci(&["new", "--image", &image("empty")]).ok();
    umoci(&["unpack", "--rootless", "--image", &image("empty"), &bundle]).ok();
    std::fs::write(format!("{bundle}/rootfs/file"), "something").unwrap();
    umoci(&["repack", "--image", &image("full"), &bundle]).ok();

    let told = imgcopy(["tags", &format!("oci:{layout}")]).ok().stdout;
    assert_eq!(told, "empty\nfull\n");
    for (tag, layers) in [("empty", 0), ("full", 1)] {
        let source = format!("oci:{}", image(tag));
        imgcopy(["verify", &source]).ok();
        let to = directory.path().join("to");
        let digest = copy(&source, &format!("oci:{}:{tag}", to.display()));
        let entry = truth::entry(Path::new(&layout), tag);
        assert_eq!(entry["digest"], *digest);
        assert_eq!(truth::graph(&to, &entry).images[0].diff_ids.len(), layers);
    }
}

#[test]
fn peers_work_in_a_directory_that_imgcopy_wrote() {
    if !has_peer("skopeo") || !has_peer("umoci") {
        return;
    }
    let directory = tempdir();
    let at = |what: &str| directory.path().join(what).display().to_string();
    let (layout, bundle) = (at("layout"), at("bundle"));
    let image = |tag: &str| format!("{layout}:{tag}");
    let archive = |file: &str| format!("docker-archive:{}", fixture(file).display());
    let ours = [
        archive("docker20/single.tar"),
        format!("oci:{}", image("ours")),
    ];
    copy(&ours[0], &ours[1]);

    assert_eq!(umoci(&["ls", "--layout", &layout]).ok().stdout, "ours\n");
    umoci(&["tag", "--image", &image("ours"), "alias"]).ok();
    let dup = archive("docker20/dup.tar");
    skopeo(&["copy", "-q", &dup, &format!("oci:{}", image("skopeo"))]).ok();
    umoci(&["unpack", "--rootless", "--image", &image("skopeo"), &bundle]).ok();
    std::fs::write(format!("{bundle}/rootfs/new"), "something").unwrap();
    umoci(&["repack", "--image", &image("umoci"), &bundle]).ok();
    umoci(&["rm", "--image", &image("skopeo")]).ok();
    umoci(&["gc", "--layout", &layout]).ok();
    assert!(Path::new(&layout).join(".imgcopy").is_dir());

    let told = imgcopy(["tags", &format!("oci:{layout}")]).ok().stdout;
    assert_eq!(told, "ours\nalias\numoci\n");
    for tag in told.lines() {
        imgcopy(["verify", &format!("oci:{}", image(tag))]).ok();
    }
    assert_eq!(plan(&ours[0], &ours[1])["isEmpty"], true);

    // imgcopy knows what umoci's gc took away, and brings it back.
    copy(&dup, &format!("oci:{}", image("dup")));
    imgcopy(["verify", &format!("oci:{}", image("dup"))]).ok();
    let names = umoci(&["ls", "--layout", &layout]).ok().stdout;
    assert_eq!(names, "ours\nalias\numoci\ndup\n");
    skopeo(&["inspect", &format!("oci:{}", image("dup"))]).ok();
}
