//! Platforms: which machine an image is for (OCI image specification, "Image Index": `platform`).
//!
//! Users write them as containerd and Docker do, and entries are matched as the tools of
//! containers/image match them: an exact variant first, then the best one that such a CPU can run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// What a platform is, for choosing from an index. What documents say is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Platform {
    /// CPU, in Go's words: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Operating system, in Go's words: `linux`, `windows`.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system; Windows has it.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// Variant of the CPU: `v7`, `v8`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// How well an image fits a platform that was asked for: the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fit {
    variant: u32,
    version: u32,
}

/// An image that does not say its variant fits any, but a variant that fits is better.
const UNSAID: u32 = u32::MAX;

/// The longest word that is taken from a user or shown, in characters.
const WORD_LIMIT: usize = 64;

/// How many platforms an error lists.
const LIST_LIMIT: usize = 16;

impl Platform {
    /// This machine, in Go's words. Images are Linux's unless something else is asked for.
    pub fn of_this_machine() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86" => "386",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            other => other,
        };
        let here = Self {
            architecture: architecture.to_string(),
            os: "linux".to_string(),
            ..Self::default()
        };
        here.normalized()
    }

    /// The same platform in Go's words, as containerd normalises it: `x86_64` is `amd64`, `aarch64`
    /// and `arm64/v8` are `arm64`, `armhf` is `arm/v7`, `macos` is `darwin`.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let os = self.os.to_ascii_lowercase();
        let architecture = self.architecture.to_ascii_lowercase();
        let variant = self.variant.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "" | "v1" | "1") => ("amd64", ""),
            ("x86_64" | "x86-64", other) => ("amd64", other),
            ("i386", _) => ("386", ""),
            ("aarch64" | "arm64", "" | "v8" | "8") => ("arm64", ""),
            ("aarch64", other) => ("arm64", other),
            ("armhf", _) | ("arm", "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            same => same,
        };
        Self {
            architecture: architecture.to_string(),
            os: if os == "macos" { "darwin".into() } else { os },
            os_version: self.os_version.clone(),
            variant: variant.to_string(),
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.os.is_empty() && self.architecture.is_empty()
    }

    /// Whether it is `unknown/unknown`: by this BuildKit keeps runtimes from choosing an attestation.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Whether an image for `other` serves somebody who asks for this platform.
    pub fn is_served_by(&self, other: &Platform) -> bool {
        self.fit(other).is_some()
    }

    /// How well an image for `other` serves somebody who asks for this platform.
    pub(crate) fn fit(&self, other: &Platform) -> Option<Fit> {
        let (wanted, other) = (self.normalized(), other.normalized());
        if wanted.os != other.os || wanted.architecture != other.architecture {
            return None;
        }
        Some(Fit {
            variant: variant_distance(&wanted, &other)?,
            version: version_distance(&wanted.os_version, &other.os_version)?,
        })
    }

    /// Of the things that are for a platform, the one that serves best; among equals the first.
    pub fn best<'p, T>(&self, offered: impl IntoIterator<Item = (&'p Platform, T)>) -> Option<T> {
        offered
            .into_iter()
            .filter_map(|(platform, what)| Some((self.fit(platform)?, what)))
            .min_by_key(|(fit, _)| *fit)
            .map(|(_, what)| what)
    }

    /// The error for an index that has nothing for this platform: it lists what there is.
    pub(crate) fn not_among<'p>(&self, offered: impl IntoIterator<Item = &'p Platform>) -> Error {
        let mut known: Vec<String> = Vec::new();
        for platform in offered {
            let shown = platform.to_string();
            if !platform.is_empty() && !platform.is_unknown() && !known.contains(&shown) {
                known.push(shown);
            }
        }
        let more = known.len().saturating_sub(LIST_LIMIT);
        known.truncate(LIST_LIMIT);
        let mut what = match known.is_empty() {
            true => format!("the index has no image for {self}, nor for any platform"),
            false => format!(
                "the index has no image for {self}; it has {}",
                known.join(", ")
            ),
        };
        if more > 0 {
            what = format!("{what} and {more} more");
        }
        Error::new(ErrorKind::NotFound, what)
    }
}

