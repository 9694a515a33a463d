//! The first half of the pipeline: what `include`, `suffix`, `exclude` and `also` leave of a list.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::pattern::Pattern;
use super::{Selector, Tags, Version};
use crate::image::companion::is_companion;
use crate::image::{Digest, Tag};

/// What may be copied. Before [`Tags::choose`], whoever is asked for times fills them in.
#[derive(Debug, Clone)]
pub struct Found {
    /// In the order of the list; what no list named stands before it.
    pub candidates: Vec<Candidate>,
    /// How many tags were listed, without those that belong to images. `None` without a list.
    pub(super) listed: Option<usize>,
    /// The newest of them by version.
    pub(super) newest: Option<Tag>,
    /// What `include` chose before `suffix` and `exclude`.
    pub(super) included: usize,
    /// Of these, what `suffix` left.
    pub(super) with_suffix: usize,
    /// A tag of the list whose version is right, but which has a suffix or is a pre-release.
    pub(super) near: Option<Tag>,
}

/// An image that may be copied.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its tag; `None` for a digest alone.
    pub tag: Option<Tag>,
    /// The digest that it must be, where one was written.
    pub pin: Option<Digest>,
    /// When the image was made, where [`Tags::needs_times`] asks for it and it is known.
    pub created: Option<SystemTime>,
    pub(super) version: Option<Version>,
    /// What of `include` chose it, after `suffix` and `exclude`.
    pub(super) include: Option<Selector>,
    /// What of `also` chose it.
    pub(super) also: Option<Selector>,
    /// Which entry of `suffix` fits; 0 without any.
    pub(super) suffix: usize,
}

impl Tags {
    /// What is left after `exclude`, of what a repository lists and of what is named without a list.
    /// A literal that the list lacks is there: to copy it fails and tells so.
    pub fn candidates(&self, listed: Option<&[Tag]>) -> Found {
        let mut tags: Vec<Tag> = self.literals();
        tags.extend(listed.unwrap_or_default().iter().cloned());
        let (pins, bare) = self.pins();
        let mut found = Found {
            candidates: Vec::new(),
            listed: listed.map(|tags| tags.iter().filter(|tag| is_image(tag)).count()),
            newest: newest(listed.unwrap_or_default()),
            included: 0,
            with_suffix: 0,
            near: None,
        };
        let suffixes: Vec<Pattern> = (self.suffix.iter())
            .filter_map(|suffix| Pattern::glob(suffix).ok())
            .collect();
        let mut seen = BTreeSet::new();
        for tag in tags {
            if seen.insert(tag.clone()) {
                let pin = pins.get(&tag).copied();
                self.consider(tag, pin, &suffixes, &mut found);
            }
        }
        found.candidates.extend(bare);
        found.included += pins_in(&self.include);
        found
    }

    fn consider(&self, tag: Tag, pin: Option<&Digest>, suffixes: &[Pattern], found: &mut Found) {
        let version = Version::of(tag.as_str());
        let (named, chosen) = chosen_by(&self.include, &tag, version.as_ref(), suffixes);
        let (_, also) = chosen_by(&self.also, &tag, version.as_ref(), suffixes);
        found.included += usize::from(named);
        found.with_suffix += usize::from(chosen.is_some());
        if chosen.is_none() && found.near.is_none() && self.is_near(&tag) {
            found.near = Some(tag.clone());
        }
        let chosen = chosen.filter(|_| !self.exclude.iter().any(|one| one.covers(&tag)));
        if chosen.is_some() || also.is_some() {
            found.candidates.push(Candidate {
                pin: pin.cloned(),
                created: None,
                suffix: chosen.map_or(0, |(_, suffix)| suffix),
                include: chosen.map(|(selector, _)| selector.clone()),
                also: also.map(|(selector, _)| selector.clone()),
                version,
                tag: Some(tag),
            });
        }
    }

    /// Whether only a suffix or a pre-release keeps a range from choosing it.
    fn is_near(&self, tag: &Tag) -> bool {
        let is_range = |one: &&Selector| matches!(one, Selector::Range(_));
        let mut ranges = self.include.iter().filter(is_range);
        ranges.any(|range| range.covers(tag))
    }

