//! What a tag stands for at its source and at its destination, in as few questions as can be.

use std::sync::Arc;

use crate::copy::{Selection, plan, survey};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Name, Tag};
use crate::store::{Destination, Form, Promise, Source, locked};

use super::archives::is_archive;
use super::bring::Origin;
use super::config::{Change, Entry, From, Place, Target};
use super::decide::{Decision, Known, decide};
use super::routes::Route;
use super::run::{Run, Way};

/// What was found out about one image at one place.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) decision: Decision,
    /// What the tag stands for at the destination.
    pub(super) before: Option<Digest>,
    /// The same for the copy, which then need not ask again; `None` if nobody asked.
    pub(super) standing: Option<Vec<Option<Descriptor>>>,
    /// What the image is called at its source, if somebody had to ask.
    pub(super) source: Option<Digest>,
}

impl Asked {
    /// What was decided without asking what the tag stands for.
    fn only(decision: Decision) -> Self {
        Self {
            decision,
            before: None,
            standing: None,
            source: None,
        }
    }
}

/// From so many tags of one repository on, its list is asked for instead of each of them.
const MANY: usize = 3;

impl Run<'_> {
    /// Asks, and decides.
    pub(super) async fn ask(&self, way: &Way<'_>) -> Result<Asked> {
        let (entry, target) = (way.entry, way.target);
        if is_archive(&target.place) {
            let decision = match self.is_current(&target.place).await? {
                true => Decision::Same,
                false => Decision::New,
            };
            return Ok(Asked::only(decision));
        }
        let destination = self.destination(way)?;
        let is_immutable =
            (entry.immutable.iter()).any(|selector| selector.covers(&own_tag(&target.name)));
        if is_immutable && !self.how.deep && self.is_listed(target, &destination).await? {
            return Ok(Asked::only(Decision::Immutable));
        }
        let name = Name::Tag(target.name.clone());
        let there = self
            .of_place(&target.place, destination.resolve(&name))
            .await
            .attempting(|| format!("cannot look up {target}"))?;
        let before = there.as_ref().map(|there| there.digest.clone());
        let mut known = Known {
            there: before.as_ref(),
            wanted: None,
            is_immutable: is_immutable && !self.how.deep,
        };
        let mut decision = decide(&known, entry.change);
        let mut source = None;
        if decision == Decision::Read {
            let from = self.source(way)?;
            if keeps_digest(entry, &*from, &*destination) {
                let found = way
                    .origin
                    .digest(self, entry, &way.route.name, &from)
                    .await?;
                source = Some(found.clone());
                known.wanted = source.as_ref();
                decision = decide(&known, entry.change);
            } else {
                decision = self
                    .read(way, (&*from, &*destination), there.as_ref())
                    .await?;
            }
        }
        Ok(Asked {
            decision,
            before,
            standing: Some(vec![there]),
            source,
        })
    }

    /// Reads the image to tell whether the tag stands for it: where only some platforms are wanted, or
    /// where the source promises no digest.
    async fn read(
        &self,
        way: &Way<'_>,
        (source, destination): (&dyn Source, &dyn Destination),
        there: Option<&Descriptor>,
    ) -> Result<Decision> {
        let job = self.job(way.entry, &way.route.name, source, destination);
        let job = crate::copy::Job {
            tags: vec![way.target.name.clone()],
            standing: Some(vec![there.cloned()]),
            ..job
        };
        let planned = plan(&survey(&job).await?)?;
        Ok(match (planned.is_empty(), way.entry.change) {
            (true, _) => Decision::Same,
            (false, Change::Fail) => Decision::Drift,
            (false, Change::Keep) => Decision::Keep,
            (false, Change::Update) => Decision::Update,
        })
    }

    /// Whether the destination has the tag, asked by its list if there are many such tags.
    async fn is_listed(&self, target: &Target, destination: &Arc<dyn Destination>) -> Result<bool> {
        if (self.shared.names.get(&target.place)).is_none_or(|names| *names < MANY) {
            let name = Name::Tag(target.name.clone());
            let found = self.of_place(&target.place, destination.resolve(&name));
            return Ok(found.await?.is_some());
        }
        let cell = {
            let mut lists = locked(&self.shared.lists);
            Arc::clone(lists.entry(target.place.clone()).or_default())
        };
        let listed = cell
            .get_or_try_init(|| async {
                match self.of_place(&target.place, destination.names()).await {
                    Ok(names) => Ok(names.iter().filter_map(Name::tag).cloned().collect()),
                    // A repository that is not there yet lists nothing.
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::<Tag>::new()),
                    Err(error) => Err(error),
                }
            })
            .await?;
        Ok(listed.contains(&target.name))
    }

    /// Asks a place, unless its host is down.
    async fn of_place<T>(
        &self,
        place: &Place,
        question: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match place {
            Place::Registry(repository) => self.health.ask(repository.registry(), question).await,
            _ => question.await,
        }
    }

    pub(super) fn entry(&self, route: &Route) -> Result<&Entry> {
        let gone = || Error::new(ErrorKind::Invalid, "the configuration has no such entry");
        self.config.entries.get(route.entry).ok_or_else(gone)
    }
}

impl Origin {
    /// What the image is called at its source: asked once, whoever wants to know.
    pub(super) async fn digest(
        &self,
        run: &Run<'_>,
        entry: &Entry,
        name: &Name,
        source: &Arc<dyn Source>,
    ) -> Result<Digest> {
        if let Name::Digest(digest) = name {
            return Ok(digest.clone());
        }
        let ask = || async {
            let found = match &entry.from {
                From::Registry(repository) => {
                    let asked = source.resolve(name);
                    run.health.ask(repository.registry(), asked).await
                }
                From::Local(_) => source.resolve(name).await,
            };
            let missing =
                || Error::new(ErrorKind::NotFound, format!("{source} has no image {name}"));
            found?.map(|found| found.digest).ok_or_else(missing)
        };
        self.0.get_or_try_init(ask).await.cloned()
    }
}

/// Whether the image is called the same at both places, so that their answers can be compared.
fn keeps_digest(entry: &Entry, source: &dyn Source, destination: &dyn Destination) -> bool {
    super::bring::selection(entry) == Selection::All
        && source.promise() == Promise::Digest
        && destination.form() == Form::Any
}

/// The tag as selectors know it: in a directory or an archive, what follows the repository.
pub(super) fn own_tag(name: &Tag) -> Tag {
    let text = name.as_str();
    let own = text.rsplit_once(':').map_or(text, |(_, tag)| tag);
    own.parse().unwrap_or_else(|_| name.clone())
}
