//! What all cells of a test share: two registries, a directory, a runtime.

use std::cell::Cell as Count;
use std::panic::{AssertUnwindSafe, catch_unwind};

use imgcopy::copy::{Job, Outcome, Plan, Selection, Silent, copy, plan, survey};
use imgcopy::error::Result;
use imgcopy::image::Reference;
use imgcopy::inspect::{Verdict, verify};
use imgcopy::store::{open_destination, open_source};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::cell::Cell;
use crate::places::{Kind, Place};
use crate::support::registry::{Options, Registry};
use crate::support::{nobody, tempdir};

pub(crate) struct World {
    pub(crate) here: Registry,
    pub(crate) there: Registry,
    root: TempDir,
    places: Count<usize>,
    runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    /// With a registry of another kind to write to.
    pub(crate) fn with(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        Self {
            here: Registry::start(),
            there: Registry::with(options),
            root: tempdir(),
            places: Count::new(0),
            runtime,
        }
    }

    /// A new place to read from. Each lies in a directory of its own.
    pub(crate) fn source(&self, kind: Kind) -> Place<'_> {
        self.place(kind, &self.here)
    }

    /// A new place to write to.
    pub(crate) fn destination(&self, kind: Kind) -> Place<'_> {
        self.place(kind, &self.there)
    }

    fn place<'w>(&self, kind: Kind, registry: &'w Registry) -> Place<'w> {
        let number = self.places.get();
        self.places.set(number + 1);
        let around = self.root.path().join(number.to_string());
        std::fs::create_dir(&around).unwrap();
        Place {
            kind,
            path: around.join("it"),
            registry,
            repository: format!("r{number}"),
        }
    }

    /// Looks at every cell, and then tells which of them are wrong.
    #[track_caller]
    pub(crate) fn check(&self, cells: &[Cell<'_>]) {
        assert!(!cells.is_empty());
        let is_wrong = |cell: &&Cell<'_>| {
            let checked = catch_unwind(AssertUnwindSafe(|| cell.check(self)));
            checked.is_err()
        };
        let wrong = cells.iter().filter(is_wrong);
        let wrong: Vec<String> = wrong.map(Cell::to_string).collect();
        assert!(wrong.is_empty(), "{} cells: {wrong:#?}", wrong.len());
    }

    /// Copies as a run of the command would, which remembers nothing of others.
    pub(crate) fn copy(&self, from: &str, to: &str, selection: &Selection) -> Result<Outcome> {
        self.with_job(from, to, selection, async |job| {
            copy(job, &Silent::new()).await
        })
    }

    pub(crate) fn plan(&self, from: &str, to: &str, selection: &Selection) -> Result<Plan> {
        self.with_job(from, to, selection, async |job| plan(&survey(job).await?))
    }

    pub(crate) fn with_job<T>(
        &self,
        from: &str,
        to: &str,
        selection: &Selection,
        act: impl AsyncFnOnce(&Job<'_>) -> Result<T>,
    ) -> Result<T> {
        let (from, to): (Reference, Reference) = (from.parse()?, to.parse()?);
        let registries = nobody();
        let source = open_source(&from, &registries)?;
        let destination = open_destination(&to, &registries, false)?;
        let mut job = Job::new(&*source, &*destination);
        job.name = from.name().clone();
        job.tags = to.name().tag().cloned().into_iter().collect();
        job.selection = selection.clone();
        self.runtime.block_on(act(&job))
    }

    pub(crate) fn verify(&self, place: &str) -> Verdict {
        let place: Reference = place.parse().unwrap();
        let source = open_source(&place, &nobody()).unwrap();
        let verdict = verify(&*source, place.name(), 4);
        self.runtime.block_on(verdict).unwrap()
    }
}
