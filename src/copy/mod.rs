//! The verb: from what both places hold to a plan, and from the plan to the copy.

mod absorb;
mod begin;
mod bring;
mod companions;
mod execute;
mod known;
mod observe;
mod outcome;
mod pieces;
mod plan;
mod refused;
mod select;
mod survey;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tracing::debug;

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Format, MediaType, Name, Tag};
use crate::store::compress::Coding;
use crate::store::{Destination, Promise, Recompressed, Source};

use bring::Progress;

pub use companions::{Companions, When};
pub use execute::execute;
pub use observe::{Event, Observer, Silent};
pub use outcome::Outcome;
pub use plan::{BlobAction, BlobStep, ManifestAction, ManifestStep, Plan, Reason, Totals, plan};
pub use select::{Offer, Selected, Selection, Subset, must_be_read, select};
pub use survey::{RememberedLayer, Standing, Survey, SurveyedImage, survey};

/// Whether an image is converted where a registry does not take its type of manifest (S-13, Q-61).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fallback {
    /// Never: the copy fails, and the error says what would help.
    Never,
    /// Where the source promises no digest, so that none is lost.
    #[default]
    WhereNoDigestIsPromised,
    /// Whatever the source promises, unless the image is signed.
    Always,
}

/// One image to copy: from where, to where, and how.
#[derive(Clone)]
pub struct Job<'a> {
    /// Where it is.
    pub source: &'a dyn Source,
    /// Which image there.
    pub name: Name,
    /// Where it goes.
    pub destination: &'a dyn Destination,
    /// Under which names; with none it is given out by digest or position only.
    pub tags: Vec<Tag>,
    /// What each of these names stood for, if somebody asked just now; else they are asked about. A copy
    /// that begins anew asks in any case.
    pub standing: Option<Vec<Option<Descriptor>>>,
    /// What the image must be called at the destination, if the user said so.
    pub expected: Option<Digest>,
    /// Which images of an index.
    pub selection: Selection,
    /// What belongs to the image and goes with it.
    pub companions: Companions,
    /// How plain layers are compressed. Without a choice layers stay as they are where the source
    /// promises its digests, and become gzip where it promises only the image ID.
    pub compression: Option<Coding>,
    /// Whether layers that are compressed already are compressed anew, if that is by another method.
    pub recompress: bool,
    /// In whose words manifests are written; without a choice they stay as they are.
    pub format: Option<Format>,
    /// What happens where a registry does not take them so.
    pub fallback: Fallback,
    /// Whether a copy that would change a digest is refused.
    pub preserve_digests: bool,
    /// What is remembered of layers that were compressed before, and gets more; without it each copy
    /// remembers for itself.
    pub memory: Option<Arc<Recompressed>>,
    /// Whether foreign layers that the source has are sent to registries, too. They are never
    /// fetched from their URLs.
    pub foreign_layers: bool,
    /// How many threads compress.
    pub threads: NonZeroUsize,
    /// How many blobs travel at once.
    pub parallel: NonZeroUsize,
}

impl<'a> Job<'a> {
    /// The only image of `source`, to `destination`, without a name, on every core.
    pub fn new(source: &'a dyn Source, destination: &'a dyn Destination) -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let is_remote = source.repository().is_some() || destination.repository().is_some();
        Self {
            source,
            name: Name::Sole,
            destination,
            tags: Vec::new(),
            standing: None,
            expected: None,
            selection: Selection::All,
            companions: Companions::default(),
            compression: None,
            recompress: false,
            format: None,
            fallback: Fallback::default(),
            preserve_digests: false,
            memory: None,
            foreign_layers: false,
            threads,
            // One more than compress, so that one can wait for the disk.
            parallel: threads.saturating_add(if is_remote { 6 } else { 1 }),
        }
    }
}

impl Job<'_> {
    /// What the image is at the source. A digest needs no asking.
    async fn resolve(&self) -> Result<Option<Descriptor>> {
        match &self.name {
            Name::Digest(digest) => {
                let named = Descriptor::new(MediaType::default(), digest.clone(), 0);
                Ok(Some(named))
            }
            name => self.source.resolve(name).await,
        }
    }

    /// Whether indexes may name images that do not come along.
    fn keeps_sparse(&self) -> bool {
        let how = match &self.selection {
            Selection::Some { how, .. } => Some(how),
            Selection::All | Selection::One(_) => None,
        };
        how == Some(&Subset::Sparse)
    }
}

/// How often a copy begins anew because others change the destination under it.
const ATTEMPTS: usize = 5;

