//! Where images go, written once for many: `registry.corp/mirror/{repo}:{tag}`.

mod pieces;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result};
use crate::image::{RepoTag, Repository, Tag};

use super::From;
use pieces::{Filled, Pattern};
pub use target::{Place, Target};

/// What may stand between braces in [`Template`].
const OF_IMAGE: [&str; 6] = ["registry", "repo", "namespace", "name", "flat", "tag"];
/// What may stand between braces in [`TagTemplate`].
const OF_TAG: [&str; 2] = ["tag", "date"];

/// Where an image goes: a reference with placeholders.
///
/// | written | stands for |
/// |---|---|
/// | `{registry}` | the source's registry; in a path with `-` for the colon before a port |
/// | `{repo}` | its path there: `library/nginx` |
/// | `{namespace}` | the path without its last part: `library`. Where there is none, the slash after it goes, too |
/// | `{name}` | the last part of the path: `nginx` |
/// | `{flat}` | the path with `-` for each slash: `library-nginx` |
/// | `{tag}` | the tag |
///
/// A registry is written `HOST/PATH[:TAG]`; without a tag, `:{tag}` is added. Into `oci:DIR` and
/// archives goes what is written after the path as a name. Without one, images keep their own names,
/// `nginx:1.27`; where the path of `oci:` tells repositories apart, the tag alone is the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    kind: Kind,
    /// Everything but the name: the repository, or the path.
    place: Pattern,
    /// The tag, or the name in a directory or archive.
    name: Pattern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Registry,
    OciDir,
    OciArchive,
    DockerArchive,
}

impl Template {
    /// Where an image goes. `tag` is its tag, or the name it has in a local place (`app:1.2`); `None`
    /// where it has none.
    ///
    /// # Errors
    /// `Invalid` if the template asks for what the image does not have, or if what comes out is no
    /// reference.
    pub fn expand(&self, from: &From, tag: Option<&Tag>) -> Result<Target> {
        let source = Source::of(from, tag);
        let place = self.place.fill(|name| source.checked(name, self.kind))?;
        let name = self.name.fill(|name| source.value(name, self.kind))?;
        let place = match self.kind {
            Kind::Registry => Place::Registry(place.parse::<Repository>()?),
            Kind::OciDir => Place::OciDir(place.into()),
            Kind::OciArchive => Place::OciArchive(place.into()),
            Kind::DockerArchive => Place::DockerArchive(place.into()),
        };
        let name: Tag = match self.kind {
            // `docker load` gives images these names: they must be such.
            Kind::DockerArchive => name.parse::<RepoTag>()?.to_string().parse()?,
            _ => name.parse()?,
        };
        if self.kind == Kind::Registry {
            name.check_for_registry()?;
        }
        Ok(Target { place, name })
    }

    /// Whether everything goes under one name, whatever its tag.
    pub fn is_fixed(&self) -> bool {
        !self.place.has("tag") && !self.name.has("tag") && !self.name.has("own")
    }
}

/// The path of a template that is a directory or an archive, and what kind it is.
fn local(text: &str) -> Option<(Kind, &str)> {
    let kinds = [
        ("oci:", Kind::OciDir),
        ("oci-archive:", Kind::OciArchive),
        ("docker-archive:", Kind::DockerArchive),
    ];
    let mut kinds = kinds.into_iter();
    kinds.find_map(|(prefix, kind)| Some((kind, text.strip_prefix(prefix)?)))
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, place, name) = match local(text) {
            Some((kind, rest)) => {
                let (path, name) = rest.split_once(':').unwrap_or((rest, ""));
                let name = local_name(kind, path, name);
                if path.is_empty() || path == crate::image::STDIO {
                    return Err("it must name a file or a directory".into());
                }
                (kind, path, name)
            }
            None => {
                let (place, tag) = registry(text)?;
                (Kind::Registry, place, tag.unwrap_or("{tag}").to_string())
            }
        };
        Ok(Self {
            text: text.to_string(),
            kind,
            place: Pattern::parse(place, &OF_IMAGE)?,
            name: Pattern::parse(&name, &OF_IMAGE)?,
        })
    }
}

