//! References as skopeo reads them, and what it says of those that it cannot open.

use std::fmt::Display;

use imgcopy::error::{Error, ErrorKind};
use imgcopy::image::{Descriptor, Digest, MediaKind, Name, Reference, RepoTag};
use imgcopy::inspect;
use imgcopy::store::Source;

use super::told::Fatal;
use crate::places::End;

/// What skopeo knows; imgcopy's own parser says which of them it has.
const TRANSPORTS: [&str; 10] = [
    "containers-storage",
    "dir",
    "docker",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "ostree",
    "sif",
    "tarball",
];

/// A reference, or why it is none.
pub(super) fn parsed(text: &str) -> Result<Reference, String> {
    let invalid = |why: &str| format!("Invalid image name \"{text}\", {why}");
    let Some((transport, rest)) = text.split_once(':') else {
        return Err(invalid("expected colon-separated transport:reference"));
    };
    if !TRANSPORTS.contains(&transport) {
        return Err(invalid(&format!("unknown transport \"{transport}\"")));
    }
    let read = text.parse::<Reference>();
    if transport != "docker" {
        return read.map_err(|error| error.in_one_line());
    }
    let repository = rest.split('@').next().unwrap_or_default();
    let (repository, _) = match has_name(repository) {
        true => repository.rsplit_once(':').unwrap_or((repository, "")),
        false => (repository, ""),
    };
    let is_upper = repository.chars().any(|c| c.is_ascii_uppercase());
    match read {
        Ok(reference) if matches!(reference.name(), Name::Pinned(..)) => Err(
            "Docker references with both a tag and digest are currently not supported".to_string(),
        ),
        Ok(reference) => Ok(reference),
        Err(_) if is_upper => {
            Err("invalid reference format: repository name must be lowercase".to_string())
        }
        Err(error) => Err(format!("invalid reference format: {}", error.in_one_line())),
    }
}

/// A reference as skopeo shows it (`transports.ImageName`).
pub(super) fn shown(reference: &Reference) -> String {
    match (reference, reference.name()) {
        (Reference::OciDir { .. } | Reference::OciArchive { .. }, Name::Sole) => {
            format!("{reference}:")
        }
        (Reference::DockerArchive { path, .. }, Name::Tag(tag)) => {
            format!("docker-archive:{}:{}", path.display(), full(tag))
        }
        _ => reference.to_string(),
    }
}

/// A name of an archive with its registry and tag.
pub(super) fn full(name: &impl Display) -> String {
    let name = name.to_string();
    let Ok(named) = name.parse::<RepoTag>() else {
        return name;
    };
    let short = named.to_string();
    let tag = short.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    format!("{}:{tag}", named.repository())
}

/// Opens a place to read from, and finds out what the image there is: an index or an image.
///
/// # Errors
/// What skopeo says of it.
pub(super) async fn opened(
    reference: &Reference,
    end: &End,
) -> Result<(Box<dyn Source>, Descriptor), Fatal> {
    let opening = "initializing source";
    let (opening_image, is_dir) = match reference {
        Reference::Dir { .. } => ("determining manifest MIME type for", true),
        Reference::DockerArchive { .. } => ("determining manifest MIME type for", false),
        _ => (opening, false),
    };
    let fails =
        |doing: &str, why: String| Fatal::new(format!("{doing} {}: {why}", shown(reference)));
    let source = end.open_source(reference).map_err(|error| {
        let doing = if is_dir { opening_image } else { opening };
        fails(doing, no_place(reference, &error))
    })?;
    let found = found(&*source, reference).await;
    let found = found.map_err(|why| fails(opening_image, why))?;
    Ok((source, found))
}

async fn found(source: &dyn Source, reference: &Reference) -> Result<Descriptor, String> {
    match source.resolve(reference.name()).await {
        Ok(Some(found)) => match found.media_type.kind() {
            MediaKind::Index | MediaKind::Manifest => Ok(found),
            // It does not say: its content does.
            _ => {
                let root = inspect::root(source, reference.name()).await;
                Ok(root
                    .map_err(|error| error.in_one_line())?
                    .descriptor()
                    .clone())
            }
        },
        Ok(None) => Err(no_image(reference)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(no_image(reference)),
        Err(error) => Err(error.in_one_line()),
    }
}

pub(super) fn no_place(reference: &Reference, error: &Error) -> String {
    if error.kind() != ErrorKind::NoPlace {
        return error.in_one_line();
    }
    let missing = "no such file or directory";
    match reference {
        Reference::Dir { path } => format!("open {}/manifest.json: {missing}", path.display()),
        Reference::OciDir { path, .. } => format!("open {}/index.json: {missing}", path.display()),
        Reference::DockerArchive { path, .. } | Reference::OciArchive { path, .. } => {
            let file = path.display();
            format!("opening file \"{file}\": open {file}: {missing}")
        }
        Reference::Docker { .. } | Reference::DockerDaemon { .. } => error.in_one_line(),
    }
}

/// What skopeo says of an image that is not there.
pub(super) fn no_image(reference: &Reference) -> String {
    match (reference, reference.name()) {
        (Reference::Docker { repository, .. }, name) => {
            format!("reading manifest {name} in {repository}: manifest unknown")
        }
        (Reference::DockerArchive { .. }, name) => format!("Tag \"{}\" not found", full(name)),
        (_, name) => format!("no descriptor found for reference \"{name}\""),
    }
}

/// The name that a docker reference has without its transport.
pub(super) fn named(reference: &Reference) -> String {
    let text = reference.to_string();
    text.trim_start_matches("docker://").to_string()
}

/// The repository of a reference to a registry, in full.
pub(super) fn repository(reference: &Reference) -> String {
    match reference {
        Reference::Docker { repository, .. } => repository.to_string(),
        other => other.to_string(),
    }
}

/// Another image of the same repository; only registries have any.
pub(super) fn renamed(reference: &Reference, name: Name) -> Option<Reference> {
    let Reference::Docker { repository, .. } = reference else {
        return None;
    };
    let repository = repository.clone();
    Some(Reference::Docker { repository, name })
}

/// Whether a text names a tag or digest beside the repository.
pub(super) fn has_name(rest: &str) -> bool {
    let last = rest.rsplit_once('/').map_or(rest, |(_, last)| last);
    rest.contains('@') || last.contains(':')
}

/// The digest by which a reference names its image.
pub(super) fn digest(reference: &Reference) -> Option<&Digest> {
    match reference.name() {
        Name::Digest(digest) => Some(digest),
        _ => None,
    }
}
