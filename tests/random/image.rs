//! Images of any shape, and all that they consist of.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::support::registry::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::support::{noise, truth};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const STATEMENT: &str = "application/vnd.in-toto+json";

/// Content by digest.
pub(crate) type Pool = BTreeMap<String, Bytes>;

/// A layer, made once for all scripts.
struct Layer {
    plain: Bytes,
    diff_id: String,
    gzip: Bytes,
    gzip_names: [String; 2],
}

/// Nothing; little; about one piece of a body; some ranges; 2 MiB; more than a chunk.
const SIZES: [usize; 11] = [
    0, 1, 600, 601, 5_000, 60_000, 300_000, 700_000, 1_100_000, 2_090_000, 9_000_000,
];
/// The largest is in few images.
const USUAL: usize = SIZES.len() - 1;

static LAYERS: LazyLock<Vec<Layer>> = LazyLock::new(|| {
    let sizes = SIZES.iter().enumerate();
    sizes
        .map(|(number, size)| layer(number as u64, *size))
        .collect()
});

fn layer(seed: u64, size: usize) -> Layer {
    let plain = match size {
        0 => vec![0; 1024],
        size => tar(&noise(seed, size)),
    };
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain).unwrap();
    let gzip = encoder.finish().unwrap();
    Layer {
        diff_id: truth::digest("sha256", &plain),
        gzip_names: ["sha256", "sha512"].map(|algorithm| truth::digest(algorithm, &gzip)),
        plain: plain.into(),
        gzip: gzip.into(),
    }
}

fn tar(content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", content).unwrap();
    tar.into_inner().unwrap()
}

/// What images consist of: manifests with their types, and blobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) manifests: BTreeMap<String, (String, Bytes)>,
    pub(crate) blobs: Pool,
}

impl Content {
    /// Everything by its digest.
    pub(crate) fn pool(&self) -> Pool {
        let manifests = self.manifests.iter();
        let manifests = manifests.map(|(digest, (_, bytes))| (digest.clone(), bytes.clone()));
        let blobs = self.blobs.iter();
        let blobs = blobs.map(|(digest, bytes)| (digest.clone(), bytes.clone()));
        manifests.chain(blobs).collect()
    }

    pub(crate) fn pieces(&self) -> usize {
        self.manifests.len() + self.blobs.len()
    }
}

/// An image, or an index of images, with what belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) root: String,
    pub(crate) content: Content,
    /// Referrers, and what cosign's tags name.
    pub(crate) companions: Content,
    /// Who refers to whom: the subject, and the descriptor of what refers to it.
    pub(crate) referrers: Vec<(String, Value)>,
    /// Tags that belong to the image, and what they stand for.
    pub(crate) tags: Vec<(String, String)>,
}

/// What an image is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Any,
    /// An image for one machine, as an archive of `docker save` can hold it.
    Single,
}

/// Makes an image. Those of one script share layers.
pub(crate) struct Maker<'c> {
    chance: &'c mut Chance,
    /// The layers that images of this script consist of.
    palette: Vec<usize>,
    content: Content,
    /// Docker's words, or those of OCI.
    is_docker: bool,
}

impl<'c> Maker<'c> {
    pub(crate) fn new(chance: &'c mut Chance) -> Self {
        // Small ones more often, for the sake of speed.
        let palette = (0..4).map(|_| chance.below(USUAL).min(chance.below(USUAL)));
        let mut palette: Vec<usize> = palette.collect();
        if chance.happens(1) {
            palette.push(USUAL);
        }
        Self {
            chance,
            palette,
            content: Content::default(),
            is_docker: false,
        }
    }

    pub(crate) fn make(&mut self, shape: Shape) -> Image {
        self.content = Content::default();
        self.is_docker = self.chance.happens(30);
        let root = match shape {
            Shape::Single => self.image("amd64"),
            Shape::Any if self.chance.happens(45) => self.image("amd64"),
            Shape::Any => self.index(0),
        };
        let mut image = Image {
            root: text(&root, "digest"),
            content: std::mem::take(&mut self.content),
            companions: Content::default(),
            referrers: Vec::new(),
            tags: Vec::new(),
        };
        if shape == Shape::Any {
            self.accompany(&mut image, &root);
        }
        image
    }

    fn add_by(&mut self, algorithm: &str, kind: &str, bytes: impl Into<Bytes>) -> Value {
        let bytes = bytes.into();
        let digest = truth::digest(algorithm, &bytes);
        let described = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        self.content.blobs.insert(digest, bytes);
        described
    }

    fn document(&mut self, kind: &str, document: &Value) -> Value {
        self.document_by("sha256", kind, document)
    }

    fn document_by(&mut self, algorithm: &str, kind: &str, document: &Value) -> Value {
        let bytes = Bytes::from(document.to_string());
        let digest = truth::digest(algorithm, &bytes);
        let described = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        let manifest = (kind.to_string(), bytes);
        self.content.manifests.insert(digest, manifest);
        described
    }

    /// The descriptor and the `DiffId` of a layer.
    fn layer(&mut self) -> (Value, String) {
        let layer = &LAYERS[self.chance.pick(&self.palette)];
        let is_plain = !self.is_docker && self.chance.happens(15);
        let is_long = !self.is_docker && self.chance.happens(8);
        let (kind, bytes, digest) = match (self.is_docker, is_plain) {
            (true, _) => (DOCKER_GZIP, &layer.gzip, &layer.gzip_names[0]),
            (_, true) => (PLAIN, &layer.plain, &layer.diff_id),
            (_, false) => (GZIP, &layer.gzip, &layer.gzip_names[usize::from(is_long)]),
        };
        self.content.blobs.insert(digest.clone(), bytes.clone());
        let described = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        (described, layer.diff_id.clone())
    }