/// The name in a directory or archive, completed. [`pieces::OWN`] is the image's own name.
fn local_name(kind: Kind, path: &str, name: &str) -> String {
    let tells_apart = ["{repo}", "{name}", "{flat}"]
        .iter()
        .any(|it| path.contains(it));
    match kind {
        Kind::OciDir if name.is_empty() && tells_apart => "{tag}".to_string(),
        _ if name.is_empty() => pieces::OWN.to_string(),
        Kind::DockerArchive if !name.contains(':') => format!("{name}:{{tag}}"),
        _ => name.to_string(),
    }
}

/// The repository and the tag. The host must be said: else a forgotten host would write to Docker Hub.
fn registry(text: &str) -> Result<(&str, Option<&str>), String> {
    let shown: String = text.escape_debug().take(200).collect();
    let rest = text.strip_prefix("docker://").unwrap_or(text);
    if let Some((scheme, _)) = rest.split_once("://") {
        let scheme: String = scheme.escape_debug().take(40).collect();
        return Err(format!(
            "{scheme}:// is no place to write to; write HOST/PATH, oci:DIR, oci-archive:FILE or docker-archive:FILE"
        ));
    }
    let others = ["docker-daemon:", "dir:", "containers-storage:"];
    if let Some(other) = others.iter().find(|it| rest.starts_with(**it)) {
        return Err(format!(
            "{other} is not supported yet as a destination of sync; registries, oci:, oci-archive: and docker-archive: are"
        ));
    }
    if rest.contains('@') {
        return Err("it cannot have a digest: images keep theirs".into());
    }
    let (place, tag) = match rest.rsplit_once(':') {
        Some((place, tag)) if !tag.contains('/') && place.contains('/') => (place, Some(tag)),
        _ => (rest, None),
    };
    let is_host = |host: &str| host.contains(['.', ':', '{']) || host == "localhost";
    match place.split_once('/') {
        Some((host, path)) if is_host(host) && !path.is_empty() => Ok((place, tag)),
        Some((host, path)) if is_host(host) && path.is_empty() => Err(format!(
            "\"{shown}\" names no repository; write {host}/{{repo}}"
        )),
        None if is_host(place) && !place.contains('{') => Err(format!(
            "\"{shown}\" names no repository; write {shown}/{{repo}}"
        )),
        _ => Err(format!(
            "\"{shown}\" names no registry; write HOST/{shown}, or docker.io/{shown} if Docker Hub is meant"
        )),
    }
}

impl fmt::Display for Template {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is known of an image for filling a template.
struct Source<'a> {
    repository: Option<Repository>,
    tag: Option<String>,
    /// The whole name in a local place.
    name: Option<&'a str>,
}

impl<'a> Source<'a> {
    fn of(from: &From, tag: Option<&'a Tag>) -> Self {
        let name = tag.map(Tag::as_str);
        if let From::Registry(repository) = from {
            return Self {
                repository: Some(repository.clone()),
                tag: name.map(str::to_string),
                name: None,
            };
        }
        // Archives and engines have whole names; an OCI directory may have tags only.
        let whole = name.filter(|name| name.contains([':', '/']));
        let parts = whole.and_then(|name| {
            let repository = name.parse::<RepoTag>().ok()?.repository().clone();
            let tag = match name.rsplit_once(':') {
                Some((_, tag)) if !tag.contains('/') => tag,
                _ => "latest",
            };
            Some((repository, tag.to_string()))
        });
        let (repository, tag) = match parts {
            Some((repository, tag)) => (Some(repository), Some(tag)),
            None => (None, name.map(str::to_string)),
        };
        Self {
            repository,
            tag,
            name,
        }
    }

