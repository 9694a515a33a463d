//! Running again and again, as a `sync.yaml` schedules it.
//!
//! ```text
//! load -> wait -> (the file has changed: load) -> run -> wait ...
//! ```
//!
//! There is one loop, so runs never overlap. It looks at the clock on the wall every few seconds rather
//! than sleep until a time: while a machine sleeps, timers may stand still.

mod board;
mod counters;
mod files;
mod schedule;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::config::{Config, Position, Problem};
use super::report::{Report, Run, Saved};
use super::{Ended, How, Places, Stop, Told, announce};
use crate::error::Error;
use crate::store::registry::Options;
use files::Noted;

pub use board::Board;
pub use schedule::Timetable;

/// How often the files and the clock are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// A clock that goes back further than this was wrong before.
const SET_BACK: SignedDuration = SignedDuration::from_hours(1);

/// What is run, and how.
pub struct Watch {
    /// The file.
    pub file: PathBuf,
    /// How runs are to be. `now` and `deadline` are set for each; `stop` ends the loop.
    pub how: How,
    /// How registries are reached that no rule of the file is for.
    pub options: Options,
    /// Runs at equal distances, whatever the file schedules.
    pub interval: Option<Duration>,
    /// The first run begins at once.
    pub at_once: bool,
    /// Where the report of each run goes, each in place of the last one.
    pub reports: Vec<PathBuf>,
    /// What tells this machine from others: see [`Timetable::of`].
    pub machine: String,
    /// Who is told makes the loop read the file again.
    pub reload: Arc<Notify>,
    /// Where it is seen from outside what goes on.
    pub board: Arc<Board>,
}

/// Something that happened in the loop.
#[derive(Debug)]
#[non_exhaustive]
pub enum Seen<'s> {
    /// The next run begins then.
    Waits(Timestamp),
    /// Something in a run.
    Run(&'s Told<'s>),
    /// A run has ended.
    Ended(&'s Report),
    /// Something that is not as it should be, and is no failure of the run: a clause.
    Warning(&'s str),
    /// The file has changed, and what it says now counts.
    Reloaded,
    /// The file has changed, and this is wrong with it. What it said before still counts.
    Refused(&'s [Problem]),
}

/// Whoever is told.
pub type Watcher<'w> = dyn Fn(&Seen<'_>) + Send + Sync + 'w;

/// Runs by schedule, until it is stopped.
///
/// # Errors
/// Everything that is wrong with the file at the beginning: it has no schedule and there is no
/// interval, for example.
pub async fn watch(watch: &Watch, seen: &Watcher<'_>) -> Result<(), Vec<Problem>> {
    let (noted, loaded) = watch.load(Timestamp::now());
    let (config, timetable) = loaded?;
    watch.board.loaded(&timetable, Timestamp::now());
    let mut current = Current {
        watch,
        seen,
        noted,
        config,
        timetable,
    };
    if watch.at_once {
        current.run().await;
    }
    current.goes_on().await;
    Ok(())
}

/// What counts now.
struct Current<'w> {
    watch: &'w Watch,
    seen: &'w Watcher<'w>,
    noted: Noted,
    config: Config,
    timetable: Timetable,
}

/// Why nobody waits any more.
enum Woken {
    Due,
    /// The file is to be read again.
    Changed,
    /// The clock has gone back.
    SetBack,
    Stopped,
}