    /// Few registries take manifests by SHA-512, and none has tags for them.
    fn child(&mut self, architecture: &str) -> Value {
        let algorithm = match !self.is_docker && self.chance.happens(5) {
            true => "sha512",
            false => "sha256",
        };
        self.image_by(algorithm, architecture)
    }

    fn image(&mut self, architecture: &str) -> Value {
        self.image_by("sha256", architecture)
    }

    fn image_by(&mut self, algorithm: &str, architecture: &str) -> Value {
        let layers = 0..self.chance.pick(&[0, 1, 1, 2, 2, 3, 4]);
        let (layers, diff_ids): (Vec<_>, Vec<_>) = layers.map(|_| self.layer()).unzip();
        let (config_kind, kind) = match self.is_docker {
            true => (DOCKER_CONFIG, DOCKER_MANIFEST),
            false => (CONFIG, OCI_MANIFEST),
        };
        let config = json!({
            "architecture": architecture, "os": "linux",
            "config": { "Labels": { "number": self.chance.below(3).to_string() } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.add_by("sha256", config_kind, config.to_string());
        let own = json!({
            "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers,
        });
        let own = self.document_by(algorithm, kind, &own);
        let platform = json!({ "architecture": architecture, "os": "linux" });
        with(&own, "platform", platform)
    }

    fn index(&mut self, depth: usize) -> Value {
        let machines = ["amd64", "arm64", "s390x", "riscv64"];
        let count = 1 + self.chance.below(machines.len());
        let mut entries = Vec::new();
        for machine in &machines[..count] {
            let is_deeper = depth < 2 && !self.is_docker && self.chance.happens(12);
            let image = match is_deeper {
                true => self.index(depth + 1),
                false => self.child(machine),
            };
            if !self.is_docker && !is_deeper && self.chance.happens(20) {
                entries.push(self.attestation(&image));
            }
            entries.push(image);
        }
        let kind = match self.is_docker {
            true => DOCKER_LIST,
            false => OCI_INDEX,
        };
        self.document(
            kind,
            &json!({ "schemaVersion": 2, "mediaType": kind, "manifests": entries }),
        )
    }

    /// As `BuildKit` writes it.
    fn attestation(&mut self, image: &Value) -> Value {
        let statement = self.add_by(
            "sha256",
            STATEMENT,
            json!({ "of": image["digest"] }).to_string(),
        );
        let config = json!({
            "architecture": "unknown", "os": "unknown", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [statement["digest"]] },
        });
        let config = self.add_by("sha256", CONFIG, config.to_string());
        let own = self.document(
            OCI_MANIFEST,
            &json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST,
                "config": config, "layers": [statement],
            }),
        );
        let about = json!({
            "vnd.docker.reference.digest": image["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        });
        let platform = json!({ "architecture": "unknown", "os": "unknown" });
        with(&with(&own, "platform", platform), "annotations", about)
    }

    /// What belongs to the image: referrers, referrers of those, a signature by its tag.
    fn accompany(&mut self, image: &mut Image, root: &Value) {
        let mut subjects = vec![root.clone()];
        for number in 0..self.chance.pick(&[0, 0, 0, 1, 2]) {
            let subject = self.chance.pick(&subjects);
            let referrer = self.artifact(number, Some(&subject));
            let described = with(&referrer, "artifactType", json!("application/vnd.example"));
            let pair = (text(&subject, "digest"), described);
            image.referrers.push(pair);
            subjects.push(referrer);
        }
        if self.chance.happens(10) {
            let signature = self.artifact(9, None);
            let tag = format!("{}.sig", image.root.replace(':', "-"));
            image.tags.push((tag, text(&signature, "digest")));
        }
        image.companions = std::mem::take(&mut self.content);
    }

    fn artifact(&mut self, number: usize, subject: Option<&Value>) -> Value {
        let config = self.add_by("sha256", EMPTY, "{}");
        let layer = self.add_by(
            "sha256",
            "application/spdx+json",
            format!("{{\"number\":{number}}}"),
        );
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.example", "config": config, "layers": [layer],
        });
        if let Some(subject) = subject {
            let mut bare = subject.clone();
            bare.as_object_mut().unwrap().remove("platform");
            manifest["subject"] = bare;
        }
        self.document(OCI_MANIFEST, &manifest)
    }
}

fn with(object: &Value, key: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[key] = value;
    object
}

pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_string()
}

impl Image {
    /// An image as engines know it, read from wherever it came to.
    pub(crate) fn as_engine_sees(&self) -> truth::Image {
        engine_image(&self.root, &self.content.pool())
    }
}

/// What a manifest says to an engine: the image's ID and what its layers unpack to, checked.
#[track_caller]
pub(crate) fn engine_image(root: &str, pool: &Pool) -> truth::Image {
    let get = |digest: &str| {
        let found = pool.get(digest);
        found
            .unwrap_or_else(|| panic!("{digest} is not there"))
            .to_vec()
    };
    let manifest: Value = serde_json::from_slice(&get(root)).unwrap();
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    let layers = layers.iter().map(|layer| Some(get(&text(layer, "digest"))));
    let config = get(&text(&manifest["config"], "digest"));
    truth::image(&config, layers.collect())
}
