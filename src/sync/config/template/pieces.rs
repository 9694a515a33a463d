//! A text with placeholders.

use std::time::SystemTime;

use crate::error::Result;
use crate::sync::config::similar::did_you_mean;

/// Stands for the image's own name where no name is written. It cannot be typed.
pub(super) const OWN: &str = "\0own";

/// A text with placeholders, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(&'static str),
}

/// What a placeholder stands for.
pub(super) enum Filled {
    Text(String),
    /// A registry, whose colon can stand in a path only as something else.
    Registry(String),
}

impl Pattern {
    /// Takes a text apart.
    pub(super) fn parse(text: &str, known: &[&'static str]) -> Result<Self, String> {
        if text == OWN {
            return Ok(Self(vec![Piece::Placeholder("own")]));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("a { is not closed".into());
            };
            pieces.push(Piece::Text(before.to_string()));
            match known.iter().find(|it| **it == name) {
                Some(name) => pieces.push(Piece::Placeholder(name)),
                None => return Err(unknown(name, known)),
            }
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_string()));
        let stray = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('}'));
        match pieces.iter().any(stray) {
            true => Err("a } closes nothing".into()),
            false => Ok(Self(pieces)),
        }
    }

    /// Whether a placeholder occurs.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(&Piece::Placeholder(match name {
            "tag" => "tag",
            "own" => "own",
            _ => return false,
        }))
    }

    /// Puts in what placeholders stand for.
    pub(super) fn fill(&self, value: impl Fn(&str) -> Result<Filled>) -> Result<String> {
        let mut text = String::new();
        let mut was_empty = false;
        for piece in &self.0 {
            match piece {
                // Without a namespace its slash would stand alone.
                Piece::Text(piece) if was_empty => {
                    text += piece.strip_prefix('/').unwrap_or(piece);
                    was_empty = false;
                }
                Piece::Text(piece) => text += piece,
                Piece::Placeholder(name) => match value(name)? {
                    Filled::Registry(registry) if !text.is_empty() => {
                        text += &registry.replace(':', "-");
                    }
                    Filled::Registry(value) | Filled::Text(value) => {
                        was_empty = value.is_empty();
                        text += &value;
                    }
                },
            }
        }
        Ok(text)
    }
}

fn unknown(name: &str, known: &[&'static str]) -> String {
    let shown: String = name.escape_debug().take(40).collect();
    let all: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => format!("unknown placeholder {{{shown}}}; did you mean {{{near}}}?"),
        None => format!(
            "unknown placeholder {{{shown}}}; known are {}",
            all.join(" ")
        ),
    }
}

/// A time in UTC as ISO 8601 writes it without separators, which a tag may hold.
pub(super) fn date(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Hinnant's `civil_from_days`: years begin in March, so that leap days come last.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = match month < 10 {
        true => (month + 3, 0),
        false => (month - 9, 1),
    };
    let year = year + era * 400 + later;
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}
