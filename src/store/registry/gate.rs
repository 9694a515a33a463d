//! One gate for each registry: how much is asked of it at once and in a time, when it wants to be left
//! alone, and what was asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::debug;

use super::headers::{limits, only};
use super::options::{Limits, Rate};
use super::pace::Pace;
use super::quota::Pulls;
use super::traffic::{Allowance, Traffic};
use crate::error::{Error, ErrorKind, Result};
use crate::image::Repository;
use crate::store::locked;

/// The longest that a registry is left alone: nobody waits as long.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// What a request is for. Each line has places of its own, so that a blob that is read can always be
/// written, and small questions never wait for large blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Manifests, lists, sessions: everything small.
    Control,
    /// A blob that is read.
    Download,
    /// A blob that is written.
    Upload,
}

/// The gate of one registry.
pub(super) struct Gate {
    control: Arc<Semaphore>,
    download: Arc<Semaphore>,
    upload: Arc<Semaphore>,
    /// How many blobs are read at once at most.
    transfers: usize,
    /// As many as can upload may be about to.
    writers: Semaphore,
    /// Nobody passes before.
    closed_until: Mutex<Option<Instant>>,
    /// How many requests begin in a time.
    requests: Option<Pace>,
    /// How many bytes of blobs pass in a time.
    bytes: Option<Pace>,
    /// How many manifests may be read.
    pub(super) pulls: Pulls,
    traffic: Mutex<Traffic>,
}

impl Gate {
    fn new(registry: &str, limits: &Limits) -> Self {
        let (transfers, requests) = match registry {
            Repository::HUB => (
                limits.hub.min(limits.transfers),
                limits.hub.min(limits.requests),
            ),
            _ => (limits.transfers, limits.requests),
        };
        let places = |n: usize| Arc::new(Semaphore::new(n.max(1)));
        Self {
            control: places(requests),
            download: places(transfers),
            upload: places(transfers),
            transfers: transfers.max(1),
            writers: Semaphore::new(transfers.max(1)),
            closed_until: Mutex::default(),
            requests: limits.rate.map(Pace::new),
            bytes: limits.bandwidth.map(|count| {
                let per = Duration::from_secs(1);
                Pace::new(Rate { count, per })
            }),
            pulls: Pulls::new(limits.quota),
            traffic: Mutex::default(),
        }
    }

    /// A request is about to go out: waits for its turn, and counts it.
    pub(super) async fn begin(&self, method: &Method) {
        if let Some(pace) = &self.requests {
            pace.wait(1).await;
            // The registry may have said meanwhile that it wants to be left alone.
            self.opened().await;
        }
        self.count(|traffic| traffic.requests.count(method));
    }

    /// Whether bytes of blobs have to wait for their turn.
    pub(super) fn is_slowed(&self) -> bool {
        self.bytes.is_some()
    }

    /// Waits for the turn of so many bytes of a blob.
    pub(super) async fn pass_bytes(&self, bytes: usize) {
        if let Some(pace) = &self.bytes {
            pace.wait(bytes as u64).await;
        }
    }

    /// Counts something.
    pub(super) fn count(&self, count: impl FnOnce(&mut Traffic)) {
        count(&mut locked(&self.traffic));
    }

    /// Notes what an answer of the registry says of its limits.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let told = |name| only(headers, name);
        let said = limits::rate_limit(told("ratelimit-limit"), told("ratelimit-remaining"));
        let Some(said) = said else {
            return;
        };
        debug!(?said, "what it lets us pull");
        self.pulls.note(&said, Instant::now());
        let allowance = Allowance {
            limit: said.limit,
            remaining: said.remaining,
            window: said.window,
            at: SystemTime::now(),
        };
        self.count(|traffic| traffic.allowance = Some(allowance));
    }

    /// Waits until the registry may be asked, and takes a place.
    pub(super) async fn pass(&self, line: Line) -> Result<OwnedSemaphorePermit> {
        let semaphore = self.places(line);
        let closed = |_| Error::new(ErrorKind::Interrupted, "no more requests are made");
        let place = semaphore.acquire_owned().await.map_err(closed)?;
        self.opened().await;
        Ok(place)
    }

    /// Waits until a blob can be written as soon as it comes: its source is not opened before, since it
    /// would have to wait, and may hang up.
    pub(super) async fn turn_to_write(&self) -> Result<SemaphorePermit<'_>> {
        let closed = |_| Error::new(ErrorKind::Interrupted, "no more requests are made");
        let turn = self.writers.acquire().await.map_err(closed)?;
        self.opened().await;
        Ok(turn)
    }

    /// Whether at most one blob is being read, the registry has room for more, and the gate is open.
    pub(super) fn reads_one_blob(&self) -> bool {
        let is_open = locked(&self.closed_until).is_none_or(|until| until <= Instant::now());
        let free = self.download.available_permits();
        is_open && free > 0 && free + 1 >= self.transfers
    }

    fn places(&self, line: Line) -> Arc<Semaphore> {
        Arc::clone(match line {
            Line::Control => &self.control,
            Line::Download => &self.download,
            Line::Upload => &self.upload,
        })
    }

    /// Leaves the registry alone for so long: every request waits.
    pub(super) fn close_for(&self, wait: Duration) {
        debug!(?wait, "the registry wants to be left alone");
        let mut closed = locked(&self.closed_until);
        // A server's number may lead beyond all clocks.
        let until = Instant::now() + wait.min(LONGEST);
        *closed = Some(closed.map_or(until, |before| before.max(until)));
    }

    async fn opened(&self) {
        loop {
            let until = *locked(&self.closed_until);
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }
}

/// The gates of all registries of a run. Both sides of a copy share them.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<String, Arc<Gate>>>);

impl Gates {
    pub(super) fn of(&self, registry: &str, limits: &Limits) -> Arc<Gate> {
        let mut gates = locked(&self.0);
        let gate = gates
            .entry(registry.to_string())
            .or_insert_with(|| Arc::new(Gate::new(registry, limits)));
        Arc::clone(gate)
    }

    /// What was asked of each registry so far.
    pub(super) fn traffic(&self) -> BTreeMap<String, Traffic> {
        let gates = locked(&self.0);
        let of =
            |(name, gate): (&String, &Arc<Gate>)| (name.clone(), locked(&gate.traffic).clone());
        gates.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who sets `--max-retry-wait` to no end gets whatever a server says.
    #[test]
    fn a_wait_beyond_all_clocks_closes_the_gate() {
        let gate = Gate::new("r.example", &Limits::default());
        assert!(gate.reads_one_blob());
        gate.close_for(Duration::MAX);
        assert!(!gate.reads_one_blob());
    }
}
