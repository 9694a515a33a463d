//! References: what a user types to name a place and an image in it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::repo_tag::{RepoTag, split_tag};
use super::{Digest, Name, Repository, Tag};
use crate::error::{Error, ErrorKind, Result};

/// The path of an archive that stands for stdin, and as a destination for stdout: `docker-archive:-`.
pub const STDIO: &str = "-";

/// A place and an image in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `docker-archive:path[:name]`: what `docker save` writes.
    DockerArchive {
        /// The file, or [`STDIO`].
        path: PathBuf,
        /// The image in it.
        name: Name,
    },
    /// `oci-archive:path[:name]`: an OCI image layout in a tar.
    OciArchive {
        /// The file, or [`STDIO`].
        path: PathBuf,
        /// The image in it.
        name: Name,
    },
    /// `oci:path[:name]`: an OCI image layout.
    OciDir {
        /// The directory.
        path: PathBuf,
        /// The image in it.
        name: Name,
    },
    /// `dir:path`: skopeo's plain directory, which holds one image without a name.
    Dir {
        /// The directory. It may hold colons.
        path: PathBuf,
    },
    /// `docker-daemon:[name[:tag]]`, `docker-daemon:name@digest` or `docker-daemon:sha256:ID`: an image
    /// of a Docker engine. Without a tag and a digest it is `latest`.
    DockerDaemon {
        /// The image in it: a name in full, or the image ID as a digest.
        name: Name,
    },
    /// `docker://host[:port]/path[:tag][@digest]`: a repository of a registry. Without a tag and a
    /// digest it is `latest`.
    Docker {
        /// The repository.
        repository: Repository,
        /// The image in it: a tag, a digest, or a tag that must stand for a digest.
        name: Name,
    },
}

const DOCKER_ARCHIVE: &str = "docker-archive";
const OCI_ARCHIVE: &str = "oci-archive";
const OCI: &str = "oci";
const DIR: &str = "dir";
const DOCKER_DAEMON: &str = "docker-daemon";
const DOCKER: &str = "docker";
/// Transports of other tools that this version has no store for.
const ELSEWHERE: [&str; 3] = ["containers-storage", "sif", "tarball"];

impl Reference {
    /// The image inside the place.
    pub fn name(&self) -> &Name {
        match self {
            Reference::DockerArchive { name, .. }
            | Reference::OciArchive { name, .. }
            | Reference::OciDir { name, .. }
            | Reference::DockerDaemon { name }
            | Reference::Docker { name, .. } => name,
            Reference::Dir { .. } => &Name::Sole,
        }
    }

    /// Whether its path is `-`: an archive on stdin, or as a destination on stdout.
    pub fn is_stdio(&self) -> bool {
        match self {
            Reference::DockerArchive { path, .. } | Reference::OciArchive { path, .. } => {
                path.as_os_str() == STDIO
            }
            Reference::OciDir { .. }
            | Reference::Dir { .. }
            | Reference::DockerDaemon { .. }
            | Reference::Docker { .. } => false,
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((DOCKER_ARCHIVE, rest)) => {
                let (path, name) = place(text, rest)?;
                Ok(Reference::DockerArchive { path, name })
            }
            Some((OCI_ARCHIVE, rest)) => {
                let (path, name) = place(text, rest)?;
                Ok(Reference::OciArchive { path, name })
            }
            Some((OCI, rest)) => {
                let (path, name) = place(text, rest)?;
                Ok(Reference::OciDir { path, name })
            }
            Some((DIR, "")) => Err(no_path(text)),
            Some((DIR, rest)) => Ok(Reference::Dir { path: rest.into() }),
            Some((DOCKER_DAEMON, rest)) => daemon(text, rest),
            Some((DOCKER, rest)) => docker(text, rest),
            Some((transport, _)) if ELSEWHERE.contains(&transport) => {
                let what = format!(
                    "{transport}: is no place that this version reads or writes; docker://, docker-daemon:, oci:, oci-archive:, docker-archive: and dir: are"
                );
                Err(Error::new(ErrorKind::Unsupported, what))
            }
            _ => Err(no_transport(text)),
        }
    }
}

