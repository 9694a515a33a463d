//! How fast: requests and bytes, spread evenly over time.
//!
//! Nothing is saved up: who was idle does not begin with a burst, so no stretch of time has more than
//! what is allowed for it.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::options::Rate;
use crate::store::locked;

/// How much of a blob passes at once where its speed is limited, in bytes: so that all that share a
/// registry keep moving, and nobody hangs up on one that waits for its turn.
const PORTION: usize = 16 << 10;

/// Nobody is made to wait longer for one thing.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// Lets so much pass in a time.
pub(super) struct Pace {
    rate: Rate,
    /// When the next may begin.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            next: Mutex::default(),
        }
    }

    /// Waits for the turn of so many, in the order of asking.
    pub(super) async fn wait(&self, units: u64) {
        let now = Instant::now();
        let begin = {
            let mut next = locked(&self.next);
            let (begin, after) = turn(self.rate, *next, now, units);
            *next = Some(after);
            begin
        };
        if begin > now {
            tokio::time::sleep_until(begin).await;
        }
    }
}

/// When so many may begin, and whoever comes after them.
fn turn(rate: Rate, next: Option<Instant>, now: Instant, units: u64) -> (Instant, Instant) {
    let begin = next.map_or(now, |next| next.max(now));
    let after = begin.checked_add(time_of(rate, units)).unwrap_or(begin);
    (begin, after)
}

/// How long so many take. Rounded up, so that there are never too many.
fn time_of(rate: Rate, units: u64) -> Duration {
    let count = u128::from(rate.count.get());
    let nanos = rate.per.as_nanos().saturating_mul(u128::from(units));
    let nanos = u64::try_from(nanos.div_ceil(count)).unwrap_or(u64::MAX);
    Duration::from_nanos(nanos).min(LONGEST)
}

/// A piece in portions.
pub(super) fn portions(mut piece: Bytes) -> Vec<Bytes> {
    let mut portions = Vec::with_capacity(piece.len() / PORTION + 1);
    while piece.len() > PORTION {
        portions.push(piece.split_to(PORTION));
    }
    portions.push(piece);
    portions
}

/// The first portion; the piece keeps the rest.
pub(super) fn portion(piece: &mut Bytes) -> Bytes {
    piece.split_to(PORTION.min(piece.len()))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn rate(count: u64, per: Duration) -> Rate {
        let count = NonZeroU64::new(count).unwrap();
        Rate { count, per }
    }

    /// When each of `asked` begins, if each comes when it is told, all in milliseconds.
    fn begins(rate: Rate, asked: &[(u64, u64)]) -> Vec<u128> {
        let zero = Instant::now();
        let mut next = None;
        let one = |&(at, units): &(u64, u64)| {
            let (begin, after) = turn(rate, next, zero + Duration::from_millis(at), units);
            next = Some(after);
            (begin - zero).as_millis()
        };
        asked.iter().map(one).collect()
    }

    #[test]
    fn requests_are_spread_evenly_and_rest_is_not_saved_up() {
        let forty = rate(40, Duration::from_secs(1));
        assert_eq!(begins(forty, &[(0, 1); 4]), [0, 25, 50, 75]);
        let late = [(0, 1), (1000, 1), (1000, 1), (1010, 1)];
        assert_eq!(begins(forty, &late), [0, 1000, 1025, 1050]);
        let hundred = rate(100, Duration::from_mins(1));
        assert_eq!(begins(hundred, &[(0, 1); 3]), [0, 600, 1200]);
    }

    #[test]
    fn bytes_take_as_long_as_they_are_many() {
        let slow = rate(1000, Duration::from_secs(1));
        let pieces = [(0, 500), (0, 2000), (0, 1), (4000, 1)];
        assert_eq!(begins(slow, &pieces), [0, 500, 2500, 4000]);
    }

    #[test]
    fn no_stretch_of_time_has_more_than_its_share() {
        let seven = rate(7, Duration::from_secs(1));
        let begins = begins(seven, &[(0, 1); 50]);
        for from in &begins {
            let within = begins.iter().filter(|at| (*from..from + 1000).contains(at));
            assert!(within.count() <= 7);
        }
    }

    #[test]
    fn numbers_beyond_all_clocks_are_only_a_long_time() {
        let never = rate(1, Duration::MAX);
        assert_eq!(time_of(never, u64::MAX), LONGEST);
        let (begin, after) = turn(never, None, Instant::now(), 1);
        assert!(after > begin);
    }

    #[test]
    fn a_piece_is_whole_in_its_portions() {
        let piece = Bytes::from((0..=250).cycle().take(100_000).collect::<Vec<u8>>());
        let all = portions(piece.clone());
        assert!(all.len() > 1 && all.iter().all(|it| it.len() <= PORTION));
        assert_eq!(all.concat(), piece);
        assert_eq!(portions(Bytes::new()).len(), 1);
    }
}
