//! From what is chosen to where it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::image::{Name, Tag};

use super::config::{Entry, From, Place, Problem, Target};
use super::select;
use super::shard::Shard;

/// An image at its source, and everywhere it goes. It is read at its source once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which entry of the configuration wants it, from 0.
    pub entry: usize,
    /// Its name at the source.
    pub name: Name,
    /// Where it goes; at least one.
    pub targets: Vec<Target>,
}

/// The routes of everything that the entries choose, in their order; `chosen` has one list for each
/// entry. With a shard, those targets only that it takes.
///
/// # Errors
/// Every target that two images would be written to, every one that cannot be written down, and every
/// file that is called in two ways.
pub fn routes(
    entries: &[Entry],
    chosen: &[Vec<select::Wanted>],
    shard: Option<Shard>,
) -> Result<Vec<Route>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut taken: BTreeMap<Target, usize> = BTreeMap::new();
    let mut routes = Vec::new();
    for (position, (entry, chosen)) in entries.iter().zip(chosen).enumerate() {
        for image in images(entry, chosen) {
            let mut targets = Vec::new();
            for template in &entry.to {
                let target = match template.expand(&entry.from, image.tag.as_ref()) {
                    Ok(target) => target,
                    Err(error) => {
                        let text = format!("{template}: {error}");
                        problems.push(Problem {
                            at: entry.at.clone(),
                            text,
                        });
                        continue;
                    }
                };
                match taken.insert(target.clone(), position) {
                    None => targets.push(target),
                    Some(other) => problems.extend(clash(entries, other, position, &target)),
                }
            }
            targets
                .retain(|target| shard.is_none_or(|shard| shard.takes(&target.place.to_string())));
            if !targets.is_empty() {
                let name = image.name;
                routes.push(Route {
                    entry: position,
                    name,
                    targets,
                });
            }
        }
    }
    problems.extend(one_file(entries, &taken));
    match problems.is_empty() {
        true => Ok(routes),
        false => Err(problems),
    }
}

/// A tag for templates, and a name at the source.
struct Image {
    tag: Option<Tag>,
    name: Name,
}

fn images(entry: &Entry, chosen: &[select::Wanted]) -> Vec<Image> {
    match &entry.from {
        From::Local(reference) if entry.from.is_single() => vec![Image {
            tag: reference.name().tag().cloned(),
            name: reference.name().clone(),
        }],
        _ => chosen
            .iter()
            .map(|wanted| Image {
                tag: wanted.tag.clone(),
                name: wanted.name.clone(),
            })
            .collect(),
    }
}

/// Whether the file system takes `A` and `a` for one name, as that of macOS does by default.
const FOLDS_CASE: bool = cfg!(any(target_os = "macos", target_os = "windows"));

/// Places that are told apart by their text, and are one file: each would replace what the other one
/// wrote (S-55). An OCI directory holds what comes by either way, as long as the names differ.
fn one_file(entries: &[Entry], taken: &BTreeMap<Target, usize>) -> Vec<Problem> {
    let mut files: BTreeMap<PathBuf, &Place> = BTreeMap::new();
    let mut names: BTreeMap<(PathBuf, &Tag), &Place> = BTreeMap::new();
    let mut told = BTreeSet::new();
    let mut problems = Vec::new();
    for (target, position) in taken {
        let place = &target.place;
        let Some(file) = place.file(FOLDS_CASE) else {
            continue;
        };
        let name = (file.clone(), &target.name);
        let first = match (*files.entry(file).or_insert(place), place) {
            (Place::OciDir(_), Place::OciDir(_)) => *names.entry(name).or_insert(place),
            (first, _) => first,
        };
        if first != place && told.insert(place) {
            let text = format!("{place} is the same file as {first}");
            let at = entries.get(*position).map(|entry| entry.at.clone());
            problems.extend(at.map(|at| Problem { at, text }));
        }
    }
    problems
}

fn clash(entries: &[Entry], one: usize, other: usize, target: &Target) -> Option<Problem> {
    let (one, other) = (entries.get(one)?, entries.get(other)?);
    let text = match one.at == other.at {
        true => format!("several images of this entry would all be written to {target}"),
        false => format!("{} writes {target}, too", one.at),
    };
    let at = other.at.clone();
    Some(Problem { at, text })
}
