//! What a registry holds, as data.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The digest of bytes by this algorithm (`sha256` or `sha512`), as text.
pub fn digest(algorithm: &str, bytes: &[u8]) -> String {
    let hex = |hash: &[u8]| {
        hash.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let hash = match algorithm {
        "sha512" => hex(&Sha512::digest(bytes)),
        _ => hex(&Sha256::digest(bytes)),
    };
    format!("{algorithm}:{hash}")
}

/// Whether a digest is that of these bytes.
pub fn is_digest_of(digest_text: &str, bytes: &[u8]) -> bool {
    let algorithm = digest_text.split(':').next().unwrap_or_default();
    digest(algorithm, bytes) == digest_text
}

/// Whether text is a digest (distribution specification, "digest").
pub fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let length = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether text is a tag (distribution specification, "Pulling manifests").
pub fn is_tag(text: &str) -> bool {
    let is_word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let is_rest = |c: u8| is_word(c) || matches!(c, b'.' | b'-');
    text.len() <= 128 && text.bytes().next().is_some_and(is_word) && text.bytes().all(is_rest)
}

/// Whether text can be the name of a repository (distribution specification, "Pulling manifests").
pub fn is_name(text: &str) -> bool {
    let is_word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_rest = |c: u8| is_word(c) || matches!(c, b'.' | b'_' | b'-');
    let is_part =
        |part: &str| part.bytes().next().is_some_and(is_word) && part.bytes().all(is_rest);
    text.len() <= 255 && text.split('/').all(is_part)
}

/// A manifest or index as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub media_type: String,
    pub bytes: Bytes,
}

impl Stored {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeMap<String, Bytes>,
    pub(super) manifests: BTreeMap<String, Stored>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Repository {
    pub(super) fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.manifests.is_empty() && self.tags.is_empty()
    }

    /// The digest that a tag or digest stands for.
    pub(super) fn resolve(&self, reference: &str) -> Option<String> {
        match is_digest(reference) {
            true => self
                .manifests
                .get_key_value(reference)
                .map(|(key, _)| key.clone()),
            false => self.tags.get(reference).cloned(),
        }
    }

    /// What a document refers to and the repository does not have. Layers that are elsewhere (with
    /// `urls`, or not for distribution) need not be here.
    pub(super) fn missing(&self, document: &Value) -> Vec<String> {
        let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let name = |descriptor: &Value| descriptor["digest"].as_str().unwrap_or("").to_string();
        let mut blobs = list("layers");
        blobs.retain(|layer| {
            let kind = layer["mediaType"].as_str().unwrap_or_default();
            let is_foreign = kind.contains("foreign") || kind.contains("nondistributable");
            !is_foreign && layer["urls"].as_array().is_none_or(Vec::is_empty)
        });
        blobs.extend(document.get("config").cloned());
        let mut missing: Vec<String> = blobs.iter().map(name).collect();
        missing.retain(|digest| !self.blobs.contains_key(digest));
        let children = list("manifests");
        let children = children.iter().map(name);
        missing.extend(children.filter(|digest| !self.manifests.contains_key(digest)));
        missing
    }

    /// Descriptors of the manifests whose subject this is (distribution specification, "Listing
    /// Referrers").
    pub(super) fn referrers(&self, subject: &str) -> Vec<Value> {
        let mut found = Vec::new();
        for (digest, stored) in &self.manifests {
            let document = stored.json();
            if document["subject"]["digest"] != *subject {
                continue;
            }
            let mut descriptor = serde_json::json!({
                "mediaType": stored.media_type, "digest": digest, "size": stored.bytes.len(),
            });
            let own = document.get("artifactType");
            let kind = own.or_else(|| document["config"].get("mediaType"));
            if let Some(kind) = kind {
                descriptor["artifactType"] = kind.clone();
            }
            if let Some(annotations) = document.get("annotations") {
                descriptor["annotations"] = annotations.clone();
            }
            found.push(descriptor);
        }
        found
    }

    /// Throws away the blobs that no manifest names; with `deep`, before that the manifests to which
    /// no tag and no subject leads.
    pub(super) fn collect(&mut self, deep: bool) {
        let names = |document: &Value, key: &str| -> Vec<String> {
            let list = document[key].as_array().cloned().unwrap_or_default();
            let alone = document.get(key).filter(|it| it.is_object()).cloned();
            let all = list.into_iter().chain(alone);
            all.filter_map(|it| it["digest"].as_str().map(str::to_string))
                .collect()
        };
        if deep {
            let mut below: Vec<String> = self.tags.values().cloned().collect();
            let mut needed = std::collections::BTreeSet::new();
            while let Some(digest) = below.pop() {
                let Some(stored) = self.manifests.get(&digest) else {
                    continue;
                };
                if needed.insert(digest.clone()) {
                    below.extend(names(&stored.json(), "manifests"));
                    let referrers = self.referrers(&digest);
                    below.extend(names(&Value::from_iter([("all", referrers)]), "all"));
                }
            }
            self.manifests.retain(|digest, _| needed.contains(digest));
        }
        let documents = self.manifests.values().map(Stored::json);
        let pieces = |document: Value| [names(&document, "layers"), names(&document, "config")];
        let needed: Vec<String> = documents.flat_map(pieces).flatten().collect();
        self.blobs.retain(|digest, _| needed.contains(digest));
    }

    /// Panics unless every blob and manifest is what it is called, and everything that tags lead to
    /// is here.
    #[track_caller]
    pub(super) fn assert_whole(&self) {
        for (digest, bytes) in &self.blobs {
            assert!(
                is_digest_of(digest, bytes),
                "blob {digest} is something else"
            );
        }
        for (digest, stored) in &self.manifests {
            assert!(
                is_digest_of(digest, &stored.bytes),
                "manifest {digest} is something else"
            );
        }
        let mut below: Vec<String> = self.tags.values().cloned().collect();
        while let Some(digest) = below.pop() {
            let stored = self.manifests.get(&digest);
            let document = stored
                .unwrap_or_else(|| panic!("{digest} is not here"))
                .json();
            assert_eq!(self.missing(&document), [""; 0], "{digest} lacks these");
            let children = document["manifests"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let name = |child: Value| child["digest"].as_str().unwrap().to_string();
            below.extend(children.into_iter().map(name));
        }
    }
}

/// A page of a sorted list of names: those after `last`, at most `n`, and whether there are more.
pub(super) fn page(names: Vec<String>, last: Option<&str>, n: usize) -> (Vec<String>, bool) {
    let mut names = names;
    names.retain(|name| last.is_none_or(|last| name.as_str() > last));
    let more = names.len() > n;
    names.truncate(n);
    (names, more)
}
