//! One run on many machines: each takes its share, without asking the others.
//!
//! What decides is where an image goes: host and repository, or the path of a local place. So one
//! machine alone writes to a repository, and its layers are shared there. The share is found by
//! rendezvous hashing: every machine has a weight for each place, and the heaviest takes it. With one
//! machine more, only what the new one takes moves.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// Which machine of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// More machines than that are a mistake.
const MOST: u32 = 100_000;

/// Where a machine is told which one it is, and where how many there are; and the number of the first.
const TOLD: [(&str, &str, u32); 5] = [
    // Kubernetes, Indexed Jobs. They do not tell how many there are.
    ("JOB_COMPLETION_INDEX", "", 0),
    // GitLab, `parallel`.
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    // Slurm, job arrays and then tasks.
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", 0),
    ("SLURM_PROCID", "SLURM_NTASKS", 0),
    // GitHub has no variables of its own for this: `env` of the job gives these the values of
    // `strategy.job-index` and `strategy.job-total`.
    ("STRATEGY_JOB_INDEX", "STRATEGY_JOB_TOTAL", 0),
];

impl Shard {
    /// Reads `INDEX/COUNT`, counted from 0, where either may be `auto`: then a variable of the
    /// environment that a scheduler sets tells it. `auto` alone is `auto/auto`.
    ///
    /// # Errors
    /// `Invalid` if it is neither, if the index is not below the count, or if no variable tells it.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let shown: String = text.escape_debug().take(40).collect();
        let invalid =
            |why: &str| Error::new(ErrorKind::Invalid, format!("shard \"{shown}\": {why}"));
        let (index, count) = match text {
            "auto" => ("auto", "auto"),
            _ => text
                .split_once('/')
                .ok_or_else(|| invalid("write INDEX/COUNT, counted from 0, or auto/COUNT"))?,
        };
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.filter(|number: &u32| *number <= MOST)
        };
        let told = TOLD
            .iter()
            .find_map(|(index, count, first)| Some((variable(index)?, variable(count), first)));
        let none_told = || {
            let names: Vec<&str> = TOLD.iter().map(|(index, ..)| *index).collect();
            invalid(&format!("none of {} is set", names.join(", ")))
        };
        let count = match count {
            "auto" => told.as_ref().ok_or_else(none_told)?.1.clone(),
            given => Some(given.to_string()),
        };
        let count = count
            .as_deref()
            .and_then(number)
            .ok_or_else(|| invalid("how many there are is not a number, or not told"))?;
        let index = match index {
            "auto" => {
                let (value, _, first) = told.as_ref().ok_or_else(none_told)?;
                number(value).and_then(|value| value.checked_sub(**first))
            }
            given => number(given),
        };
        match index {
            Some(index) if index < count => Ok(Self { index, count }),
            _ => Err(invalid("the index is a number from 0, below the count")),
        }
    }

    /// Which one this is, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many machines there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether this machine takes what goes to a place.
    pub fn takes(self, place: &str) -> bool {
        let heaviest = (0..self.count).max_by_key(|index| (weight(*index, place), *index));
        heaviest == Some(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// A number that looks random and is the same everywhere.
fn weight(index: u32, place: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(index.to_be_bytes());
    hash.update(place.as_bytes());
    let hash = hash.finalize();
    hash.iter()
        .take(8)
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn places() -> Vec<String> {
        (0..1000)
            .map(|n| format!("registry.corp/mirror/{n}"))
            .collect()
    }

    fn shards(count: u32) -> Vec<Shard> {
        let shard = |index| Shard::parse(&format!("{index}/{count}"), nothing).unwrap();
        (0..count).map(shard).collect()
    }

    #[test]
    fn shards_are_disjoint_and_complete_and_about_equal() {
        for count in [1, 2, 3, 8] {
            let mut taken = vec![0; count as usize];
            for place in places() {
                let mut takers = shards(count)
                    .into_iter()
                    .filter(|shard| shard.takes(&place));
                taken[takers.next().unwrap().index as usize] += 1;
                assert_eq!(takers.next(), None, "{place}");
            }
            let fair = 1000 / count as usize;
            assert!(
                taken
                    .iter()
                    .all(|n| (fair * 3 / 4..=fair * 5 / 4).contains(n)),
                "{taken:?}"
            );
        }
    }

    #[test]
    fn one_machine_more_moves_only_what_it_takes() {
        let (old, new) = (shards(4), shards(5));
        let taker = |shards: &[Shard], place: &str| {
            shards.iter().position(|shard| shard.takes(place)).unwrap()
        };
        let mut moved = 0;
        for place in places() {
            let (before, after) = (taker(&old, &place), taker(&new, &place));
            assert!(before == after || after == 4, "{place}");
            moved += usize::from(before != after);
        }
        assert!((100..=300).contains(&moved), "{moved}");
    }

    #[test]
    fn schedulers_tell_which_machine_it_is() {
        let with = |set: &'static [(&str, &str)]| {
            move |name: &str| {
                let mut set = set.iter();
                set.find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_string())
            }
        };
        let told = |text, set| Shard::parse(text, with(set)).map(|shard| shard.to_string());
        assert_eq!(
            told("auto/8", &[("JOB_COMPLETION_INDEX", "7")]).unwrap(),
            "7/8"
        );
        let gitlab: &[_] = &[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "3")];
        assert_eq!(told("auto", gitlab).unwrap(), "0/3");
        let slurm: &[_] = &[("SLURM_PROCID", "2"), ("SLURM_NTASKS", "4")];
        assert_eq!(told("auto/auto", slurm).unwrap(), "2/4");
        assert_eq!(told("1/2", &[]).unwrap(), "1/2");
        for bad in [
            "",
            "1",
            "2/2",
            "-1/2",
            "a/b",
            "0/0",
            "1/999999999",
            "auto/2",
            "auto",
            "1/2/3",
        ] {
            let error = told(bad, &[]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("shard \"{bad}\": ")), "{error}");
        }
        // It counts machines that are not there.
        told("auto/2", &[("JOB_COMPLETION_INDEX", "2")]).unwrap_err();
    }
}
