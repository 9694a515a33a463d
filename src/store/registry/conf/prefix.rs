//! Prefixes and locations of `registries.conf`: parts of image names, matched and replaced.

use crate::error::{Error, ErrorKind, Result};
use crate::image::Repository;

/// A registry and perhaps a path there, below which repositories live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespace {
    registry: String,
    /// Empty for the whole registry.
    path: String,
}

impl Namespace {
    /// Reads `host[:port][/path]`. Slashes at the end do not count.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let text = text.trim_end_matches('/');
        if text.contains("://") {
            let shown: String = text.escape_debug().take(100).collect();
            let what = format!(
                "\"{shown}\" is a URL: leave out the scheme, and say insecure = true for HTTP"
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let (registry, path) = text.split_once('/').unwrap_or((text, ""));
        // Any path does to check a registry by itself.
        let place = Repository::new(registry, if path.is_empty() { "any" } else { path })?;
        Ok(Self {
            registry: place.registry().to_string(),
            path: path.to_string(),
        })
    }

    /// What of a repository's path lies below this; `None` if the repository does not.
    fn below<'a>(&self, repository: &'a Repository) -> Option<&'a str> {
        if repository.registry() != self.registry {
            return None;
        }
        if self.path.is_empty() {
            return Some(repository.path());
        }
        let rest = repository.path().strip_prefix(&self.path)?;
        match rest.is_empty() {
            true => Some(rest),
            false => rest.strip_prefix('/'),
        }
    }

    /// The repository that lies here under `rest`, which may be empty.
    ///
    /// # Errors
    /// `Invalid` if that names no repository: a mere host, or too long a path.
    pub(super) fn join(&self, rest: &str) -> Result<Repository> {
        let parts = [self.path.as_str(), rest];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Repository::new(&self.registry, &parts.join("/"))
    }
}

/// Which images a `[[registry]]` table is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prefix {
    /// All below a namespace, and the repository of just that name.
    Below(Namespace),
    /// All at the subdomains of a host, which is written with a dot in front: `.example.com`.
    Subdomains(String),
    /// One tag or digest of a repository.
    Image(Namespace, String),
}

impl Prefix {
    /// Reads a prefix in one of the forms of containers-registries.conf(5), "Choosing a
    /// `[[registry]]` TOML table".
    pub(super) fn parse(text: &str) -> Result<Self> {
        if let Some(host) = text.strip_prefix("*.") {
            let domain = Namespace::parse(host)?;
            if !domain.path.is_empty() || host.contains([':', '/']) {
                let shown: String = text.escape_debug().take(100).collect();
                let what = format!("\"{shown}\" has more than a host behind `*.`");
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            return Ok(Self::Subdomains(format!(".{}", domain.registry)));
        }
        // A colon in the first component is that of a port.
        let path_at = text.find('/').unwrap_or(text.len());
        match text.find('@').or_else(|| text.rfind(':')) {
            Some(at) if at > path_at => {
                let (repository, name) = text.split_at(at);
                let repository = repository.rsplit_once(':').map_or(repository, |(left, _)| {
                    if left.len() > path_at {
                        left
                    } else {
                        repository
                    }
                });
                Ok(Self::Image(Namespace::parse(repository)?, name.to_string()))
            }
            _ => Namespace::parse(text).map(Self::Below),
        }
    }

    /// What of a repository's path follows the prefix; `None` if the prefix does not fit.
    ///
    /// A host without a port does not stand for the same host with one. (containers/image takes it
    /// so, and says in its sources that nobody should rely on that.)
    pub(super) fn rest<'a>(&self, repository: &'a Repository) -> Option<&'a str> {
        match self {
            Self::Below(namespace) => namespace.below(repository),
            Self::Image(namespace, _) => namespace.below(repository).filter(|it| it.is_empty()),
            Self::Subdomains(domain) => {
                let registry = repository.registry();
                let host = registry.split_once(':').map_or(registry, |(host, _)| host);
                host.ends_with(domain).then_some(repository.path())
            }
        }
    }

    /// Whether it is for a single tag or digest.
    pub(super) fn is_for_one_image(&self) -> bool {
        matches!(self, Self::Image(..))
    }

    /// How closely it fits: of two prefixes that fit, the greater one counts, which is the longer
    /// one. A wildcard is shorter than any name that it stands for, so a name in full wins.
    pub(super) fn closeness(&self) -> usize {
        match self {
            Self::Below(it) => it.registry.len() + it.path.len(),
            Self::Image(it, name) => it.registry.len() + it.path.len() + name.len(),
            Self::Subdomains(domain) => domain.len(),
        }
    }
}