/// `path`, `path:name` (split at the first colon, as skopeo does), `path:@N` or `path@digest`.
fn place(text: &str, rest: &str) -> Result<(PathBuf, Name)> {
    let by_digest = rest
        .rsplit_once('@')
        .and_then(|(path, digest)| Some((path, digest.parse::<Digest>().ok()?)));
    let (path, name) = match by_digest {
        Some((path, digest)) => (path, Name::Digest(digest)),
        None => {
            let (path, name) = rest.split_once(':').unwrap_or((rest, ""));
            (path, name.parse()?)
        }
    };
    if path.is_empty() {
        return Err(no_path(text));
    }
    if matches!(name, Name::Digest(_)) && path.contains(':') {
        let what = format!(
            "\"{}\" has both a name and a digest: give one",
            text.escape_debug()
        );
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok((PathBuf::from(path), name))
}

/// Nothing, `name`, `name:tag`, `name@digest` or `sha256:ID`. The engine's own lookup takes a name with
/// a digest, which is that of a registry, as a name.
fn daemon(text: &str, rest: &str) -> Result<Reference> {
    let invalid = |what: &str| {
        let what = format!("\"{}\": {what}", text.escape_debug());
        Error::new(ErrorKind::Invalid, what)
    };
    if rest.starts_with("//") {
        return Err(invalid("no slashes: write docker-daemon:NAME:TAG"));
    }
    let name = match rest.split_once('@') {
        _ if rest.is_empty() => Name::Sole,
        _ if rest.starts_with("sha256:") => Name::Digest(rest.parse()?),
        None => Name::Tag(rest.parse::<RepoTag>()?.to_string().parse()?),
        Some((repository, digest)) => {
            let digest: Digest = digest.parse()?;
            let whole: RepoTag = repository.parse()?;
            if split_tag(repository).1.is_some() {
                return Err(invalid("it has both a tag and a digest: give one"));
            }
            let whole = whole.to_string();
            Name::Tag(format!("{}@{digest}", split_tag(&whole).0).parse()?)
        }
    };
    Ok(Reference::DockerDaemon { name })
}

/// `//host/path`, `//host/path:tag`, `//host/path@digest` or `//host/path:tag@digest`.
fn docker(text: &str, rest: &str) -> Result<Reference> {
    let Some(rest) = rest.strip_prefix("//") else {
        let shown = text.escape_debug();
        let what = format!("\"{shown}\" lacks the slashes: write docker://HOST/REPOSITORY:TAG");
        return Err(Error::new(ErrorKind::Invalid, what));
    };
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
        None => (rest, None),
    };
    let (repository, tag) = split_tag(rest);
    let tag = tag.map(str::parse::<Tag>).transpose()?;
    tag.iter().try_for_each(Tag::check_for_registry)?;
    let name = match (tag, digest) {
        (Some(tag), Some(digest)) => Name::Pinned(tag, digest),
        (Some(tag), None) => Name::Tag(tag),
        (None, Some(digest)) => Name::Digest(digest),
        (None, None) => Name::Tag("latest".parse()?),
    };
    let repository = repository.parse()?;
    Ok(Reference::Docker { repository, name })
}

fn no_path(text: &str) -> Error {
    let what = format!("\"{}\" names no path", text.escape_debug());
    Error::new(ErrorKind::Invalid, what)
}

