use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::image::MediaType;

/// An index under construction, and what is known of what it names.
#[derive(Default)]
struct World {
    entries: Vec<Value>,
    below: BTreeMap<Digest, Manifest>,
    platforms: BTreeMap<Digest, Platform>,
}

fn of(platform: &str) -> Platform {
    platform.parse().unwrap()
}

fn manifest(document: &Value, media_type: &str) -> Manifest {
    let bytes = serde_json::to_vec(document).unwrap();
    Manifest::of(Bytes::from(bytes), media_type.into()).unwrap()
}

/// An image whose digest is given by a word.
fn image(word: &str) -> Manifest {
    let config = Descriptor::of(MediaType::OCI_CONFIG.into(), word.as_bytes());
    Manifest::image(&config, &[]).unwrap()
}

/// An artifact about another manifest.
fn artifact(word: &str, subject: Option<&Manifest>) -> Manifest {
    let config = Descriptor::of("application/vnd.example".into(), word.as_bytes());
    let mut document = json!({ "config": config, "layers": [] });
    if let Some(subject) = subject {
        document["subject"] = json!(subject.descriptor());
    }
    manifest(&document, MediaType::OCI_MANIFEST)
}

fn entry(of: &Manifest, more: &Value) -> Value {
    let mut entry = json!(of.descriptor());
    for (key, value) in more.as_object().into_iter().flatten() {
        entry[key] = value.clone();
    }
    entry
}

impl World {
    /// An image with a platform.
    fn image(mut self, platform: &str) -> Self {
        let platform = json!({ "platform": of(platform), "unknown": [1] });
        let image = image(&platform.to_string());
        self.entries.push(entry(&image, &platform));
        self
    }

    /// The attestation of the image that `image` makes.
    fn attestation(mut self, platform: &str) -> Self {
        let subject = World::default().image(platform).entries[0]["digest"].clone();
        let more = json!({
            "platform": { "os": "unknown", "architecture": "unknown" },
            "annotations": { "vnd.docker.reference.digest": subject },
        });
        let attestation = artifact(&format!("of {platform}"), None);
        self.entries.push(entry(&attestation, &more));
        self
    }

    /// What names no platform and was read.
    fn unsaid(mut self, read: Manifest, platform: Option<&str>) -> Self {
        let digest = read.descriptor().digest.clone();
        self.entries.push(entry(&read, &json!({})));
        if let Some(platform) = platform {
            self.platforms.insert(digest.clone(), of(platform));
        }
        self.below.insert(digest, read);
        self
    }

    /// An index in the index.
    fn nested(mut self, inner: World) -> Self {
        let index = inner.index();
        self.below.extend(inner.below);
        self.platforms.extend(inner.platforms);
        self.unsaid(index, None)
    }

    fn index(&self) -> Manifest {
        let document = json!({
            "schemaVersion": 2,
            "annotations": { "kept": "yes" },
            "manifests": self.entries,
            "new": true,
        });
        manifest(&document, MediaType::OCI_INDEX)
    }

    fn select(&self, selection: &Selection) -> Result<Selected> {
        self.select_from(&self.index(), selection)
    }

    fn select_from(&self, root: &Manifest, selection: &Selection) -> Result<Selected> {
        let offer = Offer {
            root,
            below: &self.below,
            platforms: &self.platforms,
        };
        select(&offer, selection)
    }

