//! Small images that are really images: layers unpack, configs tell their DiffIds.

use std::io::Write as _;

use bytes::Bytes;
use serde_json::json;

use super::super::noise;
use super::content::{DOCKER_MANIFEST, OCI_MANIFEST, digest};

/// In which form layers and documents are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    OciGzip,
    OciPlain,
    DockerGzip,
}

/// An image that is nowhere yet.
#[derive(Debug, Clone)]
pub struct Image {
    pub media_type: &'static str,
    pub manifest: Bytes,
    /// The config and the layers, without repetitions.
    pub blobs: Vec<Bytes>,
}

impl Image {
    /// An image with a layer for each size, which is that of the one file in it; nothing compresses
    /// it. The same seed and sizes give the same image.
    pub fn new(form: Form, sizes: &[usize], seed: u64) -> Self {
        let [manifest_type, config_type, layer_type] = match form {
            Form::OciGzip => [
                OCI_MANIFEST,
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ],
            Form::OciPlain => [
                OCI_MANIFEST,
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar",
            ],
            Form::DockerGzip => [
                DOCKER_MANIFEST,
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ],
        };
        let seeds = seed.wrapping_mul(1000)..;
        let plain = seeds
            .zip(sizes)
            .map(|(seed, size)| layer(&noise(seed, *size)));
        let plain: Vec<Bytes> = plain.collect();
        let diff_ids: Vec<String> = plain.iter().map(|tar| digest("sha256", tar)).collect();
        let layers: Vec<Bytes> = match form {
            Form::OciPlain => plain,
            Form::OciGzip | Form::DockerGzip => plain.iter().map(|tar| gzip(tar)).collect(),
        };
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": { "Labels": { "seed": seed.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = Bytes::from(config.to_string());
        let described = layers.iter().map(|layer| descriptor(layer_type, layer));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type,
            "config": descriptor(config_type, &config),
            "layers": described.collect::<Vec<_>>(),
        });
        let mut blobs = vec![config];
        blobs.extend(layers);
        Self {
            media_type: manifest_type,
            manifest: manifest.to_string().into(),
            blobs,
        }
    }
}

/// What a document says about bytes.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    json!({ "mediaType": media_type, "digest": digest("sha256", bytes), "size": bytes.len() })
}

fn layer(content: &[u8]) -> Bytes {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", content).unwrap();
    tar.into_inner().unwrap().into()
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}
