//! Which tags may go, and why the others stay. Pure functions of what is known.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::image::Tag;

use super::super::ask::own_tag;
use super::super::config::{Prune, Share};
use super::super::report::Moment;
use super::super::select::{Selector, span};
use super::state::Absent;

/// What is known of one place.
pub(super) struct Listed<'l> {
    /// All its tags but those that belong to images.
    pub(super) tags: &'l [&'l Tag],
    /// What the file wants there.
    pub(super) wanted: &'l BTreeSet<Tag>,
    /// What its backups look like.
    pub(super) backups: &'l [Selector],
    pub(super) prune: &'l Prune,
    /// Since when tags have been absent at their sources, as far as that is remembered.
    pub(super) since: &'l Absent,
    pub(super) now: Moment,
}

/// What becomes of a tag that no source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may go.
    Goes,
    /// It stays.
    Stays(Stays),
}

/// Why a tag stays that no source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stays {
    /// `keep` names it.
    Kept,
    /// It is called like a backup of this file.
    Backup,
    /// It has not been gone for long enough.
    Young { since: Moment, grace: Duration },
    /// More would go than may.
    TooMany { due: usize, of: usize, allowed: u64 },
    /// It stands for the same image as a tag that stays.
    Shared(Tag),
    /// It is a part of an index that stays.
    PartOf(Tag),
    /// It refers to an image that stays.
    Belongs(Tag),
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stays::Kept => f.write_str("`prune.keep` names it"),
            Stays::Backup => f.write_str("it is named like the backups of this file"),
            Stays::Young { since, grace } => write!(
                f,
                "gone since {since}, and it stays for {} of grace",
                span(*grace)
            ),
            Stays::TooMany { due, of, allowed } => write!(
                f,
                "{due} of {of} tags would go, and `prune.max` allows {allowed}"
            ),
            Stays::Shared(tag) => write!(
                f,
                "it is the same image as {tag}, which a registry might delete with it"
            ),
            Stays::PartOf(tag) => write!(f, "it is a part of {tag}"),
            Stays::Belongs(tag) => write!(f, "it belongs to {tag}"),
        }
    }
}

/// What becomes of each tag that the file does not want.
pub(super) fn decide(listed: &Listed<'_>) -> Vec<(Tag, Verdict)> {
    let unwanted = listed
        .tags
        .iter()
        .filter(|tag| !listed.wanted.contains(**tag));
    let verdicts = unwanted.map(|tag| ((*tag).clone(), first(listed, tag)));
    let mut verdicts: Vec<(Tag, Verdict)> = verdicts.collect();
    let due = verdicts
        .iter()
        .filter(|(_, it)| *it == Verdict::Goes)
        .count();
    let of = listed.tags.len();
    let allowed = allowed(listed.prune.max, of as u64);
    if due as u64 > allowed {
        let due = verdicts.iter_mut().filter_map(|(_, verdict)| {
            let goes = *verdict == Verdict::Goes;
            goes.then_some((verdict, due))
        });
        for (verdict, due) in due {
            *verdict = Verdict::Stays(Stays::TooMany { due, of, allowed });
        }
    }
    verdicts
}

fn first(listed: &Listed<'_>, tag: &Tag) -> Verdict {
    let own = own_tag(tag);
    let covered = |selectors: &[Selector]| selectors.iter().any(|it| it.covers(&own));
    if covered(&listed.prune.keep) {
        return Verdict::Stays(Stays::Kept);
    }
    if covered(listed.backups) {
        return Verdict::Stays(Stays::Backup);
    }
    match listed.prune.grace {
        Some(grace) => {
            let since = since(listed.since, tag, listed.now);
            match listed.now.since(since) >= grace {
                true => Verdict::Goes,
                false => Verdict::Stays(Stays::Young { since, grace }),
            }
        }
        None => Verdict::Goes,
    }
}

/// A share allows at least one: else nothing would ever go from a small repository. Nothing is nothing.
fn allowed(max: Share, of: u64) -> u64 {
    match max {
        Share::Percent(0) => 0,
        Share::Percent(_) => max.of(of).max(1),
        Share::Count(count) => count,
    }
}

/// A time that is to come (somebody set the clock) counts as now.
fn since(known: &Absent, tag: &Tag, now: Moment) -> Moment {
    known.get(tag).copied().map_or(now, |since| since.min(now))
}

/// What is to be remembered: the tags that are gone, and since when.
pub(super) fn absent(verdicts: &[(Tag, Verdict)], known: &Absent, now: Moment) -> Absent {
    let is_gone =
        |verdict: &Verdict| !matches!(verdict, Verdict::Stays(Stays::Kept | Stays::Backup));
    let gone = verdicts.iter().filter(|(_, verdict)| is_gone(verdict));
    gone.map(|(tag, _)| (tag.clone(), since(known, tag, now)))
        .collect()
}
