//! An image with all that it consists of, in no particular place, and read with nothing of imgcopy.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use bytes::Bytes;
use serde_json::Value;

use crate::support::registry::{OCI_INDEX, OCI_MANIFEST};
use crate::support::truth;

/// Content by digest.
pub(crate) type Pool = BTreeMap<String, Bytes>;

/// An image, down to the last layer. Every digest and size in it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) root: String,
    /// Manifests and indexes.
    pub(crate) manifests: Pool,
    /// Configs and layers.
    pub(crate) blobs: Pool,
    /// What it names and nobody has: images of a sparse index, foreign layers.
    pub(crate) absent: BTreeSet<String>,
    /// Blobs that only their descriptors hold (`data`).
    pub(crate) inline: BTreeSet<String>,
}

impl Graph {
    /// Follows a manifest that is in a pool.
    #[track_caller]
    pub(crate) fn of(root: &str, pool: &Pool) -> Self {
        let mut graph = Self {
            root: root.to_string(),
            manifests: Pool::new(),
            blobs: Pool::new(),
            absent: BTreeSet::new(),
            inline: BTreeSet::new(),
        };
        let mut below = vec![root.to_string()];
        while let Some(digest) = below.pop() {
            let bytes = pool.get(&digest).unwrap_or_else(|| panic!("no {digest}"));
            assert_is(&digest, bytes);
            if graph.manifests.insert(digest, bytes.clone()).is_some() {
                continue;
            }
            let document: Value = serde_json::from_slice(bytes).unwrap();
            for child in list(&document, "manifests") {
                let digest = text(&child, "digest");
                match pool.get(&digest) {
                    Some(bytes) => {
                        assert_eq!(child["size"], bytes.len(), "{digest}");
                        below.push(digest);
                    }
                    None => drop(graph.absent.insert(digest)),
                }
            }
            for blob in pieces(&document) {
                graph.take(&blob, pool);
            }
        }
        graph
    }

    #[track_caller]
    fn take(&mut self, blob: &Value, pool: &Pool) {
        let digest = text(blob, "digest");
        let data = blob["data"].as_str().map(|data| {
            let decoded = base64::engine::general_purpose::STANDARD.decode(data);
            Bytes::from(decoded.unwrap())
        });
        let bytes = match (pool.get(&digest), data) {
            (Some(bytes), _) => bytes.clone(),
            (None, Some(data)) => {
                self.inline.insert(digest.clone());
                data
            }
            (None, None) => {
                assert!(is_foreign(blob), "no {digest}");
                self.absent.insert(digest);
                return;
            }
        };
        assert_is(&digest, &bytes);
        assert_eq!(blob["size"], bytes.len(), "size of {digest}");
        self.blobs.insert(digest, bytes);
    }

    /// The images of a sparse index that are not there.
    pub(crate) fn absent_manifests(&self) -> BTreeSet<String> {
        let documents = self.documents().into_iter();
        let children = documents.flat_map(|document| list(&document, "manifests"));
        let children: BTreeSet<String> = children.map(|it| text(&it, "digest")).collect();
        &children & &self.absent
    }

    /// Everything, by digest, without what only descriptors hold.
    pub(crate) fn pool(&self) -> Pool {
        let blobs = self.blobs.iter();
        let blobs = blobs.filter(|(digest, _)| !self.inline.contains(*digest));
        let all = blobs.chain(&self.manifests);
        all.map(|(digest, bytes)| (digest.clone(), bytes.clone()))
            .collect()
    }

    /// The same where all is in its place.
    pub(crate) fn spelled_out(mut self) -> Self {
        self.inline.clear();
        self
    }

    /// The same as a registry gives it out: what may live elsewhere is never asked for.
    pub(crate) fn without_foreign(&self) -> Self {
        let mut graph = self.clone();
        for document in self.documents() {
            for blob in pieces(&document).into_iter().filter(is_foreign) {
                let digest = text(&blob, "digest");
                graph.blobs.remove(&digest);
                graph.absent.insert(digest);
            }
        }
        graph
    }

    pub(crate) fn documents(&self) -> Vec<Value> {
        let documents = self.manifests.values();
        documents
            .map(|bytes| serde_json::from_slice(bytes).unwrap())
            .collect()
    }

    pub(crate) fn document(&self, digest: &str) -> Value {
        serde_json::from_slice(&self.manifests[digest]).unwrap()
    }

    pub(crate) fn is_index(&self) -> bool {
        self.document(&self.root)["manifests"].is_array()
    }

    /// What a place of single images takes of it: itself, or its image for this platform.
    pub(crate) fn image_for(&self, architecture: &str) -> Option<Self> {
        let document = self.document(&self.root);
        if document["manifests"].is_null() {
            return is_container(&document).then(|| self.clone());
        }
        for child in list(&document, "manifests") {
            let digest = text(&child, "digest");
            let said = &child["platform"]["architecture"];
            let fits = said.is_null() || said == architecture;
            if fits && self.manifests.contains_key(&digest) {
                let below = Self::of(&digest, &self.pool());
                if let Some(found) = below.image_for(architecture) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Every container image in it: its ID, and what its layers unpack to, which is checked.
    pub(crate) fn images(&self) -> Vec<truth::Image> {
        let documents = self.documents().into_iter().filter(is_container);
        let image = |document: Value| {
            let config = &self.blobs[&text(&document["config"], "digest")];
            let layers = list(&document, "layers").into_iter();
            let layers = layers.map(|layer| {
                let bytes = self.blobs.get(&text(&layer, "digest"));
                bytes.map(|bytes| bytes.to_vec())
            });
            truth::image(config, layers.collect())
        };
        documents.map(image).collect()
    }
}

#[track_caller]
fn assert_is(digest: &str, bytes: &[u8]) {
    let (algorithm, _) = digest.split_once(':').unwrap();
    assert_eq!(truth::digest(algorithm, bytes), digest);
}

/// The configs and layers that a manifest names.
fn pieces(document: &Value) -> Vec<Value> {
    let mut pieces = list(document, "layers");
    pieces.extend(document.get("config").cloned());
    pieces
}

fn is_foreign(blob: &Value) -> bool {
    blob["urls"].as_array().is_some_and(|urls| !urls.is_empty())
}

pub(crate) fn is_container(document: &Value) -> bool {
    let kind = document["config"]["mediaType"].as_str().unwrap_or_default();
    kind.ends_with("image.config.v1+json") || kind.ends_with("container.image.v1+json")
}

pub(crate) fn list(document: &Value, key: &str) -> Vec<Value> {
    document[key].as_array().cloned().unwrap_or_default()
}

pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_string()
}

/// What a manifest is, which not each of them says.
pub(crate) fn media_type(bytes: &[u8]) -> String {
    let document: Value = serde_json::from_slice(bytes).unwrap();
    let said = document["mediaType"].as_str();
    let shape = match document["manifests"].is_array() {
        true => OCI_INDEX,
        false => OCI_MANIFEST,
    };
    said.unwrap_or(shape).to_string()
}
