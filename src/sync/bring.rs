//! Copying one image to one place of its route.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tracing::debug;

use crate::copy::{Companions, Job, Outcome, Selection, Silent, When, transfer};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Digest, Name};
use crate::store::{Destination, Role, Source, Store};

use super::ask::Asked;
use super::config::{Entry, Place, Referrers, Target};
use super::decide::Decision;
use super::run::{Run, Way};

/// What the image of a route is called at its source, once somebody asked.
#[derive(Debug, Default)]
pub(super) struct Origin(pub(super) OnceCell<Digest>);

/// A destination that has the image already: the others read it there, so that its source is read once.
#[derive(Debug)]
pub(super) struct Leader {
    place: Place,
    digest: Digest,
}

impl Leader {
    pub(super) fn of(target: &Target, outcome: &Outcome) -> Self {
        Self {
            place: target.place.clone(),
            digest: outcome.digest.clone(),
        }
    }
}

impl Run<'_> {
    /// Copies the image; what the tag stood for gets another name before, if that was wanted.
    pub(super) async fn bring(
        &self,
        way: &Way<'_>,
        asked: &Asked,
        leader: Option<&Leader>,
    ) -> Result<Outcome> {
        let (entry, target) = (way.entry, way.target);
        let destination = self.destination(way)?;
        if asked.decision == Decision::Update {
            self.back_up(way, asked, &*destination).await?;
        }
        // Whoever tries for the second time asks anew.
        let standing = asked.standing.clone().filter(|_| leader.is_none());
        if let Some(leader) = leader {
            match self.follow(way, asked, leader, &*destination).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) if self.is_fault_of(leader, &error).await => {
                    debug!(%error, %target, "cannot be read from where it was just written");
                }
                Err(error) => {
                    return Err(error).attempting(|| format!("cannot copy it to {target}"));
                }
            }
        }
        let source = self.source(way)?;
        // What was found is what is copied, whatever becomes of the tag meanwhile (S-11).
        let name = match (way.origin.0.get(), &way.route.name) {
            (Some(digest), Name::Tag(_)) => Name::Digest(digest.clone()),
            (_, name) => name.clone(),
        };
        let job = Job {
            tags: vec![target.name.clone()],
            standing,
            ..self.job(entry, &name, &*source, &*destination)
        };
        let copied = transfer(&job, &(Arc::new(Silent) as _)).await;
        copied.attempting(|| format!("cannot copy {source}:{} to {target}", way.route.name))
    }

    /// Reads the image where it was just written: all of it, as it is there.
    async fn follow(
        &self,
        way: &Way<'_>,
        asked: &Asked,
        leader: &Leader,
        destination: &dyn Destination,
    ) -> Result<Outcome> {
        let source = self.places.written(&leader.place)?;
        way.opens(Arc::clone(&source) as Arc<dyn Store>);
        let name = Name::Digest(leader.digest.clone());
        let job = Job {
            tags: vec![way.target.name.clone()],
            standing: asked.standing.clone(),
            selection: Selection::All,
            ..self.job(way.entry, &name, &*source, destination)
        };
        transfer(&job, &(Arc::new(Silent) as _)).await
    }

    /// Whether it is the leader that cannot be read. If it can, its source is not read once more in vain.
    async fn is_fault_of(&self, leader: &Leader, error: &Error) -> bool {
        let Ok(source) = self.places.written(&leader.place) else {
            return true;
        };
        let name = Name::Digest(leader.digest.clone());
        error.is_bad_source() || !matches!(source.resolve(&name).await, Ok(Some(_)))
    }

    /// A job as the entry and the run have it, without names.
    pub(super) fn job<'j>(
        &self,
        entry: &Entry,
        name: &Name,
        source: &'j dyn Source,
        destination: &'j dyn Destination,
    ) -> Job<'j> {
        let new = Job::new(source, destination);
        Job {
            name: name.clone(),
            selection: selection(entry),
            companions: companions(&entry.referrers),
            threads: self.how.threads.unwrap_or(new.threads),
            // Several images are on their way at once.
            parallel: NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN),
            ..new
        }
    }

    /// Gives the image that is about to lose its tag another one. If that fails the tag stays.
    async fn back_up(
        &self,
        way: &Way<'_>,
        asked: &Asked,
        destination: &dyn Destination,
    ) -> Result<()> {
        let (entry, target) = (way.entry, way.target);
        let (Some(template), Some(before)) = (&entry.backup, &asked.before) else {
            return Ok(());
        };
        let tag = template.expand(&target.name, self.how.now)?;
        let what = || format!("cannot keep what {target} stands for as {tag}, so it stays");
        let old = destination.find(&Name::Digest(before.clone())).await;
        let gone = || Error::new(ErrorKind::NotFound, format!("{before} is gone"));
        let old = old.attempting(what)?.ok_or_else(gone).attempting(what)?;
        let role = Role::Root(std::slice::from_ref(&tag));
        destination.put_manifest(&old, role).await.attempting(what)
    }
}

/// Which images of an index an entry wants.
pub(super) fn selection(entry: &Entry) -> Selection {
    match entry.platforms.is_empty() {
        true => Selection::All,
        false => Selection::Some {
            platforms: entry.platforms.clone(),
            how: entry.index,
        },
    }
}

fn companions(referrers: &Referrers) -> Companions {
    let (when, types) = match referrers {
        Referrers::All => (When::Changed, Vec::new()),
        Referrers::None => (When::Never, Vec::new()),
        Referrers::Types(types) => (When::Changed, types.clone()),
    };
    Companions {
        when,
        types,
        ..Companions::default()
    }
}