/// How far a variant is from the wanted one; `None` if such a CPU cannot run it. Both normalised.
/// The order for `arm` without a variant is that of containers/image.
fn variant_distance(wanted: &Platform, other: &Platform) -> Option<u32> {
    if wanted.variant == other.variant {
        return Some(0);
    }
    match (level(wanted), level(other)) {
        (Some(wanted), Some(other)) => wanted.checked_sub(other),
        (None, Some(other)) if wanted.architecture == "arm" && wanted.variant.is_empty() => {
            Some(1000 - other)
        }
        _ => other.variant.is_empty().then_some(UNSAID),
    }
}

/// The number of a variant, less than 1000, where higher CPUs run what lower ones do.
fn level(platform: &Platform) -> Option<u32> {
    match (platform.architecture.as_str(), platform.variant.as_str()) {
        ("amd64", "") => Some(1),
        ("arm64", "") => Some(8),
        ("amd64" | "arm64" | "arm", variant) => {
            let number = variant.strip_prefix('v')?;
            number.parse().ok().filter(|number| *number < 1000)
        }
        _ => None,
    }
}

/// A version is wanted exactly, or any that begins with the wanted parts: of Windows all revisions
/// of a build run on one another.
fn version_distance(wanted: &str, other: &str) -> Option<u32> {
    if wanted.is_empty() || wanted == other {
        return Some(0);
    }
    let rest = other.strip_prefix(wanted)?;
    rest.starts_with('.').then_some(1)
}

impl FromStr for Platform {
    type Err = Error;

    /// `OS/ARCHITECTURE[/VARIANT][:VERSION]`, or containerd's `OS(VERSION)/ARCHITECTURE[/VARIANT]`.
    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            let shown: String = text.escape_debug().take(100).collect();
            let what = format!(
                "invalid platform \"{shown}\": write OS/ARCHITECTURE, as in linux/amd64, \
                 linux/arm/v7 or windows/amd64:10.0.17763"
            );
            Error::new(ErrorKind::Invalid, what)
        })
    }
}

fn parse(text: &str) -> Option<Platform> {
    let (words, after) = match text.split_once(':') {
        Some((words, version)) => (words, Some(version)),
        None => (text, None),
    };
    let mut words = words.split('/');
    let (os, architecture, variant) = (words.next()?, words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    let (os, inside) = match os.strip_suffix(')') {
        Some(os) => {
            let (os, version) = os.split_once('(')?;
            (os, Some(version))
        }
        None => (os, None),
    };
    let version = match (inside, after) {
        (Some(_), Some(_)) => return None,
        (inside, after) => inside.or(after),
    };
    let said = [Some(os), Some(architecture), variant, version];
    if !said.into_iter().flatten().all(is_word) {
        return None;
    }
    let platform = Platform {
        architecture: architecture.to_string(),
        os: os.to_string(),
        os_version: version.unwrap_or_default().to_string(),
        variant: variant.unwrap_or_default().to_string(),
    };
    Some(platform.normalized())
}

fn is_word(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"_.-".contains(&c);
    (1..=WORD_LIMIT).contains(&text.len()) && text.bytes().all(fits)
}

impl fmt::Display for Platform {
    /// As users write it. What a document says is escaped and cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(&self.os, f)?;
        f.write_str("/")?;
        shown(&self.architecture, f)?;
        if !self.variant.is_empty() {
            f.write_str("/")?;
            shown(&self.variant, f)?;
        }
        if !self.os_version.is_empty() {
            f.write_str(":")?;
            shown(&self.os_version, f)?;
        }
        Ok(())
    }
}

fn shown(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut letters = text.chars();
    for letter in letters.by_ref().take(WORD_LIMIT) {
        write!(f, "{}", letter.escape_debug())?;
    }
    match letters.next() {
        Some(_) => f.write_str("..."),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
