//! What is so: what the source has, and what of it the destination has already.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tracing::debug;

use super::Job;
use super::plan::target;
use crate::error::{Attempt as _, ErrorKind, Result};
use crate::image::{Config, Descriptor, DiffId, Digest, ImageManifest, Manifest, Name, Tag};
use crate::inspect::{read_config, root, walk};
use crate::store::compress::Coding;
use crate::store::{KnownLayer, Presence, Promise, WantedLayers};

/// What both places hold of one image, and what is wanted. All that a plan is made from.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The source, as users know it.
    pub source: String,
    /// The destination, as users know it.
    pub destination: String,
    /// What the source promises to keep.
    pub promise: Promise,
    /// How plain layers shall be compressed, if the user said so.
    pub compression: Option<Coding>,
    /// The names to give at the destination.
    pub tags: Vec<Tag>,
    /// Every manifest of the image, children before parents.
    pub images: Vec<SurveyedImage>,
    /// Manifests and blobs that the source names but does not have, legitimately.
    pub absent: Vec<Descriptor>,
    /// What the destination has of each piece.
    pub presence: BTreeMap<Digest, Presence>,
    /// Layers that the destination has in another form than the source.
    pub known_layers: Vec<KnownLayer>,
    /// What each of the names stands for at the destination now; without names, everything that it
    /// gives out.
    pub current: Vec<Option<Manifest>>,
}

/// A manifest of the image.
#[derive(Debug, Clone)]
pub struct SurveyedImage {
    /// The manifest.
    pub manifest: Manifest,
    /// The config, if some of its layers will be compressed anew.
    pub config: Option<Config>,
}

/// How many questions are asked at once.
const PARALLEL: usize = 8;

/// Asks both places.
///
/// # Errors
/// `NotFound` if the source has no such image; otherwise what reading either place gives.
pub async fn survey(job: &Job<'_>) -> Result<Survey> {
    let root = root(job.source, &job.name).await?;
    let graph = walk(job.source, root).await?;
    let mut survey = Survey {
        source: job.source.to_string(),
        destination: job.destination.to_string(),
        promise: job.source.promise(),
        compression: job.compression,
        tags: job.tags.clone(),
        images: Vec::new(),
        absent: graph.absent,
        presence: BTreeMap::new(),
        known_layers: Vec::new(),
        current: current(job).await?,
    };
    for manifest in graph.manifests {
        let image = survey_image(job, &survey, manifest).await?;
        survey.images.push(image);
    }
    survey.absent.extend(absent_blobs(job, &survey).await?);
    survey.known_layers = known_layers(job, &survey).await?;
    survey.presence = presence(job, &survey).await?;
    debug!(
        manifests = survey.images.len(),
        known = survey.known_layers.len(),
        "surveyed"
    );
    Ok(survey)
}

async fn survey_image(job: &Job<'_>, survey: &Survey, manifest: Manifest) -> Result<SurveyedImage> {
    let changes = |image: &&ImageManifest| {
        image
            .layers
            .iter()
            .any(|layer| target(survey, image, layer).is_some())
    };
    let config = match manifest.as_image().filter(changes) {
        Some(image) => Some(read_config(job.source, &image.config).await?),
        None => None,
    };
    Ok(SurveyedImage { manifest, config })
}

/// What the names stand for now; without names, everything that is given out.
async fn current(job: &Job<'_>) -> Result<Vec<Option<Manifest>>> {
    let what = || format!("cannot look into {}", job.destination);
    let names = match job.tags.is_empty() {
        true => job.destination.names().await.attempting(what)?,
        false => job.tags.iter().cloned().map(Name::Tag).collect(),
    };
    let mut current = Vec::new();
    for name in names {
        let there = match job.destination.resolve(&name).await {
            Err(error) if error.kind() == ErrorKind::Ambiguous => None,
            there => there.attempting(what)?,
        };
        current.push(match there {
            // A name whose manifest is missing or damaged stands for nothing: it is written anew.
            Some(descriptor) => job.destination.manifest(&descriptor).await.ok(),
            None => None,
        });
    }
    Ok(current)
}

/// Foreign layers that live elsewhere: with a URL, and not at the source.
async fn absent_blobs(job: &Job<'_>, survey: &Survey) -> Result<Vec<Descriptor>> {
    let mut absent = Vec::new();
    let blobs = survey
        .images
        .iter()
        .flat_map(|image| image.manifest.blobs());
    for blob in blobs.filter(|blob| blob.may_live_elsewhere()) {
        match job.source.blob(blob).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => absent.push(blob.clone()),
            Err(error) => return Err(error),
        }
    }
    Ok(absent)
}

async fn known_layers(job: &Job<'_>, survey: &Survey) -> Result<Vec<KnownLayer>> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for image in &survey.images {
        for layer in image.layers(survey) {
            if let (Some(coding), Some(diff_id)) = (layer.target, layer.diff_id) {
                wanted
                    .entry(coding.compression())
                    .or_default()
                    .insert(diff_id.clone());
            }
        }
    }
    let mut known = Vec::new();
    for (compression, diff_ids) in wanted {
        let wanted = WantedLayers {
            diff_ids,
            compression,
            near: job.tags.first(),
        };
        known.extend(job.destination.known_layers(&wanted).await?);
    }
    Ok(known)
}

/// Asks for every piece that could travel as it is.
async fn presence(job: &Job<'_>, survey: &Survey) -> Result<BTreeMap<Digest, Presence>> {
    let mut pieces: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    for image in &survey.images {
        let verbatim = image.layers(survey).filter(|layer| layer.target.is_none());
        let config = image.manifest.as_image().map(|image| &image.config);
        let own = std::iter::once(image.manifest.descriptor()).chain(config);
        for piece in own.chain(verbatim.map(|layer| layer.descriptor)) {
            pieces.insert(piece.digest.clone(), piece.clone());
        }
    }
    // What stands there now is worth something only with its children.
    for piece in survey.current.iter().flatten().flat_map(Manifest::children) {
        pieces.insert(piece.digest.clone(), piece.clone());
    }
    let questions: Vec<_> = pieces
        .into_values()
        .map(|piece| ask(job, piece).boxed())
        .collect();
    stream::iter(questions)
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

async fn ask(job: &Job<'_>, piece: Descriptor) -> Result<(Digest, Presence)> {
    let presence = job.destination.presence(&piece).await;
    let what = || format!("cannot look for {} in {}", piece.digest, job.destination);
    Ok((piece.digest.clone(), presence.attempting(what)?))
}

/// A layer of a surveyed image.
pub(super) struct SurveyedLayer<'s> {
    pub(super) descriptor: &'s Descriptor,
    pub(super) diff_id: Option<&'s DiffId>,
    /// How it is to be compressed, if it is to change.
    pub(super) target: Option<Coding>,
}

impl SurveyedImage {
    /// The layers, the lowest first.
    pub(super) fn layers<'s>(
        &'s self,
        survey: &'s Survey,
    ) -> impl Iterator<Item = SurveyedLayer<'s>> {
        let diff_ids = self
            .config
            .as_ref()
            .map(Config::diff_ids)
            .unwrap_or_default();
        let image = self.manifest.as_image();
        let layers = image.into_iter().flat_map(move |image| {
            image
                .layers
                .iter()
                .map(move |layer| (layer, target(survey, image, layer)))
        });
        layers
            .enumerate()
            .map(|(position, (descriptor, target))| SurveyedLayer {
                descriptor,
                diff_id: diff_ids.get(position),
                target,
            })
    }
}
