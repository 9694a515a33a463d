//! What every place must keep, run over each of them: those that can be written to, and those that
//! are only read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use imgcopy::error::ErrorKind;
use imgcopy::image::{Descriptor, Digest, Manifest, MediaType, Name, Tag};
use imgcopy::store::archive::OciArchive;
use imgcopy::store::blob::Blob;
use imgcopy::store::dir::Dir;
use imgcopy::store::oci_dir::OciDir;
use imgcopy::store::{Destination, Memory, Presence, Role, Source};

/// A place that can be read back.
trait Place: Source + Destination {}
impl<T: Source + Destination> Place for T {}

/// Runs one clause of the contract over a fresh one of every place.
async fn over_every_place(clause: impl AsyncFn(Arc<dyn Place>)) {
    let directory = tempfile::tempdir().unwrap();
    let dir = Dir::open_or_new(&directory.path().join("new/dir")).unwrap();
    clause(Arc::new(dir)).await;
    over_places_with_names(clause).await;
}

/// The same over those places that hold several images and give them names.
async fn over_places_with_names(clause: impl AsyncFn(Arc<dyn Place>)) {
    let directory = tempfile::tempdir().unwrap();
    clause(Arc::new(Memory::new())).await;
    clause(Arc::new(
        OciDir::open_or_new(&directory.path().join("new/layout")).unwrap(),
    ))
    .await;
    let sharing = OciDir::open_or_new(&directory.path().join("new/sharing")).unwrap();
    let blobs = directory.path().join("new/blobs");
    clause(Arc::new(sharing.with_blobs_in(&blobs))).await;
}

/// Runs one clause over every place that can be read, each filled in the same way. Those that cannot
/// be written to are made of one that can.
async fn over_every_source(fill: impl AsyncFn(&dyn Place), clause: impl AsyncFn(Arc<dyn Source>)) {
    let directory = tempfile::tempdir().unwrap();
    let memory = Memory::new();
    fill(&memory).await;
    clause(Arc::new(memory)).await;
    let path = directory.path().join("layout");
    let layout = OciDir::open_or_new(&path).unwrap();
    fill(&layout).await;
    layout.finish().await.unwrap();
    clause(Arc::new(layout)).await;
    clause(Arc::new(oci_archive_of(&path))).await;
}

/// The same layout in a tar. One that nothing was put into is made an empty one first.
fn oci_archive_of(layout: &Path) -> OciArchive {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content).unwrap();
    };
    if layout.exists() {
        tar.append_dir_all(".", layout).unwrap();
    } else {
        add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        add("index.json", br#"{"schemaVersion":2,"manifests":[]}"#);
    }
    let path = layout.with_extension("tar");
    std::fs::write(&path, tar.into_inner().unwrap()).unwrap();
    OciArchive::open(&path).unwrap()
}

fn blob(content: &'static str) -> Blob {
    let descriptor = Descriptor::of(MediaType::OCI_LAYER.into(), content.as_bytes());
    Blob::memory(descriptor, Bytes::from_static(content.as_bytes()))
}

