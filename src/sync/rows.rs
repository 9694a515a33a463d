//! From what became of each image to the report.

use std::time::Duration;

use super::config::Position;
use super::decide::Decision;
use super::ended::Ended;
use super::foresee::Costs;
use super::report::{Entry, HostLine, Report, Row, Run as Ran, Saved, Shard, Status};
use super::run::Run;
use crate::error::{Error, ErrorKind};
use crate::store::locked;

impl Run<'_> {
    /// The row of one image at one place. Without an end it was not reached.
    pub(super) fn row(&self, position: usize, index: usize, ended: Option<&Ended>) -> Option<Row> {
        let route = self.routes.get(position)?;
        let target = route.targets.get(index)?;
        let entry = self.config.entries.get(route.entry)?;
        let from = entry.from.to_string();
        let source = match entry.from.is_single() {
            true => from,
            false => named(&from, &route.name),
        };
        let mut row = Row::new(source, target.to_string(), Status::Deferred);
        row.entry = Some(entry_of(&entry.at));
        let Some(ended) = ended else {
            row.reason = Some("the run ended before its turn came".into());
            return Some(row);
        };
        row.requests = ended.requests;
        row.took = ended.elapsed;
        row.attempts = u32::try_from(ended.attempts).unwrap_or(u32::MAX);
        row.before.clone_from(&ended.before);
        row.source_digest.clone_from(&ended.source);
        if let Some(error) = &ended.error {
            let mut row = row.failed(error);
            row.advice = advice(error).map(str::to_string);
            if matches!(
                error.kind(),
                ErrorKind::RateLimited | ErrorKind::Interrupted
            ) {
                row.status = Status::Deferred;
            }
            return Some(row);
        }
        row.status = status(ended.decision, self.how.dry_run);
        row.reason = ended.decision.and_then(reason).map(str::to_string);
        match &ended.outcome {
            Some(outcome) => {
                row.bytes = outcome.bytes_written;
                row.after = Some(outcome.digest.clone());
                let changed = outcome
                    .trimmed_from
                    .as_ref()
                    .or(outcome.converted_from.as_ref());
                row.source_digest = row.source_digest.or_else(|| changed.cloned());
                // What was written is what stands there already: nothing has changed after all.
                if row.after == row.before && outcome.moved == 0 && outcome.manifests == 0 {
                    row.status = Status::Same;
                }
            }
            None if !self.how.dry_run => row.after.clone_from(&ended.before),
            None => {}
        }
        if ended.decision == Some(Decision::Drift) {
            let what = format!("{target} stands for another image, and is not to change");
            let mut row = row.failed(&Error::new(ErrorKind::Denied, what));
            row.advice = Some("look at what changed; `change: update` lets the tag move".into());
            return Some(row);
        }
        Some(row)
    }

    /// Everything that became of everything; `cut`: why it ended early.
    pub(super) fn report(&self, took: Duration, cut: Option<String>) -> Report {
        let ended = locked(&self.ended);
        let mut costs = Costs::default();
        let hosts = self.hosts();
        for host in hosts.iter().filter(|_| self.how.dry_run) {
            costs.begin(&host.host, host.requests, host.pulls);
        }
        let mut rows = Vec::new();
        for (position, targets) in ended.iter().enumerate() {
            for (index, ended) in targets.iter().enumerate() {
                let Some(mut row) = self.row(position, index, ended.as_ref()) else {
                    continue;
                };
                let foreseen = ended.as_ref().and_then(|ended| ended.foreseen.as_ref());
                let target = (self.routes.get(position)).and_then(|it| it.targets.get(index));
                if let (Some(foreseen), Some(target)) = (foreseen, target) {
                    costs.add(&target.place, foreseen, &mut row);
                }
                rows.push(row);
            }
        }
        let mut ran = Ran::begin(self.how.file.clone());
        ran.started = self.how.now.into();
        ran.took = took;
        let shard = self.how.shard.map(|shard| Shard {
            of: shard.count(),
            index: shard.index(),
        });
        ran.shards.extend(shard);
        ran.stopped = cut;
        ran.problems = (self.unlisted)
            .iter()
            .filter_map(|(position, error)| {
                let entry = self.config.entries.get(*position)?;
                let row = Row::new("", "", Status::Failed).failed(error);
                let why = row.reason.unwrap_or_default();
                Some(format!("{}: {}: {why}", entry.at, entry.from))
            })
            .collect();
        let outcomes = ended
            .iter()
            .flatten()
            .flatten()
            .filter_map(|it| it.outcome.as_ref());
        let saved = outcomes.fold(Saved::default(), |mut saved, outcome| {
            saved.mounted += outcome.mounted as u64;
            saved.blobs += (outcome.mounted + outcome.shared + outcome.kept) as u64;
            saved.bytes += outcome.bytes_kept;
            saved
        });
        Report::new(ran, saved, hosts, rows).with_forecast(costs.forecasts())
    }

    fn hosts(&self) -> Vec<HostLine> {
        let traffic = self.places.registries().traffic();
        let line = |(host, traffic): (String, crate::store::registry::Traffic)| HostLine {
            host,
            requests: traffic.requests.total() + traffic.elsewhere + traffic.tokens,
            bytes_read: traffic.read,
            bytes_written: traffic.written,
            pulls: traffic.pulls,
            pulls_limit: traffic.allowance.and_then(|it| it.limit),
            pulls_left: traffic.allowance.and_then(|it| it.remaining),
        };
        traffic.into_iter().map(line).collect()
    }
}

