//! Making images piece by piece, with nothing of imgcopy.

use std::io::Write as _;

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::Subject;
use crate::graph::{Graph, Pool};
use crate::support::registry::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::support::{noise, truth};

pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const MANIFEST: &str = OCI_MANIFEST;
pub(crate) const ARTIFACT: &str = "application/vnd.example";
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
pub(crate) const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const DOCKER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
pub(crate) const DOCKER_PLAIN: &str = "application/vnd.docker.image.rootfs.diff.tar";
pub(crate) const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Pieces of images, each called by its digest.
#[derive(Default)]
pub(crate) struct Pieces {
    pool: Pool,
}

impl Pieces {
    /// Keeps bytes and describes them.
    pub(crate) fn add(&mut self, kind: &str, bytes: impl Into<Bytes>) -> Value {
        self.add_by("sha256", kind, bytes)
    }

    pub(crate) fn add_by(&mut self, algorithm: &str, kind: &str, bytes: impl Into<Bytes>) -> Value {
        let bytes = bytes.into();
        let digest = truth::digest(algorithm, &bytes);
        let size = bytes.len();
        self.pool.insert(digest.clone(), bytes);
        json!({ "mediaType": kind, "digest": digest, "size": size })
    }

    pub(crate) fn document(&mut self, kind: &str, document: &Value) -> Value {
        self.add(kind, document.to_string())
    }

    /// A config of layers that unpack to these.
    pub(crate) fn config(&mut self, kind: &str, architecture: &str, plain: &[&[u8]]) -> Value {
        let diff_ids: Vec<String> = plain.iter().map(|it| truth::digest("sha256", it)).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        self.document(kind, &config)
    }

    /// An OCI image whose layers, as they are described, unpack to these.
    pub(crate) fn image(&mut self, layers: &[(&Value, &[u8])]) -> Value {
        let plain: Vec<&[u8]> = layers.iter().map(|(_, plain)| *plain).collect();
        let config = self.config(CONFIG, "amd64", &plain);
        let layers: Vec<&Value> = layers.iter().map(|(layer, _)| *layer).collect();
        self.manifest(&json!({ "config": config, "layers": layers }))
    }

    /// An OCI image of gzip layers for a machine.
    pub(crate) fn image_for(&mut self, architecture: &str, sizes: &[usize]) -> Value {
        let plain: Vec<Vec<u8>> = sizes.iter().map(|size| tar(*size)).collect();
        let layers: Vec<Value> = plain.iter().map(|it| self.add(GZIP, gzip(it))).collect();
        let plain: Vec<&[u8]> = plain.iter().map(Vec::as_slice).collect();
        let config = self.config(CONFIG, architecture, &plain);
        let image = self.manifest(&json!({ "config": config, "layers": layers }));
        with(&image, &for_linux(architecture))
    }

    /// An OCI manifest with these fields.
    pub(crate) fn manifest(&mut self, fields: &Value) -> Value {
        let own = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST });
        self.document(OCI_MANIFEST, &with(&own, fields))
    }

    pub(crate) fn artifact(&mut self, fields: &Value) -> Value {
        let kind = json!({ "artifactType": ARTIFACT });
        self.manifest(&with(&kind, fields))
    }

    /// An image of one layer in Docker's words, for a machine.
    pub(crate) fn docker_image(
        &mut self,
        architecture: &str,
        kind: &str,
        pack: fn(&[u8]) -> Vec<u8>,
    ) -> Value {
        let layer = tar(10);
        let packed = self.add(kind, pack(&layer));
        let config = self.config(DOCKER_CONFIG, architecture, &[&layer]);
        let image = self.document(
            DOCKER_MANIFEST,
            &json!({
                "schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
                "config": config, "layers": [packed],
            }),
        );
        with(&image, &for_linux(architecture))
    }

    pub(crate) fn index(&mut self, entries: &[&Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
        self.document(OCI_INDEX, &index)
    }

    pub(crate) fn docker_list(&mut self, entries: &[&Value]) -> Value {
        let list = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries });
        self.document(DOCKER_LIST, &list)
    }

    /// Nobody has it.
    pub(crate) fn lose(&mut self, descriptor: &Value) {
        let digest = descriptor["digest"].as_str().unwrap();
        self.pool.remove(digest).unwrap();
    }

    pub(crate) fn subject(self, name: &str, root: &Value) -> Subject {
        Subject {
            name: name.to_string(),
            graph: Graph::of(root["digest"].as_str().unwrap(), &self.pool),
            lies: Vec::new(),
        }
    }
}

fn for_linux(architecture: &str) -> Value {
    json!({ "platform": { "architecture": architecture, "os": "linux" } })
}

/// The same object with more fields.
pub(crate) fn with(object: &Value, fields: &Value) -> Value {
    let mut object = object.clone();
    for (key, value) in fields.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// The same descriptor, which holds its content, too.
pub(crate) fn with_data(descriptor: &Value, bytes: &[u8]) -> Value {
    let data = base64::engine::general_purpose::STANDARD.encode(bytes);
    with(descriptor, &json!({ "data": data }))
}

/// A tar with one file, which nothing compresses; sizes are names.
pub(crate) fn tar(size: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(size as u64);
    header.set_mode(0o644);
    let content = noise(size as u64, size);
    tar.append_data(&mut header, format!("file{size}"), &*content)
        .unwrap();
    tar.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    gzip_at(bytes, 6)
}

pub(crate) fn gzip_at(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
