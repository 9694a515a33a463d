//! Other clients read what imgcopy pushed, and imgcopy reads what they pushed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use imgcopy::store::registry::{Options, Registries};
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;
use serde_json::Value;

use crate::carry;
use crate::fixtures::{Fixtures, Image};
use crate::server::{Server, optional};
use crate::support::{Run, archive_at, fixture, has_peer, noise, oci_at, tempdir, told, truth};

/// What skopeo 1.9.3 cannot do with an image, and what it says.
const LIMITS: &[(&str, &str)] = &[
    // It does not copy an index that is inside another one.
    (
        "variants/oci-nested-index",
        "received a manifest list instead of a manifest",
    ),
    // It wants to write every index anew that holds what is no image.
    (
        "variants/oci-index-unknown-platform-and-artifact",
        "Manifest list must be converted",
    ),
];

/// Some of every kind: indexes, attestations, artifacts, zstd, Windows, layers that come twice.
const KINDS: &[&str] = &[
    "podman/oci-dir",
    "podman/oci-dir-zstd",
    "podman/oci-index",
    "buildx/oci-multi-att-gzip.tar",
    "buildx/oci-windows.tar",
    "variants/oci-index-unknown-platform-and-artifact",
    "variants/oci-nested-index",
    "variants/oci-dup-layers",
    "variants/oci-zero-layers",
];

fn of_kinds(fixtures: &Fixtures) -> impl Iterator<Item = &Image> {
    let is_one = |image: &&Image| KINDS.contains(&&*image.name);
    fixtures.images.iter().filter(is_one)
}

fn nobody() -> Registries {
    Registries::new(Options::bare())
}

/// Copies or panics. Gives the digest.
async fn carried(source: &str, destination: &str) -> String {
    match carry(&nobody(), source, destination).await {
        Ok(outcome) => outcome.digest.to_string(),
        Err(error) => panic!("{source} -> {destination}: {}", told(&error)),
    }
}

/// Panics unless what is in a repository comes from there as the fixture that it is.
async fn comes_as(image: &Image, there: &str) {
    let directory = tempdir();
    carried(there, &oci_at(directory.path(), "back")).await;
    image.check(directory.path(), "back");
}

fn skopeo(image: &Image, args: &[&str]) -> bool {
    let run = Run::of(
        Command::new("skopeo")
            .args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--all",
                "--preserve-digests",
            ])
            .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
            .args(args),
    );
    let is_limit = |(name, says): &(&str, &str)| *name == image.name && run.stderr.contains(says);
    assert!(
        run.code == Some(0) || LIMITS.iter().any(is_limit),
        "{}: {run:?}",
        image.name
    );
    run.code == Some(0)
}

/// The manifest that skopeo wrote into a `dir:`, and everything that it names.
fn in_dir(directory: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(directory).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let blobs = files.filter(|path| path.file_name().is_some_and(|name| name != "version"));
    blobs
        .map(|path| truth::digest("sha256", &std::fs::read(path).unwrap()))
        .collect()
}

#[tokio::test]
async fn skopeo_reads_what_was_pushed_and_what_it_pushed_is_read() {
    let (true, Some(server)) = (has_peer("skopeo"), Server::debian()) else {
        return;
    };
    let fixtures = Fixtures::all();
    for image in of_kinds(&fixtures) {
        let ours = server.image(&format!("ours/{}", image.name), &image.tag);
        let digest = carried(&image.source, &ours).await;
        let directory = tempdir();
        let out = format!("dir:{}", directory.path().display());
        if skopeo(image, &[&ours, &out]) {
            let read = in_dir(directory.path());
            assert!(read.contains(&digest), "{}: {read:?}", image.name);
        }

        let Some((layout, tag)) = image.layout() else {
            continue;
        };
        let theirs = server.image(&format!("theirs/{}", image.name), &image.tag);
        let source = format!("oci:{}:{tag}", layout.display());
        if skopeo(image, &[&source, &theirs]) {
            comes_as(image, &theirs).await;
        }
    }
}

