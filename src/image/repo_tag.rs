//! Image names as Docker writes them, `RepoTags` of an archive among them: `busybox`,
//! `busybox:1.36` and `docker.io/library/busybox:1.36` are one.

use std::fmt;
use std::str::FromStr;

use super::{Repository, Tag};
use crate::error::{Error, ErrorKind, Result};

/// A repository and a tag, completed as Docker completes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoTag {
    repository: Repository,
    tag: Tag,
}

impl RepoTag {
    /// The repository, completed.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// With the registry, also where Docker leaves it out: `docker.io/library/busybox:1.36`.
    pub fn in_full(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}

impl FromStr for RepoTag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (repository, tag) = split_tag(text);
        let parsed = || {
            let tag: Tag = tag.unwrap_or("latest").parse()?;
            tag.check_for_registry()?;
            Ok(Self {
                repository: repository.parse()?,
                tag,
            })
        };
        parsed().map_err(|why: Error| {
            let shown: String = text.escape_debug().take(100).collect();
            Error::new(
                ErrorKind::Invalid,
                format!("invalid image name \"{shown}\": {why}"),
            )
        })
    }
}

/// Splits `repository:tag`; a colon before the last slash belongs to a port.
pub(super) fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (text, None),
    }
}

impl fmt::Display for RepoTag {
    /// The short form that Docker shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, tag } = self;
        if repository.registry() == Repository::HUB {
            let path = repository.path();
            write!(f, "{}:{tag}", path.strip_prefix("library/").unwrap_or(path))
        } else {
            write!(f, "{repository}:{tag}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_names_are_completed() {
        for (typed, shown) in [
            ("busybox", "busybox:latest"),
            ("library/busybox:1.36", "busybox:1.36"),
            ("docker.io/library/busybox:1.36", "busybox:1.36"),
            ("corpus/tiny:base", "corpus/tiny:base"),
            ("localhost/corpus/x:1", "localhost/corpus/x:1"),
            ("127.0.0.1:5057/art/oras:v1", "127.0.0.1:5057/art/oras:v1"),
            ("a__b/c--d.e:T_1", "a__b/c--d.e:T_1"),
        ] {
            assert_eq!(typed.parse::<RepoTag>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        for bad in [
            "",
            ":",
            "UPPER/Case:tag",
            "Upper",
            "a//b",
            "a:b c",
            "a_-b",
            "-a",
            "a:",
            "x/../y",
            "a\nb",
        ] {
            assert!(bad.parse::<RepoTag>().is_err(), "{bad}");
        }
    }
}
