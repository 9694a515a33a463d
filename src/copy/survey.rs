//! What is so: what the source has, and what of it the destination has already.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tracing::debug;

use super::Job;
use super::begin::{
    Chosen, Same, ask, changed_root, chosen, current, graph, is_verbatim, known_by_id, mountable,
    root_presence, same_image, standing, vouches,
};
use super::plan::target;
use crate::error::{ErrorKind, Result};
use crate::image::{
    Config, Descriptor, DiffId, Digest, ImageManifest, Manifest, MediaKind, Repository, Tag,
};
use crate::inspect::{Graph, read_config};
use crate::store::compress::Coding;
use crate::store::{Form, KnownLayer, Presence, Promise, WantedLayers};

/// What both places hold of one image, and what is wanted. All that a plan is made from.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The source, as users know it.
    pub source: String,
    /// The destination, as users know it.
    pub destination: String,
    /// What the source promises to keep.
    pub promise: Promise,
    /// What the destination can hold.
    pub form: Form,
    /// How plain layers shall be compressed, if the user said so.
    pub compression: Option<Coding>,
    /// The names to give at the destination.
    pub tags: Vec<Tag>,
    /// What the image must be called there, if the user said so.
    pub expected: Option<Digest>,
    /// What the index is called at the source, if not all of its images are wanted and it is
    /// written anew without the others.
    pub trimmed_from: Option<Digest>,
    /// Whether layers that are compressed already are compressed anew.
    pub recompress: bool,
    /// Whether no digest may change.
    pub preserve_digests: bool,
    /// What manifests that were converted are called at the source, by what they are called now.
    pub converted: BTreeMap<Digest, Digest>,
    /// Every manifest of the image that had to be read, children before parents.
    pub images: Vec<SurveyedImage>,
    /// Manifests that were not read because the destination vouches for them and all below; the
    /// image itself among them if there is nothing to do.
    pub kept: Vec<Descriptor>,
    /// Manifests and blobs that the source names but does not have, legitimately.
    pub absent: Vec<Descriptor>,
    /// What the destination has of each piece.
    pub presence: BTreeMap<Digest, Presence>,
    /// The other repository of the same registry that blobs can be mounted from.
    pub mount: Option<Repository>,
    /// Layers that the destination has in another form than the source.
    pub known_layers: Vec<KnownLayer>,
    /// What each of the names stands for at the destination now; without names, everything that it
    /// gives out.
    pub current: Vec<Option<Standing>>,
}

/// A manifest of the image.
#[derive(Debug, Clone)]
pub struct SurveyedImage {
    /// The manifest.
    pub manifest: Manifest,
    /// The config, if some of its layers will be compressed anew.
    pub config: Option<Config>,
}

/// What a name stands for at the destination.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What it is called.
    pub descriptor: Descriptor,
    /// The manifest, if it was read.
    pub manifest: Option<Manifest>,
}

/// How many questions are asked at once.
const PARALLEL: usize = 16;

/// Asks both places. Where nothing has changed that is one question each, and nothing is read.
///
/// # Errors
/// `NotFound` if the source has no such image, or none for a platform; otherwise what reading
/// either place gives.
pub async fn survey(job: &Job<'_>) -> Result<Survey> {
    let stands = standing(job).await?;
    match same_image(job, &stands).await? {
        Some(Same::Vouched) => return Ok(settled(job, stands, None)),
        Some(Same::There(there)) => {
            let survey = surveyed(job, stands.clone(), Chosen::whole(there)).await?;
            if survey.is_whole() {
                return Ok(survey);
            }
        }
        None => {}
    }
    let Some(root) = changed_root(job, &stands).await? else {
        return Ok(settled(job, stands, None));
    };
    let chosen = chosen(job, root).await?;
    if let Some(current) = known_by_id(job, &chosen.root).await? {
        return Ok(vouched_for(job, chosen, current));
    }
    surveyed(job, stands, chosen).await
}

async fn surveyed(
    job: &Job<'_>,
    stands: Vec<Option<Descriptor>>,
    chosen: Chosen,
) -> Result<Survey> {
    let is_there = |there: &Option<Descriptor>| {
        let own = &chosen.root.descriptor().digest;
        there.as_ref().is_some_and(|there| there.digest == *own)
    };
    if is_verbatim(job) && vouches(job) && !stands.is_empty() && stands.iter().all(is_there) {
        return Ok(settled(job, stands, chosen.trimmed_from));
    }
    let there = root_presence(job, &stands, &chosen.root).await?;
    let mut graph = match there {
        Presence::Vouched => Graph {
            kept: chosen.root.children().to_vec(),
            manifests: vec![chosen.root],
            ..Graph::default()
        },
        _ => graph(job, chosen.root, &chosen.left_out).await?,
    };
    let mut converted = BTreeMap::new();
    if let Some(format) = job.format {
        (graph.manifests, converted) = Manifest::all_in_format(graph.manifests, format)?;
    }
    let root = graph.manifests.last().map(Manifest::descriptor);
    let mut survey = Survey {
        presence: root
            .map(|root| (root.digest.clone(), there))
            .into_iter()
            .collect(),
        kept: graph.kept,
        absent: graph.absent,
        trimmed_from: chosen.trimmed_from,
        converted,
        ..begun(job, current(job, stands, &graph.manifests).await)
    };
    for manifest in graph.manifests {
        let image = survey_image(job, &survey, manifest).await?;
        survey.images.push(image);
    }
    survey.absent.extend(absent_blobs(job, &survey).await?);
    survey.known_layers = known_layers(job, &survey).await?;
    let presence = presence(job, &survey).await?;
    survey.presence.extend(presence);
    debug!(
        manifests = survey.images.len(),
        known = survey.known_layers.len(),
        "surveyed"
    );
    Ok(survey)
}

