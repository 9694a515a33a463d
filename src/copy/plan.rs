//! Deciding what will be done, and why. Pure: a survey in, a plan out.

mod manifests;
mod types;

use std::collections::BTreeSet;

use super::survey::SurveyedLayer;
use super::{Survey, SurveyedImage};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, ImageManifest, MediaType};
use crate::store::compress::Coding;
use crate::store::{Form, KnownLayer, Presence, Promise};
use manifests::manifest_steps;

pub use types::{BlobAction, BlobStep, ManifestAction, ManifestStep, Plan, Reason, Totals};

/// How a layer shall be compressed, if it shall be changed at all. Foreign layers are what their URLs
/// give.
pub(super) fn target(survey: &Survey, image: &ImageManifest, layer: &Descriptor) -> Option<Coding> {
    let own = layer
        .media_type
        .compression()
        .filter(|_| image.is_container())?;
    let is_elsewhere = layer.media_type.is_foreign_layer() && layer.may_live_elsewhere();
    if is_elsewhere && survey.form == Form::Any {
        return None;
    }
    let places = (survey.form, survey.promise);
    coding(places, survey.compression, survey.recompress, own)
}

/// The same for a layer that is compressed so: plain ones as the user wants, or gzip where the source
/// leaves it open; those in forms that images do not have; and each that is not plain, for a place that
/// takes no others.
pub(super) fn coding(
    (form, promise): (Form, Promise),
    asked: Option<Coding>,
    recompress: bool,
    own: Compression,
) -> Option<Coding> {
    if form == Form::PlainImages {
        return (own != Compression::None).then_some(Coding::PLAIN);
    }
    let open = promise == Promise::ImageId;
    let wanted = asked.or(open.then_some(Coding::GZIP))?;
    let changes = match own {
        Compression::None | Compression::Bzip2 | Compression::Xz => own != wanted.compression(),
        Compression::Gzip | Compression::Zstd => recompress && own != wanted.compression(),
    };
    changes.then_some(wanted)
}

/// Decides.
///
/// # Errors
/// `Unsupported` if what is asked for cannot be said in the image's own kind of manifest.
pub fn plan(survey: &Survey) -> Result<Plan> {
    check_form(survey)?;
    let mut seen = BTreeSet::new();
    let mut blobs = Vec::new();
    for image in &survey.images {
        let steps = blob_steps(survey, image)?.into_iter();
        blobs.extend(steps.filter(|step| seen.insert(step.blob.digest.clone())));
    }
    // An archive of plain layers keeps the order of the image, which does not depend on how large
    // they are when they are packed.
    if survey.form == Form::Any {
        blobs.sort_by(|one, other| {
            let by_size = other.blob.size.cmp(&one.blob.size);
            by_size.then_with(|| one.blob.digest.cmp(&other.blob.digest))
        });
    }
    let manifests = manifest_steps(survey, &blobs)?;
    check_expected(survey, &manifests)?;
    check_preserved(survey, &manifests)?;
    Ok(Plan {
        source: survey.source.clone(),
        destination: survey.destination.clone(),
        tags: survey.tags.clone(),
        trimmed_from: survey.trimmed_from.clone(),
        converted: survey.converted.clone(),
        blobs,
        manifests,
        absent: survey.absent.clone(),
    })
}

/// Some places hold container images and nothing else.
fn check_form(survey: &Survey) -> Result<()> {
    let is_image = |image: &SurveyedImage| {
        let is_layer = |blob: &Descriptor| blob.media_type.compression().is_some();
        let image = image.manifest.as_image();
        image.is_some_and(|image| image.is_container() && image.layers.iter().all(is_layer))
    };
    if survey.form == Form::Any {
        return Ok(());
    }
    let place = &survey.destination;
    let what = match survey.absent.first() {
        _ if !survey.images.iter().all(is_image) => format!(
            "{place} holds container images only, and this is an artifact of another kind: registries, OCI places and dir: hold it"
        ),
        Some(absent) => format!(
            "{place} holds every layer, and {} is not at the source: it lives at its URLs",
            absent.digest
        ),
        None => return Ok(()),
    };
    Err(Error::new(ErrorKind::Unsupported, what))
}

/// A destination that is named by a digest takes nothing else.
fn check_expected(survey: &Survey, manifests: &[ManifestStep]) -> Result<()> {
    let (Some(expected), Some(root)) = (&survey.expected, manifests.last()) else {
        return Ok(());
    };
    let what = match &root.action {
        ManifestAction::Rewrite => {
            format!("the image changes on its way, so it cannot become {expected}")
        }
        _ if root.manifest.digest == *expected => return Ok(()),
        _ => format!("the image is {}, not {expected}", root.manifest.digest),
    };
    Err(Error::new(ErrorKind::Invalid, what))
}

