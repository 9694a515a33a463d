//! OCI directories made to harm (S-01 to S-25).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use imgcopy::copy::{Job, Silent, copy};
use imgcopy::image::{Descriptor, Manifest, Name};
use imgcopy::store::blob::Blob;
use imgcopy::store::{Memory, Source, Store, open_source};
use serde_json::{Value, json};
use support::*;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An OCI directory, put together by hand, inside a sandbox as `in/d`.
struct Layout {
    sandbox: Sandbox,
    path: PathBuf,
}

impl Layout {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let path = sandbox.at("in/d");
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { sandbox, path }
    }

    fn blob_at(&self, content: &[u8]) -> PathBuf {
        self.path.join("blobs/sha256").join(sha256(content))
    }

    /// Adds content and gives its descriptor.
    fn blob(&self, media_type: &str, content: &[u8]) -> Value {
        fs::write(self.blob_at(content), content).unwrap();
        descriptor(media_type, content)
    }

    fn index(&self, text: &str) {
        fs::write(self.path.join("index.json"), text).unwrap();
    }

    /// Adds a manifest or index from its text and makes it the only image.
    fn root(&self, media_type: &str, text: &str) {
        let mut entry = self.blob(media_type, text.as_bytes());
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "a"});
        self.index(&json!({"schemaVersion": 2, "manifests": [entry]}).to_string());
    }

    /// An image whose parts are all there.
    fn image(&self) -> Value {
        let (layer, config) = (
            self.blob(LAYER, b"layer"),
            self.blob(CONFIG, config(1).as_bytes()),
        );
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
    }

    fn source(&self) -> String {
        oci_at(&self.path, "a")
    }

    #[track_caller]
    fn accepted(&self) -> String {
        let copied = self.sandbox.copy_from(&self.source());
        self.sandbox.is_good(copied)
    }

    #[track_caller]
    fn refused(&self) -> String {
        let copied = self.sandbox.copy_from(&self.source());
        self.sandbox.is_bad(copied)
    }
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    let digest = format!("sha256:{}", sha256(content));
    json!({"mediaType": media_type, "digest": digest, "size": content.len()})
}

/// A config with so many DiffIds.
fn config(n: usize) -> String {
    let diff_id = format!("sha256:{}", sha256(b"layer"));
    json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": vec![diff_id; n]}}).to_string()
}

/// Puts a value in each place where a document may have a descriptor, and expects a refusal.
#[track_caller]
fn refused_everywhere(key: &str, raw: &str) {
    let layout = Layout::new();
    let (mark, image) = (json!("MARK"), layout.image());
    let text = |document: &Value| document.to_string().replace("\"MARK\"", raw);
    let manifest = |place: &str| {
        let mut image = image.clone();
        image.pointer_mut(place).unwrap()[key] = mark.clone();
        text(&image)
    };
    for place in ["/config", "/layers/0"] {
        layout.root(MANIFEST, &manifest(place));
        layout.refused();
    }
    let mut entry = layout.blob(MANIFEST, image.to_string().as_bytes());
    entry[key] = mark.clone();
    layout.root(INDEX, &text(&json!({"manifests": [entry]})));
    layout.refused();
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "a"});
    layout.index(&text(&json!({"manifests": [entry]})));
    let told = layout.refused();
    let names_it = told.contains("index.json") || told.contains("its bytes are");
    assert!(names_it, "{told}");
}

#[test]
fn s01_s04_digests_that_are_none_are_refused_wherever_they_stand() {
    let hex = sha256(b"layer");
    for digest in [
        "\"\"".to_string(),
        "null".to_string(),
        "\"sha256:\"".to_string(),
        "\"sha256:abc\"".to_string(),
        "\"sha256:../../../../secret\"".to_string(),
        "\"../../secret:abc\"".to_string(),
        format!("\"sha256:{hex}/../{hex}\""),
        format!("\"sha256:{}\"", hex.to_uppercase()),
        format!("\"SHA256:{hex}\""),
        format!("\"sha256:{hex}0\""),
        format!("\"sha256:{hex}\\u0000\""),
        format!("\"sha256:{hex}\\r\\n\""),
        format!("\"md5:{}\"", &hex[..32]),
        format!("\"blake3:{hex}\""),
        format!("\"sha512:{hex}\""),
        format!("\"sha256+b64:{hex}\""),
    ] {
        refused_everywhere("digest", &digest);
    }
}

