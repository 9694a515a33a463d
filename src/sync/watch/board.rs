//! What is to be seen of a loop from outside: metrics, and whether it does its work.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::counters::Counters;
use super::schedule::Timetable;
use crate::store::locked;
use crate::sync::report::{Exposition, Report};

/// How much longer than its deadline a run may take to put things away.
const GRACE: Duration = Duration::from_mins(10);

/// Where the loop writes down what it does, and others read it.
#[derive(Debug, Default)]
pub struct Board(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    timetable: Option<Timetable>,
    /// Since when a run is waited for.
    since: Option<Timestamp>,
    running: Option<Timestamp>,
    next: Option<Timestamp>,
    counters: Counters,
    /// The metrics of the last run.
    last: String,
    refused: bool,
}

impl Board {
    /// A file was read, at first or anew, and this is when it wants to run.
    pub(super) fn loaded(&self, timetable: &Timetable, now: Timestamp) {
        let mut state = locked(&self.0);
        state.refused = false;
        if state.timetable.as_ref() != Some(timetable) {
            state.timetable = Some(timetable.clone());
            state.since = Some(now);
        }
    }

    /// The file has changed and cannot be used.
    pub(super) fn refused(&self) {
        locked(&self.0).refused = true;
    }

    pub(super) fn waits(&self, next: Timestamp) {
        locked(&self.0).next = Some(next);
    }

    pub(super) fn begins(&self, now: Timestamp) {
        locked(&self.0).running = Some(now);
    }

    pub(super) fn ended(&self, report: &Report, now: Timestamp) {
        let mut state = locked(&self.0);
        (state.running, state.since) = (None, Some(now));
        state.counters.add(report);
        state.last = report.metrics_after(Some(&state.last));
    }

    /// Metrics in Prometheus' text form: those of the last run, and sums over all runs.
    pub fn metrics(&self) -> String {
        let state = locked(&self.0);
        let mut text = Exposition::default();
        text.text.clone_from(&state.last);
        state.counters.write(&mut text);
        text.family("imgcopy_running", "Whether a run goes on");
        text.sample(&[], u8::from(state.running.is_some()));
        let help = "Whether the file could be used when it was read last";
        text.family("imgcopy_config_last_reload_successful", help);
        text.sample(&[], u8::from(!state.refused));
        if let Some(next) = state.next {
            let help = "When the next run begins, or the one that goes on was to begin";
            text.family("imgcopy_next_run_timestamp_seconds", help);
            text.sample(&[], next.as_duration().as_secs_f64());
        }
        text.text
    }

