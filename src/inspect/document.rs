//! A [`Description`] as JSON: first the fields of `skopeo inspect`, by their names, in their order
//! and with their meanings; then what imgcopy adds. Where skopeo writes `null` for an empty list or
//! map, this writes an empty one.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{Description, LayerDescription, PlatformDescription};
use crate::image::{DiffId, Digest, MediaType, Platform, Tag};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'d Tag>,
    digest: &'d Digest,
    repo_tags: &'d [String],
    created: Option<&'d str>,
    docker_version: &'d str,
    labels: &'d BTreeMap<String, String>,
    architecture: &'d str,
    os: &'d str,
    layers: Vec<&'d Digest>,
    layers_data: Vec<Layer<'d>>,
    env: &'d [String],

    #[serde(skip_serializing_if = "str::is_empty")]
    variant: &'d str,
    #[serde(skip_serializing_if = "str::is_empty")]
    os_version: &'d str,
    reference: &'d str,
    media_type: &'d MediaType,
    manifest_digest: &'d Digest,
    #[serde(rename = "ImageID", skip_serializing_if = "Option::is_none")]
    image_id: Option<&'d Digest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<Entry<'d>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layer<'d> {
    #[serde(rename = "MIMEType")]
    media_type: &'d MediaType,
    digest: &'d Digest,
    size: u64,
    annotations: &'d BTreeMap<String, String>,

    #[serde(rename = "DiffID", skip_serializing_if = "Option::is_none")]
    diff_id: Option<&'d DiffId>,
    #[serde(rename = "ChainID", skip_serializing_if = "Option::is_none")]
    chain_id: Option<&'d Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'d str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    digest: &'d Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<bool>,
}

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nothing = Platform::default();
        let platform = self.platform.as_ref().unwrap_or(&nothing);
        let layers = self.layers.iter();
        Document {
            name: self.repository.as_deref(),
            tag: self.tag.as_ref(),
            digest: &self.digest,
            repo_tags: &self.repo_tags,
            created: self.created.as_deref(),
            docker_version: &self.docker_version,
            labels: &self.labels,
            architecture: &platform.architecture,
            os: &platform.os,
            layers: layers.clone().map(|it| &it.descriptor.digest).collect(),
            layers_data: layers.map(Layer::of).collect(),
            env: &self.env,
            variant: &platform.variant,
            os_version: &platform.os_version,
            reference: &self.reference,
            media_type: &self.media_type,
            manifest_digest: &self.manifest,
            image_id: self.image_id.as_ref(),
            platforms: self.platforms.iter().map(Entry::of).collect(),
        }
        .serialize(serializer)
    }
}

impl<'d> Layer<'d> {
    fn of(layer: &'d LayerDescription) -> Self {
        Self {
            media_type: &layer.descriptor.media_type,
            digest: &layer.descriptor.digest,
            size: layer.descriptor.size,
            annotations: &layer.descriptor.annotations,
            diff_id: layer.diff_id.as_ref(),
            chain_id: layer.chain_id.as_ref(),
            created_by: layer.created_by.as_deref(),
        }
    }
}

impl<'d> Entry<'d> {
    fn of(entry: &'d PlatformDescription) -> Self {
        Self {
            platform: entry.platform.as_ref().map(Platform::to_string),
            digest: &entry.digest,
            present: entry.present,
        }
    }
}
