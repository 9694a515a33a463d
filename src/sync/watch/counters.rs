//! What only grows over the runs of one process.

use std::collections::BTreeMap;

use crate::sync::report::{Exposition, Report, Status};

/// Sums over runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Runs by how they ended.
    runs: BTreeMap<&'static str, u64>,
    failures: BTreeMap<String, u64>,
    tags: BTreeMap<Status, u64>,
    /// For each registry: requests, bytes read and bytes written.
    hosts: BTreeMap<String, [u64; 3]>,
}

impl Counters {
    pub(super) fn add(&mut self, report: &Report) {
        let ended = match report.exit_code() {
            0 => "ok",
            4 => "unfinished",
            _ => "failed",
        };
        add(&mut self.runs, ended, 1);
        for (kind, count) in report.failures_by_kind() {
            add(&mut self.failures, kind.to_string(), count);
        }
        for status in Status::ALL {
            add(&mut self.tags, status, report.totals.count(status));
        }
        for host in &report.hosts {
            let sums = self.hosts.entry(host.host.clone()).or_default();
            let more = [host.requests, host.bytes_read, host.bytes_written];
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum = sum.saturating_add(more);
            }
        }
    }

    pub(super) fn write(&self, text: &mut Exposition) {
        text.counter("imgcopy_runs_total", "Runs by how they ended");
        // From the beginning on, so that the first failure is an increase.
        for result in ["ok", "unfinished", "failed"] {
            let count = self.runs.get(result).copied().unwrap_or_default();
            text.sample(&[("result", result)], count);
        }
        text.counter("imgcopy_failures_total", "Failures by their kind");
        for (kind, count) in &self.failures {
            text.sample(&[("reason", kind)], count);
        }
        text.counter("imgcopy_tags_total", "Tags by what became of them");
        for status in Status::ALL {
            let count = self.tags.get(&status).copied().unwrap_or_default();
            text.sample(&[("status", status.as_str())], count);
        }
        text.counter("imgcopy_bytes_total", "Bytes by registry");
        for (host, [_, read, written]) in &self.hosts {
            text.sample(&[("host", host), ("direction", "read")], read);
            text.sample(&[("host", host), ("direction", "written")], written);
        }
        text.counter("imgcopy_requests_total", "Requests by registry");
        for (host, [requests, ..]) in &self.hosts {
            text.sample(&[("host", host)], requests);
        }
    }
}

fn add<K: Ord>(sums: &mut BTreeMap<K, u64>, key: K, more: u64) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(more);
}
