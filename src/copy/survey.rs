//! What is so: what the source has, and what of it the destination has already.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::debug;

use super::absorb::absorb;
use super::begin::{
    Chosen, Same, changed_root, chosen, current, graph, is_verbatim, known_by_id, mountable,
    root_presence, same_image, standing, vouches,
};
use super::known::known_layers;
use super::pieces::{absent_blobs, presence, recall};
use super::plan::{coding, target};
use super::{Job, Observer};
use crate::error::Result;
use crate::image::{
    Compression, Config, Descriptor, DiffId, Digest, Format, Manifest, MediaType, Repository, Tag,
};
use crate::inspect::{Graph, read_config};
use crate::store::compress::Coding;
use crate::store::{Form, KnownLayer, Presence, Promise};

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
    /// Whether the image may stand there in any format, because none was asked for and no digest is
    /// promised.
    pub takes_any_format: bool,
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
    /// What came out when layers that are to be compressed were compressed before.
    pub remembered: Vec<RememberedLayer>,
    /// What each of the names stands for at the destination now; without names, everything that it
    /// gives out.
    pub current: Vec<Option<Standing>>,
}

/// What came out when a layer was compressed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedLayer {
    /// The layer at the source.
    pub content: Digest,
    /// How it was compressed.
    pub to: Coding,
    /// What came out.
    pub layer: Descriptor,
    /// Another repository of the destination's registry that had it.
    pub from: Option<Repository>,
}

/// A manifest of the image.
#[derive(Debug, Clone)]
pub struct SurveyedImage {
    /// The manifest.
    pub manifest: Manifest,
    /// The config, if what becomes of some of its layers is not known without it.
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

/// Asks both places. Where nothing has changed that is one question each, and nothing is read.
///
/// # Errors
/// `NotFound` if the source has no such image, or none for a platform; otherwise what reading
/// either place gives.
pub async fn survey(job: &Job<'_>) -> Result<Survey> {
    let stands = standing(job).await?;
    match unchanged(job, &stands).await? {
        Some(survey) => Ok(survey),
        None => look_at_all(job, stands).await,
    }
}

/// As [`survey`], for a copy that begins now: if the source is a stream and something has changed, its
/// layers are taken in on the way.
pub(super) async fn survey_to_copy(job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Survey> {
    let stands = standing(job).await?;
    if let Some(survey) = unchanged(job, &stands).await? {
        return Ok(survey);
    }
    absorb(job, observer).await?;
    look_at_all(job, stands).await
}

/// The survey of an image that the source tells by its ID, if the destination has it.
async fn unchanged(job: &Job<'_>, stands: &[Option<Descriptor>]) -> Result<Option<Survey>> {
    match same_image(job, stands).await? {
        Some(Same::Vouched) => Ok(Some(settled(job, stands.to_vec(), None))),
        Some(Same::There(there)) => {
            let survey = surveyed(job, stands.to_vec(), Chosen::whole(there)).await?;
            Ok(Some(survey).filter(Survey::is_whole))
        }
        None => Ok(None),
    }
}

async fn look_at_all(job: &Job<'_>, stands: Vec<Option<Descriptor>>) -> Result<Survey> {
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
        let is_repacked = |own: Compression| repacks(job, own, format);
        (graph.manifests, converted) =
            Manifest::all_in_format(graph.manifests, format, &is_repacked)?;
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
        let image = survey_image(job, &mut survey, manifest).await?;
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

/// Whether layers that are compressed so become something that the format has a word for.
fn repacks(job: &Job<'_>, own: Compression, format: Format) -> bool {
    let places = (job.destination.form(), job.source.promise());
    let to = coding(places, job.compression, job.recompress, own);
    let becomes = to.map(|to| MediaType::oci_layer(to.compression()));
    becomes.is_some_and(|it| it.in_format(format).is_some())
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
        takes_any_format: job.takes_any_format(),
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
        remembered: Vec::new(),
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

async fn survey_image(
    job: &Job<'_>,
    survey: &mut Survey,
    manifest: Manifest,
) -> Result<SurveyedImage> {
    let mut image = SurveyedImage {
        manifest,
        config: None,
    };
    recall(job, survey, &image).await?;
    let is_open = |layer: SurveyedLayer<'_>| layer.target.is_some() && !survey.recalls(&layer);
    if let Some(said) = image.manifest.as_image()
        && image.layers(survey).any(is_open)
    {
        let config = said.config.clone();
        image.config = Some(read_config(job.source, &config).await?);
        recall(job, survey, &image).await?;
    }
    Ok(image)
}

impl Survey {
    /// Whether what comes out of a layer is remembered and at the destination.
    pub(super) fn recalls(&self, layer: &SurveyedLayer<'_>) -> bool {
        let remembered = layer.target.and_then(|to| self.remembers(layer, to));
        remembered.is_some_and(|it| self.is_present(&it.layer.digest))
    }

    /// What is remembered of a layer that is to change.
    pub(super) fn remembers(
        &self,
        layer: &SurveyedLayer<'_>,
        to: Coding,
    ) -> Option<&RememberedLayer> {
        let is_it = |it: &&RememberedLayer| it.content == layer.descriptor.digest && it.to == to;
        self.remembered.iter().find(is_it)
    }

    /// Whether the destination has a piece, and it is right.
    pub(super) fn is_present(&self, piece: &Digest) -> bool {
        let presence = self.presence.get(piece);
        matches!(
            presence,
            Some(Presence::Recorded | Presence::Checked | Presence::Vouched)
        )
    }

    /// Whether the destination has all of it as it is, so that nothing of the source is needed.
    fn is_whole(&self) -> bool {
        let has = |piece: &Descriptor| self.is_present(&piece.digest);
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