    /// A value for a path. Names in local places may hold what would lead elsewhere (`x/../../y`).
    fn checked(&self, name: &str, kind: Kind) -> Result<Filled> {
        match (name, self.tag.as_deref()) {
            ("tag", Some(tag)) if tag.contains('/') => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "\"{}\" has a slash: it cannot be part of a path",
                    tag.escape_debug()
                ),
            )),
            _ => self.value(name, kind),
        }
    }

    fn value(&self, name: &str, kind: Kind) -> Result<Filled> {
        let text = match (name, &self.repository) {
            ("tag", _) => self.tag.clone(),
            ("own", repository) => self.own(repository.as_ref()),
            (_, None) => None,
            ("registry", Some(repository)) => {
                return Ok(Filled::Registry(repository.registry().to_string()));
            }
            ("repo", Some(repository)) => Some(repository.path().to_string()),
            ("flat", Some(repository)) => Some(repository.path().replace('/', "-")),
            ("namespace", Some(repository)) => {
                let path = repository.path();
                let (namespace, _) = path.rsplit_once('/').unwrap_or_default();
                Some(namespace.to_string())
            }
            (_, Some(repository)) => {
                let path = repository.path();
                Some(path.rsplit('/').next().unwrap_or(path).to_string())
            }
        };
        text.map(Filled::Text)
            .ok_or_else(|| self.unknown(name, kind))
    }

    /// The name that an image keeps: as Docker shows it, so that `docker load` gives it back.
    fn own(&self, repository: Option<&Repository>) -> Option<String> {
        match (repository, &self.tag) {
            (Some(repository), Some(tag)) => {
                let whole: RepoTag = format!("{repository}:{tag}").parse().ok()?;
                Some(whole.to_string())
            }
            _ => self.name.map(str::to_string),
        }
    }

    fn unknown(&self, name: &str, kind: Kind) -> Error {
        let what = match (name, self.name) {
            ("tag" | "own", _) if kind == Kind::Registry => {
                "the image has no tag: write one in `to`, as in HOST/PATH:TAG".to_string()
            }
            ("tag" | "own", _) => {
                "the image has no name: write one in `to`, as in oci:DIR:NAME".to_string()
            }
            (_, known) => {
                let known: String = known
                    .unwrap_or("no name")
                    .escape_debug()
                    .take(100)
                    .collect();
                format!(
                    "{{{name}}} cannot be known: the image's own name is \"{known}\", without a repository; write it out"
                )
            }
        };
        Error::new(ErrorKind::Invalid, what)
    }
}

/// The name that a tag's old image gets: `{tag}.bak-{date}`.
///
/// `{date}` is the time in UTC down to the second, `20260131T235959Z`, so that two backups in a day are
/// two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagTemplate {
    text: String,
    pattern: Pattern,
}

impl TagTemplate {
    /// The name for the old image of a tag.
    ///
    /// # Errors
    /// `Invalid` if it is too long for a tag, or none that a registry takes.
    pub fn expand(&self, tag: &Tag, now: SystemTime) -> Result<Tag> {
        let name = self.pattern.fill(|name| {
            Ok(Filled::Text(match name {
                "date" => pieces::date(now),
                _ => tag.as_str().to_string(),
            }))
        })?;
        let name: Tag = name.parse()?;
        name.check_for_registry()?;
        Ok(name)
    }
}

impl FromStr for TagTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = Pattern::parse(text, &OF_TAG)?;
        if !pattern.has("tag") || text == "{tag}" {
            return Err("it must be {tag} and more, as in {tag}.bak-{date}".into());
        }
        let template = Self {
            text: text.to_string(),
            pattern,
        };
        let sample: Tag = "1".parse().map_err(|why: Error| why.to_string())?;
        let expanded = template.expand(&sample, SystemTime::UNIX_EPOCH);
        expanded.map_err(|why| why.to_string())?;
        Ok(template)
    }
}

impl fmt::Display for TagTemplate {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
