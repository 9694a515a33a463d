//! A run: everything that is wanted, each image as soon as its turn comes, and what failed once more.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::OnceCell;

use crate::error::{Error, ErrorKind, Result};
use crate::image::Tag;
use crate::store::archive::{Kind, NewArchive};
use crate::store::{Destination, Source, Store, locked};

use super::ask::Asked;
use super::bring::{Leader, Origin};
use super::config::{Config, Entry, From, Place, Target};
use super::ended::{Ended, may_pass};
use super::lanes::{Health, Lane, Lanes, ends};
use super::places::Places;
use super::routes::Route;

/// Something that a run tells while it goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Told<'t> {
    /// So many images go to so many places.
    Begins {
        /// Images at their sources.
        images: usize,
        /// Names at destinations.
        targets: usize,
    },
    /// An image is settled at a place, for now.
    Ended {
        /// The image and its place.
        row: &'t super::report::Row,
    },
    /// What failed is tried once more.
    Again {
        /// How many.
        targets: usize,
    },
}

/// Whoever is told.
pub type Listener<'l> = dyn Fn(&Told<'_>) + Send + Sync + 'l;

/// One image on its way to one place.
pub(super) struct Way<'w> {
    pub(super) route: &'w Route,
    pub(super) target: &'w Target,
    pub(super) entry: &'w Entry,
    pub(super) origin: &'w Origin,
    /// What was opened for it alone: these know how much they were asked.
    opened: Mutex<Vec<Arc<dyn Store>>>,
}

/// A run over some routes.
pub(super) struct Run<'r> {
    pub(super) config: &'r Config,
    pub(super) places: &'r Places,
    pub(super) routes: &'r [Route],
    /// For each route.
    pub(super) origins: Vec<Origin>,
    /// Entries of which nobody can tell what they choose, and why.
    pub(super) unlisted: &'r [(usize, Error)],
    pub(super) how: &'r super::How,
    pub(super) lanes: Lanes,
    pub(super) health: Health,
    pub(super) shared: Shared,
    /// For each route and each of its targets.
    pub(super) ended: Mutex<Vec<Vec<Option<Ended>>>>,
    pub(super) told: &'r Listener<'r>,
}

/// What all images of a run have in common, and places that are opened once for all of them.
#[derive(Default)]
pub(super) struct Shared {
    /// How many names each place is to have.
    pub(super) names: BTreeMap<Place, usize>,
    sources: Mutex<BTreeMap<String, Arc<dyn Source>>>,
    destinations: Mutex<BTreeMap<Place, Arc<dyn Destination>>>,
    /// What repositories list, for tags that never change.
    pub(super) lists: Mutex<BTreeMap<Place, Arc<OnceCell<Vec<Tag>>>>>,
    /// Whether archives hold what is wanted.
    pub(super) current: Mutex<BTreeMap<Place, Arc<OnceCell<bool>>>>,
}

impl Shared {
    fn of(routes: &[Route]) -> Self {
        let mut shared = Self::default();
        for target in routes.iter().flat_map(|route| &route.targets) {
            *shared.names.entry(target.place.clone()).or_default() += 1;
        }
        shared
    }
}

impl<'r> Run<'r> {
    /// A run over these routes that has not begun, with the entries whose routes nobody knows.
    pub(super) fn new(
        config: &'r Config,
        places: &'r Places,
        (routes, unlisted): (&'r [Route], &'r [(usize, Error)]),
        how: &'r super::How,
        told: &'r Listener<'r>,
    ) -> Self {
        let empty = |route: &Route| route.targets.iter().map(|_| None).collect();
        Self {
            config,
            places,
            routes,
            origins: routes.iter().map(|_| Origin::default()).collect(),
            unlisted,
            how,
            lanes: Lanes::default(),
            health: Health::default(),
            shared: Shared::of(routes),
            ended: Mutex::new(routes.iter().map(empty).collect()),
            told,
        }
    }
}

