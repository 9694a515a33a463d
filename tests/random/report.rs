//! Running scripts one by one, and telling what came of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::check;
use crate::script::Script;
use crate::support::registry::Logged;
use crate::world::World;

/// A script that held.
pub(crate) struct Ran {
    pub(crate) requests: usize,
    pub(crate) bound: usize,
    pub(crate) copied: bool,
}

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}
/// Panics of the code under test, on any thread.
static INNER: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps panics for the report, with the place.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let said = panic.to_string();
            let is_ours = panic
                .location()
                .is_some_and(|at| at.file().starts_with("src/"));
            if is_ours {
                let mut inner = INNER.lock().unwrap_or_else(PoisonError::into_inner);
                inner.push(said.clone());
            }
            LAST.with(|last| *last.borrow_mut() = said);
        }));
    });
}

/// Runs a script. What is wrong comes with all that is needed to see it again.
pub(crate) fn one(seed: u64, loudly: bool) -> Result<Ran, String> {
    listen();
    let script = Script::of(seed);
    if loudly {
        eprintln!("{script}");
    }
    let world = World::new(&script);
    let ran = catch_unwind(AssertUnwindSafe(|| check::run(&world)));
    if loudly {
        eprintln!("{}", log(&world));
    }
    match ran {
        Ok((requests, copied)) => Ok(Ran {
            requests,
            bound: script.bound(),
            copied,
        }),
        Err(_) => {
            let said = LAST.with(|last| last.borrow().clone());
            let mut text = format!("{said}\n{script}{}", log(&world));
            let _ = write!(
                text,
                "again: RANDOM_SEED={seed} cargo test --test random -- --nocapture"
            );
            Err(text)
        }
    }
}

/// The requests, in short.
fn log(world: &World<'_>) -> String {
    let mut text = String::new();
    for registry in world.registries() {
        let _ = writeln!(text, "  at {}", registry.host());
        for Logged {
            method,
            target,
            status,
            body_len,
            sent,
            headers,
            ..
        } in registry.log()
        {
            let range = headers.get("range").unwrap_or_default();
            let _ = writeln!(
                text,
                "    {status:3} {method} {target} {range} (in {body_len}, out {sent})"
            );
        }
    }
    text
}

/// What came of many scripts.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>, Condvar);

#[derive(Default)]
struct Counts {
    good: usize,
    copied: usize,
    requests: usize,
    /// The largest share of its bound that a script took, in thousandths, and whose it was.
    worst: (usize, u64),
    bad: Vec<String>,
    /// The scripts under way, and since when.
    running: BTreeMap<u64, Instant>,
    /// How many threads have no more to do.
    ended: usize,
}

/// How many scripts that do not hold are enough.
const ENOUGH: usize = 20;
/// No script takes so long: each of its copies ends earlier, or is ended.
const FOREVER: Duration = Duration::from_mins(4);

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs scripts until there are no more, or enough that do not hold.
    pub(crate) fn work(&self, seeds: &[u64], next: &AtomicUsize) {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) {
            if self.counts().bad.len() >= ENOUGH {
                break;
            }
            self.run(*seed);
        }
        self.counts().ended += 1;
        self.1.notify_all();
    }

    fn run(&self, seed: u64) {
        self.counts().running.insert(seed, Instant::now());
        let ran = one(seed, false);
        let mut counts = self.counts();
        counts.running.remove(&seed);
        match ran {
            Ok(ran) => {
                counts.good += 1;
                counts.copied += usize::from(ran.copied);
                counts.requests += ran.requests;
                let share = ran.requests * 1000 / ran.bound;
                counts.worst = counts.worst.max((share, seed));
            }
            Err(problem) => {
                let head: Vec<&str> = problem.lines().take(30).collect();
                eprintln!("{}", head.join("\n"));
                counts.bad.push(problem);
            }
        }
    }

    /// Waits for so many threads. A script that stands still ends everything: nothing else can end it.
    pub(crate) fn watch(&self, threads: usize) {
        let mut counts = self.counts();
        while counts.ended < threads {
            let waited = self.1.wait_timeout(counts, Duration::from_secs(1));
            counts = waited.unwrap_or_else(PoisonError::into_inner).0;
            let stuck = counts
                .running
                .iter()
                .find(|(_, since)| since.elapsed() > FOREVER);
            if let Some((seed, _)) = stuck {
                eprintln!("it stands still\n{}{}", Script::of(*seed), again(*seed));
                std::process::exit(1);
            }
        }
    }

    pub(crate) fn conclude(&self) {
        let Counts {
            good,
            copied,
            requests,
            worst: (share, seed),
            bad,
            ..
        } = &*self.counts();
        eprintln!(
            "{good} scripts held, {copied} of them copied at once, with {requests} requests; \
             seed {seed} came nearest to its bound ({share} in 1000)"
        );
        let inner = INNER.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(inner.is_empty(), "panics: {inner:#?}");
        assert!(
            bad.is_empty(),
            "{} scripts do not hold:\n{}",
            bad.len(),
            bad.join("\n\n")
        );
    }
}

fn again(seed: u64) -> String {
    format!("again: RANDOM_SEED={seed} cargo test --test random -- --nocapture")
}