    /// Whether runs begin when they should and end.
    ///
    /// # Errors
    /// Why not: two times have passed without a run, or a run goes on long after its deadline.
    pub fn health(&self, now: Timestamp) -> Result<(), String> {
        let state = locked(&self.0);
        let (Some(timetable), Some(since)) = (&state.timetable, state.since) else {
            return Err("it has not begun yet".into());
        };
        match (state.running, timetable.deadline) {
            (Some(begun), Some(deadline)) => {
                let most = deadline.saturating_add(GRACE);
                let took = now.duration_since(begun);
                match !took.is_negative() && took.unsigned_abs() > most {
                    true => Err(format!(
                        "a run goes on since {begun}, long after its deadline"
                    )),
                    false => Ok(()),
                }
            }
            (Some(_), None) => Ok(()),
            (None, _) => match timetable.last_but_one(now) {
                Some(missed) if missed > since => Err(format!(
                    "no run since {since}, though one was to begin at {missed}"
                )),
                _ => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::sync::config::Schedule;
    use crate::sync::report::{HostLine, Row, Run, Saved, Status};

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}Z").parse().unwrap()
    }

    fn nightly() -> Timetable {
        let schedule = Schedule {
            cron: "0 2 * * *".parse().unwrap(),
            zone: "UTC".into(),
            jitter: Duration::from_mins(10),
            deadline: Some(Duration::from_hours(4)),
        };
        Timetable::of(&schedule, "").unwrap()
    }

    fn report(fails: bool) -> Report {
        let mut row = Row::new("a:1", "b:1", Status::New);
        if fails {
            row = row.failed(&Error::new(ErrorKind::Unreachable, "no answer"));
        }
        let mut run = Run::begin(None);
        run.started = "2026-11-21T02:00:00Z".parse().unwrap();
        let host = HostLine {
            host: "r.corp".into(),
            requests: 5,
            bytes_written: 100,
            ..HostLine::default()
        };
        Report::new(run, Saved::default(), vec![host], vec![row])
    }

    #[test]
    fn who_misses_two_times_is_ill() {
        let board = Board::default();
        board.health(at("20T00:00:00")).unwrap_err();
        board.loaded(&nightly(), at("20T00:00:00"));
        for well in ["20T01:00:00", "20T03:00:00", "21T01:59:59"] {
            assert_eq!(board.health(at(well)), Ok(()), "{well}");
        }
        let why = board.health(at("21T02:00:00")).unwrap_err();
        assert!(why.contains("no run since 2026-11-20T00:00:00Z"), "{why}");
        // A run makes it well, however it ended.
        board.begins(at("21T02:10:00"));
        assert_eq!(board.health(at("21T02:11:00")), Ok(()));
        board.ended(&report(true), at("21T03:00:00"));
        assert_eq!(board.health(at("23T01:59:00")), Ok(()));
        board.health(at("23T02:00:00")).unwrap_err();
        // Other times count from when they were given; the same ones change nothing.
        board.loaded(&nightly(), at("23T02:30:00"));
        board.health(at("23T02:31:00")).unwrap_err();
        let other = Timetable::every(Duration::from_hours(1), at("23T02:32:00"));
        board.loaded(&other, at("23T02:32:00"));
        assert_eq!(board.health(at("23T02:33:00")), Ok(()));
    }

    #[test]
    fn a_run_that_does_not_end_is_ill() {
        let board = Board::default();
        board.loaded(&nightly(), at("20T00:00:00"));
        board.begins(at("20T02:00:00"));
        assert_eq!(board.health(at("20T06:09:00")), Ok(()));
        board.health(at("20T06:11:00")).unwrap_err();
        assert_eq!(
            board.health(at("20T01:00:00")),
            Ok(()),
            "the clock went back"
        );
    }

    #[test]
    fn sums_grow_and_the_last_success_stays() {
        let board = Board::default();
        board.loaded(&nightly(), at("20T00:00:00"));
        let has = |line: &str| {
            let metrics = board.metrics();
            assert!(metrics.lines().any(|it| it == line), "{line}\n{metrics}");
        };
        has("imgcopy_runs_total{result=\"failed\"} 0");
        for fails in [false, true, true] {
            board.ended(&report(fails), at("21T02:00:00"));
        }
        board.waits(at("22T02:00:00"));
        board.refused();
        has("imgcopy_runs_total{result=\"ok\"} 1");
        has("imgcopy_runs_total{result=\"failed\"} 2");
        has("imgcopy_failures_total{reason=\"unreachable\"} 2");
        has("imgcopy_requests_total{host=\"r.corp\"} 15");
        has("imgcopy_bytes_total{host=\"r.corp\",direction=\"written\"} 300");
        has("imgcopy_requests{host=\"r.corp\"} 5");
        has("imgcopy_tags_total{status=\"new\"} 1");
        has("imgcopy_last_success_timestamp_seconds 1795226400");
        has("imgcopy_next_run_timestamp_seconds 1795312800");
        has("imgcopy_config_last_reload_successful 0");
        // One family must not begin twice.
        let metrics = board.metrics();
        let mut kinds: Vec<&str> = metrics
            .lines()
            .filter(|it| it.starts_with("# TYPE"))
            .collect();
        let count = kinds.len();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), count);
    }
}