    /// The position of the one entry that is chosen.
    fn one(&self, platform: &str) -> usize {
        match self.select(&Selection::One(of(platform))).unwrap() {
            Selected::One(chosen) => {
                let digest = json!(chosen.digest);
                let mut entries = self.entries.iter();
                entries.position(|it| it["digest"] == digest).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The positions of the entries that stay; the rest of the document must be as it was.
    fn trimmed(&self, platforms: &[&str]) -> Vec<usize> {
        let (index, left_out) = match self.select(&some(platforms, Subset::Trim)).unwrap() {
            Selected::Trimmed { index, left_out } => (index, left_out),
            Selected::Whole => return (0..self.entries.len()).collect(),
            other => panic!("{other:?}"),
        };
        let mut document: Value = serde_json::from_slice(index.bytes()).unwrap();
        let kept = document["manifests"].as_array().unwrap().clone();
        assert_eq!(kept.len() + left_out.len(), self.entries.len());
        let at = |entry: &Value| self.entries.iter().position(|it| it == entry).unwrap();
        let positions = kept.iter().map(at).collect();
        document["manifests"] = json!(self.entries);
        let whole = serde_json::to_vec(&document).unwrap();
        assert_eq!(whole, self.index().bytes()[..], "something else changed");
        positions
    }

    /// The positions of the entries that are not copied.
    fn sparse(&self, platforms: &[&str]) -> Vec<usize> {
        match self.select(&some(platforms, Subset::Sparse)).unwrap() {
            Selected::Whole => Vec::new(),
            Selected::Sparse { left_out } => {
                let is_out = |entry: &Value| {
                    left_out
                        .iter()
                        .any(|out| json!(out.digest) == entry["digest"])
                };
                let numbered = self.entries.iter().enumerate();
                let out = numbered.filter(|(_, entry)| is_out(entry));
                out.map(|(position, _)| position).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

fn some(platforms: &[&str], how: Subset) -> Selection {
    let platforms = platforms.iter().copied().map(of).collect();
    Selection::Some { platforms, how }
}

fn is_whole(selected: &Selected) -> bool {
    matches!(selected, Selected::Whole)
}

fn three() -> World {
    World::default()
        .image("linux/amd64")
        .image("linux/arm64/v8")
        .image("linux/arm/v7")
}

#[test]
fn all_is_whole_and_one_is_the_entry_alone() {
    assert!(is_whole(&three().select(&Selection::All).unwrap()));
    assert_eq!(three().one("linux/arm64"), 1);
    assert_eq!(three().one("linux/arm/v8"), 2);
}

#[test]
fn a_subset_keeps_its_entries_in_order_and_the_rest_of_the_document() {
    let world = three();
    assert_eq!(world.trimmed(&["linux/arm/v7", "linux/amd64"]), [0, 2]);
    assert_eq!(world.sparse(&["linux/arm/v7", "linux/amd64"]), [1]);
    let all = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    for how in [Subset::Trim, Subset::Sparse] {
        let selected = world.select(&some(&all, how)).unwrap();
        assert!(is_whole(&selected), "nothing is left out");
    }
}

#[test]
fn a_platform_that_is_not_there_is_an_error_that_lists_what_is() {
    let there = ["linux/amd64"];
    for selection in [
        Selection::One(of("linux/s390x")),
        some(&["linux/amd64", "linux/s390x"], Subset::Trim),
        some(&["linux/s390x"], Subset::Sparse),
    ] {
        let world = three().attestation("linux/amd64");
        let error = world.select(&selection).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            "the index has no image for linux/s390x; it has linux/amd64, linux/arm64, linux/arm/v7"
        );
    }
    let none = World::default().attestation(there[0]);
    let error = none.select(&some(&there, Subset::Trim)).unwrap_err();
    assert!(error.to_string().contains("nor for any"), "{error}");
    let error = three().select(&some(&[], Subset::Trim)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_single_image_is_whole_unless_it_is_for_something_else() {
    let image = image("x");
    let digest = image.descriptor().digest.clone();
    let one = Selection::One(of("linux/arm64"));
    let two = some(&["linux/amd64", "linux/arm64"], Subset::Trim);
    let mut world = World::default();
    assert!(
        is_whole(&world.select_from(&image, &one).unwrap()),
        "unknown"
    );
    world.platforms.insert(digest.clone(), Platform::default());
    assert!(
        is_whole(&world.select_from(&image, &one).unwrap()),
        "unsaid"
    );
    world.platforms.insert(digest, of("linux/amd64"));
    assert!(is_whole(&world.select_from(&image, &two).unwrap()), "fits");
    assert!(is_whole(
        &world.select_from(&image, &Selection::All).unwrap()
    ));
    let error = world.select_from(&image, &one).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is one image, for linux/amd64, and not for linux/arm64"
    );
}

#[test]
fn q80_attestations_go_with_their_image() {
    let world = three()
        .attestation("linux/amd64")
        .attestation("linux/arm64/v8")
        .attestation("linux/riscv64");
    assert_eq!(world.trimmed(&["linux/amd64"]), [0, 3]);
    assert_eq!(
        world.trimmed(&["linux/amd64", "linux/arm64"]),
        [0, 1, 3, 4],
        "an orphan goes with the digest"
    );
    assert_eq!(
        world.sparse(&["linux/amd64"]),
        [1, 2, 4],
        "an orphan stays where the index does"
    );
    assert_eq!(world.one("linux/amd64"), 0);
}

#[test]
fn q80_artifacts_go_with_their_subject_and_those_without_one_stay() {
    let subject = World::default().image("linux/arm64/v8").entries[0].clone();
    let subject: Descriptor = serde_json::from_value(subject).unwrap();
    let signature = manifest(
        &json!({
            "config": Descriptor::of("application/vnd.example".into(), b"s"),
            "layers": [],
            "subject": subject,
        }),
        MediaType::OCI_MANIFEST,
    );
    let elsewhere = artifact("elsewhere", Some(&image("another")));
    let world = three()
        .unsaid(signature, None)
        .unsaid(artifact("free", None), None)
        .unsaid(elsewhere, None);
    assert_eq!(world.trimmed(&["linux/amd64"]), [0, 4, 5]);
    assert_eq!(world.trimmed(&["linux/arm64"]), [1, 3, 4, 5]);
}

#[test]
fn q81_an_image_without_a_platform_is_what_its_config_says() {
    let world = three()
        .unsaid(image("s"), Some("linux/s390x"))
        .unsaid(image("unknown"), None);
    assert_eq!(
        world.trimmed(&["linux/amd64"]),
        [0, 4],
        "what nobody knows stays"
    );
    assert_eq!(world.trimmed(&["linux/s390x"]), [3, 4]);
    assert_eq!(world.one("linux/s390x"), 3);
    assert_eq!(
        world.one("linux/riscv64"),
        4,
        "the last resort, as in skopeo"
    );
}

#[test]
fn q81_a_blob_in_an_index_is_no_image_and_stays() {
    let mut world = three();
    let blob = Descriptor::of("application/octet-stream".into(), b"blob");
    world.entries.push(json!(blob));
    assert!(!must_be_read(&blob));
    assert_eq!(world.trimmed(&["linux/amd64"]), [0, 3]);
    assert!(world.select(&Selection::One(of("linux/riscv64"))).is_err());
}

#[test]
fn q81_a_nested_index_stays_whole_or_goes() {
    let world = World::default()
        .nested(World::default().image("linux/amd64").image("linux/arm64"))
        .nested(World::default().image("linux/s390x"))
        .image("linux/riscv64");
    assert_eq!(world.trimmed(&["linux/arm64"]), [0]);
    assert_eq!(world.trimmed(&["linux/s390x", "linux/riscv64"]), [1, 2]);
    let selected = world.select(&Selection::One(of("linux/s390x"))).unwrap();
    let Selected::One(chosen) = selected else {
        panic!("{selected:?}")
    };
    let expected = &World::default().image("linux/s390x").entries[0]["digest"];
    assert_eq!(json!(chosen.digest), *expected);
    let error = world.select(&Selection::One(of("linux/386"))).unwrap_err();
    assert!(error.to_string().contains("linux/s390x"), "{error}");
}

#[test]
fn q81_duplicates_are_told_apart_by_platform_and_copied_if_one_stays() {
    let mut world = World::default().image("linux/arm/v6").image("linux/amd64");
    let mut twin = world.entries[0].clone();
    twin["platform"] = json!(of("linux/arm/v5"));
    world.entries.push(twin);
    assert_eq!(world.trimmed(&["linux/arm/v6"]), [0]);
    assert_eq!(world.sparse(&["linux/arm/v6"]), [1]);
}

#[test]
fn all_versions_of_windows_stay_unless_one_is_asked_for() {
    let world = World::default()
        .image("windows/amd64:10.0.17763.1")
        .image("windows/amd64:10.0.20348.1")
        .image("linux/amd64");
    assert_eq!(world.trimmed(&["windows/amd64"]), [0, 1]);
    assert_eq!(world.trimmed(&["windows/amd64:10.0.20348"]), [1]);
    assert_eq!(world.one("windows/amd64"), 0);
}

#[test]
fn s21_indexes_in_a_circle_end() {
    // No real digests can do that; the maps are only data.
    let mut world = World::default().nested(World::default().image("linux/amd64"));
    let root = world.index();
    let inner = world.below.keys().next().unwrap().clone();
    world.below.insert(inner, root);
    for selection in [
        Selection::One(of("linux/arm64")),
        some(&["linux/arm64"], Subset::Trim),
    ] {
        let error = world.select(&selection).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[test]
fn an_index_that_fits_but_was_not_there_makes_the_source_incomplete() {
    let mut world = World::default();
    let mut nested = json!(World::default().index().descriptor());
    nested["platform"] = json!(of("linux/amd64"));
    world.entries.push(nested);
    let error = world
        .select(&Selection::One(of("linux/amd64")))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
}
