//! `inspect` and `list-tags`: which image of an index is shown, and whether programs that read what
//! skopeo prints can read this.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use async_trait::async_trait;
use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::{Descriptor, Digest, Manifest, MediaType, Name, Platform, Repository};
use imgcopy::inspect;
use imgcopy::store::blob::Blob;
use imgcopy::store::{Destination as _, Memory, Role, Source, Store};
use serde_json::{Value, json};
use support::{Run, fixture, has_peer, imgcopy, tempdir};

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The JSON that `inspect` prints.
fn inspected(reference: &str, options: &str) -> Value {
    let mut args = vec!["inspect", reference, "--format", "json"];
    args.extend(words(options));
    serde_json::from_str(&imgcopy(args).ok().stdout).unwrap()
}

/// What skopeo prints, or why it does not.
fn skopeo(global: &str, verb: &str, reference: &str) -> std::result::Result<String, String> {
    let mut command = Command::new("skopeo");
    let run = Run::of(command.args(words(global)).args(words(verb)).arg(reference));
    match run.code {
        Some(0) => Ok(run.stdout),
        _ => Err(run.stderr),
    }
}

fn oci(path: &Path) -> String {
    format!("oci:{}", path.display())
}

/// An OCI directory out of an archive of one.
fn unpacked(archive: &str, to: &Path) -> String {
    let file = std::fs::File::open(fixture(archive)).unwrap();
    tar::Archive::new(file).unpack(to).unwrap();
    oci(to)
}

/// Whatever skopeo says is said here by the same name. An empty list is as good as `null`.
#[track_caller]
fn says_the_same(ours: &Value, skopeo: &Value, but: &[&str]) {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        // Of Docker's configs skopeo shows Go's zero time where none is said.
        Value::String(text) => text == "0001-01-01T00:00:00Z",
        _ => false,
    };
    for (key, value) in skopeo.as_object().unwrap() {
        let own = ours.get(key).unwrap_or_else(|| panic!("{key} is missing"));
        let same = own == value || (is_nothing(own) && is_nothing(value));
        assert!(same || but.contains(&key.as_str()), "{key}: {own}, {value}");
    }
}

#[test]
fn skopeo_says_the_same_of_every_layout() {
    if !has_peer("skopeo") {
        return;
    }
    let desk = tempdir();
    let mut places: Vec<String> = [
        "podman/oci-dir",
        "podman/oci-dir-zstd",
        "podman/oci-index",
        "variants/oci-gzip",
        "variants/oci-zero-layers",
        "variants/oci-dup-layers",
        "variants/oci-nested-index",
        "variants/oci-index-unknown-platform-and-artifact",
        "variants/docker-schema2-foreign-in-layout",
        "others/crane-pull-oci-index",
    ]
    .map(|path| oci(&fixture(path)))
    .to_vec();
    places.push(unpacked(
        "buildx/oci-multi-att-gzip.tar",
        &desk.path().join("att"),
    ));
    let choices = [
        "",
        "--override-arch amd64",
        "--override-arch arm64",
        "--override-arch arm --override-variant v7",
        "--override-arch arm --override-variant v6",
        "--override-arch arm",
        "--override-os windows",
    ];
    let (mut told, mut refused) = (0, 0);
    for place in &places {
        for choice in choices {
            if let Ok(expected) = skopeo(choice, "inspect", place) {
                let expected = serde_json::from_str(&expected).unwrap();
                says_the_same(&inspected(place, choice), &expected, &[]);
                told += 1;
            } else {
                let mut args = vec!["inspect", place];
                args.extend(words(choice));
                imgcopy(args).fails(2);
                refused += 1;
            }
        }
    }
    assert!(told > 50 && refused > 5, "{told} told, {refused} refused");
}

