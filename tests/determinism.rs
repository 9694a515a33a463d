//! The same layer becomes the same bytes: on every machine, with any number of threads, and in the
//! next version too. A digest that changes by itself makes every mirror copy everything again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::Path;

use imgcopy::copy::{Job, Silent, copy};
use imgcopy::image::{Compression, Descriptor, Digest, Manifest, MediaType};
use imgcopy::store::compress::Coding;
use imgcopy::store::{Destination as _, Memory, Role, Source as _, Store as _};

mod support;

const MIB: usize = 1 << 20;

/// The edges of a block (1 MiB), and enough of them for many hands.
const LENGTHS: [usize; 5] = [0, 1, MIB, MIB + 1, 5 * MIB];

const CODINGS: [(Compression, i32); 4] = [
    (Compression::Gzip, 1),
    (Compression::Gzip, 6),
    (Compression::Zstd, 2),
    (Compression::Zstd, 9),
];

#[tokio::test]
async fn the_number_of_threads_does_not_show_in_any_layer() {
    let layers: Vec<Vec<u8>> = LENGTHS.iter().map(|len| mixed(*len)).collect();
    for (compression, level) in CODINGS {
        let alone = written(&layers, compression, level, 1).await;
        for (layer, plain) in alone.layers.iter().zip(&layers) {
            let len = plain.len();
            assert_eq!(Compression::sniff(layer), compression, "{len} bytes");
            assert!(
                unpacked(layer, compression) == *plain,
                "{compression} level {level}, {len} bytes"
            );
        }
        for threads in [2, 8] {
            let many = written(&layers, compression, level, threads).await;
            assert!(
                many == alone,
                "{compression} level {level}, {threads} threads"
            );
        }
    }
}

#[tokio::test]
async fn a_second_copy_is_the_same_as_the_first() {
    let layers = [mixed(3 * MIB + 7)];
    let first = written(&layers, Compression::Gzip, 1, 8).await;
    let second = written(&layers, Compression::Gzip, 1, 8).await;
    assert!(first == second);
}

#[test]
fn the_command_gives_the_same_digest_with_any_number_of_threads() {
    let directory = support::tempdir();
    let layers: Vec<Vec<u8>> = LENGTHS.iter().map(|len| mixed(*len)).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let archive = support::image(&layers, "app:1").write(directory.path(), "image.tar");
    for (compression, level) in CODINGS {
        let digests = [1, 2, 8].map(|threads| {
            let to = format!("{compression}-{level}-{threads}");
            by_command(
                &archive,
                &directory.path().join(to),
                (compression, level),
                threads,
            )
        });
        assert!(digests[0].starts_with("sha256:"), "{}", digests[0]);
        assert_eq!(digests[0], digests[1], "{compression} level {level}");
        assert_eq!(digests[0], digests[2], "{compression} level {level}");
    }
}

/// Golden: these change only if a compressor does, which its pinned version should prevent. If that
/// is meant, say so in the changelog: every layer that is copied from now on gets a new name.
#[tokio::test]
async fn the_default_levels_write_the_bytes_that_they_always_wrote() {
    let layers = [mixed(2 * MIB + 12_345)];
    let plain = Digest::of(&layers[0]);
    assert_eq!(
        plain.to_string(),
        "sha256:bb10b252db652adf65483f9dbcb6db163c8878d5918fa1a301e50637a0eb4ab0",
        "the generator of the input changed"
    );
    for (compression, level, expected) in [
        (
            Compression::Gzip,
            1,
            "sha256:af599ab1225d7be57f80db2c4395624e56b2ce987ee1d2bef58457b1f1bf2ae9",
        ),
        (
            Compression::Zstd,
            2,
            "sha256:eb8ce5e01c9f3b352e3b10cd6d2877c8c9188c9b2ccaf378d25e51e0d904f19a",
        ),
    ] {
        let image = written(&layers, compression, level, 2).await;
        let digest = Digest::of(&image.layers[0]).to_string();
        assert_eq!(digest, expected, "{compression} level {level}");
    }
}

/// An image as it arrived.
#[derive(PartialEq)]
struct Arrived {
    digest: Digest,
    layers: Vec<Vec<u8>>,
}

/// Copies an image of these plain layers from memory to memory.
async fn written(
    layers: &[Vec<u8>],
    compression: Compression,
    level: i32,
    threads: usize,
) -> Arrived {
    let here = Memory::new();
    let layers: Vec<Descriptor> = layers
        .iter()
        .map(|layer| here.add(MediaType::OCI_LAYER, layer.clone()))
        .collect();
    let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = here.add(MediaType::OCI_CONFIG, config.to_string());
    let image = Manifest::image(&config, &layers).unwrap();
    here.put_manifest(&image, Role::Root(&[])).await.unwrap();

    let there = Memory::new();
    let mut job = Job::new(&here, &there);
    job.compression = Some(Coding::new(compression, Some(level)).unwrap());
    job.threads = NonZeroUsize::new(threads).unwrap();
    let outcome = copy(&job, &Silent::new()).await.unwrap();

    let root = there.resolve(&job.name).await.unwrap().unwrap();
    let manifest = there.manifest(&root).await.unwrap();
    let mut arrived = Vec::new();
    for layer in &manifest.as_image().unwrap().layers {
        let bytes = there
            .blob(layer)
            .await
            .unwrap()
            .bytes(u64::MAX)
            .await
            .unwrap();
        arrived.push(bytes.to_vec());
    }
    Arrived {
        digest: outcome.digest,
        layers: arrived,
    }
}

/// The digest that the command prints.
fn by_command(
    archive: &Path,
    to: &Path,
    (compression, level): (Compression, i32),
    threads: usize,
) -> String {
    let run = support::imgcopy([
        format!("docker-archive:{}", archive.display()),
        format!("oci:{}:x", to.display()),
        format!("--compression={compression}"),
        format!("--compression-level={level}"),
        format!("--threads={threads}"),
        "--quiet".to_string(),
    ]);
    run.ok().stdout.trim().to_string()
}

/// What any reader makes of a layer, by decompressors that are not imgcopy's own choice of them.
fn unpacked(packed: &[u8], compression: Compression) -> Vec<u8> {
    let mut plain = Vec::new();
    match compression {
        Compression::Gzip => {
            let mut reader = flate2::read::MultiGzDecoder::new(packed);
            reader.read_to_end(&mut plain).unwrap();
        }
        Compression::Zstd => plain = zstd::stream::decode_all(packed).unwrap(),
        other => panic!("{other} is not written"),
    }
    plain
}

/// Bytes like those of a layer, the same every time: stretches of noise, of words that repeat, and
/// of zeros, of uneven lengths, so that no block is like the next.
fn mixed(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: [&str; 6] = [
        "layer ", "digest ", "usr/lib/", "share/", ".so.1\n", "\0\0\0\0",
    ];
    let mut bytes = Vec::with_capacity(len + 8192);
    while bytes.len() < len {
        let until = bytes.len() + 64 + usize::try_from(next() % 8000).unwrap();
        let kind = next() % 4;
        while bytes.len() < until {
            match kind {
                0 => bytes.extend_from_slice(&next().to_le_bytes()),
                1 => bytes.extend_from_slice(&[0; 64]),
                _ => {
                    let word = words[usize::try_from(next() % 6).unwrap()];
                    bytes.extend_from_slice(word.as_bytes());
                }
            }
        }
    }
    bytes.truncate(len);
    bytes
}