    /// The tags that are written themselves, each once.
    fn literals(&self) -> Vec<Tag> {
        let selectors = self.include.iter().chain(&self.also);
        let tags = selectors.filter_map(|selector| match selector {
            Selector::Literal(tag) | Selector::Pin(Some(tag), _) => Some(tag.clone()),
            _ => None,
        });
        tags.collect()
    }

    /// The digests that tags are pinned to, and those that have no tag.
    fn pins(&self) -> (BTreeMap<Tag, &Digest>, Vec<Candidate>) {
        let mut pins = BTreeMap::new();
        let mut bare: Vec<Candidate> = Vec::new();
        for selector in self.include.iter().chain(&self.also) {
            match selector {
                Selector::Pin(Some(tag), digest) => {
                    pins.entry(tag.clone()).or_insert(digest);
                }
                Selector::Pin(None, digest)
                    if !bare.iter().any(|other| other.pin.as_ref() == Some(digest)) =>
                {
                    bare.push(Candidate {
                        tag: None,
                        pin: Some(digest.clone()),
                        created: None,
                        version: None,
                        include: None,
                        also: Some(selector.clone()),
                        suffix: 0,
                    });
                }
                _ => {}
            }
        }
        (pins, bare)
    }
}

/// Whether any of the selectors names a tag; and the one that chooses it, with which entry of
/// `suffix` fits. A selector that names the tag itself is the better reason, and a pin the best.
fn chosen_by<'a>(
    selectors: &'a [Selector],
    tag: &Tag,
    version: Option<&Version>,
    suffixes: &[Pattern],
) -> (bool, Option<(&'a Selector, usize)>) {
    let own_suffix = suffix_of(tag, version);
    let fits = |selector: &Selector| match (selector, suffixes.is_empty()) {
        (exact, _) if exact.is_exact() => Some(0),
        (Selector::Range(_), true) => own_suffix.is_empty().then_some(0),
        (_, true) => Some(0),
        (_, false) => suffixes.iter().position(|one| one.is_match(own_suffix)),
    };
    let names = |selector: &&Selector| match selector {
        Selector::Pin(own, _) => own.as_ref() == Some(tag),
        other => other.chooses(tag, version),
    };
    let worth = |selector: &Selector| (selector.is_exact(), matches!(selector, Selector::Pin(..)));
    let mut named: Vec<&Selector> = selectors.iter().filter(names).collect();
    named.sort_by_key(|selector| std::cmp::Reverse(worth(selector)));
    let mut fitting = named.iter().filter_map(|one| Some((*one, fits(one)?)));
    (!named.is_empty(), fitting.next())
}

/// How many digests without a tag are named: nothing can leave them out.
pub(super) fn pins_in(selectors: &[Selector]) -> usize {
    let bare = |one: &&Selector| matches!(one, Selector::Pin(None, _));
    selectors.iter().filter(bare).count()
}

fn is_image(tag: &Tag) -> bool {
    !is_companion(tag.as_str())
}

/// What follows the version; without one, what follows the first `-`, as in `stable-alpine`.
fn suffix_of<'a>(tag: &'a Tag, version: Option<&'a Version>) -> &'a str {
    match version {
        Some(version) => version.suffix(),
        None => tag
            .as_str()
            .split_once('-')
            .map_or("", |(_, suffix)| suffix),
    }
}

/// The newest version among tags, by preference one without a suffix that is released.
fn newest(listed: &[Tag]) -> Option<Tag> {
    let images = listed.iter().filter(|tag| is_image(tag));
    let versions = images.filter_map(|tag| {
        let version = Version::of(tag.as_str()).filter(|version| version.len() > 1)?;
        Some((tag, version))
    });
    let plain = |version: &Version| version.suffix().is_empty() && !version.is_pre_release();
    let newest = versions.max_by(|(a, one), (b, other)| {
        let by_form = plain(one).cmp(&plain(other));
        by_form
            .then_with(|| one.cmp_age(other))
            .then_with(|| b.cmp(a))
    });
    newest.map(|(tag, _)| tag.clone())
}