#[test]
fn skopeo_says_the_same_of_archives_but_for_their_digest() {
    if !has_peer("skopeo") {
        return;
    }
    // Archives have no manifest; each program makes its own.
    let but = ["Digest"];
    for (path, name) in [
        ("docker28/single.tar", ""),
        ("docker28/multiimage.tar", ":corpus/tiny:base"),
        ("docker28/multiimage.tar", ":docker.io/corpus/tiny:base"),
        ("docker28/multiimage.tar", ":@1"),
        ("docker20/two-untagged.tar", ":@0"),
        ("docker20/imported.tar", ""),
    ] {
        let place = format!("docker-archive:{}{name}", fixture(path).display());
        let expected = serde_json::from_str(&skopeo("", "inspect", &place).unwrap()).unwrap();
        says_the_same(&inspected(&place, ""), &expected, &but);
    }
}

#[test]
fn skopeo_lists_the_same_tags_of_archives() {
    if !has_peer("skopeo") {
        return;
    }
    for path in [
        "docker28/multiimage.tar",
        "docker28/multitag.tar",
        "docker20/tagged-plus-untagged.tar",
        "docker20/two-untagged.tar",
    ] {
        let place = format!("docker-archive:{}", fixture(path).display());
        let ours = imgcopy(["list-tags", place.as_str()]).ok().stdout;
        assert_eq!(ours, skopeo("", "list-tags", &place).unwrap());
    }
}

#[test]
fn the_fields_of_skopeo_come_first_in_its_order() {
    let told = inspected(&oci(&fixture("podman/oci-index")), "--platform linux/arm64");
    let keys: Vec<_> = told.as_object().unwrap().keys().cloned().collect();
    let order = [
        "Digest",
        "RepoTags",
        "Created",
        "DockerVersion",
        "Labels",
        "Architecture",
        "Os",
        "Layers",
        "LayersData",
        "Env",
    ];
    assert_eq!(keys[..order.len()], order);
    assert_eq!(told["Variant"], "v8");
    assert_eq!(told["Platforms"][2]["Platform"], "linux/arm/v7:1.2.3");
    assert_eq!(told["Platforms"][2]["Present"], true);
    assert_eq!(told["ManifestDigest"], told["Platforms"][1]["Digest"]);
    let layer = &told["LayersData"][0];
    assert_eq!(layer["Digest"], told["Layers"][0]);
    assert_eq!(
        layer["MIMEType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    assert_eq!(layer["Size"], 124);
    assert_eq!(layer["Annotations"], json!({}));
    let diff_id = "sha256:04e3a035d1cf7e21baed397e01a8a0371d641b24a448a31aba2e68e2a51f13c0";
    assert_eq!(layer["DiffID"], diff_id);
}

#[test]
fn one_rule_chooses_for_the_description_and_the_config() {
    let place = oci(&fixture("podman/oci-index"));
    for (choice, labelled) in [
        ("--platform linux/arm64/v8", "arm64"),
        ("--override-arch aarch64", "arm64"),
        ("--override-arch arm64 --override-variant v8", "arm64"),
        ("--platform linux/x86_64", "amd64"),
        ("--override-arch amd64 --override-os linux", "amd64"),
    ] {
        let told = inspected(&place, choice);
        assert_eq!(told["Labels"]["arch"], labelled, "{choice}");
        for raw in ["--config", "--config --raw"] {
            let mut args = vec!["inspect", &place];
            args.extend(words(choice).into_iter().chain(words(raw)));
            let config = imgcopy(args).ok().stdout;
            let id = format!("sha256:{}", support::sha256(config.as_bytes()));
            assert_eq!(told["ImageID"], id, "{choice} {raw}");
        }
    }
    let raw = imgcopy(["inspect", &place, "--raw", "--platform", "linux/arm64"]).ok();
    let digest = format!("sha256:{}", support::sha256(raw.stdout.as_bytes()));
    assert_eq!(inspected(&place, "")["Digest"], digest, "the index itself");
}

#[test]
fn a_platform_that_is_not_there_is_told_with_those_that_are() {
    let place = oci(&fixture("podman/oci-index"));
    for more in ["", "--format json", "--config"] {
        let mut args = vec!["inspect", &place, "--platform", "linux/s390x"];
        args.extend(words(more));
        let told = imgcopy(args).fails(2).stderr;
        let expected = "the index has no image for linux/s390x; \
                        it has linux/amd64, linux/arm64/v8, linux/arm/v7:1.2.3";
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn an_image_of_a_sparse_index_that_is_not_there_is_told() {
    let desk = tempdir();
    let layout = desk.path().join("sparse");
    let place = unpacked("buildx/oci-multi-att-gzip.tar", &layout);
    let arm = "531587552f6fa7b1e82bdc4f677d582c621798dc32ce2855898f15324bebc52e";
    std::fs::remove_file(layout.join("blobs/sha256").join(arm)).unwrap();
    let told = imgcopy(["inspect", &place, "--platform", "linux/arm64"]);
    assert!(told.fails(1).stderr.contains(arm));
    let told = inspected(&place, "--platform linux/amd64");
    let present = |n: usize| told["Platforms"][n]["Present"].as_bool();
    assert_eq!((present(0), present(1)), (Some(true), Some(false)));
}

#[test]
fn wrong_usage_is_told_plainly() {
    let place = oci(&fixture("podman/oci-index"));
    for (options, expected) in [
        ("--format {{.Digest}}", "Go templates are not taken"),
        ("--format yaml", "it is table or json"),
        ("--raw --format json", "cannot be used with"),
        ("--platform arm64", "write OS/ARCHITECTURE"),
        (
            "--platform linux/amd64 --override-arch arm64",
            "cannot be used with",
        ),
        ("--override-arch arm/v7/x", "write OS/ARCHITECTURE"),
    ] {
        let mut args = vec!["inspect", &place];
        args.extend(words(options));
        let told = imgcopy(args).fails(64).stderr;
        assert!(told.contains(expected), "{options}: {told}");
    }
}

/// A place that counts what it is asked for, as a registry would.
struct Registry {
    content: Memory,
    repository: Option<Repository>,
    lists_tags: bool,
    reads: Mutex<BTreeMap<Digest, usize>>,
}

impl Registry {
    fn new(content: Memory) -> Self {
        Self {
            content,
            repository: Some("busybox".parse().unwrap()),
            lists_tags: true,
            reads: Mutex::default(),
        }
    }

    fn reads(&self) -> Vec<usize> {
        self.reads.lock().unwrap().values().copied().collect()
    }
}

impl std::fmt::Display for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("docker://docker.io/library/busybox")
    }
}

#[async_trait]
impl Store for Registry {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        self.content.resolve(name).await
    }

    async fn names(&self) -> Result<Vec<Name>> {
        match self.lists_tags {
            true => self.content.names().await,
            false => Err(Error::new(ErrorKind::Denied, "no catalogue for you")),
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let digest = descriptor.digest.clone();
        *self.reads.lock().unwrap().entry(digest).or_default() += 1;
        self.content.manifest(descriptor).await
    }

    fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }
}

#[async_trait]
impl Source for Registry {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        self.content.blob(blob).await
    }
}

