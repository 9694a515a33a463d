//! What will be done, and why. Pure: a survey in, a plan out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Serialize, Serializer};

use super::survey::SurveyedLayer;
use super::{Survey, SurveyedImage};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, DiffId, Digest, ImageManifest, Manifest, Tag};
use crate::store::compress::Coding;
use crate::store::{KnownLayer, Presence, Promise};

/// What will be done to copy one image.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The source, as users know it.
    pub source: String,
    /// The destination, as users know it.
    pub destination: String,
    /// The names that the image gets at the destination.
    pub tags: Vec<Tag>,
    /// Each config and layer once, the largest first.
    pub blobs: Vec<BlobStep>,
    /// Each manifest once, children before parents; the last one gets the names.
    pub manifests: Vec<ManifestStep>,
    /// What the source names and does not have: images of a sparse index, foreign layers. Their
    /// descriptors travel, and nothing else.
    pub absent: Vec<Descriptor>,
}

/// What will be done with a config or layer.
#[derive(Debug, Clone, Serialize)]
pub struct BlobStep {
    /// What it is called at the source.
    pub blob: Descriptor,
    /// What it unpacks to, where that is known and the layer is to change.
    #[serde(rename = "diffId", skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<DiffId>,
    /// What is done.
    #[serde(flatten)]
    pub action: BlobAction,
    /// Why.
    pub because: Reason,
}

/// What is done with a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum BlobAction {
    /// The destination has it already, under this name.
    Keep {
        /// What it is called there.
        stored: Descriptor,
    },
    /// It travels as it is.
    Send,
    /// It travels, and is compressed on the way.
    Recompress {
        /// How.
        to: Coding,
    },
    /// Only its descriptor travels.
    Leave,
}

/// What will be done with a manifest.
#[derive(Debug, Clone, Serialize)]
pub struct ManifestStep {
    /// The manifest at the source.
    #[serde(serialize_with = "descriptor_of")]
    pub manifest: Manifest,
    /// What is done.
    pub action: ManifestAction,
    /// Why.
    pub because: Reason,
}

/// What is done with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManifestAction {
    /// Nothing: the destination has it, or one that says the same.
    Keep(Digest),
    /// It travels as it is.
    Send,
    /// It is written anew, naming what its pieces are called at the destination.
    Rewrite,
    /// It is there, and gets its names.
    Name,
}

/// Why something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The destination does not have it.
    Missing,
    /// The destination has it, and imgcopy knows that it is right.
    Recorded,
    /// The destination has it, and it was read and is right.
    Checked,
    /// The destination has something else under its name.
    Damaged(String),
    /// The destination has a layer that unpacks to the same.
    SameDiffId,
    /// The destination's own manifest names the same config and layers.
    SameImage,
    /// Layers of this kind are compressed on the way.
    Plain(Compression),
    /// Its pieces are called otherwise at the destination.
    LayersChanged,
    /// Its children are called otherwise at the destination.
    ChildrenChanged,
    /// The name stands for something else now, or for nothing.
    NameMoves,
    /// The source does not have it: it lives at the URLs of its descriptor.
    Foreign,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing => f.write_str("not at the destination"),
            Reason::Recorded => f.write_str("already there"),
            Reason::Checked => f.write_str("already there, read and right"),
            Reason::Damaged(how) => write!(f, "the one there {how}"),
            Reason::SameDiffId => f.write_str("a layer there unpacks to the same"),
            Reason::SameImage => f.write_str("the manifest there says the same"),
            Reason::Plain(Compression::None) => f.write_str("plain at the source"),
            Reason::Plain(other) => write!(f, "{other} is no form for layers"),
            Reason::LayersChanged => f.write_str("its layers change"),
            Reason::ChildrenChanged => f.write_str("its images change"),
            Reason::NameMoves => f.write_str("the name is new or moves"),
            Reason::Foreign => f.write_str("it lives at its URLs, not at the source"),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn descriptor_of<S: Serializer>(manifest: &Manifest, serializer: S) -> Result<S::Ok, S::Error> {
    manifest.descriptor().serialize(serializer)
}

/// What a plan comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// How many blobs travel.
    pub moving: usize,
    /// How many bytes of them are read.
    pub bytes: u64,
    /// How many blobs are there already.
    pub kept: usize,
    /// How many bytes those have.
    pub kept_bytes: u64,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let idle = |step: &ManifestStep| matches!(step.action, ManifestAction::Keep(_));
        self.totals().moving == 0 && self.manifests.iter().all(idle)
    }

    /// What it comes to.
    pub fn totals(&self) -> Totals {
        self.blobs
            .iter()
            .fold(Totals::default(), |mut totals, step| {
                match &step.action {
                    BlobAction::Keep { stored } => {
                        totals.kept += 1;
                        totals.kept_bytes += stored.size;
                    }
                    BlobAction::Send | BlobAction::Recompress { .. } => {
                        totals.moving += 1;
                        totals.bytes += step.blob.size;
                    }
                    BlobAction::Leave => {}
                }
                totals
            })
    }
}

