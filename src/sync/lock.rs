//! `sync.lock`: which digest each tag stood for when somebody looked. Made to be reviewed: a line for
//! each image, sorted, `REPOSITORY:TAG@DIGEST`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use futures_util::{StreamExt as _, stream};

use crate::error::{Error, ErrorKind, Result};
use crate::image::{Digest, Name, Tag};

use super::config::{Entry, From};
use super::lanes::Health;
use super::places::Places;
use super::select;

/// What tags stood for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock(BTreeMap<(String, Tag), Digest>);

/// What the file begins with.
const HEAD: &str = "# What `imgcopy sync --locked` copies. Written by `imgcopy lock`.";
/// Files of a gigabyte are no such files.
const LIMIT: usize = 64 << 20;

impl Lock {
    /// Adds what a tag stands for. `place` is the source as users know it, without the tag.
    pub fn add(&mut self, place: &str, tag: &Tag, digest: &Digest) {
        let key = (place.to_string(), tag.clone());
        self.0.insert(key, digest.clone());
    }

    /// The tags of a place that are locked.
    pub fn tags(&self, place: &str) -> Vec<Tag> {
        let own = self.0.keys().filter(|(other, _)| other == place);
        own.map(|(_, tag)| tag.clone()).collect()
    }

    /// The name with the digest that is locked. A digest needs no lock.
    pub fn pinned(&self, place: &str, name: &Name) -> Option<Name> {
        match name {
            Name::Tag(tag) => {
                let key = (place.to_string(), tag.clone());
                self.0.get(&key).cloned().map(Name::Digest)
            }
            other => Some(other.clone()),
        }
    }
}

/// How many tags are asked about at once.
const QUESTIONS: usize = 64;

/// What the chosen tags of registries stand for now.
///
/// # Errors
/// `NotFound` if one stands for nothing; otherwise what asking gives.
pub(super) async fn of(
    entries: &[Entry],
    chosen: &[Vec<select::Wanted>],
    places: &Places,
    health: &Health,
) -> Result<Lock> {
    let mut asked = BTreeMap::new();
    for (entry, chosen) in entries.iter().zip(chosen) {
        if let From::Registry(repository) = &entry.from {
            let tags = chosen.iter().filter_map(|wanted| wanted.name.tag());
            asked.extend(tags.map(|tag| ((repository, tag), &entry.from)));
        }
    }
    let questions: Vec<_> = asked
        .into_iter()
        .map(|((repository, tag), from)| async move {
            let source = places.source(from)?;
            let name = Name::Tag(tag.clone());
            let found = health
                .ask(repository.registry(), source.resolve(&name))
                .await?;
            let missing =
                || Error::new(ErrorKind::NotFound, format!("{source} has no image {tag}"));
            Ok::<_, Error>((from.to_string(), tag, found.ok_or_else(missing)?.digest))
        })
        .collect();
    let mut answers = stream::iter(questions).buffer_unordered(QUESTIONS);
    let mut lock = Lock::default();
    while let Some(answer) = answers.next().await {
        let (place, tag, digest) = answer?;
        lock.add(&place, tag, &digest);
    }
    Ok(lock)
}

impl FromStr for Lock {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |number: usize, why: &str| {
            let what = format!("line {} of the lock: {why}", number + 1);
            Error::new(ErrorKind::Invalid, what)
        };
        if text.len() > LIMIT {
            return Err(invalid(0, "the file is too large"));
        }
        let mut lock = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parsed = line.rsplit_once('@').and_then(|(image, digest)| {
                let (place, tag) = image.rsplit_once(':')?;
                Some((place.to_string(), tag.parse().ok()?, digest.parse().ok()?))
            });
            let (place, tag, digest) =
                parsed.ok_or_else(|| invalid(number, "it is not REPOSITORY:TAG@DIGEST"))?;
            if lock.0.insert((place, tag), digest).is_some() {
                return Err(invalid(number, "the tag is locked twice"));
            }
        }
        Ok(lock)
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        for ((place, tag), digest) in &self.0 {
            writeln!(f, "{place}:{tag}@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_sorted_and_read_as_it_was_written() {
        let mut lock = Lock::default();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        for (place, tag, digest) in [
            ("quay.io/x/y", "v2", &a),
            ("localhost:5000/x", "1", &b),
            ("quay.io/x/y", "v10", &b),
        ] {
            lock.add(place, &tag.parse().unwrap(), digest);
        }
        let text = lock.to_string();
        let lines: Vec<&str> = text
            .lines()
            .skip(1)
            .map(|line| line.split('@').next().unwrap())
            .collect();
        assert_eq!(
            lines,
            ["localhost:5000/x:1", "quay.io/x/y:v10", "quay.io/x/y:v2"]
        );
        assert_eq!(text.parse::<Lock>().unwrap(), lock);
        let windows = text.replace('\n', "\r\n\r\n");
        assert_eq!(windows.parse::<Lock>().unwrap(), lock);
        let name = Name::Tag("v2".parse().unwrap());
        assert_eq!(lock.pinned("quay.io/x/y", &name), Some(Name::Digest(a)));
        assert_eq!(lock.pinned("quay.io/x", &name), None);
    }

    #[test]
    fn what_is_no_lock_is_refused_with_its_line() {
        let digest = Digest::of(b"a");
        let twice = format!("a/b:1@{digest}\na/b:1@{digest}\n");
        for (bad, line) in [
            ("x", 1),
            ("\na:b@sha256:1", 2),
            (twice.as_str(), 2),
            ("@:", 1),
        ] {
            let error = bad.parse::<Lock>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("line {line} of the lock: ")),
                "{error}"
            );
        }
    }
}
