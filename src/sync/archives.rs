//! Archives as destinations. An archive is written in one piece, so it is made anew as soon as one
//! image in it has changed, and replaces the old one only if all of it is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use crate::error::{Error, ErrorKind, Result};
use crate::image::companion::is_companion;
use crate::image::{Name, Platform, Tag};
use crate::inspect;
use crate::store::{Promise, Source, locked};

use super::config::{Entry, Place, Target};
use super::routes::Route;
use super::run::Run;

/// How many images of one archive are asked about at once.
const QUESTIONS: usize = 64;

/// Whether a place is written in one piece.
pub(super) fn is_archive(place: &Place) -> bool {
    matches!(place, Place::OciArchive(_) | Place::DockerArchive(_))
}

impl Run<'_> {
    /// Whether an archive holds what is wanted in it and nothing else; found out once.
    pub(super) async fn is_current(&self, place: &Place) -> Result<bool> {
        let cell = {
            let mut current = locked(&self.shared.current);
            Arc::clone(current.entry(place.clone()).or_default())
        };
        let found = cell.get_or_try_init(|| self.compare(place));
        found.await.copied()
    }

    async fn compare(&self, place: &Place) -> Result<bool> {
        if let Some((entry, error)) = self.unlisted_for(place) {
            let what =
                format!("{place} stays as it was, because {entry} could not be asked for its tags");
            return Err(Error::new(error.kind(), what));
        }
        if self.how.deep {
            return Ok(false);
        }
        // What is damaged is written anew.
        let Ok(archive) = self.places.written(place) else {
            return Ok(false);
        };
        let Ok(names) = archive.names().await else {
            return Ok(false);
        };
        let wanted: Vec<(usize, &Route, &Target)> = (self.routes.iter().enumerate())
            .flat_map(|(position, route)| {
                let targets = route.targets.iter();
                targets.map(move |target| (position, route, target))
            })
            .filter(|(.., target)| target.place == *place)
            .collect();
        // What belongs to an image may have a name of its own, or none.
        let tags = names.iter().filter_map(Name::tag);
        let there: BTreeSet<&Tag> = tags.filter(|tag| !is_companion(tag.as_str())).collect();
        let asked: BTreeSet<&Tag> = wanted.iter().map(|(.., target)| &target.name).collect();
        if there != asked {
            return Ok(false);
        }
        let held: Vec<_> = wanted
            .into_iter()
            .map(|wanted| self.holds(&archive, wanted))
            .collect();
        let mut held = stream::iter(held).buffer_unordered(QUESTIONS);
        while let Some(holds) = held.next().await {
            // A source that cannot be read now fails by itself when it is copied.
            if !holds.unwrap_or(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An entry that may have something for an archive, but nobody can tell what, and why.
    fn unlisted_for(&self, place: &Place) -> Option<(&super::config::From, &Error)> {
        let any: Tag = "any".parse().ok()?;
        self.unlisted.iter().find_map(|(position, error)| {
            let entry = self.config.entries.get(*position)?;
            let mut targets = entry.to.iter().map(|to| to.expand(&entry.from, Some(&any)));
            let is_meant = targets.any(|target| target.is_ok_and(|target| target.place == *place));
            is_meant.then_some((&entry.from, error))
        })
    }

    /// Whether an archive holds this image under its name.
    async fn holds(
        &self,
        archive: &Arc<dyn Source>,
        (position, route, target): (usize, &Route, &Target),
    ) -> Result<bool> {
        let entry = self.entry(route)?;
        let gone = || Error::new(ErrorKind::Invalid, "the run has no such route");
        let origin = self.origins.get(position).ok_or_else(gone)?;
        let source = self.places.source(&entry.from)?;
        let name = Name::Tag(target.name.clone());
        let keeps_digest = matches!(target.place, Place::OciArchive(_))
            && source.promise() == Promise::Digest
            && entry.platforms.is_empty();
        if keeps_digest {
            let wanted = origin.digest(self, entry, &route.name, &source).await?;
            let there = archive.resolve(&name).await;
            return Ok(there.is_ok_and(|there| there.is_some_and(|it| it.digest == wanted)));
        }
        let platform = platform(entry);
        let wanted = inspect::describe(&*source, &route.name, &platform).await?;
        let there = inspect::describe(&**archive, &name, &platform).await;
        Ok(there.is_ok_and(|there| there.image_id.is_some() && there.image_id == wanted.image_id))
    }

    /// Ends all local places: directories note what was learnt, and archives replace the old ones, if
    /// nothing that belongs in them is missing.
    pub(super) async fn finish(&self) {
        for (place, destination) in self.local_destinations() {
            let missing = is_archive(&place).then(|| self.missing(&place)).flatten();
            let finished = match missing {
                Some(error) => {
                    let _ = destination.discard().await;
                    Err(error)
                }
                None if self.writes(&place) => destination.finish().await,
                None => Ok(()),
            };
            if let Err(error) = finished {
                self.fail_all(&place, &error);
            }
        }
    }

    /// Why an archive is not whole. Its kind is that of the first failure.
    fn missing(&self, place: &Place) -> Option<Error> {
        let ended = locked(&self.ended);
        let mut all = self.routes.iter().zip(ended.iter());
        all.find_map(|(route, ended)| {
            let mut targets = route.targets.iter().zip(ended);
            targets.find_map(|(target, ended)| {
                let kind = match ended {
                    Some(ended) => ended.error.as_ref()?.kind(),
                    None => ErrorKind::Interrupted,
                };
                let name = &target.name;
                let what = format!("{place} stays as it was, because {name} is missing");
                (target.place == *place).then(|| Error::new(kind, what))
            })
        })
    }

    fn writes(&self, place: &Place) -> bool {
        let ended = locked(&self.ended);
        let mut all = self.routes.iter().zip(ended.iter());
        all.any(|(route, ended)| {
            let mut targets = route.targets.iter().zip(ended);
            targets.any(|(target, ended)| {
                let copied = ended.as_ref().is_some_and(|ended| ended.outcome.is_some());
                target.place == *place && copied
            })
        })
    }

    /// What was copied there is not there after all.
    fn fail_all(&self, place: &Place, error: &Error) {
        let mut ended = locked(&self.ended);
        for (route, ended) in self.routes.iter().zip(ended.iter_mut()) {
            for (target, ended) in route.targets.iter().zip(ended) {
                if let Some(ended) = ended.as_mut().filter(|_| target.place == *place)
                    && ended.outcome.take().is_some()
                {
                    ended.error = Some(Error::new(error.kind(), error.root_cause()));
                }
            }
        }
    }
}

fn platform(entry: &Entry) -> Platform {
    let first = entry.platforms.first().cloned();
    first.unwrap_or_else(Platform::of_this_machine)
}