/// How a layer shall be compressed, if it shall be at all: plain ones as the user wants, or gzip
/// where the source leaves it open; and those in forms that images do not have.
pub(super) fn target(survey: &Survey, image: &ImageManifest, layer: &Descriptor) -> Option<Coding> {
    let own = layer
        .media_type
        .compression()
        .filter(|_| image.is_container())?;
    let open = survey.promise == Promise::ImageId;
    let wanted = survey.compression.or(open.then_some(Coding::GZIP))?;
    let changes = match own {
        Compression::None | Compression::Bzip2 | Compression::Xz => own != wanted.compression(),
        Compression::Gzip | Compression::Zstd => false,
    };
    changes.then_some(wanted)
}

/// Decides.
///
/// # Errors
/// `Unsupported` if what is asked for cannot be said in the image's own kind of manifest.
pub fn plan(survey: &Survey) -> Result<Plan> {
    let mut blobs = BTreeMap::new();
    for image in &survey.images {
        for step in blob_steps(survey, image)? {
            blobs.entry(step.blob.digest.clone()).or_insert(step);
        }
    }
    let mut blobs: Vec<BlobStep> = blobs.into_values().collect();
    blobs.sort_by_key(|step| std::cmp::Reverse(step.blob.size));
    let manifests = manifest_steps(survey, &blobs)?;
    Ok(Plan {
        source: survey.source.clone(),
        destination: survey.destination.clone(),
        tags: survey.tags.clone(),
        blobs,
        manifests,
        absent: survey.absent.clone(),
    })
}

fn blob_steps(survey: &Survey, image: &SurveyedImage) -> Result<Vec<BlobStep>> {
    let config = image.manifest.as_image().map(|image| &image.config);
    let mut steps: Vec<BlobStep> = config
        .map(|config| verbatim(survey, config))
        .into_iter()
        .collect();
    for layer in image.layers(survey) {
        steps.push(match layer.target {
            Some(to) => recompressed(survey, &layer, to)?,
            None => verbatim(survey, layer.descriptor),
        });
    }
    Ok(steps)
}

fn verbatim(survey: &Survey, blob: &Descriptor) -> BlobStep {
    let keep = BlobAction::Keep {
        stored: blob.clone(),
    };
    let (action, because) = match survey.presence.get(&blob.digest) {
        Some(Presence::Recorded) => (keep, Reason::Recorded),
        Some(Presence::Checked) => (keep, Reason::Checked),
        _ if survey.absent.contains(blob) => (BlobAction::Leave, Reason::Foreign),
        Some(Presence::Damaged(how)) => (BlobAction::Send, Reason::Damaged(how.clone())),
        Some(Presence::Absent) | None => (BlobAction::Send, Reason::Missing),
    };
    BlobStep {
        blob: blob.clone(),
        diff_id: None,
        action,
        because,
    }
}

