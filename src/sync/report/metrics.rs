//! The report as metrics in Prometheus' text form, for the textfile collector of `node_exporter`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::text::plain;
use super::{Report, Status};

impl Report {
    /// Metrics of this run. The time of the last success is there only if this run was one, so that
    /// whoever keeps the file of an older run can take it over.
    pub fn metrics(&self) -> String {
        let mut text = Exposition::default();
        let end = self.run.end().seconds();
        if self.exit_code() == 0 {
            let help = "When a run last ended with nothing failed or put off";
            text.family("imgcopy_last_success_timestamp_seconds", help);
            text.sample(&[], end);
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

    fn failures_by_kind(&self) -> BTreeMap<&str, u64> {
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

/// Prometheus' text form, family by family. All are gauges: each is about one run, so nothing only
/// grows.
#[derive(Default)]
struct Exposition {
    text: String,
    name: &'static str,
}

impl Exposition {
    /// Begins a family; the samples that follow belong to it.
    fn family(&mut self, name: &'static str, help: &str) {
        self.name = name;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
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
