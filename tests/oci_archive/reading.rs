//! What tools write, and what a layout may hold.

use std::fs;

use imgcopy::error::ErrorKind;
use imgcopy::image::{Digest, Name};
use imgcopy::store::archive::{DockerArchive, OciArchive};
use imgcopy::store::oci_dir::OciDir;
use imgcopy::store::{Promise, Source, Store};

use super::*;

/// Copies each image of an archive, and compares it with the same layout as a directory.
#[track_caller]
fn arrives(archive: &Path, layout: &Path) {
    for (position, entry) in truth::entries(layout).iter().enumerate() {
        let original = truth::graph(layout, entry);
        let digest = entry["digest"].as_str().unwrap();
        let place = in_tar(archive);
        let mut sources = vec![format!("{place}:@{position}"), format!("{place}@{digest}")];
        if let Some(name) = entry["annotations"][REF_NAME].as_str() {
            sources.push(format!("{place}:{name}"));
        }
        for source in sources {
            let to = tempdir();
            let there = oci_at(to.path(), "here");
            let copied = copy_here(&source, &there);
            let copied = copied.unwrap_or_else(|error| panic!("{source}: {}", told(&error)));
            assert_eq!(copied, digest, "{source}");
            let arrived = truth::graph(to.path(), &truth::entry(to.path(), "here"));
            assert_eq!(arrived.images, original.images, "{source}");
            assert_eq!(arrived.present, original.present, "{source}");
            assert_eq!(arrived.absent, original.absent, "{source}");
            assert_eq!(blobs(to.path()), original.present.len(), "{source}");
        }
    }
}

#[test]
fn what_tools_write_arrives_byte_for_byte() {
    for archive in oci_archives() {
        arrives(&archive, unpacked(&archive).path());
    }
}

/// SHA-512, indexes in indexes, inline data, entries without a name, foreign layers and so on.
#[test]
fn a_layout_in_a_tar_is_as_good_as_in_a_directory() {
    let folders = ["podman", "others", "variants"];
    let layouts = folders.iter().flat_map(|folder| fixtures(folder));
    let layouts: Vec<PathBuf> = layouts.filter(|path| path.is_dir()).collect();
    assert!(layouts.len() >= 15, "{}", layouts.len());
    for layout in layouts {
        let directory = tempdir();
        let archive = directory.path().join("x.tar");
        fs::write(&archive, tar_of(&layout)).unwrap();
        arrives(&archive, &layout);
        let names = |place: &str| imgcopy(["tags", place]).ok().stdout;
        let there = format!("oci:{}", layout.display());
        assert_eq!(names(&in_tar(&archive)), names(&there), "{there}");
    }
}

#[tokio::test]
async fn what_docker_saves_is_the_same_as_either() {
    for file in fixtures("docker28") {
        let saved = truth::saved(&file).unwrap();
        let either = DockerArchive::open(&file).unwrap();
        let other = OciArchive::open(&file).unwrap();
        // Docker 28 leaves the second image without a name out of index.json.
        let listed = other.names().await.unwrap().len();
        assert!(listed >= saved.len() || file.ends_with("two-untagged.tar"));
        let mut found = 0;
        for (position, saved) in saved.iter().enumerate() {
            let image = either.resolve(&Name::At(position)).await.unwrap().unwrap();
            let by_digest = Name::Digest(image.digest.clone());
            if let Some(same) = other.resolve(&by_digest).await.unwrap() {
                let manifest = other.manifest(&same).await.unwrap();
                let config = &manifest.as_image().unwrap().config.digest;
                assert_eq!(config.to_string(), saved.id);
                found += 1;
            }
        }
        assert!(found >= saved.len().min(listed), "{}", file.display());
    }
}

#[test]
fn what_docker_saves_arrives_byte_for_byte_as_a_layout() {
    for name in ["single", "multiimage", "multitag", "two-untagged"] {
        let file = fixture(&format!("docker28/{name}.tar"));
        arrives(&file, unpacked(&file).path());
    }
    let attested = fixture("buildx/dockersave-multiarch-att.tar");
    arrives(&attested, unpacked(&attested).path());
}

