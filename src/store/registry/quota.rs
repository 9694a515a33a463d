//! How much of a registry's own limit on pulls is used: Docker Hub's.
//!
//! Manifests that are read count, and questions (HEAD) do not; the answers to both say how many are
//! left. So nothing that counts is asked once too few are left, and questions tell when there are more.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;

use super::headers::limits::RateLimit;
use super::options::Quota;
use crate::error::{Error, ErrorKind};
use crate::store::locked;

/// The longest pause between two looks at whether there are more.
const LOOK: Duration = Duration::from_mins(1);

/// The pulls of one registry.
pub(super) struct Pulls {
    rule: Option<Quota>,
    state: Mutex<State>,
    /// A pull has its answer.
    landed: Notify,
    /// How long was waited for more in this run. Whoever holds it waits, and all others for them.
    pub(super) waited: AsyncMutex<Duration>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// Pulls that have no answer yet, so that what is known may not count them.
    in_flight: u64,
    /// How many were in flight together since there were none.
    together: u64,
    /// Nobody waits any more.
    is_spent: bool,
}

/// What is known of the limit.
#[derive(Debug, Clone, Copy)]
struct Known {
    limit: Option<u64>,
    remaining: u64,
    window: Option<Duration>,
    /// The first answer in this window.
    since: Instant,
}

/// Whether one more manifest may be read.
#[derive(Debug)]
pub(super) enum May<'p> {
    /// Yes.
    Pull(InFlight<'p>),
    /// That is known when those in flight have their answers.
    AfterOthers,
    /// Not until there are more.
    Wait,
    /// No, and it was waited long enough.
    No(Error),
}

/// A pull on its way.
#[derive(Debug)]
pub(super) struct InFlight<'p>(&'p Pulls);

impl std::fmt::Debug for Pulls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulls").finish_non_exhaustive()
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.0.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.in_flight == 0 {
            state.together = 0;
        }
        self.0.landed.notify_one();
    }
}

impl Pulls {
    pub(super) fn new(rule: Option<Quota>) -> Self {
        Self {
            rule,
            state: Mutex::default(),
            landed: Notify::new(),
            waited: AsyncMutex::default(),
        }
    }

    /// Whether one more manifest may be read now.
    pub(super) fn may(&self, registry: &str) -> May<'_> {
        let mut state = locked(&self.state);
        let wall = self.rule.as_ref().and_then(|rule| {
            let known = state.known?;
            let keep = rule.keep.of(known.limit.unwrap_or(known.remaining));
            let left = known.remaining.saturating_sub(state.in_flight);
            (left <= keep).then_some((known, keep))
        });
        match wall {
            None => {
                state.in_flight += 1;
                state.together = state.together.max(state.in_flight);
                May::Pull(InFlight(self))
            }
            Some((known, keep)) if known.remaining > keep => May::AfterOthers,
            Some((known, keep)) if state.is_spent => {
                May::No(known.refusal(registry, keep, Instant::now()))
            }
            Some(_) => May::Wait,
        }
    }

    /// Waits until a pull has its answer.
    pub(super) async fn landed(&self) {
        self.landed.notified().await;
    }

    /// How long to wait before the next look, if so long was waited already. `None` if that was long
    /// enough: then nobody waits any more.
    pub(super) fn pause(&self, waited: Duration) -> Option<Duration> {
        let wait = self.rule.as_ref().map_or(Duration::ZERO, |rule| rule.wait);
        let left = wait.saturating_sub(waited);
        if left.is_zero() {
            locked(&self.state).is_spent = true;
            return None;
        }
        let usual = (wait / 60).clamp(Duration::from_millis(1), LOOK);
        Some(usual.min(left))
    }

    /// What an answer says.
    pub(super) fn note(&self, said: &RateLimit, now: Instant) {
        let Some(remaining) = said.remaining else {
            return;
        };
        let mut state = locked(&self.state);
        let old = state.known;
        // Answers overtake each other: of pulls that were in flight together, the least that was said
        // counts, also when the last of them has its answer.
        let is_one_of_many = state.in_flight > 0 && state.together > 1;
        let remaining = match old {
            Some(old) if is_one_of_many => old.remaining.min(remaining),
            _ => remaining,
        };
        let since = match old {
            Some(old) if remaining <= old.remaining => old.since,
            // There are more than before: another window has begun.
            _ => now,
        };
        state.known = Some(Known {
            limit: said.limit,
            remaining,
            window: said.window,
            since,
        });
    }
}

