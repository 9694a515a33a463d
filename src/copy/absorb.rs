//! Taking in the layers of a stream while it passes, before it is known of which image they are.
//!
//! In most archives the list of images comes after the layers, and a pipe cannot be read twice. So each
//! layer goes to the destination at once, in the form that the plan would choose for it. When all has
//! passed, the image is surveyed and planned as any other, and finds its layers there.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tracing::debug;

use super::plan::{BlobAction, BlobStep, Reason, coding};
use super::select::Selection;
use super::{Event, Job, Observer, Outcome, Plan};
use crate::error::Result;
use crate::image::{Compression, Descriptor, Digest, MediaType, Name};
use crate::store::blob::{Passed, Passing};
use crate::store::compress::{Coding, Workers};
use crate::store::{Intake, Presence, Promise, Taker, WantedLayers, blocking};

/// Whether the layers of this source go to the destination while they pass.
///
/// A place where layers stay takes them only if all of them are wanted. A source that promises its
/// digests may hold what is no layer, so it is read as a stream only where every byte stays.
pub(super) fn absorbs(job: &Job<'_>) -> bool {
    let is_verbatim = job.compression.is_none() && !job.recompress;
    let wants_all = job.name == Name::Sole && job.selection == Selection::All;
    job.source.is_stream()
        && (is_verbatim || job.source.promise() == Promise::ImageId)
        && match job.destination.intake() {
            Intake::None => false,
            Intake::Lasting => wants_all || job.source.is_single(),
            Intake::Waiting => true,
        }
}

/// Lets the source pass once, if its layers go to the destination meanwhile.
pub(super) async fn absorb(job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<()> {
    if !absorbs(job) {
        return Ok(());
    }
    debug!(source = %job.source, "layers are taken while they pass");
    let workers = Arc::new(Workers::start(job.threads)?);
    let taker = Absorbing {
        job,
        observer,
        workers,
    };
    job.source.pass(&job.name, &taker).await
}

struct Absorbing<'j> {
    job: &'j Job<'j>,
    observer: &'j Arc<dyn Observer>,
    workers: Arc<Workers>,
}

#[async_trait]
impl Taker for Absorbing<'_> {
    async fn take(&self, layer: Passing) -> Result<Passed> {
        let job = self.job;
        let to = coding(
            (job.destination.form(), job.source.promise()),
            job.compression,
            job.recompress,
            layer.compression,
        );
        let layer = match job.source.promise() {
            Promise::ImageId => layer.unpacked(),
            Promise::Digest => layer,
        };
        let there = match layer.name.clone() {
            Some(name) => {
                self.there(name, layer.size, (layer.compression, to))
                    .await?
            }
            None => None,
        };
        if let Some(stored) = there {
            debug!(layer = %stored.digest, "it is there already, and passes");
            return blocking(move || layer.pass(stored)).await;
        }
        let layer = match to {
            Some(to) => layer.recompressed(to, Arc::clone(&self.workers)),
            None => layer,
        };
        let passed = job.destination.take(layer).await?;
        if passed.is_new {
            self.observer.event(&Event::Arrived {
                blob: &passed.came,
                stored: &passed.stored,
            });
        }
        Ok(passed)
    }
}

impl Absorbing<'_> {
    /// What the destination has a layer as that is called so, and goes from one form to another.
    async fn there(
        &self,
        name: Digest,
        size: u64,
        (own, to): (Compression, Option<Coding>),
    ) -> Result<Option<Descriptor>> {
        let destination = self.job.destination;
        match to {
            None => {
                let named = Descriptor::new(MediaType::oci_layer(own), name, size);
                let there = destination.presence(&named).await?;
                let is_there = !matches!(there, Presence::Absent | Presence::Damaged(_));
                Ok(is_there.then_some(named))
            }
            Some(to) if own == Compression::None => {
                let wanted = WantedLayers {
                    diff_ids: BTreeSet::from([name]),
                    compression: to.compression(),
                    near: self.job.tags.first(),
                };
                let known = destination.known_layers(&wanted).await?;
                Ok(known.into_iter().next().map(|known| known.layer))
            }
            Some(_) => Ok(None),
        }
    }
}

/// Has the place keep what was taken and is needed, and says in the plan why it is there.
pub(super) async fn keep(job: &Job<'_>, plan: &mut Plan) -> Result<()> {
    let passed = job.source.passed().await;
    let mut needed = Vec::new();
    for step in &mut plan.blobs {
        if let Some((stored, _)) = taken(step, &passed) {
            needed.push(stored.digest.clone());
            step.because = Reason::Passed;
        }
    }
    match needed.is_empty() {
        true => Ok(()),
        false => job.destination.keep(&needed).await,
    }
}

/// What a step uses of what was taken: as what it is there, and what it was.
fn taken<'p>(step: &'p BlobStep, passed: &'p [Passed]) -> Option<(&'p Descriptor, &'p Passed)> {
    let BlobAction::Keep { stored } = &step.action else {
        return None;
    };
    let is_it = |passed: &&Passed| passed.is_new && passed.stored.digest == stored.digest;
    passed.iter().find(is_it).map(|passed| (stored, passed))
}

/// What was taken while it passed counts as moved: the plan was made afterwards, and found it there.
pub(super) async fn count(job: &Job<'_>, plan: &Plan, outcome: &mut Outcome) {
    let all = job.source.passed().await;
    for (stored, passed) in plan.blobs.iter().filter_map(|step| taken(step, &all)) {
        outcome.kept = outcome.kept.saturating_sub(1);
        outcome.bytes_kept = outcome.bytes_kept.saturating_sub(stored.size);
        outcome.moved += 1;
        outcome.bytes_read += passed.came.size;
        outcome.bytes_written += stored.size;
    }
}
