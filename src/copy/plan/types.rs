//! A plan: what will be done, and why. Plain data.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::Result;
use crate::image::{Compression, Descriptor, DiffId, Digest, Manifest, Repository, Tag};
use crate::store::compress::Coding;

/// What will be done to copy one image.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The source, as users know it.
    pub source: String,
    /// The destination, as users know it.
    pub destination: String,
    /// The names that the image gets at the destination.
    pub tags: Vec<Tag>,
    /// What the index is called at the source, if it is written anew without some of its images.
    #[serde(rename = "trimmedFrom", skip_serializing_if = "Option::is_none")]
    pub trimmed_from: Option<Digest>,
    /// What manifests that are converted are called at the source, by what they are called afterwards.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub converted: BTreeMap<Digest, Digest>,
    /// Each config and layer once, the largest first; for a place of plain images in the image's order,
    /// which does not depend on how well they are compressed.
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
    /// The registry takes it from another of its repositories; it travels only if that fails.
    Mount {
        /// Which.
        from: Repository,
    },
    /// It travels, and is compressed on the way.
    Recompress {
        /// How.
        to: Coding,
    },
    /// The registry takes what it was compressed to before from another of its repositories; it
    /// travels and is compressed only if that fails.
    Recall {
        /// What it was compressed to.
        stored: Descriptor,
        /// Which repository.
        from: Repository,
        /// How.
        to: Coding,
    },
    /// Only its descriptor travels.
    Leave,
}

impl BlobAction {
    /// How the blob is compressed if it travels.
    pub(in crate::copy) fn recompresses(&self) -> Option<Coding> {
        match self {
            BlobAction::Recompress { to } | BlobAction::Recall { to, .. } => Some(*to),
            _ => None,
        }
    }
}

/// What will be done with a manifest.
#[derive(Debug, Clone, Serialize)]
pub struct ManifestStep {
    /// The manifest at the source.
    pub manifest: Descriptor,
    /// Its content, unless it was not read because the destination has it.
    #[serde(skip)]
    pub content: Option<Manifest>,
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
    /// The destination has it, and takes nothing unchecked.
    Vouched,
    /// The destination has something else under its name.
    Damaged(String),
    /// The destination has a layer that unpacks to the same.
    SameDiffId,
    /// It was compressed before, and what came out is remembered.
    Remembered,
    /// The destination took it as it came by.
    Passed,
    /// The destination's own manifest names the same config and layers.
    SameImage,
    /// Layers of this kind are compressed on the way.
    Plain(Compression),
    /// The destination takes plain layers only.
    Packed(Compression),
    /// It is to be compressed by another method.
    Recompressed(Compression),
    /// Its pieces are called otherwise at the destination.
    LayersChanged,
    /// Some of its images are not wanted, so it is written anew.
    Trimmed,
    /// Its children are called otherwise at the destination.
    ChildrenChanged,
    /// The name stands for something else now, or for nothing.
    NameMoves,
    /// It lives at the URLs of its descriptor, and the source does not have it or a registry is not
    /// sent it.
    Foreign,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing => f.write_str("not at the destination"),
            Reason::Recorded | Reason::Vouched => f.write_str("already there"),
            Reason::Checked => f.write_str("already there, read and right"),
            Reason::Damaged(how) => write!(f, "the one there {how}"),
            Reason::SameDiffId => f.write_str("a layer there unpacks to the same"),
            Reason::Remembered => f.write_str("compressed before, and that is there"),
            Reason::Passed => f.write_str("taken as it came by"),
            Reason::SameImage => f.write_str("the manifest there says the same"),
            Reason::Plain(Compression::None) => f.write_str("plain at the source"),
            Reason::Plain(other) => write!(f, "{other} is no form for layers"),
            Reason::Packed(own) => write!(f, "{own}, and the destination takes plain layers"),
            Reason::Recompressed(own) => write!(f, "{own}, to be compressed anew"),
            Reason::LayersChanged => f.write_str("its layers change"),
            Reason::Trimmed => f.write_str("not all of its images are wanted"),
            Reason::ChildrenChanged => f.write_str("its images change"),
            Reason::NameMoves => f.write_str("the name is new or moves"),
            Reason::Foreign => f.write_str("it lives at its URLs"),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a plan comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// How many blobs travel.
    pub moving: usize,
    /// How many bytes of them are read.
    pub bytes: u64,
    /// How many blobs are there already.
    pub kept: usize,
    /// How many bytes those have.
    pub kept_bytes: u64,
    /// How many blobs the registry takes from another of its repositories.
    pub mounted: usize,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let idle = |step: &ManifestStep| matches!(step.action, ManifestAction::Keep(_));
        self.totals().moving == 0 && self.totals().mounted == 0 && self.manifests.iter().all(idle)
    }

    /// The images that something may belong to, by their digests at the source: those that keep them,
    /// and those that are called otherwise at the destination.
    pub(in crate::copy) fn subjects(&self) -> (Vec<Digest>, Vec<Digest>) {
        let mut subjects = (Vec::new(), Vec::new());
        let entries = self
            .manifests
            .iter()
            .filter_map(|step| step.content.as_ref());
        let entries = entries.flat_map(Manifest::children);
        let attesting: Vec<&Digest> = entries
            .filter(|entry| entry.attests().is_some())
            .map(|entry| &entry.digest)
            .collect();
        let last = self.manifests.len().saturating_sub(1);
        for (position, step) in self.manifests.iter().enumerate() {
            let digest = step.manifest.digest.clone();
            let trimmed = self.trimmed_from.as_ref().filter(|_| position == last);
            if let Some(old) = trimmed.or(self.converted.get(&digest)) {
                subjects.1.push(old.clone());
                continue;
            }
            let is_kept = match &step.action {
                ManifestAction::Keep(stored) => *stored == digest,
                ManifestAction::Rewrite => false,
                ManifestAction::Send | ManifestAction::Name => true,
            };
            match (is_kept, attesting.contains(&&digest)) {
                (_, true) => {}
                (true, false) => subjects.0.push(digest),
                (false, false) => subjects.1.push(digest),
            }
        }
        subjects
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
                    BlobAction::Mount { .. } | BlobAction::Recall { .. } => totals.mounted += 1,
                    BlobAction::Leave => {}
                }
                totals
            })
    }
}
