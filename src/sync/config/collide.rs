//! Two entries that write one name, as far as the files alone tell.

use std::collections::BTreeMap;

use super::entry::certain;
use super::problem::Problem;
use super::template::Target;
use super::types::Entry;

/// What would be written twice: whoever comes last would win, every night another one.
pub(super) fn collisions(entries: &[Entry]) -> Vec<Problem> {
    let mut written: BTreeMap<Target, usize> = BTreeMap::new();
    // For each pair of entries the first name, and how many more there are.
    let mut pairs: BTreeMap<(usize, usize), (Target, usize)> = BTreeMap::new();
    for (number, entry) in entries.iter().enumerate() {
        for tag in certain(entry) {
            let to = entry.to.iter();
            let targets = to.filter_map(|to| to.expand(&entry.from, tag.as_ref()).ok());
            for target in targets {
                match written.get(&target) {
                    Some(first) => {
                        let pair = pairs.entry((*first, number)).or_insert((target, 0));
                        pair.1 += 1;
                    }
                    None => drop(written.insert(target, number)),
                }
            }
        }
    }
    let told = pairs
        .into_iter()
        .filter_map(|((first, second), (target, count))| {
            let (first, second) = (entries.get(first)?, entries.get(second)?);
            let more = match count {
                1 => String::new(),
                count => format!(", and {} more", count - 1),
            };
            let text = match first.at == second.at {
                true => format!("this entry writes {target} more than once{more}"),
                false => format!("this entry and {} both write {target}{more}", first.at),
            };
            let at = second.at.clone();
            Some(Problem { at, text })
        });
    told.collect()
}
