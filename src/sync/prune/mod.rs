//! Removing tags that no source has any more, from repositories that this file writes.
//!
//! ```text
//! areas (what the file writes where)  ->  decide (which tags may go, and why others stay)
//!     ->  facts (what they stand for)  ->  part (what shares an image with what stays)  ->  delete
//! ```
//!
//! Whatever is not known for certain stays: of a repository of which any source could not be listed, of
//! which anything failed or was not done, or that somebody reads from, nothing goes.

mod areas;
mod decide;
mod delete;
mod facts;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt as _, stream};

use crate::error::{Error, ErrorKind, Result};
use crate::image::{Digest, Name, Tag, companion};
use crate::store::{Destination, blocking, locked};

use super::ask::own_tag;
use super::config::{Place, PruneMode, Target};
use super::report::{Row, Status};
use super::run::{Run, Told};

pub(super) use areas::{Area, Areas};
use decide::{Listed, Stays, Verdict, decide};
use facts::{Group, facts};

/// How many repositories are looked at at once.
const PARALLEL: usize = 8;

/// How much of a place a run was about.
#[derive(Debug, Default)]
struct Seen {
    /// How many names.
    there: usize,
    /// How many of them are not as they should be.
    failed: usize,
}

impl Run<'_> {
    /// Looks at every place that the run was about in full, and tells what became of its tags. Without
    /// any wish to prune it asks nothing.
    pub(super) async fn prune(&self, areas: Areas) -> Vec<Row> {
        if self.config.prune.mode == PruneMode::Off {
            return Vec::new();
        }
        let why = areas.everything.clone().or_else(|| self.is_partial());
        if let Some(why) = why {
            let row = self.skipped("prune", &why);
            return vec![row];
        }
        let (areas, seen) = (areas.real(), self.seen());
        let each = areas.into_iter().map(|area| self.area(area, &seen));
        let each: Vec<_> = each.collect();
        let rows: Vec<Vec<Row>> = stream::iter(each)
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        rows.into_iter().flatten().collect()
    }

    /// Why this run does not know what all sources have.
    fn is_partial(&self) -> Option<String> {
        let ended = locked(&self.ended);
        if self.how.lock.is_some() {
            Some("a lock says what is copied, and not what sources have now".into())
        } else if self.how.only.targets.is_some() {
            Some("this run repeats a part of another one".into())
        } else if ended.iter().flatten().any(Option::is_none) {
            Some("the run ended early".into())
        } else {
            None
        }
    }

    async fn area(&self, area: Area, seen: &BTreeMap<&Place, Seen>) -> Vec<Row> {
        let place = area.place.to_string();
        let of_area = area.spellings.iter().filter_map(|place| seen.get(place));
        let (there, failed) = of_area.fold((0, 0), |(there, failed), seen| {
            (there + seen.there, failed + seen.failed)
        });
        // None of it is wanted in this run: it is not about this place.
        if there == 0 && area.barred.is_none() {
            return Vec::new();
        }
        let barred = area.barred.clone().or_else(|| {
            if there < area.wanted.len() {
                Some("this run is about a part of it only".to_string())
            } else if failed > 0 {
                Some(format!("{failed} of its images failed or were put off"))
            } else {
                None
            }
        });
        if let Some(why) = barred {
            return vec![self.skipped(&place, &why)];
        }
        match self.tidy(&area).await {
            Ok(rows) => rows,
            Err(error) => {
                let error = error.attempting(format!("cannot prune {place}"));
                vec![self.told_row(Row::new("", place, Status::Failed).failed(&error))]
            }
        }
    }

    /// How many names of each place this run was about.
    fn seen(&self) -> BTreeMap<&Place, Seen> {
        let ended = locked(&self.ended);
        let mut all: BTreeMap<&Place, Seen> = BTreeMap::new();
        for (position, route) in self.routes.iter().enumerate() {
            for (index, target) in route.targets.iter().enumerate() {
                let seen = all.entry(&target.place).or_default();
                seen.there += 1;
                let ended = ended.get(position).and_then(|all| all.get(index));
                let ended = ended.and_then(Option::as_ref);
                let row = self.row(position, index, ended);
                let is_bad = |row: &Row| matches!(row.status, Status::Failed | Status::Deferred);
                seen.failed += usize::from(row.as_ref().is_none_or(is_bad));
            }
        }
        all
    }

    /// One place, of which everything is known that can be.
    async fn tidy(&self, area: &Area) -> Result<Vec<Row>> {
        let destination = self.opened(area)?;
        let names = match self.at(&area.place, destination.names()).await {
            Ok(names) => names,
            Err(error) if is_nothing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let all: Vec<Tag> = names.iter().filter_map(Name::tag).cloned().collect();
        let is_companion = |tag: &&Tag| companion::is_companion(own_tag(tag).as_str());
        let (companions, tags): (Vec<&Tag>, Vec<&Tag>) = all.iter().partition(is_companion);
        let prune = &self.config.prune;
        let since = match (&self.config.state, prune.grace) {
            (Some(folder), Some(_)) => self.remembered(folder, area).await?,
            _ => state::Absent::new(),
        };
        let verdicts = decide(&Listed {
            tags: &tags,
            wanted: &area.wanted,
            backups: &area.backups,
            prune,
            since: &since,
            now: self.how.now.into(),
        });
        if let (Some(folder), Some(_), false) = (&self.config.state, prune.grace, self.how.dry_run)
        {
            self.remember(folder, area, &verdicts, &since).await?;
        }
        let mut rows = Vec::new();
        let too_many = |(_, verdict): &&(Tag, Verdict)| {
            matches!(verdict, Verdict::Stays(Stays::TooMany { .. }))
        };
        if let Some((_, Verdict::Stays(why))) = verdicts.iter().find(too_many) {
            rows.push(self.skipped(&area.place.to_string(), &why.to_string()));
        }
        let mut due = Vec::new();
        for (tag, verdict) in verdicts {
            match verdict {
                Verdict::Goes => due.push(tag),
                Verdict::Stays(why) => rows.push(self.kept(area, &tag, &why)),
            }
        }
        if !due.is_empty() {
            let goes = self.goes(area, &destination, (&tags, &companions), &due);
            rows.extend(goes.await?);
        }
        Ok(rows)
    }

    /// What becomes of tags that may go, now that it is looked what they stand for.
    async fn goes(
        &self,
        area: &Area,
        destination: &Arc<dyn Destination>,
        (tags, companions): (&[&Tag], &[&Tag]),
        due: &[Tag],
    ) -> Result<Vec<Row>> {
        let facts = self.at(&area.place, facts(&**destination, tags, due));
        let facts = facts.await?;
        // In a directory a name is a name; a registry may take the image away with it.
        let is_exact = matches!(area.place, Place::OciDir(_));
        let (groups, stays) = facts.part(due, is_exact);
        let mut rows: Vec<Row> = stays
            .iter()
            .map(|(tag, why)| self.kept(area, tag, why))
            .collect();
        let deletes = self.config.prune.mode == PruneMode::Delete && !self.how.dry_run;
        for group in &groups {
            if !deletes {
                let would = |tag| row_of(area, tag, Status::WouldPrune, Some(&group.digest));
                rows.extend(group.tags.iter().map(would).map(|row| self.told_row(row)));
                continue;
            }
            let deadline = self.how.deadline;
            let ended = match deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                true => Err(Error::new(ErrorKind::Interrupted, "its time was over")),
                false => delete::group(&**destination, group, companions, &facts.protected).await,
            };
            rows.extend(self.pruned(area, group, &ended));
        }
        if deletes {
            destination.finish().await?;
        }
        Ok(rows)
    }

    fn pruned(&self, area: &Area, group: &Group, ended: &Result<delete::Deleted>) -> Vec<Row> {
        let row = |tag| {
            let row = row_of(area, tag, Status::Pruned, Some(&group.digest));
            let row = match ended {
                Ok(deleted) => Row {
                    reason: deleted.left.as_ref().map(|why| {
                        format!("it is gone, and something that belonged to it stays: {why}")
                    }),
                    ..row
                },
                Err(error) => Row {
                    advice: Some(
                        "see whether the registry lets these credentials delete; \
                         `prune: {mode: off}` leaves everything"
                            .into(),
                    ),
                    ..row.failed(error)
                },
            };
            self.told_row(row)
        };
        group.tags.iter().map(row).collect()
    }

    /// Opens a place: a directory that this run wrote to is open already.
    fn opened(&self, area: &Area) -> Result<Arc<dyn Destination>> {
        let open = self.local_destinations().into_iter();
        let mut open = open.filter(|(place, _)| area.spellings.contains(place));
        match open.next() {
            Some((_, destination)) => Ok(destination),
            None => self.places.destination(&area.place, false),
        }
    }

    /// Asks a place, unless its host is down.
    async fn at<T>(&self, place: &Place, question: impl Future<Output = Result<T>>) -> Result<T> {
        match place {
            Place::Registry(repository) => self.health.ask(repository.registry(), question).await,
            _ => question.await,
        }
    }

    async fn remembered(&self, folder: &std::path::Path, area: &Area) -> Result<state::Absent> {
        let (folder, place) = (folder.to_path_buf(), area.place.to_string());
        blocking(move || state::read(&folder, &place)).await
    }

    async fn remember(
        &self,
        folder: &std::path::Path,
        area: &Area,
        verdicts: &[(Tag, Verdict)],
        since: &state::Absent,
    ) -> Result<()> {
        let now = self.how.now.into();
        let absent = decide::absent(verdicts, since, now);
        if absent == *since {
            return Ok(());
        }
        let (folder, place) = (folder.to_path_buf(), area.place.to_string());
        blocking(move || state::write(&folder, &place, absent)).await
    }

    fn kept(&self, area: &Area, tag: &Tag, why: &Stays) -> Row {
        let row = row_of(area, tag, Status::Kept, None);
        self.told_row(Row {
            reason: Some(format!("no source has it any more: {why}")),
            ..row
        })
    }

    fn skipped(&self, what: &str, why: &str) -> Row {
        self.told_row(Row {
            reason: Some(format!("nothing is pruned: {why}")),
            ..Row::new("", what, Status::Skipped)
        })
    }

    fn told_row(&self, row: Row) -> Row {
        (self.told)(&Told::Ended { row: &row });
        row
    }
}

/// Whether there is nothing there yet that could be pruned.
fn is_nothing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NoPlace)
}

fn row_of(area: &Area, tag: &Tag, status: Status, before: Option<&Digest>) -> Row {
    let target = Target {
        place: area.place.clone(),
        name: tag.clone(),
    };
    Row {
        before: before.cloned(),
        ..Row::new("", target.to_string(), status)
    }
}