impl Known {
    fn refusal(&self, registry: &str, keep: u64, now: Instant) -> Error {
        let left = self.remaining;
        let of = self
            .limit
            .map_or_else(String::new, |limit| format!(" of {limit}"));
        // A window that we did not see begin had begun before.
        let resets = self.window.map(|window| {
            let left = window.saturating_sub(now.saturating_duration_since(self.since));
            format!("; the quota resets in about {}", rough(left))
        });
        let what = format!(
            "{registry}: {left}{of} pulls are left, and {keep} are to be kept{}",
            resets.unwrap_or_default()
        );
        Error::new(ErrorKind::RateLimited, what)
    }
}

/// A time as people say it, not too short.
fn rough(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60).max(1);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Share;
    use super::*;

    fn pulls(keep: Share, wait: u64) -> Pulls {
        let wait = Duration::from_secs(wait);
        Pulls::new(Some(Quota { keep, wait }))
    }

    fn say(pulls: &Pulls, remaining: u64) {
        let said = RateLimit {
            limit: Some(100),
            remaining: Some(remaining),
            window: Some(Duration::from_hours(6)),
        };
        pulls.note(&said, Instant::now());
    }

    #[test]
    fn q03_what_is_to_be_kept_is_left() {
        for keep in [Share::Count(20), Share::Percent(20)] {
            let pulls = pulls(keep, 60);
            // Nothing is known yet.
            let May::Pull(first) = pulls.may("x") else {
                panic!()
            };
            say(&pulls, 22);
            assert!(matches!(pulls.may("x"), May::Pull(_)));
            drop(first);
            let May::Pull(one) = pulls.may("x") else {
                panic!()
            };
            let May::Pull(two) = pulls.may("x") else {
                panic!()
            };
            assert!(matches!(pulls.may("x"), May::AfterOthers));
            say(&pulls, 21);
            drop(one);
            assert!(matches!(pulls.may("x"), May::AfterOthers));
            say(&pulls, 20);
            drop(two);
            assert!(matches!(pulls.may("x"), May::Wait));
            // A new window.
            say(&pulls, 100);
            assert!(matches!(pulls.may("x"), May::Pull(_)));
        }
    }

    #[test]
    fn q03_an_answer_that_was_overtaken_brings_no_pull_back() {
        let pulls = pulls(Share::Count(0), 60);
        let flights = (pulls.may("x"), pulls.may("x"));
        say(&pulls, 1);
        say(&pulls, 2);
        drop(flights);
        assert!(matches!(pulls.may("x"), May::Pull(_)));
        assert_eq!(locked(&pulls.state).known.unwrap().remaining, 1);
    }

    #[test]
    fn q03_it_is_waited_so_long_and_no_longer() {
        let pulls = pulls(Share::Count(20), 90);
        say(&pulls, 12);
        let mut waited = Duration::ZERO;
        let mut looks = 0;
        while let Some(pause) = pulls.pause(waited) {
            waited += pause;
            looks += 1;
        }
        assert_eq!((waited, looks), (Duration::from_secs(90), 60));
        let May::No(error) = pulls.may("docker.io") else {
            panic!()
        };
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(
            error.to_string(),
            "docker.io: 12 of 100 pulls are left, and 20 are to be kept; \
             the quota resets in about 6 h"
        );
        // Who was told to go away may come back once there are more.
        say(&pulls, 60);
        assert!(matches!(pulls.may("docker.io"), May::Pull(_)));
    }

    #[test]
    fn the_time_to_the_end_of_the_window_is_told_roughly() {
        let table = [
            (0, "1 min"),
            (38 * 60 - 20, "38 min"),
            (3600, "1 h"),
            (21_000, "5 h 50 min"),
        ];
        for (seconds, told) in table {
            assert_eq!(rough(Duration::from_secs(seconds)), told);
        }
    }

    #[test]
    fn without_a_rule_nobody_is_held() {
        let pulls = Pulls::new(None);
        say(&pulls, 0);
        assert!(matches!(pulls.may("x"), May::Pull(_)));
    }
}
