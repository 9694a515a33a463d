//! Version ranges: `>=2.45 <3`, `^3`, `~1.4`, `=1.27`, `>=1.2 !=1.5.0`, `^1 || ^3`.
//!
//! The grammar is that of regsync and `skopeo sync` (Masterminds/semver), without what reads as two
//! things: comparators stand beside each other, parted by spaces or commas, and all must hold; `||`
//! parts alternatives. A bound with fewer numbers stands for all below it: `=1.2` is every 1.2.x, and
//! `>1.2` begins at 1.3. `^` keeps the first number that is not 0, `~` the first two (`~1`: the first).
//!
//! A tag must have two to four numbers: a single one is too often a date or the number of a build.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::version::Version;

/// A set of versions.
#[derive(Debug, Clone)]
pub struct Range {
    text: String,
    alternatives: Vec<Vec<Comparator>>,
}

#[derive(Debug, Clone)]
struct Comparator {
    operator: Operator,
    bound: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
    Unequal,
    Caret,
    Tilde,
}

/// As they are written, the longer ones first.
const OPERATORS: [(&str, Operator); 8] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("!=", Operator::Unequal),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("=", Operator::Equal),
    ("^", Operator::Caret),
    ("~", Operator::Tilde),
];

/// How many numbers a tag must have to be compared with a range.
const FEWEST_NUMBERS: usize = 2;

impl Range {
    /// Whether a version is in it as users mean it when they choose images: a pre-release is, only if
    /// the alternative names one, as `>=2.0.0-rc.1` or, for all of them, `>=2.0.0-0`.
    pub(super) fn chooses(&self, version: &Version) -> bool {
        version.len() >= FEWEST_NUMBERS
            && self.alternatives.iter().any(|all| {
                let open = !version.is_pre_release() || names_pre_release(all);
                open && all.iter().all(|one| one.holds(version))
            })
    }

    /// Whether a version is in it as users mean it when they leave images out or protect them: a
    /// pre-release is where its release is, unless the alternative names one.
    pub(super) fn covers(&self, version: &Version) -> bool {
        version.len() >= FEWEST_NUMBERS
            && self.alternatives.iter().any(|all| {
                let version = match names_pre_release(all) {
                    true => version.clone(),
                    false => version.released(),
                };
                all.iter().all(|one| one.holds(&version))
            })
    }
}

fn names_pre_release(all: &[Comparator]) -> bool {
    all.iter().any(|one| one.bound.is_pre_release())
}

impl Comparator {
    fn holds(&self, version: &Version) -> bool {
        let bound = &self.bound;
        let age = version.cmp_age(bound);
        // Without a pre-release, a bound stands for all that begins with its numbers.
        let block = match bound.is_pre_release() {
            true => age,
            false => version.cmp_numbers(bound, bound.len()),
        };
        let at_least = age.is_ge();
        let within = |count| at_least && version.cmp_numbers(bound, count) == Ordering::Equal;
        match self.operator {
            Operator::AtLeast => at_least,
            Operator::Above => block.is_gt(),
            Operator::Below => block.is_lt(),
            Operator::AtMost => block.is_le(),
            Operator::Equal => block.is_eq() && at_least,
            Operator::Unequal => !(block.is_eq() && at_least),
            Operator::Caret => within(bound.leading()),
            Operator::Tilde => within(bound.len().min(2)),
        }
    }
}

impl FromStr for Range {
    type Err = String;

    /// The error is a clause for people.
    fn from_str(text: &str) -> Result<Self, String> {
        let alternatives = text.split("||").map(comparators);
        Ok(Self {
            text: text.to_string(),
            alternatives: alternatives.collect::<Result<_, _>>()?,
        })
    }
}

fn comparators(text: &str) -> Result<Vec<Comparator>, String> {
    let mut found = Vec::new();
    let mut rest = trimmed(text);
    if rest.is_empty() {
        return Err("a comparison is missing, as in \">=1.2 <3\"".into());
    }
    while !rest.is_empty() {
        let end = |text: &str| text.find([' ', ',', '\t']).unwrap_or(text.len());
        let Some((written, operator)) = OPERATORS.iter().find(|(op, _)| rest.starts_with(op))
        else {
            let (word, _) = rest.split_at(end(rest));
            return Err(format!(
                "\"{}\" has no operator before it: write one of >= > <= < = != ^ ~",
                shown(word)
            ));
        };
        // A space behind the operator is common.
        let bound = rest.strip_prefix(written).unwrap_or_default().trim_start();
        let (bound, after) = bound.split_at(end(bound));
        found.push(Comparator {
            operator: *operator,
            bound: read_bound(written, bound)?,
        });
        rest = trimmed(after);
    }
    Ok(found)
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', ',', '\t'])
}

fn read_bound(operator: &str, text: &str) -> Result<Version, String> {
    if text.is_empty() {
        return Err(format!("no version follows the {operator}"));
    }
    if let Some(rest) = text.strip_prefix(['=', '>', '<']) {
        let other = shown(rest);
        return Err(format!(
            "\"{operator}{}\" is no operator: write >={other} or <={other}",
            text.chars().next().unwrap_or_default()
        ));
    }
    // `1.2.x` is `1.2`.
    let mut numbers = text;
    while let Some(shorter) = [".x", ".X", ".*"]
        .iter()
        .find_map(|any| numbers.strip_suffix(any))
    {
        numbers = shorter;
    }
    let version = Version::of(numbers)
        .ok_or_else(|| format!("\"{}\" is no version of one to four numbers", shown(text)))?;
    let suffix = version.suffix();
    if suffix.is_empty() {
        return Ok(version);
    }
    // `-0` and such: semantic versioning's way to name the first of all pre-releases.
    if suffix.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        return Ok(version.with_numbers_as_pre());
    }
    Err(format!(
        "\"{}\" of \"{}\" is no pre-release; which suffixes are wanted stands in `suffix`",
        shown(suffix),
        shown(text)
    ))
}

/// What may be shown of a text from outside.
pub(super) fn shown(text: &str) -> String {
    text.escape_debug().take(100).collect()
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Range {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Range {}