#[test]
fn how_an_archive_is_compressed_makes_no_difference() {
    let plain = fs::read(fixture("podman/oci-archive-index.tar")).unwrap();
    let sandbox = Sandbox::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &plain).unwrap();
    let packed = [
        gzip.finish().unwrap(),
        zstd::encode_all(&*plain, 1).unwrap(),
    ];
    let path = sandbox.at("in/archive");
    let mut digests = Vec::new();
    for bytes in [&plain, &packed[0], &packed[1]] {
        fs::write(&path, bytes).unwrap();
        digests.push(sandbox.is_good(sandbox.copy_from(&in_tar(&path))));
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn a_plain_archive_is_read_in_place() {
    let (from, to) = (fixture("podman/oci-archive.tar"), tempdir());
    let nowhere = to.path().join("nowhere");
    let run = |from: &Path, to: &Path| {
        let args = [in_tar(from), oci_at(to, "a")];
        Run::of(command().args(args).env("TMPDIR", &nowhere))
    };
    run(&from, &to.path().join("plain")).ok();
    let packed = fixture("podman/oci-archive.tar.gz");
    let told = run(&packed, &to.path().join("packed")).fails(1).stderr;
    assert!(told.contains("cannot make a temporary file in"), "{told}");
}

#[test]
fn one_image_of_an_index_is_found_by_its_digest() {
    let archive = fixture("podman/oci-archive-index.tar");
    let layout = unpacked(&archive);
    let list = truth::blob(layout.path(), &truth::entry(layout.path(), "list")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    for child in list["manifests"].as_array().unwrap() {
        let digest = child["digest"].as_str().unwrap();
        let to = tempdir();
        let source = format!("{}@{digest}", in_tar(&archive));
        assert_eq!(copy_here(&source, &oci_at(to.path(), "a")).unwrap(), digest);
        assert_whole(to.path());
    }
}

#[test]
fn one_of_several_images_must_be_chosen() {
    let source = in_tar(&fixture("docker28/multiimage.tar"));
    let told = imgcopy(["inspect", &source]).fails(1).stderr;
    let list = "holds 4 images, choose one: child1, child2, whiteout, base\n";
    assert!(told.contains(list), "{told}");
    // Two names of one image are no choice to be made.
    let twice = in_tar(&fixture("buildx/oci-multi-twonames.tar"));
    imgcopy(["inspect", &twice]).ok();
    imgcopy(["inspect", &format!("{source}:other")]).fails(2);
    imgcopy(["inspect", &format!("{source}:@9")]).fails(2);
}

#[test]
fn a_sparse_index_arrives_as_it_is() {
    let layout = unpacked(&fixture("podman/oci-archive-index.tar"));
    let entry = truth::entry(layout.path(), "list");
    let list = truth::blob(layout.path(), &entry).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let child = list["manifests"][1]["digest"].as_str().unwrap();
    fs::remove_file(layout.path().join("blobs").join(child.replace(':', "/"))).unwrap();
    let directory = tempdir();
    let archive = directory.path().join("sparse.tar");
    fs::write(&archive, tar_of(layout.path())).unwrap();
    let to = directory.path().join("to");
    let digest = copy_here(&in_tar(&archive), &oci_at(&to, "a")).unwrap();
    assert_eq!(entry["digest"], *digest);
    let arrived = truth::graph(&to, &truth::entry(&to, "a"));
    assert_eq!(arrived.absent.into_iter().collect::<Vec<_>>(), [child]);
}

#[test]
fn inline_data_stands_for_a_blob_that_is_not_there() {
    let (layer, config) = (b"a layer", config_of(b"a layer"));
    let inline = |content: &[u8], media_type| {
        use base64::Engine as _;
        let mut descriptor = descriptor(media_type, content);
        descriptor["data"] = base64::prelude::BASE64_STANDARD.encode(content).into();
        descriptor
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": inline(config.as_bytes(), CONFIG), "layers": [inline(layer, LAYER)],
    })
    .to_string();
    let mut entry = inline(manifest.as_bytes(), MANIFEST);
    entry["annotations"] = json!({REF_NAME: "a"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    let archive = Archive::new().file("oci-layout", MARKER);
    let archive = archive.file("index.json", index.as_bytes());
    let sandbox = Sandbox::new();
    let path = archive.write(&sandbox.at("in"), "x.tar");
    let digest = sandbox.is_good(sandbox.copy_from(&in_tar(&path)));
    assert_eq!(digest, format!("sha256:{}", sha256(manifest.as_bytes())));
}

/// A signature as cosign and others attach it: a manifest with a subject, listed without a name.
pub(crate) fn with_referrer() -> (Archive, String, String) {
    let (layer, image) = (b"a layer", manifest_of(b"a layer"));
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let referrer = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x.sign",
        "config": empty, "layers": [], "subject": descriptor(MANIFEST, image.as_bytes()),
        "annotations": {"k": "v"},
    })
    .to_string();
    let mut index: Value = serde_json::from_str(&index_of(&[("a", &image)])).unwrap();
    let mut entry = descriptor(MANIFEST, referrer.as_bytes());
    entry["artifactType"] = "application/x.sign".into();
    index["manifests"].as_array_mut().unwrap().push(entry);
    let config = config_of(layer);
    let blobs = [
        config.as_bytes(),
        image.as_bytes(),
        layer,
        b"{}",
        referrer.as_bytes(),
    ];
    let archive = Archive::new().file("oci-layout", MARKER);
    let archive = archive.file("index.json", index.to_string().as_bytes());
    let archive = blobs.iter().fold(archive, |archive, blob| {
        archive.file(&blob_path(blob), blob)
    });
    let digest = |text: &str| format!("sha256:{}", sha256(text.as_bytes()));
    (archive, digest(&image), digest(&referrer))
}

#[tokio::test]
async fn what_refers_to_an_image_is_found_and_goes_along() {
    let directory = tempdir();
    let (archive, image, referrer) = with_referrer();
    let path = archive.write(directory.path(), "x.tar");
    let layout = unpacked(&path);
    let image: Digest = image.parse().unwrap();
    let archive_here = OciArchive::open(&path).unwrap();
    let found = archive_here.referrers(&image).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest.to_string(), referrer);
    assert_eq!(found[0].annotations["k"], "v");
    let in_directory = OciDir::open(layout.path()).unwrap();
    assert_eq!(in_directory.referrers(&image).await.unwrap(), found);
    assert_eq!(archive_here.referrers(&found[0].digest).await.unwrap(), []);

    let to = directory.path().join("to");
    let run = imgcopy([&format!("{}:a", in_tar(&path)), &oci_at(&to, "a")]).ok();
    assert!(run.stderr.contains("1 referrer"), "{}", run.stderr);
    assert!(to.join("blobs").join(referrer.replace(':', "/")).exists());
}

