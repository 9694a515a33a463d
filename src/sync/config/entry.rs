//! One entry of `images`, with what `defaults` add to it.

use crate::copy::Subset;
use crate::image::{Name, Tag};
use crate::sync::select::{Per, Selector, Sort, Tags};

use super::check::check;
use super::keys;
use super::origin::{Origin, own_name, platforms};
use super::problem::Problems;
use super::read::{all, chosen, duration, parsed, texts};
use super::template::Template;
use super::tree::{Mark, Node, Value};
use super::types::{Change, Entry, From, Referrers};

/// An entry and the maps that complete it, the nearest first. The maps may be of another file, so
/// nothing is told about places in them.
pub(super) struct Layers<'t> {
    pub(super) own: &'t Node,
    pub(super) defaults: &'t [&'t Node],
}

impl Layers<'_> {
    fn get(&self, key: &str) -> Option<&Node> {
        let own = self.own.get(key);
        own.or_else(|| self.defaults.iter().find_map(|map| map.get(key)))
    }

    /// Where a key of the entry is, or the entry itself.
    fn at(&self, key: &str) -> Mark {
        self.own.pair(key).map_or(self.own.at, |pair| pair.value.at)
    }
}

const INDEX: [(&str, Subset); 2] = [("trim", Subset::Trim), ("sparse", Subset::Sparse)];
const CHANGE: [(&str, Change); 3] = [
    ("update", Change::Update),
    ("keep", Change::Keep),
    ("fail", Change::Fail),
];
const SORT: [(&str, Sort); 3] = [
    ("version", Sort::Version),
    ("name", Sort::Name),
    ("time", Sort::Time),
];
const PER: [(&str, Per); 2] = [("major", Per::Major), ("minor", Per::Minor)];

/// Reads an entry. `None` if something is wrong with it, which is told here or was told before.
pub(super) fn entry(layers: &Layers<'_>, problems: &mut Problems) -> Option<Entry> {
    let own = layers.own;
    let mut found = Problems::new(problems.position(own.at).file);
    check(own, &keys::ENTRY, "images", &mut found);
    if !found.is_empty() {
        // All of it was told by the check of the whole file; what would follow from it is not.
        return None;
    }
    let from = match &own.value {
        Value::Map(_) => own.get("from")?.text()?,
        _ => own.text()?,
    };
    let origin = Origin::parse(from).ok()?;
    let tags = tags(layers, &origin, from, problems)?;
    let to = to(layers, &origin.from, &tags, problems)?;
    let get = |key| layers.get(key);
    let platforms = platforms(texts(get("platforms")));
    if own.get("index").is_some() && platforms.is_empty() {
        let what = "`index` says what becomes of an index of which some `platforms` are copied, and all are";
        problems.add(layers.at("index"), what);
    }
    let backup = get("backup").filter(|node| node.text() != Some("off"));
    Some(Entry {
        at: problems.position(own.at),
        from: origin.from,
        tags,
        to,
        platforms,
        index: chosen(get("index"), &INDEX).unwrap_or(Subset::Trim),
        referrers: referrers(get("referrers")),
        change: chosen(get("change"), &CHANGE).unwrap_or(Change::Update),
        immutable: all(get("immutable")),
        backup: parsed(backup),
    })
}

fn referrers(node: Option<&Node>) -> Referrers {
    let types: Vec<String> = all(node);
    match types
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] if node.is_some_and(|node| matches!(node.value, Value::List(_))) => Referrers::None,
        [] | ["all"] => Referrers::All,
        ["none"] => Referrers::None,
        _ => Referrers::Types(types),
    }
}

/// Which tags. A missing choice is not "every tag".
fn tags(layers: &Layers<'_>, origin: &Origin, from: &str, problems: &mut Problems) -> Option<Tags> {
    let is_said = layers.own.get("tags").is_some();
    if let Some(tag) = &origin.tag {
        if is_said {
            let what =
                format!("`from` names {tag} already: leave it out there, or leave `tags` out");
            problems.add(layers.at("tags"), what);
            return None;
        }
        return Some(Tags {
            include: vec![tag.clone()],
            ..Tags::default()
        });
    }
    if origin.from.is_single() {
        if is_said {
            let what = "`from` names one image itself: leave `tags` out";
            problems.add(layers.at("tags"), what);
            return None;
        }
        return Some(Tags::default());
    }
    let Some(node) = layers.get("tags") else {
        problems.add(layers.own.at, no_tags(&origin.from, from));
        return None;
    };
    let tags = chosen_tags(node);
    if let Err(why) = tags.check() {
        problems.add(layers.at("tags"), format!("`tags`: {why}"));
        return None;
    }
    Some(tags)
}

