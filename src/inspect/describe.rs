//! What an image is, as data for people and scripts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{read_config, root};
use crate::error::{ErrorKind, Result};
use crate::image::{Config, Descriptor, DiffId, Digest, Manifest, MediaType, Name, Platform};
use crate::store::Source;

/// What an image is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The place and name that were asked for.
    pub name: String,
    /// The digest that the name stands for.
    pub digest: Digest,
    /// The media type of the manifest or index.
    pub media_type: MediaType,
    /// The images of an index; empty if it is one image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformDescription>,
    /// The image ID: the digest of the config. Of an index, that of this machine's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<Digest>,
    /// The platform of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// When it was built, as the builder wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Environment variables.
    pub env: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The layers, the lowest first.
    pub layers: Vec<LayerDescription>,
}

/// One image of an index.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformDescription {
    /// The platform.
    pub platform: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Whether the place has that manifest: an index may be sparse.
    pub present: bool,
}

/// One layer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerDescription {
    /// The digest of the layer as it is stored.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its size as it is stored, in bytes.
    pub size: u64,
    /// What it unpacks to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<DiffId>,
    /// What it and the layers below it make together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<Digest>,
    /// The step of the build that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

/// Describes the image that `name` stands for; of an index, the image for `platform` if it has one.
///
/// # Errors
/// `NotFound` if there is no such image; otherwise what reading its manifest and config gives.
pub async fn describe(
    source: &dyn Source,
    name: &Name,
    platform: &Platform,
) -> Result<Description> {
    let manifest = root(source, name).await?;
    let mut description = Description {
        name: match name {
            Name::Sole => source.to_string(),
            other => format!("{source}:{other}"),
        },
        digest: manifest.descriptor().digest.clone(),
        media_type: manifest.descriptor().media_type.clone(),
        platforms: Vec::new(),
        image_id: None,
        platform: None,
        created: None,
        env: Vec::new(),
        labels: BTreeMap::new(),
        layers: Vec::new(),
    };
    let chosen = match manifest.as_image() {
        Some(_) => Some(manifest),
        None => choose(source, manifest.children(), platform, &mut description).await?,
    };
    if let Some(chosen) = chosen {
        description.fill(source, &chosen).await?;
    }
    Ok(description)
}

async fn choose(
    source: &dyn Source,
    entries: &[Descriptor],
    platform: &Platform,
    description: &mut Description,
) -> Result<Option<Manifest>> {
    let mut chosen = None;
    let mut present: BTreeMap<&Digest, bool> = BTreeMap::new();
    for entry in entries {
        // An index may name one manifest many times.
        if !present.contains_key(&entry.digest) {
            present.insert(&entry.digest, has_manifest(source, entry).await?);
        }
        let present = present.get(&entry.digest) == Some(&true);
        let own = entry.platform.as_ref();
        description.platforms.push(PlatformDescription {
            platform: own.map_or("-".to_string(), Platform::to_string),
            digest: entry.digest.clone(),
            present,
        });
        let fits = own.is_some_and(|own| own.is_like(platform));
        if fits && present && chosen.is_none() {
            chosen = Some(entry);
        }
    }
    match chosen {
        Some(entry) => source.manifest(entry).await.map(Some),
        None => Ok(None),
    }
}

async fn has_manifest(source: &dyn Source, entry: &Descriptor) -> Result<bool> {
    match source.manifest(entry).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Description {
    async fn fill(&mut self, source: &dyn Source, manifest: &Manifest) -> Result<()> {
        let Some(image) = manifest.as_image() else {
            return Ok(());
        };
        let mut config = Config::default();
        if image.is_container() {
            config = read_config(source, &image.config).await?;
            self.image_id = Some(image.config.digest.clone());
            self.platform = Some(config.platform.to_string());
        }
        let chain = config.chain_ids();
        let steps: Vec<_> = config.layer_history().collect();
        let layers = image.layers.iter().enumerate();
        self.layers = layers
            .map(|(position, layer)| LayerDescription {
                digest: layer.digest.clone(),
                media_type: layer.media_type.clone(),
                size: layer.size,
                diff_id: config.diff_ids().get(position).cloned(),
                chain_id: chain.get(position).cloned(),
                created_by: steps.get(position).map(|step| step.created_by.clone()),
            })
            .collect();
        self.created = config.created;
        self.env = config.config.env;
        self.labels = config.config.labels;
        Ok(())
    }
}