fn named(place: &str, name: &crate::image::Name) -> String {
    use crate::image::Name;
    match name {
        Name::Sole => place.to_string(),
        Name::Digest(digest) => format!("{place}@{digest}"),
        other => format!("{place}:{other}"),
    }
}

fn entry_of(at: &Position) -> Entry {
    Entry {
        file: at.file.display().to_string(),
        line: at.line as u64,
        column: at.column as u64,
    }
}

fn status(decision: Option<Decision>, is_dry: bool) -> Status {
    match (decision, is_dry) {
        (Some(Decision::New), true) => Status::WouldCreate,
        (Some(Decision::Update), true) => Status::WouldUpdate,
        (Some(Decision::New), false) => Status::New,
        (Some(Decision::Update), false) => Status::Updated,
        (Some(Decision::Same | Decision::Immutable), _) => Status::Same,
        (Some(Decision::Keep), _) => Status::Kept,
        (Some(Decision::Drift | Decision::Read) | None, _) => Status::Failed,
    }
}

fn reason(decision: Decision) -> Option<&'static str> {
    match decision {
        Decision::Immutable => Some("it is there, and `immutable` says that it never changes"),
        Decision::Keep => Some("another image has this name, and `change: keep` leaves it"),
        Decision::Same | Decision::New | Decision::Update | Decision::Drift | Decision::Read => {
            None
        }
    }
}

/// What can be done about a failure.
fn advice(error: &Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NoPlace => Some("see whether the source still has it"),
        ErrorKind::Unauthorized => {
            Some("log in with `imgcopy login HOST`, or set `registries.HOST.auth`")
        }
        ErrorKind::Denied => Some("see whether these credentials may do that there"),
        ErrorKind::RateLimited => {
            Some("a later run goes on; `registries.HOST.auth` may allow more")
        }
        ErrorKind::Unreachable => Some("see whether the host is up, and run again"),
        ErrorKind::Untrusted => Some("set `registries.HOST.ca` to the file of its authority"),
        ErrorKind::NoSpace => Some("make room and run again: what was finished stays"),
        ErrorKind::Corrupt | ErrorKind::Incomplete => {
            Some("the source gives wrong or missing content: look at the image there")
        }
        _ => None,
    }
}