/// A program copies what we pushed to another repository, where we read it.
async fn passes_through(program: Option<PathBuf>, args: impl Fn(&str, &str, &str) -> Vec<String>) {
    let (Some(program), Some(server)) = (program, Server::debian()) else {
        return;
    };
    let fixtures = Fixtures::all();
    for image in of_kinds(&fixtures) {
        let (ours, theirs) = (
            format!("ours/{}", image.name),
            format!("theirs/{}", image.name),
        );
        carried(&image.source, &server.image(&ours, &image.tag)).await;
        let at = |repository: &str| format!("{}/{repository}:{}", server.host(), image.tag);
        let args = args(server.host(), &at(&ours), &at(&theirs));
        Run::of(Command::new(&program).args(args)).ok();
        comes_as(image, &server.image(&theirs, &image.tag)).await;
    }
}

fn owned(args: &[&str]) -> Vec<String> {
    args.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn crane_copies_what_was_pushed_and_it_is_read_again() {
    passes_through(optional("crane"), |_, from, to| owned(&["copy", from, to])).await;
}

#[tokio::test]
async fn regctl_copies_what_was_pushed_and_it_is_read_again() {
    passes_through(optional("regctl"), |host, from, to| {
        let host = format!("reg={host},tls=disabled");
        owned(&["--host", &host, "image", "copy", from, to])
    })
    .await;
}

#[tokio::test]
async fn crane_finds_every_layer_of_what_was_pushed_valid() {
    let (Some(crane), Some(server)) = (optional("crane"), Server::debian()) else {
        return;
    };
    let oci = format!("oci:{}:@0", fixture("podman/oci-dir").display());
    let saved = archive_at(&fixture("docker20/whiteout.tar"));
    for (repository, source) in [("from/oci", oci), ("from/archive", saved)] {
        let there = server.image(repository, "1");
        carried(&source, &there).await;
        let remote = there.trim_start_matches("docker://");
        Run::of(Command::new(&crane).args(["validate", "--remote", remote])).ok();
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn client() -> oci_client::Client {
    oci_client::Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    })
}

fn known_to_client(reference: &str) -> oci_client::Reference {
    reference.trim_start_matches("docker://").parse().unwrap()
}

#[tokio::test]
async fn what_oci_client_pushed_is_read() {
    let Some(server) = Server::debian() else {
        return;
    };
    let there = server.image("theirs/app", "1");
    let types = [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.wasm.content.layer.v1+wasm",
    ];
    let layer = |(seed, media_type): (u64, &str)| {
        ImageLayer::new(noise(seed, 6_000_000), media_type.to_string(), None)
    };
    let layers: Vec<_> = (1..).zip(types).map(layer).collect();
    let config = Config::new(
        &b"{}"[..],
        "application/vnd.wasm.config.v0+json".to_string(),
        None,
    );
    let name = known_to_client(&there);
    let (client, nobody) = (client(), RegistryAuth::Anonymous);
    let pushed = client.push(&name, &layers, config, &nobody, None);
    pushed.await.unwrap();
    let (_, digest) = client
        .pull_manifest_raw(&name, &nobody, &[MANIFEST])
        .await
        .unwrap();

    let directory = tempdir();
    let copied = carried(&there, &oci_at(directory.path(), "back")).await;
    assert_eq!(copied, digest);
    let entry = truth::entry(directory.path(), "back");
    for layer in &layers {
        let graph = truth::graph(directory.path(), &entry);
        assert!(graph.present.contains(&layer.sha256_digest()));
    }
}

async fn pulled_by_client(server: Option<Server>) {
    let Some(server) = server else {
        return;
    };
    let original = fixture("podman/oci-dir-zstd");
    let entry = &truth::entries(&original)[0];
    let there = server.image("ours/app", "1");
    let digest = carried(&format!("oci:{}:@0", original.display()), &there).await;
    let manifest: Value = serde_json::from_slice(&truth::blob(&original, entry).unwrap()).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let types = layers
        .iter()
        .map(|layer| layer["mediaType"].as_str().unwrap())
        .collect();
    let name = known_to_client(&there);
    let pulled = client()
        .pull(&name, &RegistryAuth::Anonymous, types)
        .await
        .unwrap();
    assert_eq!(pulled.digest, Some(digest));
    // It gives them in the order in which they came.
    let pulled: BTreeSet<_> = pulled
        .layers
        .into_iter()
        .map(|layer| layer.data.to_vec())
        .collect();
    let expected = layers
        .iter()
        .map(|layer| truth::blob(&original, layer).unwrap());
    assert_eq!(pulled, expected.collect());
}

#[tokio::test]
async fn oci_client_reads_what_was_pushed() {
    pulled_by_client(Server::debian()).await;
    pulled_by_client(Server::with_referrers()).await;
}
