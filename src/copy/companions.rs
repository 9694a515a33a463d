//! What belongs to an image goes with it: referrers and cosign's tags.
//!
//! They are looked for when the image is new or has changed, and are there before its names are:
//! so a run that is cut short finds its names unmoved and looks again.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tracing::debug;

use super::{Fallback, Job, Observer, Plan, Selection};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Name, Tag, companion};
use crate::store::{Promise, Role};

/// What of it goes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companions {
    /// When it is looked for.
    pub when: When,
    /// Only referrers of these types; with none, all.
    pub types: Vec<String>,
    /// Whether signatures go along.
    pub signatures: bool,
}

/// When companions are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// When the image is new at the destination or has changed.
    Changed,
    /// Also when it has not: they may have been added later.
    Always,
    /// Never.
    Never,
}

impl Default for Companions {
    /// Everything, with what is new or has changed.
    fn default() -> Self {
        Self {
            when: When::Changed,
            types: Vec::new(),
            signatures: true,
        }
    }
}

/// Something that belongs to an image.
#[derive(Debug, Clone)]
pub(super) struct Companion {
    pub(super) descriptor: Descriptor,
    /// cosign finds it by this tag.
    pub(super) tag: Option<Tag>,
}

/// How many are followed, and how deep referrers of referrers go (S-21).
const LIMIT: usize = 1000;
const DEPTH: usize = 8;
/// For so few images each of cosign's tags is asked for; else all tags are listed.
const FEW: usize = 2;
/// How many questions are asked at once.
const PARALLEL: usize = 8;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The deepest first: a referrer comes after what refers to it.
    pub(super) companions: Vec<Companion>,
    /// What is not copied because the image it belongs to changes on its way.
    pub(super) left_behind: usize,
    /// What is not copied because the destination has no place for it.
    pub(super) no_place: usize,
    /// Why nobody can tell what belongs to the image, although the image itself can be read.
    pub(super) unknown: Option<String>,
}

/// Looks for what belongs to the image and to those in its index. A registry that lets the image be
/// read, but not what belongs to it, is no reason to fail: it is said.
pub(super) async fn find(job: &Job<'_>, plan: &Plan) -> Result<Found> {
    match look(job, plan).await {
        Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied) => {
            Ok(Found {
                unknown: Some(error.in_one_line()),
                ..Found::default()
            })
        }
        found => found,
    }
}

async fn look(job: &Job<'_>, plan: &Plan) -> Result<Found> {
    let wanted = &job.companions;
    let looks = match wanted.when {
        When::Never => false,
        When::Always => true,
        When::Changed => !plan.is_empty(),
    };
    if !looks || job.source.promise() == Promise::ImageId {
        return Ok(Found::default());
    }
    let what = || {
        format!(
            "cannot look for what belongs to the image in {}",
            job.source
        )
    };
    let (kept, changed) = plan.subjects();
    let mut found = Found::default();
    if wanted.signatures {
        found.no_place = job.source.loose_signatures().await.attempting(what)?;
    }
    if !job.destination.takes_companions() {
        let all: Vec<Digest> = kept.into_iter().chain(changed).collect();
        found.no_place += staying(job, &all).await.attempting(what)?;
        return Ok(found);
    }
    found.companions = followed(job, &kept, &changed).await.attempting(what)?;
    found.companions.reverse();
    found
        .companions
        .extend(tagged(job, &kept).await.attempting(what)?);
    if !changed.is_empty() {
        found.left_behind = staying(job, &changed).await.attempting(what)?;
    }
    debug!(
        companions = found.companions.len(),
        left_behind = found.left_behind,
        no_place = found.no_place,
        "looked"
    );
    Ok(found)
}

