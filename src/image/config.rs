//! The config of an image: what it runs, and the DiffIds of its layers (OCI image specification,
//! "Image Configuration"). Its digest is the image ID, so its bytes are never changed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Platform;
use super::digest::{DiffId, Digest};
use super::json::{self, Known};
use crate::error::Result;

const KNOWN: Known = Known {
    keys: &[
        "rootfs",
        "diff_ids",
        "type",
        "architecture",
        "os",
        "variant",
        "created",
        "history",
    ],
    // Whatever runs in a container may be described here in any words.
    free: &["config", "container_config", "history"],
};

/// What imgcopy looks at in a config.
#[derive(Debug, Clone, Deserialize, Default)]
pub struct Config {
    /// CPU and operating system.
    #[serde(flatten)]
    pub platform: Platform,
    /// When it was built, as the builder wrote it (RFC 3339).
    #[serde(default)]
    pub created: Option<String>,
    /// How a container is started.
    #[serde(default, deserialize_with = "json::lenient")]
    pub config: RunConfig,
    /// How each layer came to be.
    #[serde(default, deserialize_with = "json::lenient")]
    pub history: Vec<HistoryEntry>,
    #[serde(default, deserialize_with = "json::lenient")]
    rootfs: RootFs,
}

/// How a container is started.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    /// Environment variables, `NAME=value`.
    #[serde(default, deserialize_with = "json::lenient")]
    pub env: Vec<String>,
    /// Labels.
    #[serde(default, deserialize_with = "json::lenient")]
    pub labels: BTreeMap<String, String>,
}

/// One step of the build.
#[derive(Debug, Clone, Deserialize, Default)]
pub struct HistoryEntry {
    /// The command or instruction.
    #[serde(default, deserialize_with = "json::lenient")]
    pub created_by: String,
    /// Whether the step made no layer.
    #[serde(default, deserialize_with = "json::lenient")]
    pub empty_layer: bool,
}

#[derive(Debug, Clone, Deserialize, Default)]
struct RootFs {
    #[serde(default, deserialize_with = "json::lenient")]
    diff_ids: Vec<DiffId>,
}

impl Config {
    /// The largest config that is read, in bytes (S-17).
    pub const LIMIT: u64 = 8 << 20;

    /// Reads a config.
    ///
    /// # Errors
    /// `Invalid` if it is not JSON, is ambiguous, or holds a DiffId that is no digest.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        json::parse(bytes, &KNOWN)
    }

    /// The DiffIds, the lowest layer first.
    pub fn diff_ids(&self) -> &[DiffId] {
        &self.rootfs.diff_ids
    }

    /// The ChainIds: what the layers up to each one make together (OCI image specification,
    /// "Layer ChainID").
    pub fn chain_ids(&self) -> Vec<Digest> {
        let mut chain: Vec<Digest> = Vec::with_capacity(self.diff_ids().len());
        for diff_id in self.diff_ids() {
            let next = match chain.last() {
                None => diff_id.clone(),
                Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
            };
            chain.push(next);
        }
        chain
    }

    /// The history of those steps that made a layer, in the order of the layers.
    pub fn layer_history(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.history.iter().filter(|entry| !entry.empty_layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_writes() {
        let text = format!(
            r#"{{"architecture":"arm64","os":"linux","variant":"v8","created":"2024-01-01T00:00:00Z",
            "config":{{"Env":["A=b"],"Labels":null,"OS":"free","Os":"free"}},
            "history":[{{"created_by":"one"}},{{"created_by":"env","empty_layer":true}},{{"created_by":"two"}}],
            "rootfs":{{"type":"layers","diff_ids":["{0}","{0}"]}}}}"#,
            Digest::of(b"layer")
        );
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.platform.to_string(), "linux/arm64/v8");
        assert_eq!(config.config.env, ["A=b"]);
        let steps: Vec<_> = config
            .layer_history()
            .map(|step| step.created_by.as_str())
            .collect();
        assert_eq!(steps, ["one", "two"]);
        let chain = config.chain_ids();
        assert_eq!(chain[0], config.diff_ids()[0]);
        let both = format!("{0} {0}", Digest::of(b"layer"));
        assert_eq!(chain[1], Digest::of(both.as_bytes()));
    }

    #[test]
    fn s10_missing_parts_are_no_panic() {
        for text in ["{}", r#"{"rootfs":null,"history":null,"config":null}"#] {
            let config = Config::parse(text.as_bytes()).unwrap();
            assert!(config.chain_ids().is_empty());
        }
        assert!(Config::parse(br#"{"rootfs":{"diff_ids":["sha256:../../x"]}}"#).is_err());
    }
}
