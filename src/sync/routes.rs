//! From what is chosen to where it goes.

use std::collections::BTreeMap;

use crate::image::Name;

use super::config::{Entry, From, Problem, Target};
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
/// Every target that two images would be written to, and every one that cannot be written down.
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
    match problems.is_empty() {
        true => Ok(routes),
        false => Err(problems),
    }
}

/// A tag for templates, and a name at the source.
struct Image {
    tag: Option<crate::image::Tag>,
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

fn clash(entries: &[Entry], one: usize, other: usize, target: &Target) -> Option<Problem> {
    let (one, other) = (entries.get(one)?, entries.get(other)?);
    let text = match one.at == other.at {
        true => format!("several images of this entry would all be written to {target}"),
        false => format!("{} writes {target}, too", one.at),
    };
    let at = other.at.clone();
    Some(Problem { at, text })
}
