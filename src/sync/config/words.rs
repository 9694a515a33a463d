//! What a single text may be: formats of scalars.

use std::num::NonZeroUsize;

use crate::image::{Platform, Repository};
use crate::sync::select::{Selector, Tags};

use super::cron::Cron;
use super::origin::Origin;
use super::similar::did_you_mean;
use super::template::{TagTemplate, Template};
use super::units::{Bandwidth, duration, whole};
use crate::store::registry::{Rate, Share};

/// A format of a text.
#[derive(Debug)]
pub(super) struct Word {
    /// Why a text is not such.
    pub(super) check: fn(&str) -> Result<(), String>,
    /// What an editor can know of it.
    pub(super) shape: Shape,
}

/// What an editor can know of a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Nothing.
    Text,
    /// It is one of these.
    Choice(&'static [&'static str]),
    /// It is one of these, or something else.
    Suggestion(&'static [&'static str]),
    /// It is a whole number from here on.
    Count(u64),
    /// It is a whole number, or hundredths.
    Share,
    /// It matches a regular expression.
    Pattern(&'static str),
}

const fn word(check: fn(&str) -> Result<(), String>, shape: Shape) -> Word {
    Word { check, shape }
}

macro_rules! choice {
    ($name:ident, $($one:literal),+) => {
        pub(super) static $name: Word = word(
            |text| among(text, &[$($one),+]),
            Shape::Choice(&[$($one),+]),
        );
    };
}

choice!(INDEX, "trim", "sparse");
choice!(CHANGE, "update", "keep", "fail");
choice!(SORT, "version", "name", "time");
choice!(PER, "major", "minor");
choice!(TLS, "on", "insecure", "off");
choice!(PRUNE, "off", "report", "delete");
choice!(OCCASION, "failure", "change", "always");

pub(super) static VERSION: Word = word(
    |text| match text {
        "1" => Ok(()),
        _ => Err("this imgcopy knows version 1 only".into()),
    },
    Shape::Choice(&["1"]),
);
pub(super) static TEXT: Word = word(|_| Ok(()), Shape::Text);
pub(super) static PATH: Word = word(path, Shape::Text);
pub(super) static STATE: Word = word(
    |text| match text.contains("://") {
        true => Err("a registry is not supported yet; write a directory".into()),
        false => path(text),
    },
    Shape::Text,
);
pub(super) static FROM: Word = word(|text| Origin::parse(text).map(drop), Shape::Text);
pub(super) static TEMPLATE: Word = word(|text| text.parse::<Template>().map(drop), Shape::Text);
pub(super) static BACKUP: Word = word(
    |text| match text {
        "off" => Ok(()),
        _ => text.parse::<TagTemplate>().map(drop),
    },
    Shape::Suggestion(&["off", "{tag}.bak-{date}"]),
);
pub(super) static SELECTOR: Word = word(|text| text.parse::<Selector>().map(drop), Shape::Text);
pub(super) static SUFFIX: Word = word(suffix, Shape::Text);
pub(super) static PLATFORM: Word = word(platform, Shape::Text);
pub(super) static PLATFORMS: Word = word(
    |text| match text {
        "all" => Ok(()),
        _ => platform(text),
    },
    Shape::Suggestion(&["all", "linux/amd64", "linux/arm64"]),
);
pub(super) static ARTIFACT: Word = word(artifact, Shape::Pattern("/"));
pub(super) static REFERRERS: Word = word(
    |text| match text.contains('/') {
        true => artifact(text),
        false => among(text, &["all", "none"]),
    },
    Shape::Suggestion(&["all", "none"]),
);
pub(super) static DURATION: Word = word(
    |text| duration(text).map(drop),
    Shape::Pattern("^([0-9]+[ywdhms])+$"),
);
pub(super) static COUNT: Word = word(
    |text| match text.parse::<NonZeroUsize>() {
        Ok(_) if whole(text).is_some() => Ok(()),
        _ => Err("it must be a whole number from 1 on".into()),
    },
    Shape::Count(1),
);
pub(super) static ANY_COUNT: Word = word(
    |text| match whole(text).map(usize::try_from) {
        Some(Ok(_)) => Ok(()),
        _ => Err("it must be a whole number".into()),
    },
    Shape::Count(0),
);
pub(super) static SHARE: Word = word(|text| text.parse::<Share>().map(drop), Shape::Share);
pub(super) static RATE: Word = word(
    |text| text.parse::<Rate>().map(drop),
    Shape::Pattern("^[0-9]+/[smhd]$"),
);
pub(super) static BANDWIDTH: Word = word(
    |text| text.parse::<Bandwidth>().map(drop),
    Shape::Pattern("^[0-9]+([kKMGT]?B|[KMGT]iB)/s$"),
);
pub(super) static CRON: Word = word(|text| text.parse::<Cron>().map(drop), Shape::Text);
pub(super) static ZONE: Word = word(zone, Shape::Text);
/// An address may hold a secret, so it is not shown.
pub(super) static WEBHOOK: Word = word(
    |text| {
        let host = text
            .strip_prefix("https://")
            .or(text.strip_prefix("http://"));
        match host.is_some_and(|host| !host.is_empty() && !host.starts_with('/')) {
            true => Ok(()),
            false => Err("it must be an address that begins with https://".into()),
        }
    },
    Shape::Text,
);
pub(super) static HELPER: Word = word(
    |text| {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
        match !text.is_empty() && !text.starts_with(['.', '-']) && text.bytes().all(fits) {
            true => Ok(()),
            false => Err("it must be what follows docker-credential- in a program's name".into()),
        }
    },
    Shape::Text,
);
pub(super) static AUTH: Word = word(
    |text| match text {
        "none" => Ok(()),
        "ecr" | "gar" | "acr" => Err(format!(
            "{text} is not supported yet; {{helper: {}}} works where that program is",
            match text {
                "ecr" => "ecr-login",
                "gar" => "gcloud",
                _ => "acr-env",
            }
        )),
        _ => Err("it must be none, {user, pass}, {token} or {helper}".into()),
    },
    Shape::Choice(&["none"]),
);
pub(super) static MIRROR: Word = word(|text| super::origin::mirror(text).map(drop), Shape::Text);

