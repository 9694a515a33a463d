//! Many copies: what a `sync.yaml` wants, done in one run.
//!
//! ```text
//! config (what the file means)  ->  choose (which tags)  ->  routes (what goes where)
//!     ->  ask and decide (what has changed)  ->  bring (copy it)  ->  prune  ->  report
//! ```
//!
//! Each image is a future of its own that asks, decides and copies. Lanes, one for each pair of hosts,
//! say how many of them are at work, and the registries' gates how many requests are on their way; so
//! a slow host holds up nobody else, and questions never wait for blobs.

mod announce;
mod archives;
mod ask;
mod bring;
mod choose;
pub mod config;
mod decide;
mod ended;
mod foresee;
mod lanes;
mod lock;
mod notify;
mod places;
mod prune;
pub mod report;
mod routes;
mod rows;
mod run;
pub mod select;
mod shard;
mod stop;
pub mod watch;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::{Instant, SystemTime};

use crate::error::Result;
use archives::is_archive;
use config::{Config, Place, Problem};
use lanes::Health;
use report::Report;
use run::Run;

pub use announce::announce;
pub use decide::{Decision, Known, decide};
pub use lock::Lock;
pub use places::Places;
pub use routes::{Route, routes};
pub use run::{Listener, Told};
pub use shard::Shard;
pub use stop::Stop;

/// How a run is to be.
#[derive(Debug, Clone)]
pub struct How {
    /// The file that says what to copy, for the report.
    pub file: Option<String>,
    /// Nothing is copied: what would be done is asked and told.
    pub dry_run: bool,
    /// Tags that never change are looked at as well, and archives are written anew.
    pub deep: bool,
    /// Which share of the work is this machine's.
    pub shard: Option<Shard>,
    /// What is copied instead of what the tags stand for now.
    pub lock: Option<Lock>,
    /// Which routes are wanted, if not all.
    pub only: Only,
    /// When it ends, at the latest. What is not done by then is put off.
    pub deadline: Option<Instant>,
    /// Who may end it earlier.
    pub stop: Stop,
    /// How many threads compress; one for each core by default.
    pub threads: Option<NonZeroUsize>,
    /// What time it is, for names with a date.
    pub now: SystemTime,
}

impl Default for How {
    fn default() -> Self {
        Self {
            file: None,
            dry_run: false,
            deep: false,
            shard: None,
            lock: None,
            only: Only::default(),
            deadline: None,
            stop: Stop::default(),
            threads: None,
            now: SystemTime::now(),
        }
    }
}

/// Which routes of a file are wanted.
#[derive(Debug, Clone, Default)]
pub struct Only {
    /// Those whose source or target fits this pattern. Without one, all.
    pub pattern: Option<select::Pattern>,
    /// Those to one of these targets, as a report names them. Without any, all.
    pub targets: Option<BTreeSet<String>>,
    /// None to any of these.
    pub but: BTreeSet<String>,
}

/// What became of a run.
#[derive(Debug)]
pub enum Ended {
    /// It was done, as far as that was possible.
    Run(Report),
    /// The file asks for what cannot be meant; nothing was copied.
    Problems(Vec<Problem>),
}

/// Does what a configuration says. Whatever fails is a row of the report: the others go on.
///
/// # Errors
/// Only what has nothing to do with any image.
pub async fn sync(
    config: &Config,
    places: &Places,
    how: &How,
    told: &Listener<'_>,
) -> Result<Ended> {
    let begun = Instant::now();
    let health = Health::default();
    let chosen = choose::choose(&config.entries, places, &health, how.lock.as_ref());
    let mut chosen = match how.stop.cuts(how.deadline, chosen).await {
        Ok(chosen) => chosen,
        Err(why) => {
            // Nothing is known yet, so there are no rows; that it was cut short is told.
            let why = format!("{why}, before all sources had told what they have");
            let run = Run::new(config, places, (&[], &[]), how, told);
            return Ok(Ended::Run(run.report(begun.elapsed(), Some(why))));
        }
    };
    let mut problems = std::mem::take(&mut chosen.problems);
    let routes = match routes(&config.entries, &chosen.images, how.shard) {
        Ok(routes) if problems.is_empty() => routes,
        Ok(_) => return Ok(Ended::Problems(problems)),
        Err(more) => {
            problems.extend(more);
            problems.sort_by(|one, other| one.at.cmp(&other.at));
            return Ok(Ended::Problems(problems));
        }
    };
    let areas = prune::Areas::of(config, &chosen, &routes, how.shard);
    let routes = how.only.of(&config.entries, routes);
    let run = Run {
        health,
        ..Run::new(config, places, (&routes, &chosen.failed), how, told)
    };
    told(&Told::Begins {
        images: routes.len(),
        targets: routes.iter().map(|route| route.targets.len()).sum(),
    });
    // What is dropped is told by its rows.
    let cut = how.stop.cuts(how.deadline, run.all()).await.err();
    if !how.dry_run {
        run.finish().await;
    }
    let (pruned, cut) = match how.stop.cuts(how.deadline, run.prune(areas)).await {
        Ok(pruned) => (pruned, cut),
        Err(why) => (Vec::new(), cut.or(Some(why))),
    };
    Ok(Ended::Run(run.report(begun.elapsed(), cut).and(pruned)))
}

/// Asks what every chosen tag of a registry stands for now.
///
/// # Errors
/// The first that cannot be told: a lock is whole or nothing.
pub async fn lock(config: &Config, places: &Places) -> Result<Result<Lock, Vec<Problem>>> {
    let health = Health::default();
    let chosen = choose::choose(&config.entries, places, &health, None).await;
    if !chosen.problems.is_empty() {
        return Ok(Err(chosen.problems));
    }
    if let Some((_, error)) = chosen.failed.into_iter().next() {
        return Err(error);
    }
    lock::of(&config.entries, &chosen.images, places, &health)
        .await
        .map(Ok)
}

impl Only {
    fn of(&self, entries: &[config::Entry], routes: Vec<Route>) -> Vec<Route> {
        let wanted = |route: &Route, target: &config::Target| {
            let target = target.to_string();
            let fits = self.pattern.as_ref().is_none_or(|pattern| {
                let from = entries.get(route.entry).map(|entry| entry.from.to_string());
                pattern.is_match(&target) || from.is_some_and(|from| pattern.is_match(&from))
            });
            let is_named = |targets: &BTreeSet<String>| targets.contains(&target);
            fits && self.targets.as_ref().is_none_or(is_named) && !self.but.contains(&target)
        };
        // An archive is written in one piece: all of it, or nothing.
        let archives: BTreeSet<Place> = (routes.iter())
            .flat_map(|route| route.targets.iter().map(move |target| (route, target)))
            .filter(|(route, target)| is_archive(&target.place) && wanted(route, target))
            .map(|(_, target)| target.place.clone())
            .collect();
        let trimmed = routes.into_iter().map(|mut route| {
            let targets = std::mem::take(&mut route.targets);
            route.targets = targets
                .into_iter()
                .filter(|target| wanted(&route, target) || archives.contains(&target.place))
                .collect();
            route
        });
        trimmed.filter(|route| !route.targets.is_empty()).collect()
    }
}
