//! What is so of the pieces of an image: which the source does not have, which the destination has, and
//! what is remembered of those that are to change.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use super::begin::{ask, is_verbatim, vouches};
use super::survey::{RememberedLayer, SurveyedLayer};
use super::{Job, Survey, SurveyedImage};
use crate::error::{ErrorKind, Result};
use crate::image::{Descriptor, Digest, Manifest, MediaKind};
use crate::store::compress::Coding;
use crate::store::{Form, Presence, Recompressed};

/// How many questions are asked at once.
const PARALLEL: usize = 16;

/// Looks up what came out when layers of an image were compressed before, and asks the destination
/// for that. Whatever can be mounted is not asked for: that costs no more (P-03).
pub(super) async fn recall(
    job: &Job<'_>,
    survey: &mut Survey,
    image: &SurveyedImage,
) -> Result<()> {
    // A place of plain layers has no layers that could be asked for.
    let Some(memory) = job.memory.as_ref().filter(|_| survey.form == Form::Any) else {
        return Ok(());
    };
    let layers = image.layers(survey);
    let new = layers.filter_map(|layer| match layer.target {
        Some(to) if survey.remembers(&layer, to).is_none() => remembered(job, memory, &layer, to),
        _ => None,
    });
    let new: Vec<(RememberedLayer, bool)> = new.collect();
    let near = near(survey);
    let mut asked = BTreeMap::new();
    let mut known = Vec::new();
    for (remembered, is_asked) in &new {
        let digest = &remembered.layer.digest;
        match vouches(job) && near.contains(digest) {
            true => known.push((digest.clone(), Presence::Vouched)),
            false if *is_asked => drop(asked.insert(digest, remembered.layer.clone())),
            false => {}
        }
    }
    known.extend(ask_all(job, asked.into_values()).await?);
    survey.presence.extend(known);
    let new = new.into_iter().map(|(remembered, _)| remembered);
    survey.remembered.extend(new);
    Ok(())
}

/// What came out of a layer, and whether the destination is to be asked for it.
fn remembered(
    job: &Job<'_>,
    memory: &Recompressed,
    layer: &SurveyedLayer<'_>,
    to: Coding,
) -> Option<(RememberedLayer, bool)> {
    let contents = [Some(&layer.descriptor.digest), layer.diff_id];
    let mut contents = contents.into_iter().flatten();
    let made = contents.find_map(|content| memory.find(content, to))?;
    let media_type = layer
        .descriptor
        .media_type
        .with_compression(to.compression())?;
    let own = job.destination.repository();
    let is_near = |place: &&crate::image::Repository| {
        own.is_some_and(|own| own.registry() == place.registry() && own != *place)
    };
    let from = made.places.iter().rev().find(is_near).cloned();
    let was_here = own.is_some_and(|own| made.places.contains(own));
    let remembered = RememberedLayer {
        content: layer.descriptor.digest.clone(),
        to,
        layer: Descriptor::new(media_type, made.digest, made.size),
        from,
    };
    let is_asked = was_here || remembered.from.is_none();
    Some((remembered, is_asked))
}

/// The blobs of what the names stand for now.
fn near(survey: &Survey) -> BTreeSet<&Digest> {
    let standing = survey.current.iter().flatten();
    let manifests = standing.filter_map(|standing| standing.manifest.as_ref());
    let blobs = manifests.flat_map(Manifest::blobs);
    blobs.map(|blob| &blob.digest).collect()
}

/// Foreign layers that live elsewhere: with a URL, and not at the source. To a registry none is sent,
/// unless that is asked for.
pub(super) async fn absent_blobs(job: &Job<'_>, survey: &Survey) -> Result<Vec<Descriptor>> {
    let keeps = job.destination.repository().is_some() && !job.foreign_layers;
    let mut absent = Vec::new();
    let blobs = survey
        .images
        .iter()
        .flat_map(|image| image.manifest.blobs());
    for blob in blobs.filter(|blob| blob.may_live_elsewhere()) {
        // Registries want a layer of an ordinary type to be there even if it has a URL.
        if keeps && blob.media_type.is_foreign_layer() {
            absent.push(blob.clone());
            continue;
        }
        match job.source.blob(blob).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => absent.push(blob.clone()),
            Err(error) => return Err(error),
        }
    }
    Ok(absent)
}

/// Asks for every piece that could travel as it is.
pub(super) async fn presence(job: &Job<'_>, survey: &Survey) -> Result<BTreeMap<Digest, Presence>> {
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
        // A manifest whose layers change is written anew.
        let changes = image.layers(survey).any(|layer| layer.target.is_some());
        let own = std::iter::once(image.manifest.descriptor());
        let own = own.filter(|_| !was_asked && !changes);
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
        let near = near(survey);
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
    known.extend(ask_all(job, pieces.into_values()).await?);
    Ok(known)
}

async fn ask_all(
    job: &Job<'_>,
    pieces: impl Iterator<Item = Descriptor>,
) -> Result<Vec<(Digest, Presence)>> {
    let questions: Vec<_> = pieces.map(|piece| ask(job, piece).boxed()).collect();
    let answers = stream::iter(questions).buffer_unordered(PARALLEL);
    answers.try_collect().await
}