/// Puts an image in, whose config names this platform.
async fn image(content: &Memory, platform: &str) -> Manifest {
    let platform: Platform = platform.parse().unwrap();
    let config = serde_json::to_string(&platform).unwrap();
    let config = content.add(MediaType::OCI_CONFIG, config);
    let image = Manifest::image(&config, &[]).unwrap();
    content.put_manifest(&image, Role::Child).await.unwrap();
    image
}

/// Puts an index in. With `says` its entries name their platforms.
async fn index(content: &Memory, of: &[&Manifest], says: &[&str], word: &str) -> Manifest {
    let platforms = says.iter().copied().map(Some);
    let platforms = platforms.chain(std::iter::repeat(None));
    let entry = |(manifest, platform): (&&Manifest, Option<&str>)| {
        let mut entry = manifest.descriptor().clone();
        entry.platform = platform.map(|platform| platform.parse().unwrap());
        entry
    };
    let entries: Vec<Descriptor> = of.iter().zip(platforms).map(entry).collect();
    let document = json!({ "manifests": entries, "annotations": { "word": word } });
    let bytes = serde_json::to_vec(&document).unwrap();
    let index = Manifest::of(bytes.into(), MediaType::OCI_INDEX.into()).unwrap();
    content.put_manifest(&index, Role::Child).await.unwrap();
    index
}

