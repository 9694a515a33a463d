//! Doing what a plan says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bring::{Arrived, Bringing, Progress};
use super::companions::{self, Found};
use super::plan::{BlobAction, BlobStep, ManifestAction, ManifestStep, Plan};
use super::refused;
use super::{Job, Observer, Outcome};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Manifest};
use crate::store::Role;
use crate::store::compress::Workers;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, TryFutureExt as _};

/// Does what `plan` says, which was made for `job`. Names move last. The destination is left for the
/// caller to finish.
///
/// # Errors
/// What reading the source or writing the destination gives. If the source proved bad, what was
/// begun at the destination is taken back; otherwise finished blobs stay for the next run.
pub async fn execute(plan: &Plan, job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Outcome> {
    go_on(plan, job, observer, &mut Progress::default()).await
}

/// As [`execute`], where something was done already. What is done is added to it, even on an error.
pub(super) async fn go_on(
    plan: &Plan,
    job: &Job<'_>,
    observer: &Arc<dyn Observer>,
    done: &mut Progress,
) -> Result<Outcome> {
    let begun = Instant::now();
    match run(plan, job, observer, done).await {
        Ok(mut outcome) => {
            outcome.elapsed = begun.elapsed();
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

async fn run(
    plan: &Plan,
    job: &Job<'_>,
    observer: &Arc<dyn Observer>,
    done: &mut Progress,
) -> Result<Outcome> {
    let mut copying = Copying::new(plan, job, observer)?;
    let ended = copying.all().await;
    // What came in an earlier attempt is there now, and was not before.
    let mut totals = plan.totals();
    totals.kept = totals.kept.saturating_sub(done.moved + done.mounted);
    totals.kept_bytes = totals.kept_bytes.saturating_sub(done.written);
    done.add(&copying.progress);
    ended?;
    let found = copying.found.take().unwrap_or_default();
    for companion in &found.companions {
        companions::bring(job, companion, observer).await?;
    }
    if let Some(root) = copying.written.as_ref().filter(|_| copying.is_held) {
        let role = Role::Root(&plan.tags);
        job.destination.put_manifest(root, role).await?;
    }
    let Progress {
        moved,
        read,
        written,
        mounted,
        shared,
        manifests,
    } = *done;
    // What was written, or what would have been if it had not been there.
    let planned = plan.manifests.last().and_then(|root| root.content.as_ref());
    let image = copying.written.as_ref().or(planned);
    let own = image.and_then(|image| job.destination.own_digest(image));
    let digest = own.or(copying.root).ok_or_else(nothing)?;
    Ok(Outcome {
        digest,
        trimmed_from: plan.trimmed_from.clone(),
        converted_from: plan
            .manifests
            .last()
            .and_then(|root| plan.converted.get(&root.manifest.digest))
            .cloned(),
        converted_because: None,
        moved,
        bytes_read: read,
        bytes_written: written,
        kept: totals.kept,
        bytes_kept: totals.kept_bytes,
        mounted,
        shared,
        manifests,
        absent: plan.absent.len(),
        companions: found.companions.len(),
        left_behind: found.left_behind,
        no_place: found.no_place,
        companions_unknown: found.unknown,
        elapsed: Duration::ZERO,
    })
}

fn nothing() -> Error {
    Error::new(ErrorKind::Invalid, "the plan names no manifest")
}

/// What pieces of the source are called at the destination.
type Stored = BTreeMap<Digest, Descriptor>;

/// A plan that is being carried out. Blobs travel several at once; a manifest follows as soon as
/// everything that it names is there, because registries throw away what nothing names.
struct Copying<'p> {
    plan: &'p Plan,
    job: &'p Job<'p>,
    observer: &'p Arc<dyn Observer>,
    workers: Option<Arc<Workers>>,
    stored: Stored,
    /// Manifests that are settled: what they are called at the destination.
    settled: Stored,
    root: Option<Digest>,
    /// What belongs to the image, once that is known: the names wait until it has come, too.
    found: Option<Found>,
    /// The image as it was written.
    written: Option<Manifest>,
    /// Whether it waits for its names.
    is_held: bool,
    progress: Progress,
}

/// Something that is done.
enum Done {
    Companions(Found),
    Blob(Arrived),
    Manifest { position: usize, manifest: Manifest },
}

impl<'p> Copying<'p> {
    fn new(plan: &'p Plan, job: &'p Job<'p>, observer: &'p Arc<dyn Observer>) -> Result<Self> {
        let recompresses = |step: &BlobStep| step.action.recompresses().is_some();
        let workers = match plan.blobs.iter().any(recompresses) {
            true => Some(Arc::new(Workers::start(job.threads)?)),
            false => None,
        };
        let kept = plan.blobs.iter().filter_map(|step| match &step.action {
            BlobAction::Keep { stored } => Some((step.blob.digest.clone(), stored.clone())),
            BlobAction::Leave => Some((step.blob.digest.clone(), step.blob.clone())),
            _ => None,
        });
        Ok(Self {
            stored: kept.collect(),
            plan,
            job,
            observer,
            workers,
            settled: plan
                .absent
                .iter()
                .map(|it| (it.digest.clone(), it.clone()))
                .collect(),
            root: None,
            found: None,
            written: None,
            is_held: false,
            progress: Progress::default(),
        })
    }

    /// Does everything. The first failure stops the rest.
    async fn all(&mut self) -> Result<()> {
        let moves =
            |step: &&BlobStep| !matches!(step.action, BlobAction::Keep { .. } | BlobAction::Leave);
        let mut blobs = self.plan.blobs.iter().filter(moves);
        let mut manifests: VecDeque<usize> = (0..self.plan.manifests.len()).collect();
        let mut running = FuturesUnordered::new();
        // Blobs need not wait until that is known.
        running.push(
            companions::find(self.job, self.plan)
                .map_ok(Done::Companions)
                .boxed(),
        );
        let parallel = match self.job.destination.takes_one_at_a_time() {
            true => 1,
            false => self.job.parallel.get(),
        };
        let mut moving = 0;
        loop {
            for position in self.ready(&mut manifests)? {
                running.push(self.write(position)?);
            }
            while moving < parallel
                && let Some(step) = blobs.next()
            {
                running.push(self.bring(step));
                moving += 1;
            }
            let Some(done) = running.next().await else {
                break;
            };
            match done? {
                Done::Companions(found) => self.found = Some(found),
                Done::Blob(Arrived {
                    digest,
                    stored,
                    how,
                }) => {
                    moving -= 1;
                    self.progress.count(&stored, &how);
                    self.stored.insert(digest, stored);
                }
                Done::Manifest { position, manifest } => {
                    self.progress.manifests += 1;
                    self.settle(position, manifest.descriptor().clone());
                    if position + 1 == self.plan.manifests.len() {
                        self.is_held = self.holds_names();
                        self.written = Some(manifest);
                    }
                }
            }
        }
        match manifests.is_empty() {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Invalid,
                "the plan lacks pieces of its own image",
            )),
        }
    }

    /// Takes out the manifests that can be written now; those that are there already are settled.
    /// The root comes after all others: its names move last.
    fn ready(&mut self, waiting: &mut VecDeque<usize>) -> Result<Vec<usize>> {
        let mut ready = Vec::new();
        let last = self.plan.manifests.len().saturating_sub(1);
        for _ in 0..waiting.len() {
            let Some(position) = waiting.pop_front() else {
                break;
            };
            let step = self.plan.manifests.get(position).ok_or_else(nothing)?;
            let is_last = position == last;
            let others_are_done = || self.progress.manifests + self.kept_before(last) >= last;
            let is_ready = self.has_pieces(step)
                && (!is_last
                    || (others_are_done() && self.blobs_are_done() && self.found.is_some()));
            match (&step.action, is_ready) {
                (ManifestAction::Keep(digest), _) if !is_last || is_ready => {
                    let stored = Descriptor {
                        digest: digest.clone(),
                        ..step.manifest.clone()
                    };
                    self.settle(position, stored);
                }
                (_, true) => ready.push(position),
                (_, false) => waiting.push_back(position),
            }
        }
        Ok(ready)
    }

    fn holds_names(&self) -> bool {
        let found = self.found.as_ref();
        found.is_some_and(|found| !found.companions.is_empty())
    }

    fn kept_before(&self, last: usize) -> usize {
        let before = self.plan.manifests.iter().take(last);
        before
            .filter(|step| matches!(step.action, ManifestAction::Keep(_)))
            .count()
    }

    fn blobs_are_done(&self) -> bool {
        self.plan
            .blobs
            .iter()
            .all(|step| self.stored.contains_key(&step.blob.digest))
    }

    fn has_pieces(&self, step: &ManifestStep) -> bool {
        let Some(manifest) = &step.content else {
            return true;
        };
        manifest
            .blobs()
            .all(|blob| self.stored.contains_key(&blob.digest))
            && manifest
                .children()
                .iter()
                .all(|child| self.settled.contains_key(&child.digest))
    }

    fn settle(&mut self, position: usize, stored: Descriptor) {
        if position + 1 == self.plan.manifests.len() {
            self.root = Some(stored.digest.clone());
        }
        if let Some(step) = self.plan.manifests.get(position) {
            self.settled.insert(step.manifest.digest.clone(), stored);
        }
    }

    fn write(&self, position: usize) -> Result<BoxFuture<'p, Result<Done>>> {
        let (plan, job) = (self.plan, self.job);
        let step = plan.manifests.get(position).ok_or_else(nothing)?;
        let content = step.content.as_ref().ok_or_else(nothing)?;
        let manifest = match step.action {
            ManifestAction::Rewrite => {
                let pieces = self.stored.iter().chain(&self.settled);
                let renamed = pieces.filter(|(digest, stored)| **digest != stored.digest);
                let names = renamed.map(|(digest, stored)| (digest.clone(), stored.clone()));
                let what = || format!("cannot rewrite manifest {}", step.manifest.digest);
                content.with_replaced(&names.collect()).attempting(what)?
            }
            _ => content.clone(),
        };
        let role = match position + 1 == plan.manifests.len() && !self.holds_names() {
            true => Role::Root(&plan.tags),
            false => Role::Child,
        };
        let write = async move {
            match job.destination.put_manifest(&manifest, role).await {
                Err(error) => Err(refused::explained(error, plan, &manifest)),
                Ok(()) => Ok(Done::Manifest { position, manifest }),
            }
        };
        Ok(write.boxed())
    }

    fn bring(&self, step: &'p BlobStep) -> BoxFuture<'p, Result<Done>> {
        let bringing = Bringing {
            step,
            job: self.job,
            observer: Arc::clone(self.observer),
            workers: self.workers.clone(),
        };
        bringing.bring().map_ok(Done::Blob).boxed()
    }
}
