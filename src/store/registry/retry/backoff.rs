//! When to try again, and when to stop.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use super::{Signal, Verdict};

/// Fresh progress of this many bytes makes good for the failures before it.
const PROGRESS: u64 = 1 << 20;

/// No pause grows beyond this, unless it began longer.
const CAP: Duration = Duration::from_secs(30);

/// No pause is longer, whatever was asked for.
const DAY: Duration = Duration::from_hours(24);

/// How patient to be with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is repeated at most; 0 means that it is made once.
    pub times: u32,
    /// The longest pause before the first repetition. It doubles with each, up to 30 seconds.
    pub delay: Duration,
    /// How long to wait at most where a registry says how long it wants us to.
    pub max_wait: Duration,
}

impl Default for RetryPolicy {
    /// Five attempts; half a second, doubling; five minutes.
    fn default() -> Self {
        Self {
            times: 4,
            delay: Duration::from_millis(500),
            max_wait: Duration::from_mins(5),
        }
    }
}

/// Why there is no other try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It would fail again.
    Hopeless,
    /// What helps at most once was done already.
    DoneBefore,
    /// So many attempts were made, all that the policy allows.
    Spent {
        /// How many, the first one included.
        attempts: u32,
    },
    /// The registry wants us to wait longer than the policy allows.
    RateLimited {
        /// How long, from now on.
        wait: Duration,
    },
}

impl Stop {
    /// The reason in words, to follow what the registry said. `None` if that says enough.
    pub(crate) fn reason(&self, now: SystemTime) -> Option<String> {
        match self {
            Stop::Hopeless | Stop::DoneBefore | Stop::Spent { attempts: 0 | 1 } => None,
            Stop::Spent { attempts } => Some(format!("gave up after {attempts} attempts")),
            // A server's number may lead beyond all calendars.
            Stop::RateLimited { wait } => match now.checked_add(*wait) {
                Some(then) if *wait <= 365 * DAY => Some(format!(
                    "rate limited until {}",
                    httpdate::fmt_http_date(then)
                )),
                _ => Some("rate limited for more than a year".to_string()),
            },
        }
    }
}

/// What is done once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Once {
    /// A new token.
    Reauthenticate,
    /// Fresh bytes.
    RestartBlob,
    /// The pieces of a manifest.
    SelfHeal,
    /// Chunks.
    Chunked,
    /// A host that is not known.
    NoSuchHost,
    /// Status 500, by which some registries mean refusals.
    InternalError,
}

impl Once {
    fn of(signal: &Signal, verdict: &Verdict) -> Option<Self> {
        match (verdict, signal) {
            (Verdict::Reauthenticate, _) => Some(Once::Reauthenticate),
            (Verdict::RestartBlob, _) => Some(Once::RestartBlob),
            (Verdict::SelfHeal, _) => Some(Once::SelfHeal),
            (Verdict::Chunked, _) => Some(Once::Chunked),
            (_, Signal::Dns { temporary: false }) => Some(Once::NoSuchHost),
            (_, Signal::Status { status: 500, .. }) => Some(Once::InternalError),
            _ => None,
        }
    }

    /// Whether progress makes no difference: bytes that were wrong twice will be wrong again.
    fn for_good(self) -> bool {
        !matches!(
            self,
            Once::Reauthenticate | Once::NoSuchHost | Once::InternalError
        )
    }
}

/// Counts the failures of one request, or of all requests that bring one blob over.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    pauses: Pauses,
    /// How many attempts failed since there was progress.
    failed: u32,
    done: Vec<Once>,
    /// How far things were when the counting began.
    progress: u64,
}

impl Backoff {
    /// The first attempt is about to be made.
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self {
            policy: *policy,
            pauses: Pauses::new(policy),
            failed: 0,
            done: Vec::new(),
            progress: 0,
        }
    }

    /// How long to wait before doing what `verdict` says about `signal`.
    ///
    /// What mends a known cause (a new token, chunks, fresh bytes) takes no pause and no attempt, and is
    /// done once. All else takes an attempt and a pause: a random part of a time that doubles, on
    /// top of what the server wants.
    ///
    /// # Errors
    /// Why there is no other try.
    pub(crate) fn next(&mut self, signal: &Signal, verdict: &Verdict) -> Result<Duration, Stop> {
        if matches!(verdict, Verdict::Fail | Verdict::Compare) {
            return Err(Stop::Hopeless);
        }
        let wait = signal.wait().unwrap_or_default();
        if wait > self.policy.max_wait && matches!(signal, Signal::Status { .. }) {
            return Err(Stop::RateLimited { wait });
        }
        if let Some(once) = Once::of(signal, verdict) {
            if self.done.contains(&once) {
                return Err(Stop::DoneBefore);
            }
            self.done.push(once);
        }
        let mends = [
            Verdict::Reauthenticate,
            Verdict::RestartBlob,
            Verdict::SelfHeal,
            Verdict::Chunked,
        ];
        if mends.contains(verdict) {
            return Ok(wait);
        }
        self.failed = self.failed.saturating_add(1);
        match self.pauses.next() {
            Some(pause) => Ok(wait.saturating_add(pause)),
            None => Err(Stop::Spent {
                attempts: self.failed,
            }),
        }
    }

    /// So many bytes have arrived altogether. A mebibyte more than ever before makes good for earlier
    /// failures; bytes that come a second time do not, so there is an end to it.
    pub(crate) fn reached(&mut self, bytes: u64) {
        if bytes.saturating_sub(self.progress) >= PROGRESS {
            self.progress = bytes;
            self.failed = 0;
            self.pauses = Pauses::new(&self.policy);
            self.done.retain(|once| once.for_good());
        }
    }
}

/// Pauses with full jitter: anything between nothing and a time that doubles.
#[derive(Debug)]
struct Pauses {
    plain: ExponentialBackoff,
    jittered: ExponentialBackoff,
}

impl Pauses {
    fn new(policy: &RetryPolicy) -> Self {
        let delay = policy.delay.min(DAY);
        // Without a seed, backon's core counts the same in every process, and they would all come
        // back at the same moment.
        let seed = RandomState::new().build_hasher().finish();
        let builder = ExponentialBuilder::new()
            .with_min_delay(delay)
            .with_factor(2.0)
            .with_max_delay(CAP.max(delay))
            .with_max_times(usize::try_from(policy.times).unwrap_or(usize::MAX));
        Self {
            plain: builder.build(),
            jittered: builder.with_jitter().with_jitter_seed(seed).build(),
        }
    }

    /// The builder's jitter comes on top of the time itself; what is on top is the pause.
    fn next(&mut self) -> Option<Duration> {
        let (plain, jittered) = (self.plain.next()?, self.jittered.next()?);
        Some(jittered.saturating_sub(plain))
    }
}
