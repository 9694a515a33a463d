//! The report as metrics in Prometheus' text form, for the textfile collector of `node_exporter`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::text::plain;
use super::{Report, Status};

impl Report {
    /// Metrics of this run. The time of the last success is there only if this run was one.
    pub fn metrics(&self) -> String {
        self.metrics_after(None)
    }

    /// The same. If this run was no success, the last one is that of `before`: metrics of an earlier
    /// run, in this form.
    pub fn metrics_after(&self, before: Option<&str>) -> String {
        let mut text = Exposition::default();
        let end = self.run.end().seconds();
        let success = match self.exit_code() {
            0 => Some(end),
            _ => before.and_then(last_success),
        };
        if let Some(success) = success {
            let help = "When a run last ended with nothing failed or put off";
            text.family(LAST_SUCCESS, help);
            text.sample(&[], success);
        }
        text.family(
            "imgcopy_last_run_timestamp_seconds",
            "When the last run ended",
        );
        text.sample(&[], end);
        text.family("imgcopy_run_duration_seconds", "How long the last run took");
        text.sample(&[], self.run.took.as_secs_f64());
        text.family(
            "imgcopy_tags",
            "Tags of the last run by what became of them",
        );
        for status in Status::ALL {
            text.sample(&[("status", status.as_str())], self.totals.count(status));
        }
        let pending = self.totals.count(Status::Deferred) + self.totals.count(Status::Failed);
        text.family(
            "imgcopy_pending_tags",
            "Tags that the last run failed at or put off",
        );
        text.sample(&[], pending);
        text.family("imgcopy_failures", "Failures of the last run by their kind");
        for (kind, count) in self.failures_by_kind() {
            text.sample(&[("reason", kind)], count);
        }
        self.add_hosts(&mut text);
        text.text
    }

    pub(in crate::sync) fn failures_by_kind(&self) -> BTreeMap<&str, u64> {
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for row in self.failed() {
            *kinds
                .entry(row.kind.as_deref().unwrap_or("failed"))
                .or_default() += 1;
        }
        let problems = self.all_problems().len() as u64;
        if problems > 0 {
            *kinds.entry("problem").or_default() += problems;
        }
        kinds
    }

    fn add_hosts(&self, text: &mut Exposition) {
        text.family("imgcopy_bytes", "Bytes of the last run by registry");
        for host in &self.hosts {
            let labels = |direction| [("host", host.host.as_str()), ("direction", direction)];
            text.sample(&labels("read"), host.bytes_read);
            text.sample(&labels("written"), host.bytes_written);
        }
        text.family("imgcopy_requests", "Requests of the last run by registry");
        for host in &self.hosts {
            text.sample(&[("host", &host.host)], host.requests);
        }
        text.family(
            "imgcopy_quota_remaining",
            "Pulls that a registry still gives",
        );
        for host in &self.hosts {
            if let Some(left) = host.pulls_left {
                text.sample(&[("host", &host.host)], left);
            }
        }
    }
}

const LAST_SUCCESS: &str = "imgcopy_last_success_timestamp_seconds";

/// The time of the last success in metrics of an earlier run.
fn last_success(metrics: &str) -> Option<f64> {
    let mut samples = metrics.lines().filter_map(|line| line.split_once(' '));
    let (_, seconds) = samples.find(|(name, _)| *name == LAST_SUCCESS)?;
    let seconds: f64 = seconds.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds)
}

/// Prometheus' text form, family by family.
#[derive(Default)]
pub(in crate::sync) struct Exposition {
    pub(in crate::sync) text: String,
    name: &'static str,
}

impl Exposition {
    /// Begins a family that is about one run, so that it does not only grow; the samples that follow
    /// belong to it.
    pub(in crate::sync) fn family(&mut self, name: &'static str, help: &str) {
        self.of_kind(name, help, "gauge");
    }

    /// Begins a family that only grows.
    pub(in crate::sync) fn counter(&mut self, name: &'static str, help: &str) {
        self.of_kind(name, help, "counter");
    }

    fn of_kind(&mut self, name: &'static str, help: &str, kind: &str) {
        self.name = name;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(in crate::sync) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let written = labels.iter().map(|(label, value)| {
            let value = plain(value).replace('\\', "\\\\").replace('"', "\\\"");
            format!("{label}=\"{value}\"")
        });
        let labels = written.collect::<Vec<_>>().join(",");
        let name = self.name;
        let _ = match labels.is_empty() {
            true => writeln!(self.text, "{name} {value}"),
            false => writeln!(self.text, "{name}{{{labels}}} {value}"),
        };
    }
}
