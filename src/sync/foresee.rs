//! What a run would cost, from the plans of its images. Manifests are read for it, and nothing is copied.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::copy::{BlobAction, Job, ManifestAction, Plan, plan, survey};
use crate::error::{Attempt as _, Result};
use crate::image::{Digest, Name};
use crate::store::Source;

use super::ask::Asked;
use super::config::{From, Place};
use super::ended::Ended;
use super::report::{Forecast, Row};
use super::run::{Run, Way, can_lead};

/// What copying one image to one place would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Foreseen {
    /// What the image is called at its source.
    pub(super) root: Option<Digest>,
    /// Where it would be read: a registry, or nothing if that is this machine.
    reads: Option<String>,
    /// Manifests that would be read there, and that this plan did not read there.
    manifests_read: u64,
    /// Blobs that would travel, with their sizes in bytes.
    blobs: Vec<(Digest, u64)>,
    /// Blobs that the registry would take from another of its repositories.
    mounted: u64,
    /// Manifests that would be written.
    manifests: u64,
}

impl Foreseen {
    /// `reads`: as in the field. `is_following`: it would be read where it was just written.
    fn of(plan: &Plan, reads: Option<String>, is_following: bool) -> Self {
        let blobs = plan.blobs.iter();
        let moves = |action: &BlobAction| {
            matches!(action, BlobAction::Send | BlobAction::Recompress { .. })
        };
        let writes = |action: &ManifestAction| !matches!(action, ManifestAction::Keep(_));
        let manifests = plan.manifests.iter();
        let manifests = manifests.filter(|step| writes(&step.action)).count() as u64;
        let last = plan.manifests.last();
        let root = last.map(|step| &step.manifest.digest);
        Self {
            root: plan.trimmed_from.as_ref().or(root).cloned(),
            reads,
            manifests_read: if is_following { manifests } else { 0 },
            blobs: (blobs.clone().filter(|step| moves(&step.action)))
                .map(|step| (step.blob.digest.clone(), step.blob.size))
                .collect(),
            mounted: plan.totals().mounted as u64,
            manifests,
        }
    }
}

/// How an image of a route would be read: the first place gets it from its source, the others from
/// there.
struct Reading<'r> {
    source: &'r dyn Source,
    /// The digest of the image, once it is known: its tag is asked for once.
    root: Option<Digest>,
    /// The place that would have it by then.
    leader: Option<&'r Place>,
}

