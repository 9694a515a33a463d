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
    /// The short form that Docker shows, unless it would be read as another image: Docker Hub may have
    /// `docker.io/quay.io/a`, and `docker.io/library/a/b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, tag } = self;
        let path = repository.path();
        let official = path.strip_prefix("library/").unwrap_or(path);
        let is_it = |short: &&str| short.parse().is_ok_and(|it: Repository| it == *repository);
        match [official, path].iter().find(|short| is_it(short)) {
            Some(short) => write!(f, "{short}:{tag}"),
            None => write!(f, "{repository}:{tag}"),
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
    fn a_short_form_is_never_that_of_another_image() {
        for (typed, shown) in [
            ("docker.io/quay.io/a:1", "docker.io/quay.io/a:1"),
            ("docker.io/localhost/a:1", "docker.io/localhost/a:1"),
            ("docker.io/library/a/b:1", "library/a/b:1"),
            ("docker.io/library/quay.io:1", "quay.io:1"),
            ("docker.io/library/quay.io/a:1", "library/quay.io/a:1"),
            ("FOO/a:1", "FOO/a:1"),
        ] {
            let tag: RepoTag = typed.parse().unwrap();
            assert_eq!(tag.to_string(), shown);
            assert_eq!(shown.parse::<RepoTag>().unwrap(), tag);
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
