//! A config as `skopeo inspect --config` prints it: read into the fields of the OCI image specification
//! and written again, so what the specification does not know is left out.
#![expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields so"
)]

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::document::go_time;

/// "Image Configuration". The order is that of the specification's own Go types, of their time.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "as the specification has it")]
pub(super) struct Config {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    created: Option<String>,
    #[serde(skip_serializing_if = "is_empty")]
    author: Option<String>,
    #[serde(deserialize_with = "text")]
    architecture: String,
    #[serde(skip_serializing_if = "is_empty")]
    variant: Option<String>,
    #[serde(deserialize_with = "text")]
    os: String,
    #[serde(rename = "os.version", skip_serializing_if = "is_empty")]
    os_version: Option<String>,
    #[serde(rename = "os.features", skip_serializing_if = "are_none")]
    os_features: Option<Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    config: RunConfig,
    #[serde(deserialize_with = "or_default")]
    rootfs: RootFs,
    #[serde(skip_serializing_if = "are_none")]
    history: Option<Vec<Step>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RunConfig {
    #[serde(skip_serializing_if = "is_empty")]
    user: Option<String>,
    #[serde(skip_serializing_if = "is_bare")]
    exposed_ports: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "are_none")]
    env: Option<Vec<String>>,
    #[serde(skip_serializing_if = "are_none")]
    entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "are_none")]
    cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_bare")]
    volumes: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "is_empty")]
    working_dir: Option<String>,
    #[serde(skip_serializing_if = "is_bare")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "is_empty")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    args_escaped: Option<bool>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct RootFs {
    #[serde(rename = "type", deserialize_with = "text")]
    kind: String,
    diff_ids: Option<Vec<String>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Step {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    created: Option<String>,
    #[serde(skip_serializing_if = "is_empty")]
    created_by: Option<String>,
    #[serde(skip_serializing_if = "is_empty")]
    author: Option<String>,
    #[serde(skip_serializing_if = "is_empty")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    empty_layer: Option<bool>,
}

/// What templates call the fields: as Go's types do.
pub(super) const GO_NAMES: [(&str, &str); 16] = [
    ("created", "Created"),
    ("author", "Author"),
    ("architecture", "Architecture"),
    ("os", "OS"),
    ("os.version", "OSVersion"),
    ("os.features", "OSFeatures"),
    ("variant", "Variant"),
    ("config", "Config"),
    ("rootfs", "RootFS"),
    ("type", "Type"),
    ("diff_ids", "DiffIDs"),
    ("history", "History"),
    ("created_by", "CreatedBy"),
    ("comment", "Comment"),
    ("empty_layer", "EmptyLayer"),
    ("args_escaped", "ArgsEscaped"),
];

/// Go takes `null` for what is not said.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    or_default(from)
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let read = Option::<String>::deserialize(from)?;
    Ok(read.map(|time| go_time(&time)))
}

fn is_empty(text: &Option<String>) -> bool {
    text.as_deref().is_none_or(str::is_empty)
}

fn are_none<T>(list: &Option<Vec<T>>) -> bool {
    list.as_deref().is_none_or(<[T]>::is_empty)
}

fn is_bare<T>(map: &Option<BTreeMap<String, T>>) -> bool {
    map.as_ref().is_none_or(BTreeMap::is_empty)
}

fn is_false(flag: &Option<bool>) -> bool {
    *flag != Some(true)
}