fn suffix(text: &str) -> Result<(), String> {
    let tags = Tags {
        include: "*".parse().into_iter().collect(),
        suffix: vec![text.to_string()],
        ..Tags::default()
    };
    tags.check()
}

fn path(text: &str) -> Result<(), String> {
    match text.is_empty() || text.contains('\0') {
        true => Err("it must be a path".into()),
        false => Ok(()),
    }
}

fn platform(text: &str) -> Result<(), String> {
    let parsed = text.parse::<Platform>();
    parsed.map(drop).map_err(|why| why.to_string())
}

/// A media type: two words with a slash (RFC 6838).
fn artifact(text: &str) -> Result<(), String> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&c);
    let halves = text.split('/').filter(|half| !half.is_empty()).count();
    let slashes = text.matches('/').count();
    match halves == 2 && slashes == 1 && text.len() <= 255 && text.bytes().all(fits) {
        true => Ok(()),
        false => Err("an artifact type is as application/spdx+json".into()),
    }
}

fn among(text: &str, known: &[&'static str]) -> Result<(), String> {
    if known.contains(&text) {
        return Ok(());
    }
    let shown: String = text.escape_debug().take(60).collect();
    let advice = match did_you_mean(text, known.iter().copied()) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    };
    Err(format!(
        "\"{shown}\" is not one of {}{advice}",
        known.join(", ")
    ))
}

/// A registry's name, checked and completed.
pub(super) fn registry(text: &str) -> Result<String, String> {
    let parsed = Repository::new(text, "x").map_err(|why| why.to_string())?;
    Ok(parsed.registry().to_string())
}

fn zone(text: &str) -> Result<(), String> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"_+-/".contains(&c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if !begins || text.len() > 64 || !text.bytes().all(fits) {
        return Err("it must be a zone's name as in Europe/London".into());
    }
    if jiff::tz::TimeZone::get(text).is_ok() {
        return Ok(());
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|it| it.to_string())
        .collect();
    let lower: Vec<String> = known.iter().map(|it| it.to_lowercase()).collect();
    let meant = did_you_mean(text, lower.iter().map(String::as_str));
    let meant = known
        .iter()
        .find(|it| Some(it.to_lowercase().as_str()) == meant);
    Err(match meant {
        Some(meant) => format!("there is no such time zone; did you mean {meant}?"),
        None => "there is no such time zone; they are named as in Europe/London".into(),
    })
}
