//! How an image is chosen inside a place.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::Digest;
use crate::error::{Error, ErrorKind, Result};

/// A name that a place gives to an image: `latest`, or in archives and directories a whole
/// `localhost/app:2`. Letters, digits and `. _ - : @ + /`, as the OCI image layout specification
/// allows for `org.opencontainers.image.ref.name`, and as registries allow for tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a registry can give it to an image: 1 to 128 letters, digits, `_ . -` (OCI
    /// distribution specification, "Pulling manifests").
    ///
    /// # Errors
    /// `Invalid` if not.
    pub fn check_for_registry(&self) -> Result<()> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"_.-".contains(&c);
        match self.0.len() <= 128 && self.0.bytes().all(fits) {
            true => Ok(()),
            false => {
                let shown: String = self.0.escape_debug().take(100).collect();
                let what = format!(
                    "invalid tag \"{shown}\": it must be 1 to 128 of letters, digits, _ . -"
                );
                Err(Error::new(ErrorKind::Invalid, what))
            }
        }
    }
}

impl FromStr for Tag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-:@+/".contains(&c);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_');
        if !begins || text.len() > 512 || !text.bytes().all(fits) {
            let shown: String = text.escape_debug().take(100).collect();
            let why = match begins || text.is_empty() {
                true => "it must be 1 to 512 of letters, digits, . _ - : @ + /",
                false => "it must begin with a letter, a digit or _",
            };
            let what = format!("invalid name \"{shown}\": {why}");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Self(text.to_string()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// How an image is chosen inside a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Nothing was said: the only image there.
    Sole,
    /// By its tag.
    Tag(Tag),
    /// By the digest of its manifest.
    Digest(Digest),
    /// By its tag, which must stand for this digest.
    Pinned(Tag, Digest),
    /// By its position, counted from 0.
    At(usize),
}

impl Name {
    /// The tag, if it is one.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Name::Tag(tag) | Name::Pinned(tag, _) => Some(tag),
            _ => None,
        }
    }
}

impl FromStr for Name {
    type Err = Error;

    /// What follows a path: nothing, a tag, or `@` and a position.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Name::Sole);
        }
        match text.strip_prefix('@') {
            None => Ok(Name::Tag(text.parse()?)),
            Some(position) => position.parse().map(Name::At).map_err(|_| {
                let what = format!(
                    "invalid position \"@{}\": a number follows the @",
                    position.escape_debug()
                );
                Error::new(ErrorKind::Invalid, what)
            }),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Sole => f.write_str("the only image"),
            Name::Tag(tag) => tag.fmt(f),
            Name::Digest(digest) => digest.fmt(f),
            Name::Pinned(tag, digest) => write!(f, "{tag}@{digest}"),
            Name::At(position) => write!(f, "@{position}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!("".parse::<Name>().unwrap(), Name::Sole);
        assert_eq!("@2".parse::<Name>().unwrap(), Name::At(2));
        let tag = "localhost/corpus/oci-amd64:2";
        assert_eq!(tag.parse::<Name>().unwrap().tag().unwrap().as_str(), tag);
        for bad in [
            "@",
            "@x",
            "@-1",
            "@99999999999999999999",
            "a b",
            "é",
            ".x",
            "a\nb",
            "-x",
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
