//! What an image is, as data for people and scripts.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::{choose, root};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{
    Config, Descriptor, DiffId, Digest, ImageManifest, Manifest, MediaType, Name, Platform, Tag,
};
use crate::store::Source;

/// What an image is. As JSON it has the fields of `skopeo inspect`, and then some.
#[derive(Debug, Clone)]
pub struct Description {
    /// The place and name that were asked for.
    pub reference: String,
    /// The repository, if the place is one of a registry: `docker.io/library/busybox`.
    pub repository: Option<String>,
    /// The tag in that repository, if the image was asked for by one.
    pub tag: Option<Tag>,
    /// The digest that the name stands for.
    pub digest: Digest,
    /// The media type of the manifest or index.
    pub media_type: MediaType,
    /// The tags of the repository, if they were asked for: see [`repo_tags`].
    pub repo_tags: Vec<String>,
    /// The entries of an index; empty if it is one image.
    pub platforms: Vec<PlatformDescription>,
    /// The digest of the image's own manifest. All that follows is about that image.
    pub manifest: Digest,
    /// The image ID: the digest of the config. An artifact has none.
    pub image_id: Option<Digest>,
    /// The platform, as the config says it. An artifact has none.
    pub platform: Option<Platform>,
    /// When it was built, as the builder wrote it.
    pub created: Option<String>,
    /// The version of Docker that built it; empty if none says so.
    pub docker_version: String,
    /// Environment variables.
    pub env: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The layers, the lowest first.
    pub layers: Vec<LayerDescription>,
}

/// One entry of an index.
#[derive(Debug, Clone)]
pub struct PlatformDescription {
    /// The platform, if the entry says one.
    pub platform: Option<Platform>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Whether the place has that manifest: an index may be sparse. Registries are not asked,
    /// because they count each manifest that is fetched.
    pub present: Option<bool>,
}

/// One layer.
#[derive(Debug, Clone)]
pub struct LayerDescription {
    /// The layer as it is stored: digest, media type, size in bytes.
    pub descriptor: Descriptor,
    /// What it unpacks to.
    pub diff_id: Option<DiffId>,
    /// What it and the layers below it make together.
    pub chain_id: Option<Digest>,
    /// The step of the build that made it.
    pub created_by: Option<String>,
}

/// Describes the image that `name` stands for; of an index, that which [`choose`] gives for
/// `platform`.
///
/// # Errors
/// `NotFound` if there is no such image; otherwise those of [`choose`] and what reading the config
/// gives.
pub async fn describe(
    source: &dyn Source,
    name: &Name,
    platform: &Platform,
) -> Result<Description> {
    let root = root(source, name).await?;
    let (digest, media_type) = {
        let top = root.descriptor();
        (top.digest.clone(), top.media_type.clone())
    };
    let platforms = platforms(source, root.children()).await?;
    let chosen = choose(source, root, platform).await?;
    let repository = source.repository();
    let mut description = Description {
        reference: match name {
            Name::Sole => source.to_string(),
            Name::Digest(digest) => format!("{source}@{digest}"),
            other => format!("{source}:{other}"),
        },
        repository: repository.map(ToString::to_string),
        tag: repository.and(name.tag()).cloned(),
        digest,
        media_type,
        repo_tags: Vec::new(),
        platforms,
        manifest: chosen.descriptor().digest.clone(),
        image_id: None,
        platform: None,
        created: None,
        docker_version: String::new(),
        env: Vec::new(),
        labels: BTreeMap::new(),
        layers: Vec::new(),
    };
    if let Some(image) = chosen.as_image() {
        description.fill(source, image).await?;
    }
    Ok(description)
}

/// The tags of the repository that `source` is. Like skopeo, this answers for registries only: the
/// names in a directory or an archive are no tags of the image's repository, and `names` lists them.
///
/// # Errors
/// Whatever listing gives; `Denied` and `NotFound` mean that the registry does not list its tags.
pub async fn repo_tags(source: &dyn Source) -> Result<Vec<String>> {
    if source.repository().is_none() {
        return Ok(Vec::new());
    }
    let names = source.names().await;
    let names = names.attempting(|| format!("cannot list the tags of {source}"))?;
    Ok(names.iter().map(Name::to_string).collect())
}

/// The exact bytes of the config of the image that `name` stands for; of an index, of that which
/// [`choose`] gives for `platform`.
///
/// # Errors
/// As [`describe`].
pub async fn config(source: &dyn Source, name: &Name, platform: &Platform) -> Result<Bytes> {
    let root = root(source, name).await?;
    let chosen = choose(source, root, platform).await?;
    match chosen.as_image() {
        Some(image) => config_bytes(source, &image.config).await,
        // `choose` gives images only.
        None => Err(Error::new(ErrorKind::Invalid, "an index has no config")),
    }
}

async fn config_bytes(source: &dyn Source, config: &Descriptor) -> Result<Bytes> {
    let read = async {
        let blob = source.blob(config).await.map_err(Error::of_piece)?;
        blob.bytes(Config::LIMIT).await
    };
    let read = read.await;
    read.attempting(|| format!("cannot read config {}", config.digest))
}

async fn platforms(
    source: &dyn Source,
    entries: &[Descriptor],
) -> Result<Vec<PlatformDescription>> {
    let mut platforms = Vec::new();
    let mut known: BTreeMap<&Digest, bool> = BTreeMap::new();
    for entry in entries {
        let present = match (source.repository(), known.get(&entry.digest)) {
            (Some(_), _) => None,
            // An index may name one manifest many times.
            (None, Some(present)) => Some(*present),
            (None, None) => {
                let present = is_present(source.manifest(entry).await)?;
                known.insert(&entry.digest, present);
                Some(present)
            }
        };
        platforms.push(PlatformDescription {
            platform: entry.said_platform().cloned(),
            digest: entry.digest.clone(),
            present,
        });
    }
    Ok(platforms)
}

fn is_present(read: Result<Manifest>) -> Result<bool> {
    match read {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What Docker's builder added to a config before the OCI image specification.
#[derive(Deserialize)]
struct Builder {
    docker_version: Option<String>,
}

impl Description {
    async fn fill(&mut self, source: &dyn Source, image: &ImageManifest) -> Result<()> {
        let mut config = Config::default();
        if image.is_container() {
            let bytes = config_bytes(source, &image.config).await?;
            let what = || format!("cannot read config {}", image.config.digest);
            config = Config::parse(&bytes).attempting(what)?;
            let builder: Builder = serde_json::from_slice(&bytes).attempting(what)?;
            self.docker_version = builder.docker_version.unwrap_or_default();
            self.image_id = Some(image.config.digest.clone());
            self.platform = Some(config.platform.clone());
        }
        let chain = config.chain_ids();
        let steps: Vec<_> = config.layer_history().collect();
        let layers = image.layers.iter().enumerate();
        self.layers = layers
            .map(|(position, layer)| LayerDescription {
                descriptor: layer.clone(),
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
