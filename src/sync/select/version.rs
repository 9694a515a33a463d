//! Versions as tags write them, which is less than semantic versioning asks for: `1.27`, `v1.2.3.4`,
//! `3.14.0rc1-slim`, `1.27-alpine3.20`.

use std::cmp::Ordering;
use std::fmt;

/// Words that make what follows the numbers a pre-release, with their order: a nightly build comes
/// before an alpha, and that before a release candidate.
const WORDS: [(&str, u8); 22] = [
    ("canary", 0),
    ("dev", 0),
    ("devel", 0),
    ("edge", 0),
    ("nightly", 0),
    ("snapshot", 0),
    ("unstable", 0),
    ("a", 1),
    ("alpha", 1),
    ("b", 2),
    ("beta", 2),
    ("ea", 3),
    ("m", 3),
    ("milestone", 3),
    ("next", 3),
    ("pre", 3),
    ("prerelease", 3),
    ("preview", 3),
    ("test", 3),
    ("c", 4),
    ("cr", 4),
    ("rc", 4),
];

/// Words that are one only as Python writes them, with no mark before and a number behind: `3.14.0a2`.
const ATTACHED: [&str; 3] = ["a", "b", "c"];

/// The version that a tag begins with, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: Vec<Number>,
    pre: Vec<Part>,
    suffix: String,
}

/// A number of any length, without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(String);

/// A part of a pre-release: `rc` and `1` of `rc1`. Numbers come before words, as in semantic
/// versioning; words come in the order of [`WORDS`], then by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(Number),
    Word(u8, String),
}

impl Number {
    fn new(digits: &str) -> Self {
        Self(digits.trim_start_matches('0').to_string())
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_zero() { "0" } else { &self.0 })
    }
}

impl Version {
    /// Reads a tag: an optional `v`, one to four numbers, a pre-release, a suffix. `None` if it does
    /// not begin so.
    pub fn of(tag: &str) -> Option<Self> {
        let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
        let (numbers, rest) = numbers(text)?;
        let (pre, rest) = pre_release(rest);
        let suffix = match rest.strip_prefix(['-', '_', '.']) {
            // A fifth number, or a mark with nothing behind it.
            Some("") => return None,
            Some(more) if rest.starts_with('.') && starts_with_digit(more) => return None,
            Some(suffix) => suffix,
            None => rest,
        };
        Some(Self {
            numbers,
            pre,
            suffix: suffix.to_string(),
        })
    }

    /// How many numbers it has, 1 to 4.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Never: a version has a number.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether it is a pre-release: `2.0-rc1`, `2.0.0-beta.2`, `3.14.0a1`.
    pub fn is_pre_release(&self) -> bool {
        !self.pre.is_empty()
    }

    /// What follows, without the mark in front: `alpine` of `1.27-alpine`. Empty if nothing does.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// The first `count` numbers, `0` for those that are not written: what `per` goes by.
    pub(super) fn line(&self, count: usize) -> String {
        let zero = Number(String::new());
        let number = |at| self.numbers.get(at).unwrap_or(&zero).to_string();
        let numbers: Vec<String> = (0..count).map(number).collect();
        numbers.join(".")
    }

    /// The same version as if it were released.
    pub(super) fn released(&self) -> Self {
        Self {
            pre: Vec::new(),
            ..self.clone()
        }
    }

    /// The same version with `0` as its pre-release, which is older than any other (`-0` in a range).
    pub(super) fn with_numbers_as_pre(mut self) -> Self {
        let suffix = std::mem::take(&mut self.suffix);
        let parts = suffix.split('.').map(|n| Part::Number(Number::new(n)));
        self.pre = parts.collect();
        self
    }

    /// How its first `count` numbers compare with the other's.
    pub(super) fn cmp_numbers(&self, other: &Self, count: usize) -> Ordering {
        let zero = Number(String::new());
        let pairs = (0..count).map(|at| {
            let number = |of: &Self| of.numbers.get(at).unwrap_or(&zero).clone();
            number(self).cmp(&number(other))
        });
        pairs
            .into_iter()
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Which is older: by numbers, then a pre-release before its release. Suffixes do not count.
    pub fn cmp_age(&self, other: &Self) -> Ordering {
        let by_pre = || match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre.cmp(&other.pre),
        };
        let count = self.len().max(other.len());
        self.cmp_numbers(other, count).then_with(by_pre)
    }

    /// How many numbers there are up to the first that is not 0, all if there is none: what `^` keeps.
    pub(super) fn leading(&self) -> usize {
        let first = self.numbers.iter().position(|number| !number.is_zero());
        first.map_or(self.len(), |at| at + 1)
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Splits behind the digits, or the letters, that a text begins with.
fn run(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn numbers(text: &str) -> Option<(Vec<Number>, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let (digits, after) = run(rest, |c| c.is_ascii_digit());
        if digits.is_empty() {
            return None;
        }
        found.push(Number::new(digits));
        match after.strip_prefix('.') {
            Some(more) if found.len() < 4 && starts_with_digit(more) => rest = more,
            _ => return Some((found, after)),
        }
    }
}

/// The pre-release at the beginning, and what is left.
fn pre_release(text: &str) -> (Vec<Part>, &str) {
    let inner = text.strip_prefix(['-', '_', '.']);
    let (word, mut rest) = run(inner.unwrap_or(text), |c| c.is_ascii_alphabetic());
    let lower = word.to_ascii_lowercase();
    let attached = inner.is_none() && starts_with_digit(rest);
    let known = WORDS.iter().find(|(word, _)| *word == lower);
    let Some((_, rank)) = known.filter(|(word, _)| match *word {
        word if ATTACHED.contains(&word) => attached,
        "m" => starts_with_digit(rest),
        _ => true,
    }) else {
        return (Vec::new(), text);
    };
    let mut parts = vec![Part::Word(*rank, lower)];
    // `rc1`, `rc-1`, `rc_1`; a number that goes on with letters is a suffix: `rc-3d`.
    let marked = rest.strip_prefix(['-', '_']).unwrap_or(rest);
    let (digits, after) = run(marked, |c| c.is_ascii_digit());
    if !digits.is_empty() && !after.starts_with(|c: char| c.is_ascii_alphabetic()) {
        parts.push(Part::Number(Number::new(digits)));
        rest = after;
    }
    // `rc.1`, `dev.20240101.abc`
    while let Some(more) = rest.strip_prefix('.') {
        let (part, after) = run(more, |c| c.is_ascii_alphanumeric());
        match part {
            "" => break,
            part if part.bytes().all(|c| c.is_ascii_digit()) => {
                parts.push(Part::Number(Number::new(part)));
            }
            part => parts.push(Part::Word(0, part.to_ascii_lowercase())),
        }
        rest = after;
    }
    (parts, rest)
}
