//! Every fixture that can be read arrives whole: same image ID, same DiffIds, and nothing to do the
//! second time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{blobs, copy, fixture, fixtures, imgcopy, plan, stamps, tempdir, tree, truth};
use tempfile::TempDir;

const FOLDERS: [&str; 6] = [
    "docker20", "docker28", "podman", "buildx", "others", "variants",
];

/// What a fixture is.
#[derive(Clone, Copy)]
enum Is {
    /// An archive as `docker save` writes it: the images, each with its names.
    Saved(&'static [&'static [&'static str]]),
    /// An OCI directory: the names of its images.
    Directory(&'static [&'static str]),
    /// An OCI archive: `tests/oci_archive` copies them.
    OciArchive,
}
use Is::{Directory, OciArchive, Saved};

const BASE: Is = Saved(&[&["corpus/tiny:base"]]);

#[rustfmt::skip]
const CORPUS: &[(Is, &[&str])] = &[
    (BASE, &[
        "docker20/single.tar", "docker20/single.tar.bz2", "docker20/single.tar.gz",
        "docker20/single.tar.xz", "docker20/single.tar.zst", "docker28/single.tar",
        "docker28/single.tar.bz2", "docker28/single.tar.gz", "docker28/single.tar.xz",
        "docker28/single.tar.zst", "variants/docker-config-odd-name.tar",
        "variants/docker-dotslash.tar", "variants/docker-gzip-layers.tar",
        "variants/docker-longnames-pax.tar", "variants/docker-manifest-first.tar",
        "variants/docker-mixed-gzip-and-plain-layers.tar", "variants/docker-noeof.tar",
        "variants/docker-reversed-nodirs.tar", "variants/docker-trailing-zeros.tar",
        "variants/docker-xz-layers.tar",
    ]),
    (Saved(&[&["corpus/tiny:dup"]]), &[
        "docker20/dup.tar", "docker28/dup.tar", "variants/docker-absolute-symlink-dup.tar",
        "variants/docker-hardlinked-dup.tar",
    ]),
    (Saved(&[&["corpus/tiny:bigconfig"]]), &["docker20/bigconfig.tar", "docker28/bigconfig.tar"]),
    (Saved(&[&["corpus/tiny:empty"]]), &["docker20/empty.tar", "docker28/empty.tar"]),
    (Saved(&[&["corpus/imported:1"]]), &["docker20/imported.tar", "docker28/imported.tar"]),
    (Saved(&[&["corpus/tiny:many"]]), &["docker20/manylayers.tar", "docker28/manylayers.tar"]),
    (Saved(&[&["corpus/tiny:whiteout"]]), &["docker20/whiteout.tar", "docker28/whiteout.tar"]),
    (Saved(&[&["corpus/tiny:latest"]]), &["variants/docker-repotag-without-tag.tar"]),
    (Saved(&[&[]]), &[
        "docker20/byid.tar", "docker28/byid.tar", "podman/docker-archive-byid.tar",
        "variants/docker-repotags-empty.tar",
    ]),
    (Saved(&[&[], &[]]), &["docker20/two-untagged.tar", "docker28/two-untagged.tar"]),
    (Saved(&[&[], &["corpus/tiny:child2"]]), &[
        "docker20/tagged-plus-untagged.tar", "docker28/tagged-plus-untagged.tar",
    ]),
    (Saved(&[&[
        "corpus/tiny:base", "localhost:5000/team/sub/tiny:v1.0",
        "registry.example.com/tiny:base-2024", "tinyalias:latest",
    ]]), &["docker20/multitag.tar", "docker28/multitag.tar"]),
    (Saved(&[
        &["corpus/tiny:base"], &["corpus/tiny:child1"], &["corpus/tiny:child2"],
        &["corpus/tiny:whiteout"],
    ]), &["docker20/multiimage.tar"]),
    (Saved(&[
        &["corpus/tiny:child1"], &["corpus/tiny:child2"], &["corpus/tiny:whiteout"],
        &["corpus/tiny:base"],
    ]), &["docker28/multiimage.tar"]),
    (Saved(&[
        &["corpus/tiny:empty"], &["corpus/tiny:many"], &["corpus/tiny:whiteout"],
        &["corpus/tiny:base"], &["corpus/tiny:bigconfig"], &["corpus/tiny:child1"],
        &["corpus/tiny:child2"], &["corpus/tiny:dup"],
    ]), &["docker20/allofrepo.tar"]),
    (Saved(&[
        &["corpus/tiny:bigconfig"], &["corpus/tiny:child1"], &["corpus/tiny:child2"],
        &["corpus/tiny:dup"], &["corpus/tiny:empty"], &["corpus/tiny:many"],
        &["corpus/tiny:whiteout"], &["corpus/tiny:base"],
    ]), &["docker28/allofrepo.tar"]),
    (Saved(&[&["localhost/corpus/oci-amd64:2"]]), &["podman/docker-archive-from-oci.tar"]),
    (Saved(&[&["localhost/corpus/docker-amd64:2"]]), &[
        "podman/docker-archive-uncompressed.tar", "podman/docker-archive.tar",
        "podman/docker-archive.tar.gz",
    ]),
    (Saved(&[&[
        "localhost/corpus/docker-amd64:alias", "registry.example.com/x/y:z",
        "localhost/corpus/docker-amd64:2",
    ]]), &["podman/docker-archive-multitag.tar"]),
    (Saved(&[
        &["localhost/corpus/docker-amd64:1"], &["localhost/corpus/docker-amd64:2"],
        &["localhost/corpus/docker-arm64:2"],
    ]), &["podman/docker-archive-multi.tar"]),
    (Saved(&[&["corpus/multi:dockerexp"]]), &["buildx/docker-exporter-amd64.tar"]),
    (Saved(&[&["corpus/multi:att"]]), &[
        "buildx/dockersave-multiarch-att.tar", "buildx/dockersave-platform-arm64-only.tar",
    ]),
    (Saved(&[&["127.0.0.1:5057/art/tiny:v1"]]), &["others/crane-pull-legacy.tar"]),
    (Saved(&[&["127.0.0.1:5057/art/oras:v1"], &["127.0.0.1:5057/art/tiny:v1"]]), &[
        "others/crane-pull-two.tar",
    ]),
    (Directory(&["@0"]), &["others/crane-pull-oci-index"]),
    (Directory(&["base", "v2", "weird_tag-1.0"]), &["others/umoci"]),
    (Directory(&["latest"]), &[
        "podman/oci-dir-gzip", "podman/oci-dir-zstd", "podman/oci-dir-zstd-chunked",
        "variants/docker-schema2-foreign-in-layout", "variants/oci-dup-layers",
        "variants/oci-gzip", "variants/oci-index-unknown-platform-and-artifact",
        "variants/oci-inline-data-present", "variants/oci-nondistributable-urls-present-blob",
        "variants/oci-same-diffid-two-blobs", "variants/oci-sha512-layers",
        "variants/oci-zero-layers",
    ]),
    (Directory(&["localhost/corpus/oci-amd64:2"]), &["podman/oci-dir"]),
    (Directory(&["list"]), &["podman/oci-index"]),
    (Directory(&["nested"]), &["variants/oci-nested-index"]),
    (Directory(&["@0", "@1"]), &["variants/oci-no-refname-two-manifests"]),
    (OciArchive, &[
        "buildx/oci-amd64-uncompressed.tar", "buildx/oci-multi-att-gzip.tar",
        "buildx/oci-multi-twonames.tar", "buildx/oci-windows.tar",
        "podman/oci-archive-from-docker.tar", "podman/oci-archive-index.tar",
        "podman/oci-archive.tar", "podman/oci-archive.tar.gz",
        "variants/oci-gzip.dotslash.ociarchive.tar", "variants/oci-gzip.ociarchive.tar",
        "variants/oci-nested-index.dotslash.ociarchive.tar",
        "variants/oci-nested-index.ociarchive.tar",
    ]),
];

fn corpus() -> impl Iterator<Item = (&'static str, Is)> {
    CORPUS
        .iter()
        .flat_map(|(is, files)| files.iter().map(|file| (*file, *is)))
}

fn rows(folder: &'static str) -> impl Iterator<Item = (&'static str, Is)> {
    corpus().filter(move |(file, _)| file.split_once('/').unwrap().0 == folder)
}

/// The references of a place: what is typed for each image, by every name and by position.
fn choices(file: &str, is: Is) -> Vec<(usize, String)> {
    let at = fixture(file).display().to_string();
    let mut choices = Vec::new();
    match is {
        Saved(images) => {
            for (position, names) in images.iter().enumerate() {
                choices.push((position, format!("docker-archive:{at}:@{position}")));
                let named = names
                    .iter()
                    .map(|name| format!("docker-archive:{at}:{name}"));
                choices.extend(named.map(|reference| (position, reference)));
            }
        }
        Directory(names) => {
            for (position, name) in names.iter().enumerate() {
                let digest = truth::entries(&fixture(file))[position]["digest"].clone();
                choices.push((position, format!("oci:{at}:@{position}")));
                choices.push((position, format!("oci:{at}:{name}")));
                choices.push((position, format!("oci:{at}@{}", digest.as_str().unwrap())));
            }
        }
        OciArchive => choices.push((0, format!("docker-archive:{at}"))),
    }
    choices
}

/// The names as `imgcopy tags` must tell them.
fn names(is: Is) -> Vec<String> {
    match is {
        Saved(images) => {
            let of_image = |(position, names): (usize, &&[&str])| match names.is_empty() {
                true => vec![format!("@{position}")],
                false => names.iter().map(ToString::to_string).collect(),
            };
            images.iter().enumerate().flat_map(of_image).collect()
        }
        Directory(names) => names.iter().map(ToString::to_string).collect(),
        OciArchive => Vec::new(),
    }
}

/// Copies into `to:name` and sees that the image is whole there and that a second copy is idle.
/// Returns the digest, and what is there.
fn arrive(source: &str, to: &Path, name: &str) -> (String, truth::Graph) {
    let destination = format!("oci:{}:{name}", to.display());
    let digest = copy(source, &destination);
    let before = stamps(to);
    assert_eq!(plan(source, &destination)["isEmpty"], true, "{source}");
    assert_eq!(copy(source, &destination), digest, "{source}");
    assert_eq!(
        stamps(to),
        before,
        "{source}: the second copy changed something"
    );
    imgcopy(["verify", &destination]).ok();
    let entry = truth::entry(to, name);
    assert_eq!(entry["digest"], *digest, "{source}");
    (digest, truth::graph(to, &entry))
}

#[track_caller]
fn archives_arrive(folder: &'static str) {
    for (file, is) in rows(folder) {
        let Saved(listed) = is else { continue };
        let images = truth::saved(&fixture(file)).unwrap();
        assert_eq!(images.len(), listed.len(), "{file}");
        let directory = tempdir();
        let mut digests = BTreeMap::new();
        for (n, (position, source)) in choices(file, is).into_iter().enumerate() {
            imgcopy(["verify", &source]).ok();
            let (digest, graph) = arrive(&source, directory.path(), &format!("n{n}"));
            assert_eq!(graph.images, [images[position].clone()], "{source}");
            assert_eq!(
                digests.entry(position).or_insert(digest.clone()),
                &digest,
                "{source}"
            );
        }
    }
}

#[track_caller]
fn directories_arrive(folder: &'static str) {
    for (file, is) in rows(folder) {
        if !matches!(is, Directory(_)) {
            continue;
        }
        for (position, source) in choices(file, is) {
            let entry = &truth::entries(&fixture(file))[position];
            let original = truth::graph(&fixture(file), entry);
            let directory = tempdir();
            let (digest, graph) = arrive(&source, directory.path(), "here");
            assert_eq!(entry["digest"], *digest, "{source}");
            assert_eq!(graph.images, original.images, "{source}");
            assert_eq!(graph.present, original.present, "{source}");
            assert_eq!(graph.absent, original.absent, "{source}");
            assert_eq!(blobs(directory.path()), original.present.len(), "{source}");
        }
    }
}

#[test]
fn every_fixture_has_one_row() {
    let listed: BTreeSet<PathBuf> = corpus().map(|(file, _)| fixture(file)).collect();
    let there: BTreeSet<PathBuf> = FOLDERS.iter().flat_map(|it| fixtures(it)).collect();
    assert_eq!(listed, there);
    assert_eq!(listed.len(), corpus().count());
}

#[test]
fn archives_of_docker_20_arrive() {
    archives_arrive("docker20");
}

#[test]
fn archives_of_docker_28_arrive() {
    archives_arrive("docker28");
}

#[test]
fn archives_of_podman_buildkit_and_crane_arrive() {
    archives_arrive("podman");
    archives_arrive("buildx");
    archives_arrive("others");
}

#[test]
fn unusual_archives_arrive() {
    archives_arrive("variants");
}

#[test]
fn oci_directories_arrive_byte_for_byte() {
    directories_arrive("podman");
    directories_arrive("others");
    directories_arrive("variants");
}

#[test]
fn tags_lists_the_names_of_every_fixture() {
    for (file, is) in corpus() {
        let place = match is {
            Saved(_) => format!("docker-archive:{}", fixture(file).display()),
            Directory(_) => format!("oci:{}", fixture(file).display()),
            OciArchive => continue,
        };
        let told = imgcopy(["tags", &place]).ok().stdout;
        assert_eq!(told.lines().collect::<Vec<_>>(), names(is), "{file}");
    }
}

#[test]
fn oci_archives_are_told_from_those_of_docker_save() {
    for (file, is) in corpus().filter(|(_, is)| matches!(is, OciArchive)) {
        assert!(truth::saved(&fixture(file)).is_none(), "{file}");
        let directory = tempdir();
        let to = directory.path().join("to");
        let (_, source) = choices(file, is).remove(0);
        let told = imgcopy([&source, &format!("oci:{}:x", to.display())])
            .fails(1)
            .stderr;
        assert!(told.contains(file), "{told}");
        assert!(
            told.contains("it is an OCI archive, not one of docker save"),
            "{told}"
        );
        assert!(!to.exists(), "{file}");
    }
}

#[test]
fn one_of_several_images_must_be_chosen() {
    for (file, is) in corpus() {
        let (transport, count) = match is {
            Saved(images) => ("docker-archive", images.len()),
            Directory(names) => ("oci", names.len()),
            OciArchive => continue,
        };
        if count < 2 {
            continue;
        }
        let directory = tempdir();
        let to = directory.path().join("to");
        let source = format!("{transport}:{}", fixture(file).display());
        let told = imgcopy([&source, &format!("oci:{}:x", to.display())])
            .fails(1)
            .stderr;
        let list = format!(
            "holds {count} images, choose one: {}\n",
            names(is).join(", ")
        );
        assert!(told.contains(&list), "{told}");
        assert!(!to.exists(), "{file}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn how_an_archive_is_compressed_makes_no_difference() {
    for (file, is) in corpus() {
        let Saved(images) = is else { continue };
        let plain = truth::unpacked(std::fs::read(fixture(file)).unwrap());
        let last = images.len() - 1;
        let digest = |path: &Path| {
            let place = format!("docker-archive:{}:@{last}", path.display());
            let verdict = imgcopy(["verify", &place, "--format", "json"]).ok().stdout;
            let verdict: Value = serde_json::from_str(&verdict).unwrap();
            verdict["digest"].clone()
        };
        let expected = digest(&fixture(file));
        let directory = tempdir();
        for (n, packed) in [gzip, bzip2, xz, zstd]
            .map(|pack| pack(&plain))
            .iter()
            .enumerate()
        {
            let path = directory.path().join(format!("archive{n}"));
            std::fs::write(&path, packed).unwrap();
            assert_eq!(digest(&path), expected, "{file}, compressed in way {n}");
        }
    }
}

/// A directory that holds a copy of a fixture, which a test may change.
fn own_copy(of: &str) -> TempDir {
    let (from, to) = (fixture(of), tempdir());
    for path in tree(&from) {
        match from.join(&path).is_dir() {
            true => std::fs::create_dir(to.path().join(path)).unwrap(),
            false => drop(std::fs::copy(from.join(&path), to.path().join(path)).unwrap()),
        }
    }
    to
}

fn remove_blob(directory: &Path, descriptor: &Value) {
    let path = descriptor["digest"].as_str().unwrap().replace(':', "/");
    std::fs::remove_file(directory.join("blobs").join(path)).unwrap();
}

fn manifest(directory: &Path, entry: &Value) -> Value {
    serde_json::from_slice(&truth::blob(directory, entry).unwrap()).unwrap()
}

#[test]
fn a_sparse_index_arrives_as_it_is_and_is_completed_later() {
    let sparse = own_copy("podman/oci-index");
    let entry = truth::entry(sparse.path(), "list");
    let child = manifest(sparse.path(), &entry)["manifests"][1].clone();
    remove_blob(sparse.path(), &manifest(sparse.path(), &child)["config"]);
    remove_blob(sparse.path(), &child);
    let to = tempdir();
    let source = format!("oci:{}:list", sparse.path().display());
    let (digest, graph) = arrive(&source, to.path(), "list");
    assert_eq!(entry["digest"], *digest);
    assert_eq!(
        graph.absent,
        BTreeSet::from([child["digest"].as_str().unwrap().to_string()])
    );

    let whole = format!("oci:{}:list", fixture("podman/oci-index").display());
    let (again, graph) = arrive(&whole, to.path(), "list");
    assert_eq!(again, digest);
    assert!(graph.absent.is_empty());
}

#[test]
fn an_image_without_a_name_is_known_again_beside_others() {
    let to = tempdir();
    let destination = format!("oci:{}", to.path().display());
    let place = |file: &str| format!("docker-archive:{}", fixture(file).display());
    copy(
        &place("docker20/single.tar"),
        &format!("{destination}:named"),
    );
    let unnamed = place("docker20/empty.tar");
    copy(&unnamed, &destination);
    let before = stamps(to.path());
    copy(&unnamed, &destination);
    assert_eq!(stamps(to.path()), before);
    assert_eq!(plan(&unnamed, &destination)["isEmpty"], true);
}

#[test]
fn a_blob_that_only_its_descriptor_holds_arrives() {
    let inline = own_copy("variants/oci-inline-data-present");
    let entry = truth::entry(inline.path(), "latest");
    let manifest = manifest(inline.path(), &entry);
    let pieces = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .chain([&manifest["config"]]);
    let held: Vec<&Value> = pieces.filter(|piece| piece["data"].is_string()).collect();
    assert!(!held.is_empty());
    for piece in held {
        remove_blob(inline.path(), piece);
    }
    let (digest, graph) = arrive(
        &format!("oci:{}", inline.path().display()),
        tempdir().path(),
        "here",
    );
    assert_eq!(entry["digest"], *digest);
    assert!(graph.absent.is_empty());
}

#[test]
fn a_foreign_layer_travels_where_the_source_has_it_and_else_stays_away() {
    let counts = [
        ("variants/oci-nondistributable-urls-present-blob", 0),
        ("variants/docker-schema2-foreign-in-layout", 1),
    ];
    for (file, absent) in counts {
        let to = tempdir();
        let source = format!("oci:{}", fixture(file).display());
        let (_, graph) = arrive(&source, to.path(), "here");
        assert_eq!(graph.absent.len(), absent, "{file}");
    }
}

#[test]
fn layers_that_images_share_are_written_once() {
    for file in [
        "docker20/allofrepo.tar",
        "docker28/allofrepo.tar",
        "podman/docker-archive-multi.tar",
    ] {
        let images = truth::saved(&fixture(file)).unwrap();
        let to = tempdir();
        for position in 0..images.len() {
            let source = format!("docker-archive:{}:@{position}", fixture(file).display());
            copy(&source, &format!("oci:{}:n{position}", to.path().display()));
        }
        let ids: BTreeSet<&String> = images.iter().map(|image| &image.id).collect();
        let layers: BTreeSet<&String> = images.iter().flat_map(|image| &image.diff_ids).collect();
        assert!(layers.len() < images.iter().map(|image| image.diff_ids.len()).sum());
        assert_eq!(blobs(to.path()), ids.len() * 2 + layers.len(), "{file}");
        for (position, image) in images.iter().enumerate() {
            let entry = truth::entry(to.path(), &format!("n{position}"));
            let found = truth::graph(to.path(), &entry).images;
            assert_eq!(found.iter().collect::<Vec<_>>(), [image], "{file}");
        }
    }
}

#[test]
fn a_layer_that_another_tool_wrote_is_known_by_its_diff_id_and_kept() {
    let to = own_copy("podman/oci-dir");
    let source = format!(
        "docker-archive:{}",
        fixture("podman/docker-archive-multi.tar").display()
    );
    let source = format!("{source}:localhost/corpus/docker-amd64:2");
    let destination = format!("oci:{}:new", to.path().display());
    let plan = plan(&source, &destination);
    let steps = plan["plan"]["blobs"].as_array().unwrap().iter();
    let layers: Vec<&Value> = steps.filter(|step| step["diffId"].is_string()).collect();
    assert_eq!(layers.len(), 2);
    assert!(layers.iter().all(|step| step["action"] == "keep"), "{plan}");
    let before = blobs(to.path());
    arrive(&source, to.path(), "new");
    assert_eq!(blobs(to.path()), before + 2, "a config and a manifest");
}