/// What refers to the images, and what refers to that, the nearest first.
async fn followed(job: &Job<'_>, kept: &[Digest], changed: &[Digest]) -> Result<Vec<Companion>> {
    let mut found = Vec::new();
    let mut seen: BTreeSet<Digest> = kept.iter().chain(changed).cloned().collect();
    let mut subjects = kept.to_vec();
    for _ in 0..DEPTH {
        let listed = referrers(job, &subjects).await?;
        let new: Vec<Descriptor> = listed
            .into_iter()
            .filter(|referrer| {
                job.companions.takes(referrer) && seen.insert(referrer.digest.clone())
            })
            .collect();
        subjects = new.iter().map(|referrer| referrer.digest.clone()).collect();
        found.extend(new.into_iter().map(|descriptor| Companion {
            descriptor,
            tag: None,
        }));
        if subjects.is_empty() || found.len() > LIMIT {
            break;
        }
    }
    if found.len() > LIMIT {
        let what = format!("more than {LIMIT} manifests refer to the image");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(found)
}

/// How many companions stay where they are.
async fn staying(job: &Job<'_>, subjects: &[Digest]) -> Result<usize> {
    let mut referrers = referrers(job, subjects).await?;
    referrers.retain(|referrer| job.companions.takes(referrer));
    let tagged = tagged(job, subjects).await?;
    check_signed(job, &referrers, &tagged)?;
    Ok(referrers.len() + tagged.len())
}

/// Whoever asks for other manifests breaks the signatures of the old ones, and must say that this is meant.
fn check_signed(job: &Job<'_>, lost: &[Descriptor], tagged: &[Companion]) -> Result<()> {
    let asked = job.format.is_some() || job.recompress;
    let kind =
        |it: &Descriptor| companion::is_signature(it.artifact_type.as_deref().unwrap_or_default());
    let named = |it: &Companion| it.tag.as_ref().is_some_and(companion::names_signatures);
    let is_signed = lost.iter().any(kind) || tagged.iter().any(named);
    if !asked || !is_signed || !job.companions.signatures {
        return Ok(());
    }
    let what = "the image is signed, and would change on its way: give --remove-signatures if it need not stay signed";
    Err(Error::new(ErrorKind::Unsupported, what))
}

async fn referrers(job: &Job<'_>, subjects: &[Digest]) -> Result<Vec<Descriptor>> {
    let asked: Vec<_> = subjects
        .iter()
        .map(|it| job.source.referrers(it).boxed())
        .collect();
    let listed: Vec<Vec<Descriptor>> = stream::iter(asked).buffered(PARALLEL).try_collect().await?;
    Ok(listed.into_iter().flatten().collect())
}

/// What cosign's tags name.
async fn tagged(job: &Job<'_>, subjects: &[Digest]) -> Result<Vec<Companion>> {
    let mut tags: Vec<Tag> = subjects.iter().flat_map(companion::cosign_tags).collect();
    if job.source.repository().is_none() || subjects.len() > FEW {
        let names = job.source.names().await?;
        let there: BTreeSet<&Tag> = names.iter().filter_map(Name::tag).collect();
        tags.retain(|tag| there.contains(tag));
    }
    tags.retain(|tag| job.companions.signatures || !companion::names_signatures(tag));
    let asked: Vec<_> = tags
        .into_iter()
        .map(|tag| {
            async move {
                let found = job.source.resolve(&Name::Tag(tag.clone())).await?;
                Ok::<_, Error>(found.map(|descriptor| Companion {
                    descriptor,
                    tag: Some(tag),
                }))
            }
            .boxed()
        })
        .collect();
    let found: Vec<Option<Companion>> =
        stream::iter(asked).buffered(PARALLEL).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

impl Companions {
    fn takes(&self, referrer: &Descriptor) -> bool {
        let own = referrer.artifact_type.as_deref().unwrap_or_default();
        let is_wanted = self.types.is_empty() || self.types.iter().any(|wanted| wanted == own);
        is_wanted && (self.signatures || !companion::is_signature(own))
    }
}

/// Copies a companion: everything in it, under its tag if it has one.
pub(super) fn bring<'b>(
    job: &'b Job<'_>,
    companion: &'b Companion,
    observer: &'b Arc<dyn Observer>,
) -> BoxFuture<'b, Result<()>> {
    // Boxed here, because a copy that copies has no type otherwise.
    async move {
        let digest = companion.descriptor.digest.clone();
        let own = Job {
            name: Name::Digest(digest.clone()),
            tags: companion.tag.clone().into_iter().collect(),
            standing: None,
            expected: Some(digest.clone()),
            selection: Selection::All,
            compression: None,
            memory: None,
            fallback: Fallback::Never,
            companions: Companions {
                when: When::Never,
                ..Companions::default()
            },
            ..*job
        };
        let brought = async {
            let outcome = super::copy_alone(&own, observer).await?;
            match outcome.manifests {
                0 => listed(job, companion).await,
                _ => Ok(()),
            }
        };
        let what = || format!("cannot copy {digest}, which belongs to the image");
        brought.await.attempting(what)
    }
    .boxed()
}

/// Sees to it that a referrer which was there before is found there, too: a run that was cut short may
/// have written it, and not the list of a registry without the API.
async fn listed(job: &Job<'_>, companion: &Companion) -> Result<()> {
    if job.destination.repository().is_none() {
        return Ok(());
    }
    let manifest = job.source.manifest(&companion.descriptor).await?;
    let Some((subject, own)) = manifest.as_referrer() else {
        return Ok(());
    };
    let there = job.destination.referrers(&subject.digest).await?;
    match there.iter().any(|it| it.digest == own.digest) {
        true => Ok(()),
        // Writing it lists it.
        false => {
            let role = Role::Root(&[]);
            job.destination.put_manifest(&manifest, role).await
        }
    }
}
