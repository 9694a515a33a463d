//! Archives as destinations. An archive is written in one piece, so it is made anew as soon as one
//! image in it has changed, and replaces the old one only if all of it is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::image::{Name, Platform, Tag};
use crate::inspect;
use crate::store::{Promise, Source, locked};

use super::bring::Origin;
use super::config::{Entry, Place, Target};
use super::routes::Route;
use super::run::Run;

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
        let wanted: Vec<(&Route, &Target)> = (self.routes.iter())
            .flat_map(|route| route.targets.iter().map(move |target| (route, target)))
            .filter(|(_, target)| target.place == *place)
            .collect();
        let there: BTreeSet<&Tag> = names.iter().filter_map(Name::tag).collect();
        let asked: BTreeSet<&Tag> = wanted.iter().map(|(_, target)| &target.name).collect();
        if there != asked || names.len() != asked.len() {
            return Ok(false);
        }
        for (route, target) in wanted {
            // A source that cannot be read now fails by itself when it is copied.
            if !self.holds(&archive, route, target).await.unwrap_or(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an archive holds this image under its name.
    async fn holds(
        &self,
        archive: &Arc<dyn Source>,
        route: &Route,
        target: &Target,
    ) -> Result<bool> {
        let entry = self.entry(route)?;
        let source = self.places.source(&entry.from)?;
        let name = Name::Tag(target.name.clone());
        let keeps_digest = matches!(target.place, Place::OciArchive(_))
            && source.promise() == Promise::Digest
            && entry.platforms.is_empty();
        if keeps_digest {
            let wanted = Origin::default()
                .digest(self, entry, &route.name, &source)
                .await?;
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
                Some(why) => {
                    let _ = destination.discard().await;
                    Err(Error::new(ErrorKind::Incomplete, why))
                }
                None if self.writes(&place) => destination.finish().await,
                None => Ok(()),
            };
            if let Err(error) = finished {
                self.fail_all(&place, &error);
            }
        }
    }

    /// Why an archive is not whole.
    fn missing(&self, place: &Place) -> Option<String> {
        let ended = locked(&self.ended);
        let mut all = self.routes.iter().zip(ended.iter());
        all.find_map(|(route, ended)| {
            let mut targets = route.targets.iter().zip(ended);
            targets.find_map(|(target, ended)| {
                let is_missing = ended.as_ref().is_none_or(|ended| ended.error.is_some());
                (target.place == *place && is_missing).then(|| {
                    format!(
                        "{place} stays as it was, because {} is missing",
                        target.name
                    )
                })
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
                    ended.error = Some(Error::new(error.kind(), super::lanes::deepest(error)));
                }
            }
        }
    }
}

fn platform(entry: &Entry) -> Platform {
    let first = entry.platforms.first().cloned();
    first.unwrap_or_else(Platform::of_this_machine)
}
