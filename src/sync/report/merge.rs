//! Reports of several machines, or of a run and its repetition, as one.

use std::collections::{BTreeMap, BTreeSet};

use super::{HostLine, Report, Row, Run, Saved, Shard};
use crate::error::{Error, ErrorKind, Result};

impl Report {
    /// Several reports as one. Of rows with the same source and destination, the one of the report
    /// that began last counts: a repetition of what failed takes its place. Seconds go from the first
    /// beginning to the last end. The order of the reports does not matter.
    ///
    /// # Errors
    /// `Invalid` without any report.
    pub fn merge(mut reports: Vec<Report>) -> Result<Report> {
        reports.sort_by(|a, b| {
            let key = |report: &Report| (report.run.started, report.run.shards.clone());
            key(a).cmp(&key(b))
        });
        let Some(run) = merged_run(&reports) else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "there is no report to merge",
            ));
        };
        let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
        let mut hosts: BTreeMap<String, HostLine> = BTreeMap::new();
        let mut saved = Saved::default();
        let mut forecast = Vec::new();
        for report in reports {
            for row in report.rows {
                rows.insert((row.destination.clone(), row.source.clone()), row);
            }
            forecast.extend(report.forecast);
            for line in report.hosts {
                let known = hosts.entry(line.host.clone()).or_default();
                add_host(known, line);
            }
            saved.blobs = saved.blobs.saturating_add(report.saved.blobs);
            saved.bytes = saved.bytes.saturating_add(report.saved.bytes);
            saved.mounted = saved.mounted.saturating_add(report.saved.mounted);
        }
        let hosts = hosts.into_values().collect();
        let merged = Report::new(run, saved, hosts, rows.into_values().collect());
        Ok(merged.with_forecast(forecast))
    }

    /// The parts of which no report was merged: nobody knows what came of them.
    pub fn missing_shards(&self) -> Vec<Shard> {
        let there: BTreeSet<&Shard> = self.run.shards.iter().collect();
        // The report of one machine is about its own part only.
        if !self.run.is_merged {
            return Vec::new();
        }
        let counts: BTreeSet<u32> = there.iter().map(|shard| shard.of).collect();
        let all = counts.into_iter().flat_map(|of| {
            // A number that nobody runs is not spelt out.
            (0..of.min(10_000)).map(move |index| Shard { of, index })
        });
        all.filter(|shard| !there.contains(shard)).collect()
    }
}

fn add_host(known: &mut HostLine, line: HostLine) {
    known.host = line.host;
    known.requests = known.requests.saturating_add(line.requests);
    known.bytes_read = known.bytes_read.saturating_add(line.bytes_read);
    known.bytes_written = known.bytes_written.saturating_add(line.bytes_written);
    known.pulls = known.pulls.saturating_add(line.pulls);
    // What a registry has left only becomes less in a period.
    known.pulls_limit = least(known.pulls_limit, line.pulls_limit);
    known.pulls_left = least(known.pulls_left, line.pulls_left);
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().min()
}

/// What the runs have in common; they are sorted by their beginnings.
fn merged_run(reports: &[Report]) -> Option<Run> {
    let first = &reports.first()?.run;
    let last = &reports.last()?.run;
    let ends = reports.iter().map(|report| report.run.end());
    let end = ends.max()?;
    let same = |of: fn(&Run) -> &Option<String>| {
        let alike = reports.iter().all(|report| of(&report.run) == of(first));
        of(first).clone().filter(|_| alike)
    };
    let shards: BTreeSet<Shard> = (reports.iter())
        .flat_map(|report| report.run.shards.iter().copied())
        .collect();
    let problems: BTreeSet<&String> = (reports.iter())
        .flat_map(|report| &report.run.problems)
        .collect();
    let stopped: BTreeSet<&String> = (reports.iter())
        .filter_map(|report| report.run.stopped.as_ref())
        .collect();
    let stopped: Vec<&str> = stopped.into_iter().map(String::as_str).collect();
    Some(Run {
        imgcopy: last.imgcopy.clone(),
        started: first.started,
        took: end.since(first.started),
        file: same(|run| &run.file),
        shards: shards.into_iter().collect(),
        stopped: (!stopped.is_empty()).then(|| stopped.join("; ")),
        problems: problems.into_iter().cloned().collect(),
        is_merged: true,
    })
}
