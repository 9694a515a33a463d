//! One selector: how some tags of a repository are named. Its characters tell its kind, since a tag
//! has letters, digits and `_ . -` only.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::pattern::Pattern;
use super::range::{Range, shown};
use super::version::Version;
use crate::image::companion::is_companion;
use crate::image::{Digest, Tag};

/// Names some tags of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// This tag: `1.27`.
    Literal(Tag),
    /// This digest, under this tag if there is one: `1.27@sha256:…`, `@sha256:…`.
    Pin(Option<Tag>, Digest),
    /// Tags like this: `1.2*-alpine`, `v?.[0-9]`.
    Glob(Pattern),
    /// Tags whose version is in a range: `>=2.45 <3`, `^3`.
    Range(Range),
    /// Tags that a regular expression fits from end to end: `/v\d+/`.
    Regex(Pattern),
}

impl Selector {
    /// Whether it says by itself what it names, so that no list of tags is needed.
    pub fn is_exact(&self) -> bool {
        matches!(self, Selector::Literal(_) | Selector::Pin(..))
    }

    /// Whether a tag is among those it names, for leaving out, protecting and keeping (`exclude`,
    /// `immutable`, `prune.keep`): a range means every suffix and pre-release of its versions.
    pub fn covers(&self, tag: &Tag) -> bool {
        let text = tag.as_str();
        match self {
            Selector::Literal(own) => own == tag,
            Selector::Pin(own, _) => own.as_ref() == Some(tag),
            Selector::Glob(pattern) | Selector::Regex(pattern) => pattern.is_match(text),
            Selector::Range(range) => {
                Version::of(text).is_some_and(|version| range.covers(&version))
            }
        }
    }

    /// Whether it chooses a tag of a list to be copied. Tags that belong to an image (signatures,
    /// lists of referrers) travel with it, so only a literal chooses them. Suffixes are not looked
    /// at here.
    pub(super) fn chooses(&self, tag: &Tag, version: Option<&Version>) -> bool {
        match self {
            Selector::Literal(own) => own == tag,
            Selector::Pin(..) => false,
            _ if is_companion(tag.as_str()) => false,
            Selector::Glob(pattern) | Selector::Regex(pattern) => pattern.is_match(tag.as_str()),
            Selector::Range(range) => version.is_some_and(|version| range.chooses(version)),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    /// The error is a clause for people.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = if text.starts_with('/') {
            Pattern::regex(text).map(Selector::Regex)
        } else if text.starts_with(['>', '<', '=', '^', '~', '!']) {
            text.parse().map(Selector::Range)
        } else if text.contains('@') {
            pin(text)
        } else if text.contains(['*', '?', '[', '{']) {
            Pattern::glob(text).map(Selector::Glob)
        } else {
            literal(text).map(Selector::Literal)
        };
        parsed.map_err(|why| format!("invalid selector \"{}\": {why}", shown(text)))
    }
}

fn literal(text: &str) -> Result<Tag, String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    let tag: Option<Tag> = text.parse().ok();
    let tag = tag.filter(|tag| tag.check_for_registry().is_ok());
    tag.ok_or_else(|| match text.contains(' ') {
        true => "a range begins with one of >= > <= < = != ^ ~, as in \">=1.2 <3\"".into(),
        false => "a tag has 1 to 128 letters, digits and _ . -, and begins with none of . -".into(),
    })
}

fn pin(text: &str) -> Result<Selector, String> {
    let (tag, digest) = text.split_once('@').unwrap_or((text, ""));
    let digest = digest
        .parse()
        .map_err(|error: crate::error::Error| error.to_string())?;
    match tag {
        "" => Ok(Selector::Pin(None, digest)),
        tag => Ok(Selector::Pin(Some(literal(tag)?), digest)),
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Literal(tag) => tag.fmt(f),
            Selector::Pin(Some(tag), digest) => write!(f, "{tag}@{digest}"),
            Selector::Pin(None, digest) => write!(f, "@{digest}"),
            Selector::Glob(pattern) | Selector::Regex(pattern) => pattern.fmt(f),
            Selector::Range(range) => range.fmt(f),
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
