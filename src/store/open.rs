//! From a reference to the store that it names.

use std::path::Path;

use super::archive::{DockerArchive, Kind, NewArchive, OciArchive};
use super::daemon::{Access, Daemon, DaemonLoad};
use super::dir::Dir;
use super::oci_dir::OciDir;
use super::registry::Registries;
use super::{Destination, Source};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::Reference;

/// Opens the place that a reference names, to read from it.
///
/// # Errors
/// `NoPlace` if there is no such place; otherwise what opening it gives.
pub fn open_source(reference: &Reference, registries: &Registries) -> Result<Box<dyn Source>> {
    let opened: Result<Box<dyn Source>> = match reference {
        Reference::DockerArchive { path, .. } => {
            DockerArchive::open(path).map(|archive| Box::new(archive) as Box<dyn Source>)
        }
        Reference::OciArchive { path, .. } => {
            OciArchive::open(path).map(|archive| Box::new(archive) as Box<dyn Source>)
        }
        Reference::OciDir { path, .. } => {
            OciDir::open(path).map(|directory| Box::new(directory) as Box<dyn Source>)
        }
        Reference::Dir { path } => {
            Dir::open(path).map(|directory| Box::new(directory) as Box<dyn Source>)
        }
        Reference::DockerDaemon { .. } => Access::of_process(None)
            .and_then(|access| Daemon::new(&access))
            .map(|engine| Box::new(engine) as Box<dyn Source>),
        Reference::Docker { repository, .. } => registries
            .source(repository)
            .map(|registry| Box::new(registry) as Box<dyn Source>),
    };
    opened.attempting(|| format!("cannot open {reference}"))
}

/// Opens the place that a reference names, to write to it. Nothing is written until something is
/// put there. With `deep`, content of a directory that is there already is read again even if
/// imgcopy wrote it.
///
/// # Errors
/// What opening it gives.
pub fn open_destination(
    reference: &Reference,
    registries: &Registries,
    deep: bool,
) -> Result<Box<dyn Destination>> {
    match reference {
        Reference::OciDir { path, .. } => OciDir::open_or_new(path)
            .map(|directory| Box::new(directory.deep(deep)) as Box<dyn Destination>)
            .attempting(|| format!("cannot open {reference}")),
        Reference::Dir { path } => Dir::open_or_new(path)
            .map(|directory| Box::new(directory) as Box<dyn Destination>)
            .attempting(|| format!("cannot open {reference}")),
        Reference::Docker { repository, .. } => registries
            .destination(repository)
            .map(|registry| Box::new(registry) as Box<dyn Destination>)
            .attempting(|| format!("cannot open {reference}")),
        Reference::DockerDaemon { .. } => Access::of_process(None)
            .and_then(|access| DaemonLoad::new(&access))
            .map(|engine| Box::new(engine) as Box<dyn Destination>)
            .attempting(|| format!("cannot open {reference}")),
        Reference::DockerArchive { path, .. } => new_archive(Kind::Docker, path, reference),
        Reference::OciArchive { path, .. } => new_archive(Kind::Oci, path, reference),
    }
}

fn new_archive(kind: Kind, path: &Path, reference: &Reference) -> Result<Box<dyn Destination>> {
    let archive = NewArchive::at(kind, path).attempting(|| format!("cannot open {reference}"))?;
    Ok(Box::new(archive))
}

/// Opens the place that a reference names, to delete from it.
///
/// # Errors
/// `NoPlace` if there is no such place; `Unsupported` if nothing can be deleted there.
pub fn open_to_delete(
    reference: &Reference,
    registries: &Registries,
) -> Result<Box<dyn Destination>> {
    let opened: Result<Box<dyn Destination>> = match reference {
        Reference::OciDir { path, .. } => {
            OciDir::open(path).map(|directory| Box::new(directory) as Box<dyn Destination>)
        }
        Reference::Docker { repository, .. } => registries
            .to_delete(repository)
            .map(|registry| Box::new(registry) as Box<dyn Destination>),
        Reference::Dir { .. } => {
            let what = "a dir: holds one image: remove the directory instead";
            Err(Error::new(ErrorKind::Unsupported, what))
        }
        Reference::DockerDaemon { .. } => {
            let what = "images of an engine are not deleted: docker image rm does that";
            Err(Error::new(ErrorKind::Unsupported, what))
        }
        Reference::DockerArchive { .. } | Reference::OciArchive { .. } => {
            let what = "an archive is written in one piece: nothing can be deleted from it";
            Err(Error::new(ErrorKind::Unsupported, what))
        }
    };
    opened.attempting(|| format!("cannot open {reference}"))
}
