//! The second half of the pipeline: `newer`, `sort`, `latest` with `per`, `also`, `min`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::candidates::{Candidate, Found, pins_in};
use super::nothing::{Nothing, Step};
use super::{Per, Selector, Sort, Tags};
use crate::image::{Name, Tag};

/// The first container image of Docker was made in March 2013. What says that it is older was built
/// so that its bytes do not depend on the clock, and tells nothing of its age. In seconds since 1970.
const FIRST_IMAGE: u64 = 1_363_737_600;

/// An image that is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its tag at the destination; `None` for a digest that was written without one.
    pub tag: Option<Tag>,
    /// Its name at the source.
    pub name: Name,
    /// What selected it.
    pub because: Selector,
}

impl Tags {
    /// What is to be copied, the newest first; what `also` adds comes last. The same candidates always
    /// give the same result.
    ///
    /// # Errors
    /// [`Nothing`] if less is left than `min` says.
    pub fn choose(&self, found: &Found, now: SystemTime) -> Result<Vec<Wanted>, Box<Nothing>> {
        let mut included: Vec<&Candidate> = (found.candidates.iter())
            .filter(|candidate| candidate.include.is_some())
            .collect();
        let after_exclude = included.len();
        included.retain(|candidate| self.is_new(candidate, now));
        let after_newer = included.len();
        included.sort_by(|a, b| self.order(a, b));
        let kept = self.latest(included);
        let mut wanted: Vec<Wanted> = (kept.iter())
            .filter_map(|candidate| candidate.wanted(candidate.include.as_ref()))
            .collect();
        let counts = [
            found.included,
            found.with_suffix,
            after_exclude,
            after_newer,
        ];
        let left = wanted.len() + pins_in(&self.include);
        let mut also: Vec<&Candidate> = (found.candidates.iter())
            .filter(|candidate| candidate.also.is_some())
            .filter(|candidate| !kept.iter().any(|other| std::ptr::eq(*other, *candidate)))
            .collect();
        also.sort_by(|a, b| self.order(a, b));
        let also = also.into_iter();
        wanted.extend(also.filter_map(|candidate| candidate.wanted(candidate.also.as_ref())));
        let is_empty = left == 0 && !self.include.is_empty() && self.min > 0;
        match is_empty || wanted.len() < self.min {
            true => Err(Box::new(self.nothing(
                found,
                counts,
                is_empty,
                wanted.len(),
            ))),
            false => Ok(wanted),
        }
    }

    fn nothing(&self, found: &Found, counts: [usize; 4], is_empty: bool, left: usize) -> Nothing {
        let [included, with_suffix, after_exclude, after_newer] = counts;
        let step = match is_empty {
            false => Step::Min {
                left,
                min: self.min,
            },
            true if included == 0 || with_suffix == 0 => Step::Include,
            true if after_exclude == 0 => Step::Exclude(with_suffix),
            true if after_newer == 0 => Step::Newer(after_exclude, self.newer.unwrap_or_default()),
            true => Step::Latest(after_newer),
        };
        Nothing {
            include: self.include.iter().map(Selector::to_string).collect(),
            suffix: self.suffix.clone(),
            listed: found.listed,
            newest: found.newest.clone(),
            near: found.near.clone(),
            step,
        }
    }

    fn is_new(&self, candidate: &Candidate, now: SystemTime) -> bool {
        let Some(newer) = self.newer else {
            return true;
        };
        known_time(candidate).is_none_or(|created| {
            // A clock that is behind makes nothing old.
            now.duration_since(created).is_ok_and(|age| age <= newer) || created > now
        })
    }

    /// The newest first; tags that are equal come by name.
    fn order(&self, a: &Candidate, b: &Candidate) -> Ordering {
        let by_version = || match (&a.version, &b.version) {
            (Some(one), Some(other)) => other.cmp_age(one),
            (one, other) => other.is_some().cmp(&one.is_some()),
        };
        let order = match self.sort {
            Sort::Version => by_version(),
            Sort::Name => b.tag.cmp(&a.tag),
            Sort::Time => known_time(b).cmp(&known_time(a)).then_with(by_version),
        };
        order
            .then_with(|| a.tag.cmp(&b.tag))
            .then_with(|| a.pin.cmp(&b.pin))
    }

    /// What `latest` leaves of what is sorted.
    fn latest<'a>(&self, sorted: Vec<&'a Candidate>) -> Vec<&'a Candidate> {
        let Some(latest) = self.latest else {
            return sorted;
        };
        let mut counted: BTreeMap<(usize, String), usize> = BTreeMap::new();
        let stays = |candidate: &&Candidate| {
            if self.counts_versions() && candidate.version.is_none() {
                return false;
            }
            let line = |count| candidate.version.as_ref().map(|it| it.line(count));
            let line = match self.per {
                None => None,
                Some(Per::Major) => line(1),
                Some(Per::Minor) => line(2),
            };
            let count = counted
                .entry((candidate.suffix, line.unwrap_or_default()))
                .or_default();
            *count += 1;
            *count <= latest.get()
        };
        sorted.into_iter().filter(stays).collect()
    }
}

impl Candidate {
    fn wanted(&self, because: Option<&Selector>) -> Option<Wanted> {
        let name = match (&self.tag, &self.pin) {
            (_, Some(digest)) => Name::Digest(digest.clone()),
            (Some(tag), None) => Name::Tag(tag.clone()),
            (None, None) => return None,
        };
        Some(Wanted {
            tag: self.tag.clone(),
            name,
            because: because?.clone(),
        })
    }
}

/// When an image was made, where that can be believed.
fn known_time(candidate: &Candidate) -> Option<SystemTime> {
    let first = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(FIRST_IMAGE))?;
    candidate.created.filter(|created| *created >= first)
}
