//! Which tags of a repository are copied. Pure: what a registry lists comes in, what is wanted comes
//! out.
//!
//! [`Selector`] names tags; [`Tags`] is the whole choice, a pipeline in this order: `include`,
//! `suffix`, `exclude`, `newer`, `sort`, `latest` with `per`, `also`, `min`.
//!
//! ```
//! use imgcopy::sync::select::Tags;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tags = Tags {
//!     include: vec![">=2".parse()?],
//!     latest: std::num::NonZeroUsize::new(1),
//!     ..Tags::default()
//! };
//! let listed = ["1.9", "2.0", "2.1", "2.1-alpine", "2.2-rc1"].map(|tag| tag.parse().unwrap());
//! let found = tags.candidates(Some(&listed));
//! let wanted = tags.choose(&found, std::time::SystemTime::now()).unwrap();
//! assert_eq!(wanted[0].tag.as_ref().unwrap().as_str(), "2.1");
//! # Ok(())
//! # }
//! ```

mod candidates;
mod choose;
mod nothing;
mod pattern;
mod range;
mod selector;
mod version;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use candidates::{Candidate, Found};
pub use choose::Wanted;
pub use nothing::Nothing;
pub(super) use nothing::span;
pub use pattern::Pattern;
pub use range::Range;
pub use selector::Selector;
pub use version::Version;

/// Which tags of a repository are copied. The steps are taken in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tags {
    /// What is looked at: what any of these selects.
    pub include: Vec<Selector>,
    /// Which suffixes are wanted, as globs: `alpine` for `1.27-alpine`, the empty one for `1.27`. With
    /// none given, ranges choose tags without a suffix, and globs and regular expressions any.
    /// Literals and pins are not asked.
    pub suffix: Vec<String>,
    /// What is left out of `include`.
    pub exclude: Vec<Selector>,
    /// Images that were made longer ago are left out. An image that does not tell, or tells a time
    /// before there were container images (reproducible builds do), stays.
    pub newer: Option<Duration>,
    /// In which order `latest` counts.
    pub sort: Sort,
    /// How many stay, the newest ones: of each line of `per`, and of each entry of `suffix`. Sorted by
    /// version, a tag without a version does not stay.
    pub latest: Option<NonZeroUsize>,
    /// What `latest` counts in.
    pub per: Option<Per>,
    /// What is copied in any case, with ranges as in `include`; nothing above is asked about it.
    pub also: Vec<Selector>,
    /// Fewer than this many are an error; and so is an `include` of which nothing is left, unless this
    /// is 0.
    pub min: usize,
}

/// How tags are sorted, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// By version; tags without one come last.
    #[default]
    Version,
    /// By their characters, the highest first: dates such as `2026-10-01`.
    Name,
    /// By when the images were made.
    Time,
}

/// Lines of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Versions with the same first number.
    Major,
    /// Versions with the same two first numbers.
    Minor,
}

impl Default for Tags {
    /// Nothing is selected; at least one tag must be.
    fn default() -> Self {
        Self {
            include: Vec::new(),
            suffix: Vec::new(),
            exclude: Vec::new(),
            newer: None,
            sort: Sort::default(),
            latest: None,
            per: None,
            also: Vec::new(),
            min: 1,
        }
    }
}

impl Tags {
    /// Whether the repository's list of tags is needed: literals and pins name themselves.
    pub fn needs_list(&self) -> bool {
        let mut selectors = self.include.iter().chain(&self.also);
        selectors.any(|selector| !selector.is_exact())
    }

    /// Whether it must be known when the images were made.
    pub fn needs_times(&self) -> bool {
        self.newer.is_some() || (self.sort == Sort::Time && self.latest.is_some())
    }

    /// Whether `latest` counts versions, so that nothing else can be among the newest.
    fn counts_versions(&self) -> bool {
        self.latest.is_some() && (self.sort == Sort::Version || self.per.is_some())
    }

    /// What contradicts itself whatever a registry lists.
    ///
    /// # Errors
    /// A clause for people, which names the key.
    pub fn check(&self) -> Result<(), String> {
        if self.include.is_empty() && self.also.is_empty() {
            return Err("no tags are selected; \"*\" is every tag".into());
        }
        for suffix in &self.suffix {
            Pattern::glob(suffix)
                .map_err(|why| format!("invalid suffix \"{}\": {why}", suffix.escape_debug()))?;
        }
        if self.per.is_some() && self.latest.is_none() {
            return Err("`per` says what `latest` counts in, and `latest` is missing".into());
        }
        let tags = self.include.iter().filter_map(|selector| match selector {
            Selector::Literal(tag) | Selector::Pin(Some(tag), _) => Some(tag),
            _ => None,
        });
        for tag in tags.filter(|_| self.counts_versions()) {
            if Version::of(tag.as_str()).is_none() {
                return Err(format!(
                    "\"{tag}\" has no version, so `latest` would leave it out: move it to `also`"
                ));
            }
        }
        self.check_pins()
    }

    fn check_pins(&self) -> Result<(), String> {
        let pins: Vec<_> = (self.include.iter().chain(&self.also))
            .filter_map(|selector| match selector {
                Selector::Pin(Some(tag), digest) => Some((tag, digest)),
                _ => None,
            })
            .collect();
        let clash = pins.iter().find(|(tag, digest)| {
            let differs = |(other, another): &&(_, _)| other == tag && another != digest;
            pins.iter().any(|pin| differs(&pin))
        });
        match clash {
            Some((tag, _)) => Err(format!("\"{tag}\" is pinned to two digests")),
            None => Ok(()),
        }
    }

    /// The selectors of `include` and `also` that choose nothing of a list, which may be mistakes.
    pub fn idle(&self, listed: &[crate::image::Tag]) -> Vec<&Selector> {
        let versions: Vec<_> = listed.iter().map(|tag| Version::of(tag.as_str())).collect();
        let idle = |selector: &&Selector| {
            let mut tags = listed.iter().zip(&versions);
            !matches!(selector, Selector::Pin(..))
                && !tags.any(|(tag, version)| selector.chooses(tag, version.as_ref()))
        };
        let selectors = self.include.iter().chain(&self.also);
        selectors.filter(idle).collect()
    }
}