fn recompressed(survey: &Survey, layer: &SurveyedLayer<'_>, to: Coding) -> Result<BlobStep> {
    let SurveyedLayer {
        descriptor,
        diff_id,
        ..
    } = layer;
    let own = descriptor
        .media_type
        .compression()
        .unwrap_or(Compression::None);
    if descriptor
        .media_type
        .with_compression(to.compression())
        .is_none()
    {
        let what = format!(
            "{} has no form for {}",
            descriptor.media_type,
            to.compression()
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    if let Some(diff_id) = diff_id
        && own == Compression::None
        && **diff_id != descriptor.digest
    {
        let what = format!(
            "layer {} is plain, and the config calls it {diff_id}",
            descriptor.digest
        );
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    let is_it = |known: &&KnownLayer| {
        Some(&known.diff_id) == *diff_id
            && known.layer.media_type.compression() == Some(to.compression())
    };
    let (action, because) = match survey.known_layers.iter().find(is_it) {
        Some(known) => {
            let stored = known.layer.clone();
            (BlobAction::Keep { stored }, Reason::SameDiffId)
        }
        None => (BlobAction::Recompress { to }, Reason::Plain(own)),
    };
    Ok(BlobStep {
        blob: (*descriptor).clone(),
        diff_id: diff_id.cloned(),
        action,
        because,
    })
}

fn manifest_steps(survey: &Survey, blobs: &[BlobStep]) -> Result<Vec<ManifestStep>> {
    let mut renaming = Renaming::of(blobs);
    let mut steps = Vec::new();
    for image in &survey.images {
        let manifest = image.manifest.clone();
        let (action, because) = match renaming.apply(&manifest)? {
            Renamed::Not => as_present(
                survey.presence.get(&manifest.descriptor().digest),
                &manifest,
            ),
            _ => (ManifestAction::Rewrite, changed(&manifest)),
        };
        steps.push(ManifestStep {
            manifest,
            action,
            because,
        });
    }
    settle_root(survey, &renaming, &mut steps);
    Ok(steps)
}

/// The last manifest is the one that the names stand for: it may stand there already, in the same
/// words or in others that say the same.
fn settle_root(survey: &Survey, renaming: &Renaming, steps: &mut [ManifestStep]) {
    let Some((root, below)) = steps.split_last_mut() else {
        return;
    };
    let digest = &root.manifest.descriptor().digest;
    match &root.action {
        ManifestAction::Keep(digest)
            if !stands(survey, |current| current.descriptor().digest == *digest) =>
        {
            (root.action, root.because) = (ManifestAction::Name, Reason::NameMoves);
        }
        ManifestAction::Rewrite => {
            let Some(new) = renaming.manifests.get(digest) else {
                return;
            };
            if !stands(survey, |current| says_the_same(survey, current, new)) {
                return;
            }
            let current = survey.current.iter().flatten().next().unwrap_or(new);
            root.action = ManifestAction::Keep(current.descriptor().digest.clone());
            root.because = Reason::SameImage;
            for step in below {
                let known = renaming.manifests.get(&step.manifest.descriptor().digest);
                if let (ManifestAction::Rewrite, Some(new)) = (&step.action, known) {
                    step.action = ManifestAction::Keep(new.descriptor().digest.clone());
                    step.because = Reason::SameImage;
                }
            }
        }
        _ => {}
    }
}

/// Whether every name stands for a manifest that is as asked, and for one and the same.
fn stands(survey: &Survey, is_so: impl Fn(&Manifest) -> bool) -> bool {
    let all = survey
        .current
        .iter()
        .all(|current| current.as_ref().is_some_and(&is_so));
    let mut digests = survey
        .current
        .iter()
        .flatten()
        .map(|current| &current.descriptor().digest);
    let first = digests.next();
    all && first.is_some() && digests.all(|other| Some(other) == first)
}

fn says_the_same(survey: &Survey, current: &Manifest, new: &Manifest) -> bool {
    let is_there = |child: &Descriptor| {
        let presence = survey.presence.get(&child.digest);
        matches!(presence, Some(Presence::Recorded | Presence::Checked))
            || survey
                .absent
                .iter()
                .any(|absent| absent.digest == child.digest)
    };
    match (current.as_image(), new.as_image()) {
        (Some(one), Some(other)) => {
            let layers = |image: &ImageManifest| -> Vec<Digest> {
                image
                    .layers
                    .iter()
                    .map(|layer| layer.digest.clone())
                    .collect()
            };
            current.descriptor().media_type == new.descriptor().media_type
                && one.config.digest == other.config.digest
                && layers(one) == layers(other)
        }
        _ => {
            current.descriptor().digest == new.descriptor().digest
                && new.children().iter().all(is_there)
        }
    }
}

fn as_present(presence: Option<&Presence>, manifest: &Manifest) -> (ManifestAction, Reason) {
    let keep = ManifestAction::Keep(manifest.descriptor().digest.clone());
    match presence {
        Some(Presence::Recorded) => (keep, Reason::Recorded),
        Some(Presence::Checked) => (keep, Reason::Checked),
        Some(Presence::Damaged(how)) => (ManifestAction::Send, Reason::Damaged(how.clone())),
        Some(Presence::Absent) | None => (ManifestAction::Send, Reason::Missing),
    }
}

fn changed(manifest: &Manifest) -> Reason {
    match manifest.as_image() {
        Some(_) => Reason::LayersChanged,
        None => Reason::ChildrenChanged,
    }
}

/// What pieces are called at the destination where that differs from the source.
struct Renaming {
    known: BTreeMap<Digest, Descriptor>,
    /// Pieces whose names come out only when they are written.
    open: BTreeSet<Digest>,
    /// Manifests in the words that they will have, where all of those are known.
    manifests: BTreeMap<Digest, Manifest>,
}

enum Renamed {
    Not,
    Open,
    Known,
}

impl Renaming {
    fn of(blobs: &[BlobStep]) -> Self {
        let mut known = BTreeMap::new();
        let mut open = BTreeSet::new();
        for step in blobs {
            match &step.action {
                BlobAction::Keep { stored } if stored.digest != step.blob.digest => {
                    known.insert(step.blob.digest.clone(), stored.clone());
                }
                BlobAction::Recompress { .. } => {
                    open.insert(step.blob.digest.clone());
                }
                _ => {}
            }
        }
        Self {
            known,
            open,
            manifests: BTreeMap::new(),
        }
    }

    fn apply(&mut self, manifest: &Manifest) -> Result<Renamed> {
        let own = manifest.descriptor().digest.clone();
        let pieces = || manifest.blobs().chain(manifest.children());
        if pieces().any(|piece| self.open.contains(&piece.digest)) {
            self.open.insert(own);
            return Ok(Renamed::Open);
        }
        if !pieces().any(|piece| self.known.contains_key(&piece.digest)) {
            return Ok(Renamed::Not);
        }
        let new = manifest.with_replaced(&self.known)?;
        self.known.insert(own.clone(), new.descriptor().clone());
        self.manifests.insert(own, new);
        Ok(Renamed::Known)
    }
}

#[cfg(test)]
mod tests;