impl Run<'_> {
    /// Does everything, and what failed once more. Whoever drops it finds what was settled so far.
    pub(super) async fn all(&self) {
        let everything: Vec<(usize, Vec<usize>)> = (self.routes.iter().enumerate())
            .map(|(position, route)| (position, (0..route.targets.len()).collect()))
            .collect();
        self.pass(&everything).await;
        let again = self.worth_repeating();
        if !again.is_empty() && !self.how.dry_run {
            let targets = again.iter().map(|(_, targets)| targets.len()).sum();
            (self.told)(&Told::Again { targets });
            self.health.forget();
            self.pass(&again).await;
        }
    }

    async fn pass(&self, wanted: &[(usize, Vec<usize>)]) {
        let mut running: FuturesUnordered<_> = wanted
            .iter()
            .map(|(position, targets)| self.route(*position, targets))
            .collect();
        while running.next().await.is_some() {}
    }

    /// What failed in a way that may be over by now.
    fn worth_repeating(&self) -> Vec<(usize, Vec<usize>)> {
        let ended = locked(&self.ended);
        let failed = |targets: &Vec<Option<Ended>>| -> Vec<usize> {
            let failed = targets.iter().enumerate().filter(|(_, ended)| {
                let error = ended.as_ref().and_then(|ended| ended.error.as_ref());
                error.is_some_and(may_pass)
            });
            failed.map(|(target, _)| target).collect()
        };
        let again = ended.iter().map(failed).enumerate();
        again.filter(|(_, targets)| !targets.is_empty()).collect()
    }

    /// One image to everywhere it goes.
    async fn route(&self, position: usize, targets: &[usize]) {
        let (route, origin) = (self.routes.get(position), self.origins.get(position));
        let entry = route.and_then(|route| self.config.entries.get(route.entry));
        let (Some(route), Some(entry), Some(origin)) = (route, entry, origin) else {
            return;
        };
        let ways = targets.iter().filter_map(|index| {
            let target = route.targets.get(*index)?;
            let way = Way {
                route,
                target,
                entry,
                origin,
                opened: Mutex::default(),
            };
            Some((*index, way))
        });
        let asked = ways.map(|(index, way)| async move {
            let (asked, ended) = self.asked(&way).await;
            (index, way, asked, ended)
        });
        let mut waiting = Vec::new();
        for (index, way, asked, ended) in join_all(asked).await {
            match asked.filter(|asked| asked.decision.copies()) {
                Some(asked) => waiting.push((index, way, asked)),
                None => self.settle(position, index, ended),
            }
        }
        // Whoever can be read afterwards goes first, and the others read there.
        waiting.sort_by_key(|(_, way, _)| !can_lead(&way.target.place));
        if self.how.dry_run {
            return Box::pin(self.foresee_all(position, &waiting)).await;
        }
        let mut waiting = waiting.into_iter();
        let mut leader: Option<Leader> = None;
        for (index, way, asked) in waiting.by_ref() {
            let ended = self.brought(&way, &asked, None).await;
            leader = match &ended.outcome {
                Some(outcome) if can_lead(&way.target.place) => {
                    Some(Leader::of(way.target, outcome))
                }
                _ => None,
            };
            self.settle(position, index, ended);
            if leader.is_some() {
                break;
            }
        }
        let leader = leader.as_ref();
        let followers = waiting.map(|(index, way, asked)| async move {
            let ended = self.brought(&way, &asked, leader).await;
            self.settle(position, index, ended);
        });
        join_all(followers).await;
    }

    /// Asks and decides; what is not copied has ended with that.
    async fn asked(&self, way: &Way<'_>) -> (Option<Asked>, Ended) {
        let begun = Instant::now();
        let lane = self.lane(way);
        let asked = async {
            let _place = lane.ask().await?;
            // Large: boxed when its turn has come, so that thousands of routes that wait are small.
            Box::pin(self.ask(way)).await
        };
        let asked = unless_it_panics(asked).await;
        let mut ended = Ended::new(way, begun.elapsed());
        match asked {
            Ok(asked) => {
                ended.note(&asked);
                (Some(asked), ended)
            }
            Err(error) => {
                ended.error = Some(error);
                (None, ended)
            }
        }
    }

    async fn brought(&self, way: &Way<'_>, asked: &Asked, leader: Option<&Leader>) -> Ended {
        let begun = Instant::now();
        let lane = self.lane(way);
        let copied = async {
            let _place = lane.copy().await?;
            let (from, to) = ends(&way.entry.from, &way.target.place);
            let brought = Box::pin(self.bring(way, asked, leader));
            self.health.copy(&from, &to, brought).await
        };
        let copied = unless_it_panics(copied).await;
        let mut ended = Ended::new(way, begun.elapsed());
        ended.note(asked);
        match copied {
            Ok(outcome) => ended.outcome = Some(outcome),
            Err(error) => ended.error = Some(error),
        }
        ended
    }

    pub(super) fn settle(&self, position: usize, index: usize, mut ended: Ended) {
        let mut all = locked(&self.ended);
        let Some(slot) = all.get_mut(position).and_then(|all| all.get_mut(index)) else {
            return;
        };
        if let Some(before) = slot.take() {
            ended.attempts += before.attempts;
            ended.requests += before.requests;
            ended.elapsed += before.elapsed;
        }
        let ended = slot.insert(ended);
        if let Some(row) = self.row(position, index, Some(ended)) {
            (self.told)(&Told::Ended { row: &row });
        }
    }

    pub(super) fn lane(&self, way: &Way<'_>) -> Arc<Lane> {
        let (from, to) = ends(&way.entry.from, &way.target.place);
        let is_single = !matches!(way.target.place, Place::Registry(_));
        self.lanes.between(&from, &to, is_single)
    }

    /// The source of an image: a place on this machine is opened once, a repository for each image,
    /// which costs nothing.
    pub(super) fn source(&self, way: &Way<'_>) -> Result<Arc<dyn Source>> {
        let from = &way.entry.from;
        if let From::Registry(_) = from {
            let source = self.places.source(from)?;
            locked(&way.opened).push(Arc::clone(&source) as Arc<dyn Store>);
            return Ok(source);
        }
        let mut sources = locked(&self.shared.sources);
        let key = from.to_string();
        if let Some(source) = sources.get(&key) {
            return Ok(Arc::clone(source));
        }
        let source = self.places.source(from)?;
        sources.insert(key, Arc::clone(&source));
        Ok(source)
    }

    /// Its destination, likewise.
    pub(super) fn destination(&self, way: &Way<'_>) -> Result<Arc<dyn Destination>> {
        let place = &way.target.place;
        if let Place::Registry(_) = place {
            let destination = self.places.destination(place, self.how.deep)?;
            locked(&way.opened).push(Arc::clone(&destination) as Arc<dyn Store>);
            return Ok(destination);
        }
        let mut destinations = locked(&self.shared.destinations);
        if let Some(destination) = destinations.get(place) {
            return Ok(Arc::clone(destination));
        }
        let destination: Arc<dyn Destination> = match place {
            Place::OciArchive(path) => Arc::new(NewArchive::replacing(Kind::Oci, path)?),
            Place::DockerArchive(path) => Arc::new(NewArchive::replacing(Kind::Docker, path)?),
            _ => self.places.destination(place, self.how.deep)?,
        };
        destinations.insert(place.clone(), Arc::clone(&destination));
        Ok(destination)
    }

    /// The local places that were opened to be written to.
    pub(super) fn local_destinations(&self) -> Vec<(Place, Arc<dyn Destination>)> {
        let destinations = locked(&self.shared.destinations);
        let all = destinations.iter();
        all.map(|(place, destination)| (place.clone(), Arc::clone(destination)))
            .collect()
    }
}

impl Way<'_> {
    /// How many requests were made for it so far.
    pub(super) fn requests(&self) -> u64 {
        locked(&self.opened)
            .iter()
            .map(|store| store.requests())
            .sum()
    }

    /// Something that was opened for it alone.
    pub(super) fn opens(&self, store: Arc<dyn Store>) {
        locked(&self.opened).push(store);
    }
}

/// A defect that one image meets is the failure of that image: the others go on.
async fn unless_it_panics<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // What it has half changed, if anything, is behind locks that say so or its own.
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let what = format!("imgcopy has a defect: {}", text.unwrap_or_default());
        Err(Error::new(ErrorKind::Io, what))
    })
}

/// Whether others can read what was just written there. An archive is not there until the end.
pub(super) fn can_lead(place: &Place) -> bool {
    matches!(place, Place::Registry(_) | Place::OciDir(_))
}
