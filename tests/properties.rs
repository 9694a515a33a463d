//! What must hold for any image and any damage. Texts and documents of any kind are in `src/fuzzing`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use imgcopy::copy::{Job, Silent, copy, plan, survey};
use imgcopy::image::{Compression, Descriptor, Digest, Manifest, MediaType, Name, Tag};
use imgcopy::inspect;
use imgcopy::store::archive::DockerArchive;
use imgcopy::store::compress::Coding;
use imgcopy::store::oci_dir::OciDir;
use imgcopy::store::{Destination as _, Memory, Role, Source as _, Store as _};
use proptest::collection::vec;
use proptest::prelude::*;

/// The shape of a random image: for each platform the layers, by number; equal numbers are equal
/// layers. With more than one platform it is an index.
#[derive(Debug, Clone)]
struct Shape {
    platforms: Vec<Vec<u8>>,
    nested: bool,
}

fn shapes() -> impl Strategy<Value = Shape> {
    (vec(vec(0_u8..6, 0..5), 1..4), any::<bool>())
        .prop_map(|(platforms, nested)| Shape { platforms, nested })
}

/// Makes the image in memory, tagged `latest`, of plain layers.
async fn make(shape: &Shape) -> Memory {
    let place = Memory::new();
    let mut images = Vec::new();
    for (n, layers) in shape.platforms.iter().enumerate() {
        let layers: Vec<Descriptor> = layers
            .iter()
            .map(|layer| {
                place.add(
                    MediaType::OCI_LAYER,
                    vec![*layer; 40_000 * usize::from(*layer)],
                )
            })
            .collect();
        let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
        let config = serde_json::json!({
            "architecture": format!("cpu{n}"), "os": "linux", "rootfs": {"diff_ids": diff_ids}
        });
        let config = place.add(MediaType::OCI_CONFIG, config.to_string());
        let image = Manifest::image(&config, &layers).unwrap();
        place.put_manifest(&image, Role::Child).await.unwrap();
        images.push(image);
    }
    let mut root = images[0].clone();
    if images.len() > 1 {
        root = index(&images);
        if shape.nested {
            place.put_manifest(&root, Role::Child).await.unwrap();
            root = index(&[root, images[0].clone()]);
        }
    }
    place
        .put_manifest(&root, Role::Root(&["latest".parse().unwrap()]))
        .await
        .unwrap();
    place
}

fn index(of: &[Manifest]) -> Manifest {
    let entries: Vec<&Descriptor> = of.iter().map(Manifest::descriptor).collect();
    let text = serde_json::json!({"schemaVersion": 2, "manifests": entries}).to_string();
    Manifest::of(text.into(), MediaType::OCI_INDEX.into()).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_is_whole_and_byte_for_byte_and_leaves_nothing_to_do(shape in shapes()) {
        run(async {
            let source = make(&shape).await;
            let directory = tempfile::tempdir().unwrap();
            let destination = OciDir::open_or_new(directory.path()).unwrap();
            let tag: Tag = "copied".parse().unwrap();
            let job = Job { tags: vec![tag.clone()], ..Job::new(&source, &destination) };
            let outcome = copy(&job, &Silent::new()).await.unwrap();

            let name = Name::Tag(tag);
            let root = source.resolve(&Name::Sole).await.unwrap().unwrap();
            assert_eq!(outcome.digest, root.digest);
            let verdict = inspect::verify(&destination, &name, 2).await.unwrap();
            assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
            assert_eq!(verdict.digest, root.digest);
            assert!(plan(&survey(&job).await.unwrap()).unwrap().is_empty());
        });
    }

    #[test]
    fn recompressing_keeps_configs_and_diff_ids_and_leaves_nothing_to_do(shape in shapes(), zstd in any::<bool>()) {
        run(async {
            let source = make(&shape).await;
            let directory = tempfile::tempdir().unwrap();
            let destination = OciDir::open_or_new(directory.path()).unwrap();
            let to = if zstd { Compression::Zstd } else { Compression::Gzip };
            let job = Job {
                compression: Some(Coding::new(to, None).unwrap()),
                tags: vec!["copied".parse().unwrap()],
                ..Job::new(&source, &destination)
            };
            copy(&job, &Silent::new()).await.unwrap();

            // Verifying unpacks every layer and compares it with its config.
            let name = Name::Tag("copied".parse().unwrap());
            let verdict = inspect::verify(&destination, &name, 2).await.unwrap();
            assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
            assert!(plan(&survey(&job).await.unwrap()).unwrap().is_empty());

            let configs = async |place: &dyn imgcopy::store::Source, name: &Name| {
                let root = inspect::root(place, name).await.unwrap();
                let graph = inspect::walk(place, root).await.unwrap();
                let mut configs: Vec<Digest> = graph
                    .manifests.iter().filter_map(Manifest::as_image)
                    .map(|image| image.config.digest.clone()).collect();
                configs.sort();
                configs.dedup();
                configs
            };
            assert_eq!(configs(&source, &Name::Sole).await, configs(&destination, &name).await);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A real archive with a few bytes changed is refused, or gives what it gave before.
    #[test]
    fn a_damaged_archive_never_gives_a_wrong_image(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let whole = std::fs::read("examples/tiny.tar").unwrap();
        let mut damaged = whole.clone();
        for (at, byte) in changes {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tar");
        std::fs::write(&path, &damaged).unwrap();
        run(async {
            let Ok(archive) = DockerArchive::open(&path) else {
                return;
            };
            let Ok(Some(root)) = archive.resolve(&Name::Sole).await else {
                return;
            };
            let manifest = archive.manifest(&root).await.unwrap();
            for piece in manifest.blobs() {
                if let Ok(bytes) = archive.blob(piece).await.unwrap().bytes(1 << 20).await {
                    assert_eq!(Digest::of(&bytes), piece.digest);
                }
            }
        });
    }
}
