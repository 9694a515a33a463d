//! What a file writes where: the only places that are pruned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::image::{Reference, Tag};

use super::super::choose::Chosen;
use super::super::config::{Config, Entry, From, Place, PruneMode};
use super::super::routes::Route;
use super::super::select::Selector;
use super::super::shard::Shard;

/// A repository or directory, and all that the file wants there.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    pub(super) place: Place,
    /// As the file writes it: several paths may be one directory.
    pub(super) spellings: BTreeSet<Place>,
    /// The names that the file writes there.
    pub(super) wanted: BTreeSet<Tag>,
    /// What the backups of the file look like there.
    pub(super) backups: Vec<Selector>,
    /// Why nothing may be pruned.
    pub(super) barred: Option<String>,
}

/// All that a file writes, and on this machine.
#[derive(Debug, Default)]
pub(crate) struct Areas {
    places: BTreeMap<Place, Area>,
    /// What entries read from.
    sources: Vec<(Place, String)>,
    /// Why nothing may be pruned anywhere.
    pub(super) everything: Option<String>,
}

impl Areas {
    /// The places of a file; none where nothing is to be pruned. `routes`: all of them, also what this
    /// run leaves out, but only the shard's.
    pub(crate) fn of(
        config: &Config,
        chosen: &Chosen,
        routes: &[Route],
        shard: Option<Shard>,
    ) -> Self {
        let mut areas = Self::default();
        if config.prune.mode == PruneMode::Off {
            return areas;
        }
        let entries = &config.entries;
        for route in routes {
            let Some(entry) = entries.get(route.entry) else {
                continue;
            };
            for target in &route.targets {
                if let Some(area) = areas.area(&target.place) {
                    area.wanted.insert(target.name.clone());
                    area.backups_of(entry);
                }
            }
        }
        for (position, entry) in entries.iter().enumerate() {
            let place = match &entry.from {
                From::Registry(repository) => Some(Place::Registry(repository.clone())),
                From::Local(Reference::OciDir { path, .. }) => Some(Place::OciDir(path.clone())),
                From::Local(_) => None,
            };
            let at = entry.at.to_string();
            areas.sources.extend(place.map(|place| (place, at)));
            let is_unlisted = chosen.failed.iter().any(|(failed, _)| *failed == position);
            let is_empty = chosen.images.get(position).is_none_or(Vec::is_empty);
            match (is_unlisted, is_empty && !entry.from.is_single()) {
                (true, _) => areas.bar(entry, "could not be asked for its tags", shard),
                (_, true) => areas.bar(entry, "has nothing that is wanted", shard),
                _ => {}
            }
        }
        areas
    }

    fn area(&mut self, place: &Place) -> Option<&mut Area> {
        if !matches!(place, Place::Registry(_) | Place::OciDir(_)) {
            return None;
        }
        let new = || Area {
            place: place.clone(),
            spellings: BTreeSet::from([place.clone()]),
            wanted: BTreeSet::new(),
            backups: Vec::new(),
            barred: None,
        };
        Some(self.places.entry(place.clone()).or_insert_with(new))
    }

    /// Nothing is pruned where an entry writes of which nobody knows what it wants now.
    fn bar(&mut self, entry: &Entry, what: &str, shard: Option<Shard>) {
        let why = format!("{}: {} {what}", entry.at, entry.from);
        for template in &entry.to {
            // The same place for any tag, or nobody knows which.
            let place = |tag: &str| {
                let tag = tag.parse::<Tag>().ok()?;
                Some(template.expand(&entry.from, Some(&tag)).ok()?.place)
            };
            match (place("one"), place("other")) {
                (Some(one), Some(other)) if one == other => {
                    if shard.is_some_and(|shard| !shard.takes(&one.to_string())) {
                        continue;
                    }
                    if let Some(area) = self.area(&one) {
                        area.barred.get_or_insert_with(|| why.clone());
                    }
                }
                _ => {
                    self.everything.get_or_insert_with(|| why.clone());
                }
            }
        }
    }

    /// The places as they are now: directories by their real path, so that two spellings of one are
    /// one; those that are not there are left out.
    pub(super) fn real(self) -> Vec<Area> {
        let mut real: BTreeMap<Place, Area> = BTreeMap::new();
        let sources = self.sources.into_iter();
        let sources: BTreeMap<Place, String> = sources
            .filter_map(|(place, at)| Some((real_place(&place)?, at)))
            .collect();
        for area in self.places.into_values() {
            let Some(place) = real_place(&area.place) else {
                continue;
            };
            let barred = sources
                .get(&place)
                .map(|at| format!("{at} reads from it, so others may write to it, too"));
            let known = real.entry(place).or_insert_with(|| Area {
                barred,
                spellings: BTreeSet::new(),
                wanted: BTreeSet::new(),
                backups: Vec::new(),
                place: area.place.clone(),
            });
            known.spellings.extend(area.spellings);
            known.wanted.extend(area.wanted);
            known.backups.extend(area.backups);
            known.barred = known.barred.take().or(area.barred);
        }
        real.into_values().collect()
    }
}

impl Area {
    fn backups_of(&mut self, entry: &Entry) {
        let Some(template) = &entry.backup else {
            return;
        };
        let text = format!("/{}/", pattern(&template.to_string()));
        let is_new = self.backups.iter().all(|known| known.to_string() != text);
        // What cannot be told from backups is kept: a template is made of the letters of tags.
        self.backups
            .extend(text.parse::<Selector>().ok().filter(|_| is_new));
    }
}

/// What tags of a template look like.
fn pattern(template: &str) -> String {
    let text = template.replace('.', r"\.");
    text.replace("{tag}", r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
        .replace("{date}", "[0-9]{8}T[0-9]{6}Z")
}

/// `None` if there is no such directory.
fn real_place(place: &Place) -> Option<Place> {
    match place {
        Place::OciDir(path) => Some(Place::OciDir(Path::canonicalize(path).ok()?)),
        other => Some(other.clone()),
    }
}