fn begun(job: &Job<'_>, current: Vec<Option<Standing>>) -> Survey {
    Survey {
        source: job.source.to_string(),
        destination: job.destination.to_string(),
        promise: job.source.promise(),
        form: job.destination.form(),
        compression: job.compression,
        recompress: job.recompress,
        preserve_digests: job.preserve_digests,
        converted: BTreeMap::new(),
        tags: job.tags.clone(),
        expected: job.expected.clone(),
        trimmed_from: None,
        images: Vec::new(),
        kept: Vec::new(),
        absent: Vec::new(),
        presence: BTreeMap::new(),
        mount: mountable(job),
        known_layers: Vec::new(),
        current,
    }
}

/// Nothing is to be done: the names stand for the image, and the destination vouches for it.
fn settled(job: &Job<'_>, stands: Vec<Option<Descriptor>>, trimmed_from: Option<Digest>) -> Survey {
    let unread = |descriptor| Standing {
        descriptor,
        manifest: None,
    };
    let kept = stands.iter().flatten().take(1).cloned().collect();
    let current = stands.into_iter().map(|there| there.map(unread)).collect();
    debug!("nothing has changed");
    Survey {
        trimmed_from,
        kept,
        ..begun(job, current)
    }
}

/// The destination has the image by its ID, and vouches for it; perhaps it lacks names.
fn vouched_for(job: &Job<'_>, chosen: Chosen, current: Vec<Option<Standing>>) -> Survey {
    let manifest = chosen.root;
    let root = manifest.descriptor().digest.clone();
    debug!(image = %root, "the destination has the image");
    let config = None;
    Survey {
        trimmed_from: chosen.trimmed_from,
        presence: BTreeMap::from([(root, Presence::Vouched)]),
        images: vec![SurveyedImage { manifest, config }],
        ..begun(job, current)
    }
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
            near: job
                .tags
                .first()
                .filter(|_| survey.current.iter().any(Option::is_some)),
        };
        known.extend(job.destination.known_layers(&wanted).await?);
    }
    Ok(known)
}

/// Asks for every piece that could travel as it is.
async fn presence(job: &Job<'_>, survey: &Survey) -> Result<BTreeMap<Digest, Presence>> {
    let mut pieces: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    for image in survey
        .images
        .iter()
        .filter(|image| !image.is_vouched_for(survey))
    {
        let verbatim = image.layers(survey).filter(|layer| layer.target.is_none());
        let config = image.manifest.as_image().map(|image| &image.config);
        // A registry was asked for the manifests before they were read, where all of them stay.
        let was_asked = vouches(job) && is_verbatim(job);
        let own = std::iter::once(image.manifest.descriptor()).filter(|_| !was_asked);
        for piece in own
            .chain(config)
            .chain(verbatim.map(|layer| layer.descriptor))
        {
            pieces.insert(piece.digest.clone(), piece.clone());
        }
    }
    for absent in &survey.absent {
        pieces.remove(&absent.digest);
    }
    // What stands there now is worth something only with its children.
    let standing = survey.current.iter().flatten();
    let manifests = standing.filter_map(|standing| standing.manifest.as_ref());
    if survey.mount.is_some() {
        // To mount a blob costs no more than to ask for it (P-03). What stands there now is known
        // without asking.
        let near = manifests.clone().flat_map(Manifest::blobs);
        let near: BTreeSet<&Digest> = near.map(|blob| &blob.digest).collect();
        let is_asked = |piece: &Descriptor| {
            let kind = piece.media_type.kind();
            matches!(kind, MediaKind::Manifest | MediaKind::Index) || near.contains(&piece.digest)
        };
        pieces.retain(|_, piece| is_asked(piece));
    }
    let mut known = BTreeMap::new();
    for piece in manifests.flat_map(Manifest::children) {
        match vouches(job) {
            true => {
                pieces.remove(&piece.digest);
                known.insert(piece.digest.clone(), Presence::Vouched);
            }
            false => {
                pieces.insert(piece.digest.clone(), piece.clone());
            }
        }
    }
    let questions: Vec<_> = pieces
        .into_values()
        .map(|piece| ask(job, piece).boxed())
        .collect();
    let mut answers = stream::iter(questions).buffer_unordered(PARALLEL);
    while let Some((digest, presence)) = answers.try_next().await? {
        known.insert(digest, presence);
    }
    Ok(known)
}

impl Survey {
    /// Whether the destination has all of it as it is, so that nothing of the source is needed.
    fn is_whole(&self) -> bool {
        let has = |piece: &Descriptor| {
            let presence = self.presence.get(&piece.digest);
            !matches!(
                presence,
                None | Some(Presence::Absent | Presence::Damaged(_))
            )
        };
        self.images.iter().all(|image| {
            let is_kept = image.layers(self).all(|layer| layer.target.is_none());
            is_kept && has(image.manifest.descriptor()) && image.manifest.blobs().all(has)
        })
    }
}

/// A layer of a surveyed image.
pub(super) struct SurveyedLayer<'s> {
    pub(super) descriptor: &'s Descriptor,
    pub(super) diff_id: Option<&'s DiffId>,
    /// How it is to be compressed, if it is to change.
    pub(super) target: Option<Coding>,
}

impl SurveyedImage {
    /// Whether the destination has the manifest, and with it all that it names.
    pub(super) fn is_vouched_for(&self, survey: &Survey) -> bool {
        let own = &self.manifest.descriptor().digest;
        survey.presence.get(own) == Some(&Presence::Vouched)
    }

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