impl Run<'_> {
    /// What copying the image would take, in the order in which it would be copied. Its manifests are
    /// read at the source once.
    pub(super) async fn foresee_all(&self, position: usize, waiting: &[(usize, Way<'_>, Asked)]) {
        let mut source = None;
        let mut root = None;
        let mut leader = None;
        for (index, way, asked) in waiting {
            let begun = Instant::now();
            let lane = self.lane(way);
            let foreseen = async {
                let _place = lane.copy().await?;
                let opened = match source.take() {
                    Some(opened) => opened,
                    None => self.source(way)?,
                };
                let reading = Reading {
                    source: &**source.insert(opened),
                    root: root.clone(),
                    leader,
                };
                self.foresee(way, asked, &reading).await
            };
            let foreseen = foreseen.await;
            let mut ended = Ended::new(way, begun.elapsed());
            ended.note(asked);
            match foreseen {
                Ok(foreseen) => {
                    root.clone_from(&foreseen.root);
                    leader = leader.or(Some(&way.target.place).filter(|it| can_lead(it)));
                    ended.source = ended.source.or_else(|| foreseen.root.clone());
                    ended.foreseen = Some(foreseen);
                }
                Err(error) => ended.error = Some(error),
            }
            self.settle(position, *index, ended);
        }
    }

    /// Surveys and plans what would be copied.
    async fn foresee(
        &self,
        way: &Way<'_>,
        asked: &Asked,
        reading: &Reading<'_>,
    ) -> Result<Foreseen> {
        let (entry, target) = (way.entry, way.target);
        let destination = self.destination(way)?;
        let known = reading.root.as_ref().or(way.origin.0.get());
        let name = match (known, &way.route.name) {
            (Some(digest), Name::Tag(_)) => Name::Digest(digest.clone()),
            (_, name) => name.clone(),
        };
        let job = Job {
            tags: vec![target.name.clone()],
            standing: asked.standing.clone(),
            ..self.job(entry, &name, reading.source, &*destination)
        };
        let planned = async { plan(&survey(&job).await?) }.await;
        let what = || format!("cannot plan a copy of {} to {target}", way.route.name);
        let planned = planned.attempting(what)?;
        let reads = match (reading.leader, &entry.from) {
            (Some(leader), _) => registry(leader),
            (None, From::Registry(repository)) => Some(repository.registry().to_string()),
            (None, From::Local(_)) => None,
        };
        Ok(Foreseen::of(&planned, reads, reading.leader.is_some()))
    }
}

fn registry(place: &Place) -> Option<String> {
    match place {
        Place::Registry(repository) => Some(repository.registry().to_string()),
        _ => None,
    }
}

/// The costs of many images, added up: what several of them share travels once to each registry, and is
/// mounted in the other repositories.
#[derive(Debug, Default)]
pub(super) struct Costs {
    hosts: BTreeMap<String, Forecast>,
    /// What would be at a registry, or at another place, by then.
    sent: BTreeSet<(String, Digest)>,
    /// The same for each repository.
    held: BTreeSet<(Place, Digest)>,
}

impl Costs {
    /// Begins with what the plan itself asked of a registry: a run asks that, too.
    pub(super) fn begin(&mut self, host: &str, requests: u64, pulls: u64) {
        let forecast = self.at(host);
        forecast.requests += requests;
        forecast.pulls += pulls;
    }

    /// Adds an image, and tells in its row what it would take.
    pub(super) fn add(&mut self, place: &Place, foreseen: &Foreseen, row: &mut Row) {
        let registry = registry(place);
        let host = registry.clone().unwrap_or_else(|| place.to_string());
        let (mut moved, mut bytes) = (0, 0);
        let (mut mounted, mut shared) = (foreseen.mounted, 0);
        for (digest, size) in &foreseen.blobs {
            let is_held = !self.held.insert((place.clone(), digest.clone()));
            let is_sent = !self.sent.insert((host.clone(), digest.clone()));
            match (is_held, is_sent) {
                (true, _) => shared += 1,
                (false, true) => mounted += 1,
                (false, false) => {
                    moved += 1;
                    bytes += size;
                }
            }
        }
        if let Some(from) = &foreseen.reads {
            let from = self.at(from);
            from.requests += moved + foreseen.manifests_read;
            from.pulls += foreseen.manifests_read;
            from.bytes_read += bytes;
        }
        let to = self.at(&host);
        to.bytes_written += bytes;
        if registry.is_some() {
            // An upload is begun and ended; a mount and a manifest are one request each.
            to.requests += 2 * moved + mounted + foreseen.manifests;
        }
        row.bytes = bytes;
        row.reason = Some(told(moved, mounted, shared));
    }

    fn at(&mut self, host: &str) -> &mut Forecast {
        let new = || Forecast {
            host: host.to_string(),
            ..Forecast::default()
        };
        self.hosts.entry(host.to_string()).or_insert_with(new)
    }

    /// One for each host.
    pub(super) fn forecasts(self) -> Vec<Forecast> {
        self.hosts.into_values().collect()
    }
}

fn told(moved: u64, mounted: u64, shared: u64) -> String {
    let plural = if moved == 1 { "" } else { "s" };
    let mut told = match moved {
        0 => "no blob to move".to_string(),
        _ => format!("{moved} blob{plural} to move"),
    };
    for (count, what) in [(mounted, "to mount"), (shared, "moved with other images")] {
        if count > 0 {
            told = format!("{told}, {count} {what}");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::report::Status;

    fn place(text: &str) -> Place {
        Place::Registry(text.parse().unwrap())
    }

    fn foreseen(reads: &str, blobs: &[(&[u8], u64)]) -> Foreseen {
        Foreseen {
            root: None,
            reads: Some(reads.into()),
            manifests_read: 0,
            blobs: (blobs.iter())
                .map(|(name, size)| (Digest::of(name), *size))
                .collect(),
            mounted: 0,
            manifests: 1,
        }
    }

    #[test]
    fn what_images_share_is_counted_once_for_each_registry() {
        let mut costs = Costs::default();
        costs.begin("hub.example", 4, 2);
        let mut rows = Vec::new();
        for (to, blobs) in [
            ("a.example/x", vec![(&b"base"[..], 100), (b"one", 1)]),
            ("a.example/x", vec![(b"base", 100), (b"two", 2)]),
            ("a.example/y", vec![(b"base", 100)]),
            ("b.example/x", vec![(b"base", 100)]),
        ] {
            let mut row = Row::new("source", to, Status::WouldCreate);
            costs.add(&place(to), &foreseen("hub.example", &blobs), &mut row);
            rows.push((row.bytes, row.reason.unwrap()));
        }
        let rows: Vec<_> = rows.iter().map(|(n, why)| (*n, why.as_str())).collect();
        assert_eq!(
            rows,
            [
                (101, "2 blobs to move"),
                (2, "1 blob to move, 1 moved with other images"),
                (0, "no blob to move, 1 to mount"),
                (100, "1 blob to move"),
            ]
        );
        let forecast = |host: &str, requests, pulls, bytes_read, bytes_written| Forecast {
            host: host.into(),
            requests,
            pulls,
            bytes_read,
            bytes_written,
        };
        assert_eq!(
            costs.forecasts(),
            [
                // Three uploads, a mount, three manifests.
                forecast("a.example", 10, 0, 0, 103),
                forecast("b.example", 3, 0, 0, 100),
                forecast("hub.example", 8, 2, 203, 0),
            ]
        );
    }
}