/// Some users rather have no copy than one of another digest.
fn check_preserved(survey: &Survey, manifests: &[ManifestStep]) -> Result<()> {
    let rewritten = manifests
        .iter()
        .find(|step| step.action == ManifestAction::Rewrite);
    let why = match rewritten {
        _ if !survey.preserve_digests => return Ok(()),
        Some(step) => step.because.to_string(),
        None if survey.trimmed_from.is_some() => Reason::Trimmed.to_string(),
        None if !survey.converted.is_empty() => "it is converted".to_string(),
        None => return Ok(()),
    };
    let what = format!("its digest would change, and --preserve-digests forbids it: {why}");
    Err(Error::new(ErrorKind::Invalid, what))
}

fn blob_steps(survey: &Survey, image: &SurveyedImage) -> Result<Vec<BlobStep>> {
    let config = image.manifest.as_image().map(|image| &image.config);
    let whole = image.is_vouched_for(survey);
    let mut steps: Vec<BlobStep> = config
        .map(|config| verbatim(survey, config, whole))
        .into_iter()
        .collect();
    for layer in image.layers(survey) {
        steps.push(match layer.target {
            Some(to) if !whole => recompressed(survey, &layer, to)?,
            _ => verbatim(survey, layer.descriptor, whole),
        });
    }
    Ok(steps)
}

/// `whole`: the destination vouches for all of the image.
fn verbatim(survey: &Survey, blob: &Descriptor, whole: bool) -> BlobStep {
    let keep = BlobAction::Keep {
        stored: blob.clone(),
    };
    let (action, because) = match survey.presence.get(&blob.digest) {
        _ if whole => (keep, Reason::Vouched),
        Some(Presence::Vouched) => (keep, Reason::Vouched),
        Some(Presence::Recorded) => (keep, Reason::Recorded),
        Some(Presence::Checked) => (keep, Reason::Checked),
        _ if survey.absent.contains(blob) => (BlobAction::Leave, Reason::Foreign),
        Some(Presence::Damaged(how)) => (BlobAction::Send, Reason::Damaged(how.clone())),
        Some(Presence::Absent) | None => match &survey.mount {
            Some(from) => (BlobAction::Mount { from: from.clone() }, Reason::Missing),
            None => (BlobAction::Send, Reason::Missing),
        },
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
    let Some(media_type) = descriptor.media_type.with_compression(to.compression()) else {
        let what = format!(
            "{} has no form for {}",
            descriptor.media_type,
            to.compression()
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    };
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
    let (action, because) = elsewhere(survey, layer, to, &media_type).unwrap_or_else(|| {
        let because = match own {
            _ if survey.form == Form::PlainImages => Reason::Packed(own),
            Compression::Gzip | Compression::Zstd => Reason::Recompressed(own),
            _ => Reason::Plain(own),
        };
        (BlobAction::Recompress { to }, because)
    });
    Ok(BlobStep {
        blob: (*descriptor).clone(),
        diff_id: diff_id.cloned(),
        action,
        because,
    })
}

/// Where what a layer would become is already. It is called what the image's own format calls it.
fn elsewhere(
    survey: &Survey,
    layer: &SurveyedLayer<'_>,
    to: Coding,
    media_type: &MediaType,
) -> Option<(BlobAction, Reason)> {
    let called = |stored: &Descriptor| Descriptor {
        media_type: media_type.clone(),
        ..stored.clone()
    };
    let remembered = survey.remembers(layer, to);
    if let Some(remembered) = remembered.filter(|it| survey.is_present(&it.layer.digest)) {
        let stored = called(&remembered.layer);
        return Some((BlobAction::Keep { stored }, Reason::Remembered));
    }
    let is_it = |known: &&KnownLayer| {
        Some(&known.diff_id) == layer.diff_id
            && known.layer.media_type.compression() == Some(to.compression())
    };
    if let Some(known) = survey.known_layers.iter().find(is_it) {
        let stored = called(&known.layer);
        return Some((BlobAction::Keep { stored }, Reason::SameDiffId));
    }
    let remembered = remembered?;
    let action = BlobAction::Recall {
        stored: called(&remembered.layer),
        from: remembered.from.clone()?,
        to,
    };
    Some((action, Reason::Remembered))
}

#[cfg(test)]
mod tests;