fn no_transport(text: &str) -> Error {
    let shown = text.escape_debug();
    let advice = if format!("{text}.").contains(".tar.") {
        format!("is it docker-archive:{shown}?")
    } else if text.starts_with(['.', '/']) {
        format!("is it oci:{shown}?")
    } else {
        format!("is it docker://{shown}?")
    };
    let what = format!("\"{shown}\" has no transport: {advice}");
    Error::new(ErrorKind::Invalid, what)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::DockerArchive { path, .. } => {
                write!(f, "{DOCKER_ARCHIVE}:{}", path.display())?;
            }
            Reference::OciArchive { path, .. } => write!(f, "{OCI_ARCHIVE}:{}", path.display())?,
            Reference::OciDir { path, .. } => write!(f, "{OCI}:{}", path.display())?,
            Reference::Dir { path } => write!(f, "{DIR}:{}", path.display())?,
            Reference::Docker { repository, .. } => write!(f, "{DOCKER}://{repository}")?,
            Reference::DockerDaemon { name } => {
                return match name {
                    Name::Sole => write!(f, "{DOCKER_DAEMON}:"),
                    name => write!(f, "{DOCKER_DAEMON}:{name}"),
                };
            }
        }
        match self.name() {
            Name::Sole => Ok(()),
            Name::Digest(digest) => write!(f, "@{digest}"),
            other => write!(f, ":{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        let digest = Digest::of(b"");
        for text in [
            "docker-archive:x.tar",
            "docker-archive:/a/b.tar:corpus/tiny:base",
            "docker-archive:x.tar:@3",
            "docker-archive:-:@0",
            "oci-archive:x.tar",
            "oci-archive:/a/b.tar:localhost/app:2",
            "oci-archive:-:@1",
            &format!("oci-archive:x.tar@{digest}"),
            "oci:busybox:latest",
            "oci:./dir",
            "dir:/a/b",
            "dir:a:b@c:latest",
            "dir:C:/x y",
            &format!("oci:dir@{digest}"),
            "docker://docker.io/library/busybox:1.36",
            "docker://[::1]:5000/a/b:v1",
            &format!("docker://localhost/x@{digest}"),
            &format!("docker://h.example:5000/x:1@{digest}"),
            "docker-daemon:",
            "docker-daemon:busybox:latest",
            "docker-daemon:localhost:5000/team/app:1.2",
            &format!("docker-daemon:{digest}"),
            &format!("docker-daemon:team/app@{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_image_of_docker_hub_is_completed() {
        let reference: Reference = "docker://alpine".parse().unwrap();
        assert_eq!(
            reference.to_string(),
            "docker://docker.io/library/alpine:latest"
        );
        for text in [
            "docker-daemon:alpine",
            "docker-daemon:docker.io/library/alpine:latest",
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), "docker-daemon:alpine:latest");
        }
    }

    #[test]
    fn the_path_ends_at_the_first_colon() {
        let reference: Reference = "oci:a:b:c".parse().unwrap();
        assert_eq!(reference.name().to_string(), "b:c");
    }

    #[test]
    fn only_archives_come_on_stdin() {
        let is_stdio = |text: &str| text.parse::<Reference>().unwrap().is_stdio();
        assert!(is_stdio("docker-archive:-") && is_stdio("oci-archive:-:app:1"));
        assert!(!is_stdio("docker-archive:./-") && !is_stdio("oci-archive:-.tar"));
        assert!(!is_stdio("oci:-") && !is_stdio("docker://h.example/x"));
    }

    #[test]
    fn all_of_a_plain_directory_is_a_path() {
        let reference: Reference = "dir:a:b:c@sha256:0".parse().unwrap();
        assert_eq!(reference.name(), &Name::Sole);
        let path = "a:b:c@sha256:0".into();
        assert_eq!(reference, Reference::Dir { path });
    }

    #[test]
    fn errors_say_what_to_type() {
        let told = |text: &str| text.parse::<Reference>().unwrap_err().to_string();
        assert!(told("busybox:latest").contains("docker://busybox:latest"));
        assert!(told("x.tar").contains("docker-archive:x.tar"));
        assert!(told("./layout").contains("oci:./layout"));
        assert!(told("oci:").contains("no path"));
        assert!(told("oci-archive::x").contains("no path"));
        assert!(told("tarball:x").contains("oci-archive:"));
        assert!(told(&format!("oci-archive:a:b@{}", Digest::of(b""))).contains("both"));
        assert!(told("dir:").contains("no path"));
        assert!(told("docker:alpine").contains("docker://HOST"));
        assert!(told("docker://h.example/x:a/b").contains("repository"));
        assert!(told("docker://h.example/x@sha256:ab").contains("digest"));
        assert!(told("").contains("no transport"));
        assert!(told("docker-daemon://x").contains("docker-daemon:NAME:TAG"));
        assert!(told("docker-daemon:sha256:ab").contains("digest"));
        assert!(told("docker-daemon:UPPER").contains("invalid image name"));
        assert!(told("docker-daemon:a/../b:1").contains("invalid image name"));
        assert!(told(&format!("docker-daemon:a:b@{}", Digest::of(b""))).contains("both"));
        assert!(told(&format!("oci:a:b@{}", Digest::of(b""))).contains("both"));
    }
}
