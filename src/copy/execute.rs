//! Doing what a plan says.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tracing::debug;

use super::plan::{BlobAction, BlobStep, ManifestAction, ManifestStep, Plan};
use super::{Event, Job, Observer};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, Digest};
use crate::store::Role;
use crate::store::compress::Workers;

/// What was done.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The digest of the manifest or index at the destination.
    pub digest: Digest,
    /// How many blobs travelled.
    pub moved: usize,
    /// How many bytes of them were read at the source.
    pub bytes_read: u64,
    /// How many bytes were written at the destination.
    pub bytes_written: u64,
    /// How many blobs were there already.
    pub kept: usize,
    /// How many bytes those have.
    pub bytes_kept: u64,
    /// How many manifests and indexes were written or got a new name.
    pub manifests: usize,
    /// How many pieces the source names and does not have (a sparse index, foreign layers).
    pub absent: usize,
    /// How long it took, the survey not counted.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}

/// Does what `plan` says, which was made for `job`. Names move last.
///
/// # Errors
/// What reading the source or writing the destination gives. If the source proved bad, what was
/// begun at the destination is taken back; otherwise finished blobs stay for the next run.
pub async fn execute(plan: &Plan, job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Outcome> {
    let begun = Instant::now();
    match run(plan, job, observer).await {
        Ok(mut outcome) => {
            outcome.elapsed = begun.elapsed();
            observer.event(&Event::Done(&outcome));
            Ok(outcome)
        }
        Err(error) => {
            if error.is_bad_source() {
                // The first failure is the one to tell.
                let _ = job.destination.discard().await;
            }
            Err(error)
        }
    }
}

async fn run(plan: &Plan, job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Outcome> {
    let stored = move_blobs(plan, job, observer).await?;
    let moved = plan.blobs.iter().filter(|step| moves(step));
    let written = moved.filter_map(|step| stored.get(&step.blob.digest));
    let bytes_written = written.map(|stored| stored.size).sum();
    let (digest, manifests) = write_manifests(plan, job, &stored).await?;
    job.destination.finish().await?;
    let totals = plan.totals();
    Ok(Outcome {
        digest,
        moved: totals.moving,
        bytes_read: totals.bytes,
        bytes_written,
        kept: totals.kept,
        bytes_kept: totals.kept_bytes,
        manifests,
        absent: plan.absent.len(),
        elapsed: Duration::ZERO,
    })
}

fn moves(step: &BlobStep) -> bool {
    matches!(
        step.action,
        BlobAction::Send | BlobAction::Recompress { .. }
    )
}

/// What each blob of the source is called at the destination.
type Stored = BTreeMap<Digest, Descriptor>;

/// Moves the blobs, several at once. The first failure stops the others.
async fn move_blobs(plan: &Plan, job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Stored> {
    let recompresses = |step: &BlobStep| matches!(step.action, BlobAction::Recompress { .. });
    let workers = match plan.blobs.iter().any(recompresses) {
        true => Some(Arc::new(Workers::start(job.threads)?)),
        false => None,
    };
    let steps = plan.blobs.iter().filter(|step| moves(step));
    let moving = steps.map(|step| move_blob(step, job, workers.clone(), observer).boxed());
    // Collected, because over a lazy iterator nobody could tell that this future is Send.
    let moving: Vec<_> = moving.collect();
    // One more than compress, so that one can wait for the disk.
    let parallel = NonZeroUsize::saturating_add(job.threads, 1).get();
    let moved = stream::iter(moving).buffer_unordered(parallel);
    let mut stored: Stored = moved.try_collect().await?;
    for step in &plan.blobs {
        if let BlobAction::Keep { stored: kept } = &step.action {
            stored.insert(step.blob.digest.clone(), kept.clone());
        }
    }
    Ok(stored)
}

async fn move_blob(
    step: &BlobStep,
    job: &Job<'_>,
    workers: Option<Arc<Workers>>,
    observer: &Arc<dyn Observer>,
) -> Result<(Digest, Descriptor)> {
    debug!(blob = %step.blob.digest, size = step.blob.size, action = ?step.action, "moving");
    observer.event(&Event::Started { blob: &step.blob });
    let digest = step.blob.digest.clone();
    let watch = {
        let (digest, observer) = (digest.clone(), Arc::clone(observer));
        move |bytes| {
            observer.event(&Event::Advanced {
                blob: &digest,
                bytes,
            });
        }
    };
    let mut blob = job
        .source
        .blob(&step.blob)
        .await
        .map_err(Error::of_piece)?
        .watched(Arc::new(watch));
    if let (BlobAction::Recompress { to }, Some(workers)) = (&step.action, workers) {
        let is_packed = step.blob.media_type.compression() != Some(Compression::None);
        if let Some(diff_id) = step.diff_id.as_ref().filter(|_| is_packed) {
            blob = blob.unpacking_to(diff_id.clone());
        }
        blob = blob.recompressed(*to, workers)?;
    }
    let stored = job.destination.put_blob(blob).await?;
    observer.event(&Event::Arrived {
        blob: &step.blob,
        stored: &stored,
    });
    Ok((digest, stored))
}

/// Writes the manifests that must be written, the root last. Returns the root's digest at the
/// destination, and how many were written.
async fn write_manifests(plan: &Plan, job: &Job<'_>, stored: &Stored) -> Result<(Digest, usize)> {
    let mut names: Stored = stored
        .iter()
        .filter(|(digest, stored)| **digest != stored.digest)
        .map(|(digest, stored)| (digest.clone(), stored.clone()))
        .collect();
    let mut root = None;
    let mut written = 0;
    for (position, step) in plan.manifests.iter().enumerate() {
        let role = match position + 1 == plan.manifests.len() {
            true => Role::Root(&plan.tags),
            false => Role::Child,
        };
        let descriptor = match &step.action {
            ManifestAction::Keep(digest) => {
                let own = step.manifest.descriptor();
                Descriptor {
                    digest: digest.clone(),
                    ..own.clone()
                }
            }
            _ => {
                written += 1;
                write_manifest(step, job, &names, role).await?
            }
        };
        let own = &step.manifest.descriptor().digest;
        if matches!(step.action, ManifestAction::Rewrite) {
            names.insert(own.clone(), descriptor.clone());
        }
        root = Some(descriptor.digest);
    }
    let nothing = || Error::new(ErrorKind::Invalid, "the plan names no manifest");
    Ok((root.ok_or_else(nothing)?, written))
}

async fn write_manifest(
    step: &ManifestStep,
    job: &Job<'_>,
    names: &Stored,
    role: Role<'_>,
) -> Result<Descriptor> {
    let manifest = match step.action {
        ManifestAction::Rewrite => {
            let what = || {
                format!(
                    "cannot rewrite manifest {}",
                    step.manifest.descriptor().digest
                )
            };
            step.manifest.with_replaced(names).attempting(what)?
        }
        _ => step.manifest.clone(),
    };
    job.destination.put_manifest(&manifest, role).await?;
    Ok(manifest.descriptor().clone())
}