async fn put_image(place: &dyn Place, layer: &'static str, tags: &[Tag]) -> Manifest {
    let layer = place.put_blob(blob(layer)).await.unwrap();
    let config = Descriptor::of(MediaType::OCI_CONFIG.into(), b"{}");
    place
        .put_blob(Blob::memory(config.clone(), Bytes::from_static(b"{}")))
        .await
        .unwrap();
    let manifest = Manifest::image(&config, &[layer]).unwrap();
    place
        .put_manifest(&manifest, Role::Root(tags))
        .await
        .unwrap();
    manifest
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_empty_place_has_nothing_and_says_so_without_error() {
    over_every_place(async |place| {
        assert_eq!(
            place.presence(blob("x").descriptor()).await.unwrap(),
            Presence::Absent
        );
    })
    .await;
    over_every_source(
        async |_| (),
        async |place| {
            assert_eq!(place.names().await.unwrap(), []);
            for name in [
                Name::Sole,
                Name::Tag(tag("x")),
                Name::At(0),
                Name::Digest(Digest::of(b"x")),
            ] {
                assert_eq!(place.resolve(&name).await.unwrap(), None);
            }
            let referrers = place.referrers(&Digest::of(b"x")).await.unwrap();
            assert_eq!(referrers, []);
            let missing = place.manifest(blob("x").descriptor()).await.unwrap_err();
            assert_eq!(missing.kind(), ErrorKind::NotFound);
            let missing = place.blob(blob("x").descriptor()).await.err().unwrap();
            assert_eq!(missing.kind(), ErrorKind::NotFound);
        },
    )
    .await;
}

#[tokio::test]
async fn nothing_has_a_tag_in_an_empty_place() {
    over_places_with_names(async |place| {
        let name = Name::Tag(tag("x"));
        assert_eq!(place.resolve(&name).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn what_was_put_is_there_and_comes_back() {
    over_every_place(async |place| {
        let stored = place.put_blob(blob("content")).await.unwrap();
        assert_eq!(place.presence(&stored).await.unwrap(), Presence::Recorded);
        assert_eq!(
            place.blob(&stored).await.unwrap().bytes(99).await.unwrap(),
            "content"
        );
    })
    .await;
}

#[tokio::test]
async fn a_wrong_blob_leaves_nothing() {
    over_every_place(async |place| {
        let mut named = blob("right").descriptor().clone();
        named.digest = Digest::of(b"other");
        let wrong = Blob::memory(named.clone(), Bytes::from_static(b"right"));
        assert_eq!(
            place.put_blob(wrong).await.unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert_eq!(place.presence(&named).await.unwrap(), Presence::Absent);
        assert_eq!(
            place.presence(blob("right").descriptor()).await.unwrap(),
            Presence::Absent
        );
    })
    .await;
}

#[tokio::test]
async fn putting_twice_is_as_good_as_once() {
    over_places_with_names(async |place| {
        let first = put_image(&*place, "layer", &[tag("a")]).await;
        let second = put_image(&*place, "layer", &[tag("a")]).await;
        assert_eq!(first.descriptor(), second.descriptor());
        assert_eq!(place.names().await.unwrap(), [Name::Tag(tag("a"))]);
    })
    .await;
}

#[tokio::test]
async fn an_image_is_found_by_each_of_its_names() {
    let fill = async |place: &dyn Place| {
        put_image(place, "layer", &[tag("a"), tag("b")]).await;
    };
    over_every_source(fill, async |place| {
        let image = put_image(&Memory::new(), "layer", &[]).await;
        let digest = image.descriptor().digest.clone();
        for name in [
            Name::Tag(tag("a")),
            Name::Tag(tag("b")),
            Name::At(1),
            Name::Digest(digest.clone()),
        ] {
            assert_eq!(
                place.resolve(&name).await.unwrap().unwrap().digest,
                digest,
                "{name}"
            );
        }
        assert_eq!(place.names().await.unwrap().len(), 2);
        let read = place.manifest(image.descriptor()).await.unwrap();
        assert_eq!(read.bytes(), image.bytes());
        for piece in image.blobs() {
            let read = place.blob(piece).await.unwrap().bytes(99).await.unwrap();
            assert_eq!(Digest::of(&read), piece.digest);
        }
    })
    .await;
}

#[tokio::test]
async fn a_tag_moves_and_the_other_image_stays() {
    over_places_with_names(async |place| {
        let old = put_image(&*place, "old", &[tag("latest"), tag("v1")]).await;
        let new = put_image(&*place, "new", &[tag("latest")]).await;
        let stands_for = async |name: &str| {
            place
                .resolve(&Name::Tag(tag(name)))
                .await
                .unwrap()
                .unwrap()
                .digest
        };
        assert_eq!(stands_for("latest").await, new.descriptor().digest);
        assert_eq!(stands_for("v1").await, old.descriptor().digest);
    })
    .await;
}

#[tokio::test]
async fn an_untagged_image_is_given_out_by_position_and_once() {
    let fill = async |place: &dyn Place| {
        put_image(place, "layer", &[]).await;
        put_image(place, "layer", &[]).await;
    };
    over_every_source(fill, async |place| {
        let image = put_image(&Memory::new(), "layer", &[]).await;
        assert_eq!(place.names().await.unwrap(), [Name::At(0)]);
        let sole = place.resolve(&Name::Sole).await.unwrap().unwrap();
        assert_eq!(sole.digest, image.descriptor().digest);
    })
    .await;
}

#[tokio::test]
async fn several_images_and_no_choice_is_ambiguous() {
    let fill = async |place: &dyn Place| {
        put_image(place, "one", &[tag("a")]).await;
        put_image(place, "two", &[tag("b")]).await;
    };
    over_every_source(fill, async |place| {
        assert_eq!(
            place.resolve(&Name::Sole).await.unwrap_err().kind(),
            ErrorKind::Ambiguous
        );
    })
    .await;
}

#[tokio::test]
async fn r11_a_child_is_not_given_out_before_its_parent() {
    over_places_with_names(async |place| {
        let image = put_image(&*place, "layer", &[tag("other")]).await;
        let entry = serde_json::to_string(image.descriptor()).unwrap();
        let index = Bytes::from(format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#));
        let index = Manifest::of(index, MediaType::OCI_INDEX.into()).unwrap();
        place.put_manifest(&index, Role::Child).await.unwrap();
        assert_eq!(place.names().await.unwrap(), [Name::Tag(tag("other"))]);
        place
            .put_manifest(&index, Role::Root(&[tag("index")]))
            .await
            .unwrap();
        assert_eq!(place.names().await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_image_with_a_missing_piece_is_never_given_out() {
    over_every_place(async |place| {
        let config = place.put_blob(blob("config")).await.unwrap();
        let missing = blob("missing").descriptor().clone();
        let image = Manifest::image(&config, &[missing]).unwrap();
        let put = place.put_manifest(&image, Role::Root(&[])).await;
        assert!(put.is_err());
        assert_eq!(place.names().await.unwrap(), []);
        assert_eq!(place.resolve(&Name::Sole).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_whole_image_takes_the_place_of_one_without_a_name_or_stands_beside_it() {
    over_every_place(async |place| {
        put_image(&*place, "old", &[]).await;
        let new = put_image(&*place, "new", &[]).await;
        let last = place.names().await.unwrap().pop().unwrap();
        let found = place.resolve(&last).await.unwrap().unwrap();
        assert_eq!(found.digest, new.descriptor().digest);
        let read = place.manifest(&found).await.unwrap();
        for blob in read.blobs() {
            place.blob(blob).await.unwrap().bytes(99).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn looking_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let places: [Box<dyn Place>; 2] = [
        Box::new(OciDir::open_or_new(&path).unwrap()),
        Box::new(Dir::open_or_new(&path).unwrap()),
    ];
    for place in places {
        place.presence(blob("x").descriptor()).await.unwrap();
        place.names().await.unwrap();
        place.finish().await.unwrap();
        place.discard().await.unwrap();
        assert!(!path.exists());
    }
}
