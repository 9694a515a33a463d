//! The places of a command, opened as the options for reaching them say.

use imgcopy::error::Result;
use imgcopy::image::Reference;
use imgcopy::store::daemon::{Access, Daemon, DaemonLoad};
use imgcopy::store::registry::{Options, Registries};
use imgcopy::store::{Destination, Source, open_destination, open_source};

use crate::reach::{Patience, Side, is_remote};

/// What both sides of a copy are reached by.
pub(crate) struct Reached {
    pub(crate) source: Registries,
    /// Only where the destination is reached otherwise.
    pub(crate) other: Option<Registries>,
    /// The Docker engines, if they are needed.
    pub(crate) source_engine: Option<Access>,
    pub(crate) other_engine: Option<Access>,
}

impl Reached {
    /// The registries of places that are reached so. Where none of them is a registry, nothing is read
    /// that says something about registries.
    pub(crate) fn between(
        places: &[&Reference],
        source: &Side<'_>,
        destination: &Side<'_>,
        patience: &Patience,
    ) -> Result<Self> {
        let mut reached = Self {
            source: Registries::new(Options::bare()),
            other: None,
            source_engine: None,
            other_engine: None,
        };
        if places.iter().any(|place| is_remote(place)) {
            reached.source = Registries::new(source.options(patience)?);
            if source != destination {
                reached.other = Some(reached.source.beside(destination.options(patience)?));
            }
        }
        Ok(reached)
    }

    /// What users should know about their files of credentials (S-41).
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.source.warnings();
        warnings.extend(self.other.iter().flat_map(Registries::warnings));
        warnings.sort();
        warnings.dedup();
        warnings
    }

    pub(crate) fn open_source(&self, reference: &Reference) -> Result<Box<dyn Source>> {
        source(reference, &self.source, self.source_engine.as_ref())
    }

    pub(crate) fn open_destination(
        &self,
        reference: &Reference,
        deep: bool,
    ) -> Result<Box<dyn Destination>> {
        if let (Reference::DockerDaemon { .. }, Some(access)) = (reference, &self.other_engine) {
            return Ok(Box::new(DaemonLoad::new(access)?));
        }
        let registries = self.other.as_ref().unwrap_or(&self.source);
        open_destination(reference, registries, deep)
    }
}

pub(crate) fn source(
    reference: &Reference,
    registries: &Registries,
    engine: Option<&Access>,
) -> Result<Box<dyn Source>> {
    match (reference, engine) {
        (Reference::DockerDaemon { .. }, Some(access)) => Ok(Box::new(Daemon::new(access)?)),
        _ => open_source(reference, registries),
    }
}

/// The engine of a reference that names one.
pub(crate) fn engine<'a>(
    references: impl IntoIterator<Item = &'a Reference>,
    host: Option<&String>,
) -> Result<Option<Access>> {
    let is_engine = |reference: &Reference| matches!(reference, Reference::DockerDaemon { .. });
    match references.into_iter().any(is_engine) {
        true => Access::of_process(host.map(String::as_str)).map(Some),
        false => Ok(None),
    }
}
