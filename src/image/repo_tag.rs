//! Image names as Docker writes them, `RepoTags` of an archive among them: `busybox`,
//! `busybox:1.36` and `docker.io/library/busybox:1.36` are one.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// A host, a repository path and a tag, completed as Docker completes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoTag {
    host: String,
    path: String,
    tag: String,
}

const HUB: &str = "docker.io";

impl FromStr for RepoTag {
    type Err = Error;

    /// The grammar of distribution/reference, `ParseNormalizedNamed`.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why: &str| {
            let shown: String = text.escape_debug().take(100).collect();
            Error::new(
                ErrorKind::Invalid,
                format!("invalid image name \"{shown}\": {why}"),
            )
        };
        let (host, rest) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (HUB, text),
        };
        let (path, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
        if !is_tag(tag) {
            return Err(invalid("the tag is not 1 to 128 of letters, digits, _ . -"));
        }
        if path.is_empty() || path.len() > 255 || !path.split('/').all(is_component) {
            return Err(invalid(
                "the repository must be lower-case letters and digits, joined by . _ - /",
            ));
        }
        let bare = host == HUB && !path.contains('/');
        Ok(Self {
            host: if host == "index.docker.io" { HUB } else { host }.to_string(),
            path: if bare {
                format!("library/{path}")
            } else {
                path.to_string()
            },
            tag: tag.to_string(),
        })
    }
}

/// The first component is a host if it looks like one, as Docker decides it.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.bytes().any(|c| c.is_ascii_uppercase())
}

fn is_tag(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|c| word(c) || c == b'.' || c == b'-')
}

/// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let edges = text.starts_with(alphanumeric) && text.ends_with(alphanumeric);
    edges
        && text
            .split(alphanumeric)
            .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|c| c == b'-'))
}

impl fmt::Display for RepoTag {
    /// The short form that Docker shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host == HUB {
            let path = self.path.strip_prefix("library/").unwrap_or(&self.path);
            write!(f, "{path}:{}", self.tag)
        } else {
            write!(f, "{}/{}:{}", self.host, self.path, self.tag)
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
