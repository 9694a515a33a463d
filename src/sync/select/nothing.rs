//! That a choice left nothing, or too little, said so that one sees why.

use std::fmt::Write as _;
use std::time::Duration;

use super::range::shown;
use super::version::Version;
use crate::image::Tag;

/// A choice that left too little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nothing {
    pub(super) include: Vec<String>,
    pub(super) suffix: Vec<String>,
    pub(super) listed: Option<usize>,
    pub(super) newest: Option<Tag>,
    /// A tag that only its suffix, or that it is a pre-release, keeps out.
    pub(super) near: Option<Tag>,
    pub(super) step: Step,
}

/// Which step of the pipeline left too little, and how many tags there were before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Include,
    Exclude(usize),
    Newer(usize, Duration),
    Latest(usize),
    Min { left: usize, min: usize },
}

impl Nothing {
    /// A clause for people, about this repository: `no tag of quay.io/a/b matches ">=9" (312 tags,
    /// newest v3.4.1)`.
    pub fn told(&self, repository: &str) -> String {
        let of = shown(repository);
        if self.listed == Some(0) {
            return format!("{of} has no tags");
        }
        let include = quoted(&self.include, " or ");
        let mut told = match &self.step {
            Step::Include if self.suffix.is_empty() => format!("no tag of {of} matches {include}"),
            Step::Include => format!(
                "no tag of {of} matches {include} with suffix {}",
                quoted(&self.suffix, " or ")
            ),
            Step::Exclude(before) => {
                format!("`exclude` leaves out all {before} tags of {of} that match {include}")
            }
            Step::Newer(before, newer) => {
                let newer = span(*newer);
                format!(
                    "none of the {before} tags of {of} that match {include} is newer than {newer}"
                )
            }
            Step::Latest(before) => format!(
                "none of the {before} tags of {of} that match {include} has a version for `latest` to count"
            ),
            Step::Min { left, min } => {
                format!("{left} tags of {of} are selected, fewer than the {min} of `min`")
            }
        };
        told.push_str(&self.known());
        if let (Step::Include, Some(near)) = (self.step, &self.near) {
            let _ = write!(told, "; {}", why_not(near));
        }
        told
    }

    /// What is there instead, in brackets.
    fn known(&self) -> String {
        match (self.listed, &self.newest) {
            (None, _) => String::new(),
            (Some(1), Some(newest)) => format!(" (1 tag, {newest})"),
            (Some(1), None) => " (1 tag)".to_string(),
            (Some(listed), None) => format!(" ({listed} tags)"),
            (Some(listed), Some(newest)) => format!(" ({listed} tags, newest {newest})"),
        }
    }
}

/// Why a range does not choose a tag whose numbers it holds.
fn why_not(near: &Tag) -> String {
    match Version::of(near.as_str()) {
        Some(version) if version.is_pre_release() => format!(
            "\"{near}\" is a pre-release, which a range chooses only if it names one, as \">=1.2.0-0\" does"
        ),
        _ => format!("\"{near}\" has a suffix, which a range chooses only if `suffix` lists it"),
    }
}

fn quoted(texts: &[String], between: &str) -> String {
    let quoted: Vec<String> = texts
        .iter()
        .map(|text| format!("\"{}\"", shown(text)))
        .collect();
    quoted.join(between)
}

/// A span of time in its largest whole unit: `7 days`, `1 hour`, `90 seconds`.
pub(in crate::sync) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let whole = units
        .iter()
        .find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size));
    let (count, unit) = match whole {
        Some((size, unit)) => (seconds / size, *unit),
        None => (seconds, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
