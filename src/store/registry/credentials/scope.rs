//! What a credential is for: a registry, or a part of one.

use std::fmt;
use std::str::FromStr;

use super::shown;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Repository;

/// A registry, or a namespace or repository there: `quay.io`, `localhost:5000/team/tool`.
///
/// These are the keys of containers-auth.json(5). A scope can only be made by parsing, so hosts are
/// compared whole, and no part of a name can pass for another host (S-37).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    registry: String,
    path: String,
}

impl Scope {
    /// The scope of exactly one repository.
    pub fn of(repository: &Repository) -> Self {
        Self {
            registry: repository.registry().to_string(),
            path: repository.path().to_string(),
        }
    }

    /// The registry as users call it: a host with an optional port; Docker Hub is `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The namespace or repository at the registry; empty for all of it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is all of a registry.
    pub fn is_whole_registry(&self) -> bool {
        self.path.is_empty()
    }

    /// The registry that it is a part of.
    pub(super) fn whole_registry(&self) -> Self {
        Self {
            registry: self.registry.clone(),
            path: String::new(),
        }
    }

    /// Itself and all that hold it, the most specific first.
    pub(super) fn outward(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(Some(self.clone()), |inner| {
            let path = match inner.path.rsplit_once('/') {
                Some((outer, _)) => outer.to_string(),
                None if inner.path.is_empty() => return None,
                None => String::new(),
            };
            let registry = inner.registry.clone();
            Some(Self { registry, path })
        })
    }

    /// A key of a credentials file. `None` if it is none that could fit a repository.
    ///
    /// Docker wrote URLs of the API for years, so `https://HOST/v1/` is HOST. Any other path stays:
    /// Docker keeps OAuth tokens under `https://index.docker.io/v1/access-token`, which are no login.
    pub(super) fn from_key(key: &str) -> Option<Self> {
        let bare = ["https://", "http://"]
            .into_iter()
            .find_map(|scheme| key.strip_prefix(scheme));
        let (host, path) = match bare.unwrap_or(key).split_once('/') {
            Some((host, path)) => (host, path),
            None => (bare.unwrap_or(key), ""),
        };
        let is_api = matches!(path, "v1/" | "v2/") || bare.is_some() && matches!(path, "v1" | "v2");
        Self::new(host, if is_api { "" } else { path }).ok()
    }

    fn new(host: &str, path: &str) -> Result<Self> {
        if path.is_empty() {
            // Any path does: the host alone is looked at.
            let registry = Repository::new(host, "any")?.registry().to_string();
            let path = String::new();
            return Ok(Self { registry, path });
        }
        Repository::new(host, path).map(|repository| Self::of(&repository))
    }
}

impl FromStr for Scope {
    type Err = Error;

    /// `HOST[:PORT][/PATH]`, as it is given to `login`.
    fn from_str(text: &str) -> Result<Self> {
        let (host, path) = match text.split_once('/') {
            Some((_, "")) => {
                let what = format!("invalid registry \"{}\": it ends with a slash", shown(text));
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            Some((host, path)) => (host, path),
            None => (text, ""),
        };
        if host.ends_with(':') && path.starts_with('/') {
            let what = format!(
                "invalid registry \"{}\": leave out the https:// in front",
                shown(text)
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Self::new(host, path)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.registry)?;
        match self.path.is_empty() {
            true => Ok(()),
            false => write!(f, "/{}", self.path),
        }
    }
}