/// Copies an image, and what belongs to it: survey, plan, execute, and the destination is finished.
/// Begins anew if somebody else took something away from the destination that the plan had counted on.
///
/// # Errors
/// As [`survey`], [`plan`] and [`execute`]. On an error the destination's names are what they were.
pub async fn copy(job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Outcome> {
    let outcome = repeated(job, observer, true).await?;
    job.destination.finish().await?;
    observer.event(&Event::Done(&outcome));
    Ok(outcome)
}

/// Copies several images, one after the other, and finishes each destination when all are there: so
/// an archive, which is written in one piece, can hold them all.
///
/// # Errors
/// As [`copy`], of the first that fails. Registries and directories keep what was copied before.
pub async fn copy_all(jobs: &[Job<'_>], observer: &Arc<dyn Observer>) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for job in jobs {
        let what = || format!("cannot copy {} of {}", job.name, job.source);
        outcomes.push(repeated(job, observer, true).await.attempting(what)?);
    }
    for job in jobs {
        job.destination.finish().await?;
    }
    for outcome in &outcomes {
        observer.event(&Event::Done(outcome));
    }
    Ok(outcomes)
}

/// Copies an image as [`copy`] does, but leaves the destination for the caller to finish: it may get
/// other images as well.
///
/// # Errors
/// As [`copy`].
pub async fn transfer(job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Outcome> {
    repeated(job, observer, true).await
}

/// Copies an image alone, as a part of a larger copy.
async fn copy_alone(job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Outcome> {
    repeated(job, observer, false).await
}

async fn repeated(job: &Job<'_>, observer: &Arc<dyn Observer>, tells: bool) -> Result<Outcome> {
    let memory = job.memory.clone();
    let mut job = Job {
        // What is compressed once need not be compressed again because the copy begins anew.
        memory: Some(memory.unwrap_or_else(|| Arc::new(Recompressed::in_memory()))),
        ..job.clone()
    };
    let mut attempt = 1;
    let mut refused: Option<Refused> = None;
    let mut done = Progress::default();
    loop {
        let plan = match (planned(&job, observer).await, refused.take()) {
            (Ok(plan), before) => {
                refused = before;
                plan
            }
            // The image cannot be converted.
            (Err(_), Some(before)) => return Err(before.error),
            (Err(error), None) => return Err(error),
        };
        if tells {
            observer.event(&Event::Planned(&plan));
        }
        match execute::go_on(&plan, &job, observer, &mut done).await {
            Err(error) if error.kind() == ErrorKind::Changed && attempt < ATTEMPTS => {
                debug!(%error, attempt, "the destination changed: surveying it again");
                attempt += 1;
                job.standing = None;
            }
            Err(error) if error.kind() == ErrorKind::RefusedType => {
                let other = job.falls_back_to(&plan).filter(|_| refused.is_none());
                let Some(format) = other else {
                    return Err(refused.map_or(error, |before| before.error));
                };
                debug!(%error, %format, "converting the image");
                job.format = Some(format);
                refused = Some(Refused::of(&job, &plan, error));
            }
            Err(error) => return Err(error),
            Ok(mut outcome) => {
                absorb::count(&job, &plan, &mut outcome).await;
                return Ok(Outcome {
                    converted_because: refused.map(|it| it.why),
                    ..outcome
                });
            }
        }
    }
}

/// That a registry did not take the image as it is.
struct Refused {
    error: Error,
    why: String,
}

impl Refused {
    fn of(job: &Job<'_>, plan: &Plan, error: Error) -> Self {
        let root = plan.manifests.last();
        let own = root.map(|root| root.manifest.media_type.to_string());
        let why = format!(
            "{} does not take {}",
            job.destination,
            own.unwrap_or_default()
        );
        Self { error, why }
    }
}

impl Job<'_> {
    /// Whether any format will do.
    fn takes_any_format(&self) -> bool {
        let is_open = match self.fallback {
            Fallback::Never => false,
            Fallback::WhereNoDigestIsPromised | Fallback::Always => {
                self.source.promise() == Promise::ImageId
            }
        };
        is_open && self.format.is_none() && !self.preserve_digests
    }

    /// The format to convert a refused image into, if that may be done.
    fn falls_back_to(&self, plan: &Plan) -> Option<Format> {
        let may = self.takes_any_format() || self.fallback == Fallback::Always;
        if !may || self.format.is_some() || self.preserve_digests {
            return None;
        }
        let own = &plan.manifests.last()?.manifest.media_type;
        let is_docker = own.in_format(Format::V2s2).as_ref() == Some(own);
        Some(match is_docker {
            true => Format::Oci,
            false => Format::V2s2,
        })
    }
}

/// The plan of a copy that begins now. Layers may have been taken by the destination already; if nothing
/// comes of it, they are taken back.
async fn planned(job: &Job<'_>, observer: &Arc<dyn Observer>) -> Result<Plan> {
    let absorbs = absorb::absorbs(job);
    let planned = async {
        let mut plan = plan(&survey::survey_to_copy(job, observer).await?)?;
        absorb::keep(job, &mut plan).await?;
        Ok(plan)
    };
    let planned = planned.await;
    if planned.is_err() && absorbs {
        // The first failure is the one to tell.
        let _ = job.destination.discard().await;
    }
    planned
}
