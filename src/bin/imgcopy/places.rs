//! The places of a command, opened as the options for reaching them say.

use std::path::PathBuf;
use std::sync::Arc;

use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::Reference;
use imgcopy::store::daemon::{Access, Daemon, DaemonLoad};
use imgcopy::store::oci_dir::OciDir;
use imgcopy::store::registry::{Options, Registries};
use imgcopy::store::{Destination, Source, open_destination, open_source};

use crate::patience::Patience;
use crate::reach::{Side, is_remote};

/// How the places of one side are reached.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) registries: Arc<Registries>,
    /// The Docker engine, where it is needed.
    pub(crate) engine: Option<Access>,
    /// Where the blobs of an OCI directory are, if not in it.
    pub(crate) blobs: Option<PathBuf>,
}

/// What both sides of a copy are reached by.
pub(crate) struct Reached {
    pub(crate) source: End,
    pub(crate) destination: End,
}

impl Reached {
    /// How these places are reached: `sources` as one side says, `destination` as the other.
    pub(crate) fn between(
        sources: &[&Reference],
        destination: &Reference,
        sides: [&Side<'_>; 2],
        patience: &Patience,
    ) -> Result<Self> {
        let [from, to] = sides;
        let reads = sources.iter().any(|place| is_remote(place));
        let is_one = from == to && (reads || is_remote(destination));
        let registries = match reads || is_one {
            true => Arc::new(Registries::new(from.options(patience)?)),
            false => Arc::new(Registries::new(Options::bare())),
        };
        let others = match is_remote(destination) && !is_one {
            true => Arc::new(registries.beside(to.options(patience)?)),
            false => Arc::clone(&registries),
        };
        Ok(Self {
            source: from.end(sources, registries)?,
            destination: to.end(&[destination], others)?,
        })
    }

    /// What users should know about their files of credentials (S-41).
    pub(crate) fn warnings(&self) -> Vec<String> {
        warnings([&self.source, &self.destination])
    }
}

/// The same of any ends.
pub(crate) fn warnings<'a>(ends: impl IntoIterator<Item = &'a End>) -> Vec<String> {
    let each = ends.into_iter().flat_map(|end| end.registries.warnings());
    let mut warnings: Vec<String> = each.collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

impl End {
    /// The place of a reference, to read from it.
    pub(crate) fn open_source(&self, reference: &Reference) -> Result<Box<dyn Source>> {
        match (reference, &self.engine, &self.blobs) {
            (Reference::DockerDaemon { .. }, Some(access), _) => Ok(Box::new(Daemon::new(access)?)),
            (Reference::OciDir { path, .. }, _, Some(blobs)) => {
                let opened = OciDir::open(path);
                let opened = opened.map_err(|error| cannot_open(reference, error))?;
                Ok(Box::new(opened.with_blobs_in(blobs)))
            }
            _ => open_source(reference, &self.registries),
        }
    }

    /// The place of a reference, to write to it.
    pub(crate) fn open_destination(
        &self,
        reference: &Reference,
        deep: bool,
    ) -> Result<Box<dyn Destination>> {
        match (reference, &self.engine, &self.blobs) {
            (Reference::DockerDaemon { .. }, Some(access), _) => {
                Ok(Box::new(DaemonLoad::new(access)?))
            }
            (Reference::OciDir { path, .. }, _, Some(blobs)) => {
                let opened = OciDir::open_or_new(path);
                let opened = opened.map_err(|error| cannot_open(reference, error))?;
                Ok(Box::new(opened.deep(deep).with_blobs_in(blobs)))
            }
            _ => open_destination(reference, &self.registries, deep),
        }
    }
}

fn cannot_open(reference: &Reference, error: Error) -> Error {
    error.attempting(format!("cannot open {reference}"))
}

/// Refuses a directory of shared blobs for places that have none.
pub(crate) fn check_shares(places: &[&Reference], option: &str) -> Result<()> {
    let other = places
        .iter()
        .find(|place| !matches!(place, Reference::OciDir { .. }));
    let Some(other) = other else {
        return Ok(());
    };
    let what = format!("{option} is for oci: places only, and {other} is none");
    Err(Error::new(ErrorKind::Invalid, what))
}