#[test]
fn s09_sizes_that_are_wrong_are_refused_wherever_they_stand() {
    for size in [
        "-1",
        "1.5",
        "1e400",
        "1e3",
        "null",
        "\"5\"",
        "[]",
        "0",
        "4",
        "6",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551621",
    ] {
        refused_everywhere("size", size);
    }
}

#[test]
fn s05_s06_documents_that_can_be_read_in_two_ways_are_refused() {
    let layout = Layout::new();
    let image = layout.image();
    let text = image.to_string();
    layout.root(MANIFEST, &text);
    layout.accepted();
    let child = layout.blob(MANIFEST, text.as_bytes());
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}).to_string();
    layout.root(INDEX, &index);
    layout.accepted();
    let also = |text: &str, more: &str| format!("{},{more}}}", text.strip_suffix('}').unwrap());
    let manifests = [
        also(&text, &format!(r#""manifests":[{child}]"#)),
        also(&text, r#""manifests":[]"#),
        also(&text, r#""fsLayers":[]"#),
        also(&text, r#""history":[]"#),
        also(&text, r#""layers":[]"#),
        also(&text, r#""Layers":[]"#),
        also(&text, r#""\u006cayers":[]"#),
        also(&text, r#""CONFIG":{}"#),
        also(&text, r#""mediatype":"x""#),
        text.replace("\"digest\"", "\"Digest\""),
        text.replace("\"size\"", "\"size\":1,\"SIZE\""),
        text.replace(MANIFEST, INDEX),
        format!("{text}{text}"),
        format!("[{text}]"),
        text.replace("\"layers\":[", "\"layers\":[[],"),
        "null".to_string(),
        String::new(),
    ];
    for manifest in manifests {
        for media_type in [MANIFEST, INDEX] {
            layout.root(media_type, &manifest);
            layout.refused();
        }
    }
    for index in [
        also(&index, r#""layers":[]"#),
        also(&index, &format!(r#""config":{}"#, image["config"])),
        also(&index, r#""Manifests":[]"#),
        also(&index, r#""manifests":[]"#),
        index.replace(INDEX, MANIFEST),
    ] {
        for media_type in [MANIFEST, INDEX] {
            layout.root(media_type, &index);
            layout.refused();
        }
    }
    layout.index(&format!(r#"{{"manifests":[{child}],"Manifests":[]}}"#));
    layout.refused();
}

#[test]
fn s10_configs_and_layers_need_not_fit_to_be_copied_and_never_make_us_panic() {
    let layout = Layout::new();
    let layers: Vec<Value> = [&b"layer"[..], b"second", b"third"]
        .map(|layer| layout.blob(LAYER, layer))
        .into();
    for (n, compression) in [0, 1, 1000]
        .into_iter()
        .flat_map(|n| [(n, "none"), (n, "gzip")])
    {
        let config = layout.blob(CONFIG, config(n).as_bytes());
        layout.root(
            MANIFEST,
            &json!({"config": config, "layers": layers}).to_string(),
        );
        let out = oci_at(&layout.sandbox.at("out"), "a");
        let run = imgcopy([layout.source().as_str(), &out, "--compression", compression]);
        assert!(
            !run.stderr.contains("panicked") && !run.stderr.contains("died"),
            "{}",
            run.stderr
        );
        match compression {
            "none" => drop(run.ok()),
            _ if run.code == Some(0) => {}
            _ => drop(run.fails(1)),
        }
        assert_whole(&layout.sandbox.at("out"));
        let _ = fs::remove_dir_all(layout.sandbox.at("out"));
        let verified = imgcopy(["verify", &layout.source()]);
        assert_eq!(
            verified.code,
            Some(1),
            "{n} DiffIds for 3 layers: {}",
            verified.stdout
        );
    }
}

#[test]
fn s17_s18_s19_s25_documents_that_are_too_large_or_too_deep_are_refused() {
    let layout = Layout::new();
    let image = layout.image();
    let many = |n: usize| vec![image["layers"][0].clone(); n];
    let manifest = |n| json!({"config": image["config"], "layers": many(n)}).to_string();
    layout.root(MANIFEST, &manifest(4096));
    layout.accepted();
    for n in [4097, 20_000] {
        layout.root(MANIFEST, &manifest(n));
        layout.refused();
        let child = descriptor(MANIFEST, image.to_string().as_bytes());
        layout.root(INDEX, &json!({"manifests": vec![child; n]}).to_string());
        layout.refused();
    }
    let deep = ["[", "{\"a\":"].map(|part| part.repeat(1_000_000));
    for text in [
        deep[0].clone(),
        deep[1].clone(),
        format!("{{\"layers\":{}", deep[0]),
    ] {
        layout.root(MANIFEST, &text);
        layout.refused();
        layout.index(&text);
        layout.refused();
    }
    let spaces = " ".repeat(17 << 20);
    layout.root(MANIFEST, &format!("{image}{}", &spaces[..4 << 20]));
    layout.refused();
    layout.index(&format!("{{\"manifests\":[]}}{spaces}"));
    assert!(layout.refused().contains("limit"));
    let mut config = image["config"].clone();
    config["data"] = json!("A".repeat(5 << 20));
    layout.root(
        MANIFEST,
        &json!({"config": config, "layers": []}).to_string(),
    );
    layout.refused();
    layout.root(MANIFEST, &image.to_string());
    fs::write(
        layout.path.join("oci-layout"),
        format!("{{{}", &spaces[..1 << 20]),
    )
    .unwrap();
    layout.refused();
    fs::write(
        layout.path.join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    layout.refused();
}

/// A source that counts how often it is asked for a manifest.
struct Counting(Box<dyn Source>, AtomicUsize);

impl std::fmt::Display for Counting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait::async_trait]
impl Store for Counting {
    async fn resolve(&self, name: &Name) -> imgcopy::error::Result<Option<Descriptor>> {
        self.0.resolve(name).await
    }
    async fn names(&self) -> imgcopy::error::Result<Vec<Name>> {
        self.0.names().await
    }
    async fn manifest(&self, descriptor: &Descriptor) -> imgcopy::error::Result<Manifest> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.manifest(descriptor).await
    }
}

#[async_trait::async_trait]
impl Source for Counting {
    async fn blob(&self, blob: &Descriptor) -> imgcopy::error::Result<Blob> {
        self.0.blob(blob).await
    }
}

/// Indexes so deep above one image, each of which names the one below it `width` times.
fn nested(depth: usize, width: usize) -> Layout {
    let layout = Layout::new();
    let mut text = layout.image().to_string();
    let mut media_type = MANIFEST;
    for _ in 0..depth {
        let below = layout.blob(media_type, text.as_bytes());
        text = json!({"mediaType": INDEX, "manifests": vec![below; width]}).to_string();
        media_type = INDEX;
    }
    layout.root(media_type, &text);
    layout
}

#[test]
fn s21_indexes_nest_eight_deep_and_no_deeper() {
    nested(8, 1).accepted();
    for depth in [9, 10, 40, 1000] {
        let told = nested(depth, 1).refused();
        assert!(told.contains("deep"), "{told}");
    }
}

#[tokio::test]
async fn s21_what_is_named_many_times_is_read_once() {
    for (depth, width) in [(8, 2), (8, 20), (1, 4000)] {
        let layout = nested(depth, width);
        let source = open_source(&layout.source().parse().unwrap(), &support::nobody()).unwrap();
        let source = Counting(source, AtomicUsize::new(0));
        let place = Memory::new();
        copy(&Job::new(&source, &place), &Silent::new())
            .await
            .unwrap();
        assert_eq!(source.1.load(Ordering::Relaxed), depth + 1);
    }
}

#[test]
fn s21_naming_a_large_manifest_many_times_does_not_take_for_ever() {
    let layout = Layout::new();
    let mut image = layout.image();
    image["annotations"] = json!({"padding": "x".repeat((4 << 20) - 1000)});
    let child = layout.blob(MANIFEST, image.to_string().as_bytes());
    layout.root(INDEX, &json!({"manifests": vec![child; 4000]}).to_string());
    let args = [layout.source(), oci_at(&layout.sandbox.at("out"), "a")];
    run_within(command().args(args), Duration::from_secs(10)).ok();
    run_within(
        command().args(["verify", &layout.source()]),
        Duration::from_secs(10),
    )
    .ok();
}