fn chosen_tags(node: &Node) -> Tags {
    if !matches!(node.value, Value::Map(_)) {
        return Tags {
            include: all(Some(node)),
            ..Tags::default()
        };
    }
    Tags {
        include: all(node.get("include")),
        suffix: all(node.get("suffix")),
        exclude: all(node.get("exclude")),
        newer: duration(node.get("newer")),
        sort: chosen(node.get("sort"), &SORT).unwrap_or_default(),
        latest: parsed(node.get("latest")),
        per: chosen(node.get("per"), &PER),
        also: all(node.get("also")),
        min: parsed(node.get("min")).unwrap_or(1),
    }
}

fn no_tags(from: &From, typed: &str) -> String {
    let typed: String = typed.escape_debug().take(200).collect();
    match from {
        From::Registry(repository) => format!(
            "{repository} has no tags selected; write `{typed}:latest`, or `tags: \"*\"` for every tag"
        ),
        From::Local(_) => format!(
            "{typed} has no tags selected; write `{}:NAME`, or `tags: \"*\"` for every image",
            typed.trim_end_matches(':')
        ),
    }
}

fn to(
    layers: &Layers<'_>,
    from: &From,
    tags: &Tags,
    problems: &mut Problems,
) -> Option<Vec<Template>> {
    let node = layers.get("to");
    let to: Vec<Template> = all(node);
    if to.is_empty() {
        let is_told = node.is_some_and(|node| !matches!(node.value, Value::List(_)));
        if !is_told {
            let what = "it goes nowhere: write `to` here or in `defaults`";
            problems.add(layers.own.at, what);
        }
        return None;
    }
    let sample = match sample(from, tags) {
        Sample::Tag(tag) => Some(tag),
        Sample::None => None,
        Sample::Unknown => return Some(to),
    };
    let mut is_right = true;
    for template in &to {
        if let Err(why) = template.expand(from, sample.as_ref()) {
            problems.add(layers.at("to"), format!("`to`: {why}"));
            is_right = false;
        }
    }
    is_right.then_some(to)
}

/// With what templates can be tried.
enum Sample {
    /// A tag that the entry has, or could have.
    Tag(Tag),
    /// The image has none.
    None,
    /// Only the place knows its names.
    Unknown,
}

fn sample(from: &From, tags: &Tags) -> Sample {
    if let Some(name) = own_name(from) {
        return name.tag().cloned().map_or(Sample::None, Sample::Tag);
    }
    if let From::Local(_) = from {
        return Sample::Unknown;
    }
    let exact = tags.include.iter().chain(&tags.also);
    let mut digests_only = false;
    for selector in exact {
        match selector {
            Selector::Literal(tag) | Selector::Pin(Some(tag), _) => {
                return Sample::Tag(tag.clone());
            }
            Selector::Pin(None, _) => digests_only = true,
            _ => {}
        }
    }
    match digests_only && !tags.needs_list() {
        true => Sample::None,
        false => "1".parse().map_or(Sample::Unknown, Sample::Tag),
    }
}

/// The names that an entry surely takes, as far as the file alone tells: literals that nothing leaves
/// out.
pub(super) fn certain(entry: &Entry) -> Vec<Option<Tag>> {
    if let Some(name) = own_name(&entry.from) {
        return match name {
            Name::Tag(tag) => vec![Some(tag.clone())],
            _ => vec![None],
        };
    }
    let tags = &entry.tags;
    let stays = |tag: &Tag| {
        tags.newer.is_none()
            && tags.latest.is_none()
            && !tags.exclude.iter().any(|selector| selector.covers(tag))
    };
    let exact = |selector: &Selector| match selector {
        Selector::Literal(tag) | Selector::Pin(Some(tag), _) => Some(Some(tag.clone())),
        Selector::Pin(None, _) => Some(None),
        _ => None,
    };
    let included = tags.include.iter().filter_map(exact);
    let included = included.filter(|tag| tag.as_ref().is_none_or(stays));
    let mut all: Vec<Option<Tag>> = included.collect();
    for tag in tags.also.iter().filter_map(exact) {
        // `include` and `also` may name one tag.
        if !all.contains(&tag) {
            all.push(tag);
        }
    }
    all
}
