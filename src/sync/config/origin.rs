//! Where images come from, as it is written in `from`.

use crate::error::Error;
use crate::image::{Name, Platform, Reference, Repository};
use crate::sync::select::Selector;

use super::pattern::is_glob;
use super::types::From;
use super::words;
use crate::store::registry::Mirror;

/// What `from` says.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) from: From,
    /// The tag, or digest, that it names itself, if the place is a registry.
    pub(super) tag: Option<Selector>,
}

const LOCAL: [&str; 5] = [
    "oci:",
    "dir:",
    "docker-archive:",
    "oci-archive:",
    "docker-daemon:",
];

impl Origin {
    /// Takes a reference apart.
    ///
    /// # Errors
    /// A clause for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if LOCAL.iter().any(|prefix| text.starts_with(prefix)) {
            let reference: Reference = text.parse().map_err(|why: Error| why.to_string())?;
            if reference.is_stdio() {
                return Err("stdin can be read once only; write the archive's path".into());
            }
            let from = From::Local(reference);
            return Ok(Self { from, tag: None });
        }
        let rest = text.strip_prefix("docker://").unwrap_or(text);
        if let Some((scheme, _)) = rest.split_once("://") {
            let shown: String = scheme.escape_debug().take(40).collect();
            return Err(format!(
                "{shown}:// is no place to read from; leave it out for a registry"
            ));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (rest, None),
        };
        if is_glob(repository) {
            return Err(
                "globs of repositories are not supported yet; write an entry for each".into(),
            );
        }
        if tag == Some("") {
            return Err("a tag must follow the colon".into());
        }
        let selector = match (tag, digest) {
            (None, None) => None,
            (tag, None) => tag.map(str::to_string),
            (tag, Some(digest)) => Some(format!("{}@{digest}", tag.unwrap_or_default())),
        };
        let tag = selector.map(|text| text.parse::<Selector>()).transpose()?;
        let from = From::Registry(repository.parse().map_err(|why: Error| why.to_string())?);
        Ok(Self { from, tag })
    }
}

/// `HOST` or `HOST/PREFIX`.
///
/// # Errors
/// A clause for people.
pub(super) fn mirror(text: &str) -> Result<Mirror, String> {
    if text.contains("://") {
        return Err("leave the scheme out: HOST or HOST/PREFIX".into());
    }
    let (host, prefix) = text.split_once('/').unwrap_or((text, ""));
    let registry = words::registry(host)?;
    if text.contains('/') {
        Repository::new(host, prefix).map_err(|why: Error| why.to_string())?;
    }
    Ok(Mirror {
        registry,
        prefix: prefix.to_string(),
    })
}

/// Platforms, where a single `all` stands for none in particular.
pub(super) fn platforms<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<Platform> {
    let named = texts.filter(|text| *text != "all");
    named.filter_map(|text| text.parse().ok()).collect()
}

/// The only name of a local place, if `from` has one.
pub(super) fn own_name(from: &From) -> Option<&Name> {
    match from {
        From::Local(reference) if from.is_single() => Some(reference.name()),
        From::Local(_) | From::Registry(_) => None,
    }
}
