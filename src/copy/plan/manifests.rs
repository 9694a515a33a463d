//! Deciding what happens to manifests: they change when their pieces are called otherwise at the
//! destination, and the last one gets the names.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{BlobAction, BlobStep, ManifestAction, ManifestStep, Reason};
use crate::copy::{Standing, Survey};
use crate::error::Result;
use crate::image::{Descriptor, Digest, ImageManifest, Manifest};
use crate::store::Presence;

pub(super) fn manifest_steps(survey: &Survey, blobs: &[BlobStep]) -> Result<Vec<ManifestStep>> {
    let mut renaming = Renaming::of(blobs);
    let mut steps: Vec<ManifestStep> = survey.kept.iter().map(kept).collect();
    for image in &survey.images {
        let manifest = &image.manifest;
        let (action, because) = match renaming.apply(manifest)? {
            Renamed::Not => {
                as_present(survey.presence.get(&manifest.descriptor().digest), manifest)
            }
            _ => (ManifestAction::Rewrite, changed(manifest)),
        };
        steps.push(ManifestStep {
            manifest: manifest.descriptor().clone(),
            content: Some(manifest.clone()),
            action,
            because,
        });
    }
    settle_root(survey, &renaming, &mut steps);
    if let Some(root) = steps.last_mut()
        && survey.trimmed_from.is_some()
        && root.action == ManifestAction::Send
    {
        root.because = Reason::Trimmed;
    }
    Ok(steps)
}

fn kept(manifest: &Descriptor) -> ManifestStep {
    ManifestStep {
        manifest: manifest.clone(),
        content: None,
        action: ManifestAction::Keep(manifest.digest.clone()),
        because: Reason::Vouched,
    }
}

/// The last manifest is the one that the names stand for: it may stand there already, in the same
/// words or in others that say the same.
fn settle_root(survey: &Survey, renaming: &Renaming, steps: &mut [ManifestStep]) {
    let Some((root, below)) = steps.split_last_mut() else {
        return;
    };
    let digest = &root.manifest.digest;
    match &root.action {
        ManifestAction::Keep(digest)
            if standing(survey, |current| current.descriptor.digest == *digest).is_none() =>
        {
            (root.action, root.because) = (ManifestAction::Name, Reason::NameMoves);
        }
        ManifestAction::Rewrite => {
            let Some(new) = renaming.manifests.get(digest) else {
                return;
            };
            let same = |current: &Standing| {
                let current = current.manifest.as_ref();
                current.is_some_and(|current| says_the_same(survey, current, new))
            };
            if let Some(current) = standing(survey, same) {
                root.action = ManifestAction::Keep(current.descriptor.digest.clone());
                root.because = Reason::SameImage;
                settle_below(renaming, below);
            }
        }
        _ => {}
    }
}

/// What stands below a root that is there is there, too.
fn settle_below(renaming: &Renaming, below: &mut [ManifestStep]) {
    for step in below {
        let known = renaming.manifests.get(&step.manifest.digest);
        if let (ManifestAction::Rewrite, Some(new)) = (&step.action, known) {
            step.action = ManifestAction::Keep(new.descriptor().digest.clone());
            step.because = Reason::SameImage;
        }
    }
}

/// What every name stands for, if it is as asked; without names, any that is.
fn standing(survey: &Survey, is_so: impl Fn(&Standing) -> bool) -> Option<&Standing> {
    if survey.tags.is_empty() {
        return survey
            .current
            .iter()
            .flatten()
            .find(|current| is_so(current));
    }
    let first = survey
        .current
        .first()?
        .as_ref()
        .filter(|first| is_so(first))?;
    let is_first = |current: &Option<Standing>| {
        let current = current.as_ref().map(|current| &current.descriptor.digest);
        current == Some(&first.descriptor.digest)
    };
    survey.current.iter().all(is_first).then_some(first)
}

fn says_the_same(survey: &Survey, current: &Manifest, new: &Manifest) -> bool {
    let is_there = |child: &Descriptor| {
        let presence = survey.presence.get(&child.digest);
        matches!(
            presence,
            Some(Presence::Recorded | Presence::Checked | Presence::Vouched)
        ) || survey
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
            let is_type = current.descriptor().media_type == new.descriptor().media_type;
            (is_type || survey.takes_any_format)
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
        Some(Presence::Vouched) => (keep, Reason::Vouched),
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
                BlobAction::Recompress { .. } | BlobAction::Recall { .. } => {
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
