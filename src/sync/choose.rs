//! Asking what there is, and choosing from it: the lists of all repositories at once, each once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Name, Platform, Tag};
use crate::inspect;
use crate::store::Source;

use super::config::{Entry, From, Problem};
use super::lanes::Health;
use super::lock::Lock;
use super::places::Places;
use super::select;

/// How many images of one repository are asked at once when they were made.
const TIMES: usize = 16;

/// What the entries choose.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// For each entry.
    pub(super) images: Vec<Vec<select::Wanted>>,
    /// Entries of which nobody can tell what they choose now, and why. The others go on.
    pub(super) failed: Vec<(usize, Error)>,
    /// Every choice that leaves nothing of what there is.
    pub(super) problems: Vec<Problem>,
}

/// Asks the sources for their tags where that is needed, and chooses.
pub(super) async fn choose(
    entries: &[Entry],
    places: &Places,
    health: &Health,
    lock: Option<&Lock>,
) -> Chosen {
    let lists = lists(entries, places, health, lock).await;
    let mut chosen = Chosen::default();
    for (position, entry) in entries.iter().enumerate() {
        let mut images = Vec::new();
        match of_entry(entry, &lists, places, lock).await {
            Ok(Ok(found)) => images = found,
            Ok(Err(text)) => chosen.problems.push(Problem {
                at: entry.at.clone(),
                text,
            }),
            Err(error) => chosen.failed.push((position, error)),
        }
        chosen.images.push(images);
    }
    chosen
}

/// What places list, by how they are called.
type Lists = BTreeMap<String, Result<Vec<Tag>>>;

fn needs_list(entry: &Entry) -> bool {
    !entry.from.is_single() && entry.tags.needs_list()
}

/// What is locked is all that there is; local places are at hand, and never locked.
async fn lists(entries: &[Entry], places: &Places, health: &Health, lock: Option<&Lock>) -> Lists {
    let asked: BTreeMap<String, &From> = entries
        .iter()
        .filter(|entry| needs_list(entry))
        .map(|entry| (entry.from.to_string(), &entry.from))
        .collect();
    let lists: FuturesUnordered<_> = asked
        .into_iter()
        .map(|(place, from)| async move {
            let listed = match (from, lock) {
                (From::Registry(_), Some(lock)) => Ok(lock.tags(&place)),
                (From::Registry(repository), None) => {
                    health.ask(repository.registry(), list(from, places)).await
                }
                (From::Local(_), _) => list(from, places).await,
            };
            (place, listed)
        })
        .collect();
    lists.collect().await
}

async fn list(from: &From, places: &Places) -> Result<Vec<Tag>> {
    let source = places.source(from)?;
    let names = source.names().await?;
    let tags: Vec<Tag> = names.iter().filter_map(Name::tag).cloned().collect();
    match tags.is_empty() {
        true => {
            let what = format!("{from} lists no tags");
            Err(Error::new(ErrorKind::NotFound, what))
        }
        false => Ok(tags),
    }
}

/// What an entry chooses; inside, what is wrong with its choice.
async fn of_entry(
    entry: &Entry,
    lists: &Lists,
    places: &Places,
    lock: Option<&Lock>,
) -> Result<Result<Vec<select::Wanted>, String>> {
    if entry.from.is_single() {
        return Ok(Ok(Vec::new()));
    }
    let place = entry.from.to_string();
    let listed = match lists.get(&place).filter(|_| needs_list(entry)) {
        // Another entry may have asked the same.
        Some(Err(error)) => return Err(Error::new(error.kind(), error.in_one_line())),
        Some(Ok(tags)) => Some(tags.as_slice()),
        None => None,
    };
    let mut found = entry.tags.candidates(listed);
    if entry.tags.needs_times() && lock.is_none() {
        let source = places.source(&entry.from)?;
        times(&source, &mut found).await?;
    }
    let chosen = entry.tags.choose(&found, SystemTime::now());
    let mut chosen = match chosen {
        Ok(chosen) => chosen,
        Err(nothing) => return Ok(Err(nothing.told(&place))),
    };
    if let (Some(lock), From::Registry(_)) = (lock, &entry.from) {
        for wanted in &mut chosen {
            if let Some(pinned) = lock.pinned(&place, &wanted.name) {
                wanted.name = pinned;
            } else if let Name::Tag(tag) = &wanted.name {
                let what = format!("{place}:{tag} is not locked; `imgcopy lock` adds it");
                return Ok(Err(what));
            }
        }
    }
    Ok(Ok(chosen))
}

/// When images were made, as their configs say it. One that does not say it is not left out.
async fn times(source: &Arc<dyn Source>, found: &mut select::Found) -> Result<()> {
    let asked = found
        .candidates
        .iter()
        .enumerate()
        .map(|(position, candidate)| {
            let name = match (&candidate.pin, &candidate.tag) {
                (Some(digest), _) => Some(Name::Digest(digest.clone())),
                (None, tag) => tag.clone().map(Name::Tag),
            };
            async move {
                let created = match name {
                    Some(name) => created(&**source, &name).await?,
                    None => None,
                };
                Ok::<_, Error>((position, created))
            }
        });
    let asked: Vec<_> = asked.collect();
    let mut answers = stream::iter(asked).buffer_unordered(TIMES);
    let mut times = Vec::new();
    while let Some(answer) = answers.next().await {
        times.push(answer?);
    }
    drop(answers);
    for (position, created) in times {
        if let Some(candidate) = found.candidates.get_mut(position) {
            candidate.created = created;
        }
    }
    Ok(())
}

async fn created(source: &dyn Source, name: &Name) -> Result<Option<SystemTime>> {
    let platform = Platform::of_this_machine();
    let described = match inspect::describe(source, name, &platform).await {
        Ok(described) => described,
        // Nothing for this machine, or nothing that has a time: it does not say how old it is.
        Err(error) if error.is_bad_source() || error.kind() == ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error).attempting(|| format!("cannot tell the age of {name}")),
    };
    let created = described
        .created
        .and_then(|text| text.parse::<Timestamp>().ok());
    Ok(created.map(SystemTime::from))
}
