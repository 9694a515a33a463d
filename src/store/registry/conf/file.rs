//! One file of registries.conf: from text to rules. Pure.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::prefix::{Namespace, Prefix};
use crate::error::{Attempt as _, Error, ErrorKind, Result};

/// A `[[registry]]` table.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) prefix: Prefix,
    /// The prefix as it was written.
    pub(super) written: String,
    /// What replaces the prefix; `None` if nothing does.
    pub(super) location: Option<Namespace>,
    pub(super) insecure: bool,
    pub(super) blocked: bool,
    pub(super) mirrors: Vec<Mirror>,
    /// The file that says so.
    pub(super) file: PathBuf,
}

impl Rule {
    /// The prefix, fit to be shown.
    pub(super) fn shown(&self) -> String {
        self.written.escape_debug().take(100).collect()
    }
}

/// A `[[registry.mirror]]` table.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    pub(super) location: Namespace,
    pub(super) insecure: bool,
    pub(super) pull: Pull,
}

/// For which images a mirror is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Pull {
    #[serde(alias = "")]
    All,
    DigestOnly,
    TagOnly,
}

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `registries.conf`, which may be of version 1.
    Main,
    /// A file of `registries.conf.d`, which must be of version 2.
    DropIn,
}

/// What a file may say. Other keys are left to other programs.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    registry: Vec<Table>,
    /// Version 1.
    #[serde(default)]
    registries: Lists,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Lists {
    insecure: List,
    block: List,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct List {
    registries: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    prefix: Option<Spanned<String>>,
    location: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorTable {
    location: Spanned<String>,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<Spanned<Pull>>,
}

/// The rules of a file. Each prefix comes once: of two equal ones the first counts, as in
/// containers/image.
///
/// # Errors
/// `Invalid`, with the file and the line.
pub(super) fn rules(text: &[u8], file: &Path, part: Part) -> Result<Vec<Rule>> {
    let reading = || format!("cannot read {}", file.display());
    let Ok(text) = std::str::from_utf8(text) else {
        let error = Error::new(ErrorKind::Invalid, "it is not UTF-8");
        return Err(error).attempting(reading);
    };
    let reader = Reader { text, file };
    reader.rules(part).attempting(reading)
}

struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
}

impl Reader<'_> {
    fn rules(&self, part: Part) -> Result<Vec<Rule>> {
        let document: Document = toml::from_str(self.text).map_err(|error| {
            let message = error.message().escape_debug().take(300).collect::<String>();
            self.wrong(error.span(), &message)
        })?;
        let lists = document.registries;
        let old = [&lists.block, &lists.insecure]
            .into_iter()
            .find_map(|list| list.registries.first());
        if let Some(first) = old {
            if part == Part::DropIn || !document.registry.is_empty() {
                let what = "the lists of version 1, [registries.block] and [registries.insecure], \
                    belong into a registries.conf of their own: write [[registry]] tables";
                return Err(self.wrong(Some(first.span()), what));
            }
            return self.listed(&lists);
        }
        let mut rules = Vec::new();
        for table in document.registry {
            let at = table.prefix.as_ref().or(table.location.as_ref());
            let at = at.map(Spanned::span);
            let rule = self.rule(table)?;
            self.add(&mut rules, rule, at)?;
        }
        Ok(rules)
    }

    /// Version 1 knows two lists that matter here.
    fn listed(&self, lists: &Lists) -> Result<Vec<Rule>> {
        let mut rules: Vec<Rule> = Vec::new();
        let block = lists.block.registries.iter().map(|name| (name, true));
        let insecure = lists.insecure.registries.iter().map(|name| (name, false));
        for (name, blocked) in block.chain(insecure) {
            let prefix = self.within(name, Prefix::parse)?;
            if let Some(known) = rules.iter_mut().find(|rule| rule.prefix == prefix) {
                known.insecure |= !blocked;
                continue;
            }
            rules.push(Rule {
                prefix,
                written: name.get_ref().clone(),
                location: None,
                insecure: !blocked,
                blocked,
                mirrors: Vec::new(),
                file: self.file.to_path_buf(),
            });
        }
        Ok(rules)
    }

    fn rule(&self, table: Table) -> Result<Rule> {
        // Users write prefix = "" for none.
        let given = |text: &Option<Spanned<String>>| {
            let text = text.clone();
            text.filter(|text| !text.get_ref().trim_end_matches('/').is_empty())
        };
        let (prefix, location) = (given(&table.prefix), given(&table.location));
        let Some(name) = prefix.as_ref().or(location.as_ref()) else {
            let at = table.prefix.or(table.location).map(|text| text.span());
            let what = "a [[registry]] has neither a prefix nor a location";
            return Err(self.wrong(at, what));
        };
        let parsed = self.within(name, Prefix::parse)?;
        // Without a prefix, the location is one, and replaces itself.
        let location = match (&parsed, prefix.is_some(), &location) {
            (Prefix::Image(..), ..) | (_, false, _) => None,
            (_, true, location) => location.as_ref(),
        };
        let location = location.map(|location| self.within(location, Namespace::parse));
        let digest_only = table.mirror_by_digest_only;
        let mirrors = table.mirror.iter();
        Ok(Rule {
            prefix: parsed,
            written: name.get_ref().clone(),
            location: location.transpose()?,
            insecure: table.insecure,
            blocked: table.blocked,
            mirrors: mirrors
                .map(|mirror| self.mirror(mirror, digest_only))
                .collect::<Result<_>>()?,
            file: self.file.to_path_buf(),
        })
    }

    fn mirror(&self, table: &MirrorTable, digest_only: bool) -> Result<Mirror> {
        let pull = match &table.pull_from_mirror {
            Some(pull) if digest_only => {
                let what = "pull-from-mirror and mirror-by-digest-only exclude each other: \
                    keep one of them";
                return Err(self.wrong(Some(pull.span()), what));
            }
            Some(pull) => *pull.get_ref(),
            None if digest_only => Pull::DigestOnly,
            None => Pull::All,
        };
        Ok(Mirror {
            location: self.within(&table.location, Namespace::parse)?,
            insecure: table.insecure,
            pull,
        })
    }

    fn add(&self, rules: &mut Vec<Rule>, rule: Rule, at: Option<Range<usize>>) -> Result<()> {
        let Some(first) = rules.iter().find(|other| other.prefix == rule.prefix) else {
            rules.push(rule);
            return Ok(());
        };
        // Which of the two is meant matters for safety, so nobody should have to guess.
        if (first.blocked, first.insecure) == (rule.blocked, rule.insecure) {
            return Ok(());
        }
        let shown = rule.shown();
        let what = format!(
            "\"{shown}\" is there twice, and blocked or insecure differs: keep one of them"
        );
        Err(self.wrong(at, &what))
    }

    /// Parses a value, and names its line if that fails.
    fn within<T>(&self, value: &Spanned<String>, parse: impl Fn(&str) -> Result<T>) -> Result<T> {
        parse(value.get_ref()).map_err(|error| self.wrong(Some(value.span()), &error.to_string()))
    }

    fn wrong(&self, at: Option<Range<usize>>, what: &str) -> Error {
        let before = at.and_then(|at| self.text.get(..at.start));
        let what = match before {
            Some(before) => format!("line {}: {what}", before.matches('\n').count() + 1),
            None => what.to_string(),
        };
        Error::new(ErrorKind::Invalid, what)
    }
}
