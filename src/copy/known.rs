//! Which layers the destination has in another form than the source.

use std::collections::{BTreeMap, BTreeSet};

use super::{Job, Survey};
use crate::error::Result;
use crate::image::Descriptor;
use crate::store::{KnownLayer, WantedLayers};

/// The layers of an image that the destination has in the form that they shall have there.
pub(super) async fn known_layers(job: &Job<'_>, survey: &Survey) -> Result<Vec<KnownLayer>> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for image in &survey.images {
        for layer in image.layers(survey) {
            if let (Some(coding), Some(diff_id)) = (layer.target, layer.diff_id)
                && !survey.recalls(&layer)
            {
                wanted
                    .entry(coding.compression())
                    .or_default()
                    .insert(diff_id.clone());
            }
        }
    }
    let mut known = just_taken(job, survey).await;
    for (compression, mut diff_ids) in wanted {
        diff_ids.retain(|diff_id| {
            let is_it = |known: &KnownLayer| {
                known.diff_id == *diff_id
                    && known.layer.media_type.compression() == Some(compression)
            };
            !known.iter().any(is_it)
        });
        if diff_ids.is_empty() {
            continue;
        }
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

/// The layers that the destination took while they passed, in the words of the image's manifest.
async fn just_taken(job: &Job<'_>, survey: &Survey) -> Vec<KnownLayer> {
    let passed = job.source.passed().await;
    let layers: Vec<_> = survey
        .images
        .iter()
        .flat_map(|image| image.layers(survey))
        .collect();
    let known = passed.into_iter().filter_map(|passed| {
        let layer = layers
            .iter()
            .find(|layer| layer.descriptor.digest == passed.came.digest)?;
        let to = passed.stored.media_type.compression()?;
        Some(KnownLayer {
            diff_id: passed.diff_id?,
            layer: Descriptor {
                media_type: layer.descriptor.media_type.with_compression(to)?,
                ..passed.stored
            },
        })
    });
    known.collect()
}