#[tokio::test]
async fn it_promises_its_digests_and_says_what_it_lacks() {
    let directory = tempdir();
    let path = without_layer(b"layer").write(directory.path(), "x.tar");
    let archive = OciArchive::open(&path).unwrap();
    assert_eq!(archive.promise(), Promise::Digest);
    assert_eq!(archive.to_string(), in_tar(&path));
    let found = archive.resolve(&Name::Sole).await.unwrap().unwrap();
    let manifest = archive.manifest(&found).await.unwrap();
    assert_eq!(manifest.bytes(), manifest_of(b"layer").as_bytes());
    let layer = &manifest.as_image().unwrap().layers[0];
    let missing = archive.blob(layer).await.err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(told(&missing).contains(&layer.digest.to_string()));
}

#[test]
fn what_is_no_oci_archive_is_told_and_what_to_write_instead() {
    let directory = tempdir();
    let told = |source: &str| imgcopy(["inspect", source]).fails(1).stderr;
    let saved = told(&in_tar(&fixture("docker20/single.tar")));
    assert!(saved.contains("write docker-archive:"), "{saved}");
    let other = told(&archive_at(&fixture("podman/oci-archive.tar")));
    assert!(other.contains("write oci-archive:"), "{other}");
    let layout = told(&in_tar(&fixture("podman/oci-dir")));
    assert!(layout.contains("is it oci:?"), "{layout}");
    imgcopy(["inspect", &in_tar(&directory.path().join("missing"))]).fails(2);

    let index = index_of(&[]);
    let half = |archive: Archive| told(&in_tar(&archive.write(directory.path(), "x.tar")));
    let unmarked = half(Archive::new().file("index.json", index.as_bytes()));
    assert!(unmarked.contains("no oci-layout"), "{unmarked}");
    let unlisted = half(Archive::new().file("oci-layout", MARKER));
    assert!(unlisted.contains("no index.json"), "{unlisted}");
    let marker = br#"{"imageLayoutVersion":"2.0.0"}"#;
    let newer = Archive::new().file("oci-layout", marker);
    let newer = half(newer.file("index.json", index.as_bytes()));
    assert!(newer.contains("layout version is 2.0.0"), "{newer}");
}

#[test]
fn nothing_can_be_deleted_from_it() {
    let source = in_tar(&fixture("podman/oci-archive.tar"));
    let told = imgcopy(["delete", &source]).fails(1).stderr;
    assert!(told.contains("written in one piece"), "{told}");
}