async fn tagged(content: &Memory, root: &Manifest, tag: &str) -> Name {
    let tag: imgcopy::image::Tag = tag.parse().unwrap();
    let role = std::slice::from_ref(&tag);
    content.put_manifest(root, Role::Root(role)).await.unwrap();
    Name::Tag(tag)
}

#[tokio::test]
async fn q02_a_registry_is_asked_for_two_manifests_whatever_the_index_holds() {
    let content = Memory::new();
    let platforms = ["linux/amd64", "linux/arm64", "linux/s390x"];
    let mut images = Vec::new();
    for platform in platforms {
        images.push(image(&content, platform).await);
    }
    let images: Vec<&Manifest> = images.iter().collect();
    let root = index(&content, &images, &platforms, "root").await;
    let name = tagged(&content, &root, "1.36").await;
    let place = Registry::new(content);
    let wanted = "linux/arm64".parse().unwrap();
    let mut described = inspect::describe(&place, &name, &wanted).await.unwrap();
    described.repo_tags = inspect::repo_tags(&place).await.unwrap();
    assert_eq!(place.reads().iter().sum::<usize>(), 2);
    let told = serde_json::to_value(&described).unwrap();
    assert_eq!(told["Name"], "docker.io/library/busybox");
    assert_eq!(told["Tag"], "1.36");
    assert_eq!(told["RepoTags"], json!(["1.36"]));
    assert_eq!(told["Architecture"], "arm64");
    let nobody_looked =
        json!({ "Platform": "linux/s390x", "Digest": images[2].descriptor().digest });
    assert_eq!(told["Platforms"][2], nobody_looked);
}

#[tokio::test]
async fn a_registry_that_does_not_list_its_tags_says_so() {
    let mut place = Registry::new(Memory::new());
    place.lists_tags = false;
    let error = inspect::repo_tags(&place).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    place.repository = None;
    let tags = inspect::repo_tags(&place).await.unwrap();
    assert!(tags.is_empty(), "only a repository has tags of its own");
}

#[tokio::test]
async fn q81_what_names_no_platform_is_looked_at_if_nothing_else_fits() {
    let content = Memory::new();
    let said = image(&content, "linux/amd64").await;
    let unsaid = image(&content, "linux/arm64").await;
    let inner = index(&content, &[&unsaid, &unsaid], &[], "inner").await;
    let root = index(&content, &[&said, &inner], &["linux/amd64"], "root").await;
    let place = Registry::new(content);
    for (platform, expected, reads) in [
        ("linux/amd64", Some(&said), vec![1]),
        ("linux/arm64", Some(&unsaid), vec![1, 1]),
        ("linux/s390x", None, vec![1, 1]),
    ] {
        place.reads.lock().unwrap().clear();
        let wanted = platform.parse().unwrap();
        let chosen = inspect::choose(&place, root.clone(), &wanted).await;
        assert_eq!(place.reads(), reads, "{platform}");
        match expected {
            Some(expected) => assert_eq!(chosen.unwrap().bytes(), expected.bytes()),
            None => {
                let told = chosen.unwrap_err().to_string();
                assert!(told.ends_with("it has linux/amd64, linux/arm64"), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn s21_a_doubling_tower_of_indexes_is_read_once_and_one_too_high_is_refused() {
    let content = Memory::new();
    let bottom = image(&content, "linux/amd64").await;
    let mut level = [bottom.clone(), bottom];
    let mut roots = Vec::new();
    for _ in 0..12 {
        let below = [&level[0], &level[1]];
        level = [
            index(&content, &below, &[], "left").await,
            index(&content, &below, &[], "right").await,
        ];
        roots.push(level[0].clone());
    }
    let place = Registry::new(content);
    let wanted: Platform = "linux/s390x".parse().unwrap();
    let error = inspect::choose(&place, roots[8].clone(), &wanted).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    let reads = place.reads();
    assert_eq!((reads.len(), reads.iter().max()), (17, Some(&1)));
    let error = inspect::choose(&place, roots[9].clone(), &wanted).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
}