impl Current<'_> {
    async fn goes_on(&mut self) {
        let mut since = Timestamp::now();
        let mut announced = None;
        while self.how_stop().reason().is_none() {
            let Some(due) = self.timetable.next(since) else {
                // The calendar ends: nothing is due any more.
                self.how_stop().asked().await;
                return;
            };
            self.watch.board.waits(due);
            if announced.replace(due) != Some(due) {
                (self.seen)(&Seen::Waits(due));
            }
            match self.waits(since, due).await {
                Woken::Stopped => return,
                Woken::SetBack => since = Timestamp::now(),
                Woken::Changed => {
                    if self.reload() {
                        since = Timestamp::now();
                    }
                }
                Woken::Due => {
                    if self.noted.has_changed() {
                        self.reload();
                    }
                    self.run().await;
                    since = Timestamp::now();
                }
            }
        }
    }

    fn how_stop(&self) -> &Stop {
        &self.watch.how.stop
    }

    async fn waits(&self, since: Timestamp, due: Timestamp) -> Woken {
        loop {
            let now = Timestamp::now();
            if now >= due {
                return match self.how_stop().reason() {
                    Some(_) => Woken::Stopped,
                    None => Woken::Due,
                };
            }
            if since.duration_since(now) > SET_BACK {
                return Woken::SetBack;
            }
            let left = due.duration_since(now).unsigned_abs();
            tokio::select! {
                biased;
                _ = self.how_stop().asked() => return Woken::Stopped,
                () = self.watch.reload.notified() => return Woken::Changed,
                () = tokio::time::sleep(left.min(LOOK)) => {}
            }
            if left > LOOK && self.noted.has_changed() {
                return Woken::Changed;
            }
        }
    }

    /// Reads the file again. Gives whether other times count now.
    fn reload(&mut self) -> bool {
        let (noted, loaded) = self.watch.load(Timestamp::now());
        // Even if it is bad: it is told once.
        self.noted = noted;
        match loaded {
            Err(problems) => {
                self.watch.board.refused();
                (self.seen)(&Seen::Refused(&problems));
                false
            }
            Ok((config, timetable)) => {
                self.config = config;
                let others = !timetable.is_like(&self.timetable);
                if others {
                    self.timetable = timetable;
                }
                self.watch.board.loaded(&self.timetable, Timestamp::now());
                (self.seen)(&Seen::Reloaded);
                others
            }
        }
    }

    async fn run(&self) {
        self.watch.board.begins(Timestamp::now());
        let report = self.report().await;
        for path in &self.watch.reports {
            if let Err(error) = report.write(path) {
                (self.seen)(&Seen::Warning(&error.in_one_line()));
            }
        }
        for warning in announce(&self.config, &report, self.how_stop()).await {
            (self.seen)(&Seen::Warning(&warning));
        }
        self.watch.board.ended(&report, Timestamp::now());
        (self.seen)(&Seen::Ended(&report));
    }

    /// The report of a run. Whatever keeps it from beginning is a problem in it.
    async fn report(&self) -> Report {
        let mut how = self.watch.how.clone();
        how.now = SystemTime::now();
        let deadline = self.timetable.deadline;
        how.deadline = deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        let machines = how.shard.and_then(|shard| NonZeroU32::new(shard.count()));
        let machines = machines.unwrap_or(NonZeroU32::MIN);
        // New ones for each run: what registries had yesterday may be gone, and passwords change.
        let places = match Places::new(&self.config, self.watch.options.clone(), machines) {
            Ok(places) => places,
            Err(error) => return nothing_done(&how, vec![error.in_one_line()]),
        };
        let told = |told: &Told<'_>| (self.seen)(&Seen::Run(told));
        let ended = super::sync(&self.config, &places, &how, &told).await;
        for warning in places.registries().warnings() {
            (self.seen)(&Seen::Warning(&warning));
        }
        match ended {
            Ok(Ended::Run(report)) => report,
            Ok(Ended::Problems(problems)) => {
                nothing_done(&how, problems.iter().map(ToString::to_string).collect())
            }
            Err(error) => nothing_done(&how, vec![error.in_one_line()]),
        }
    }
}

fn nothing_done(how: &How, problems: Vec<String>) -> Report {
    let mut run = Run::begin(how.file.clone());
    run.problems = problems;
    Report::new(run, Saved::default(), Vec::new(), Vec::new())
}

impl Watch {
    fn load(&self, now: Timestamp) -> (Noted, Result<(Config, Timetable), Vec<Problem>>) {
        let (noted, config) = Noted::load(&self.file);
        let loaded = config.and_then(|config| {
            let timetable = self.timetable(&config, now)?;
            Ok((config, timetable))
        });
        (noted, loaded)
    }

    fn timetable(&self, config: &Config, now: Timestamp) -> Result<Timetable, Vec<Problem>> {
        let deadline = config.schedule.as_ref().and_then(|it| it.deadline);
        let made = match (&self.interval, &config.schedule) {
            (Some(interval), _) => Ok(Timetable::every(*interval, now)),
            (None, Some(schedule)) => Timetable::of(
                schedule,
                format!("{} {}", self.machine, self.file.display()),
            ),
            (None, None) => {
                let what =
                    "it has no `schedule`; add `schedule: {cron: 0 2 * * *}`, or give --interval";
                Err(Error::new(crate::error::ErrorKind::Invalid, what))
            }
        };
        let mut timetable = made.map_err(|error| {
            let at = Position {
                file: self.file.clone(),
                line: 1,
                column: 1,
            };
            vec![Problem {
                at,
                text: error.in_one_line(),
            }]
        })?;
        timetable.deadline = deadline;
        Ok(timetable)
    }
}
