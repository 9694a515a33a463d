//! The report as lines for a terminal or a log.

use super::text::{count, plain, size, span};
use super::{Report, Row, Status};

impl Report {
    /// A line for each image that changed, then what was put off, then each failure with its advice,
    /// where nobody overlooks it, and one line with all numbers at the end.
    pub fn lines(&self) -> Vec<String> {
        let changed = self.rows.iter().filter(|row| row.status.is_change());
        let mut lines: Vec<String> = changed.map(Row::line).collect();
        lines.extend(self.rest());
        lines
    }

    /// The same lines without the images that changed.
    pub fn rest(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let left = [Status::Kept, Status::Skipped, Status::Deferred];
        for status in left {
            lines.extend(self.rows_with(status).map(Row::reasoned_line));
        }
        for row in self.failed() {
            lines.push(row.reasoned_line());
            let advice = row.advice.as_deref();
            lines.extend(advice.map(|advice| format!("  hint: {}", plain(advice))));
        }
        let problems = self.run.problems.iter();
        lines.extend(problems.map(|problem| format!("problem  {}", plain(problem))));
        let missing = self.missing_shards();
        lines.extend(
            missing
                .iter()
                .map(|shard| format!("problem  no report of shard {shard}")),
        );
        lines.push(self.summary());
        lines
    }

    /// All numbers in one line: `2 new, 1 updated, 97 same, 1 failed; 31.2 MB in 12.0 s, 210 requests`.
    pub fn summary(&self) -> String {
        let present = (Status::ALL.iter()).map(|status| (self.totals.count(*status), status));
        let counts: Vec<String> = present
            .filter(|(count, _)| *count > 0)
            .map(|(count, status)| format!("{count} {status}"))
            .collect();
        let counts = match counts.is_empty() {
            true => "nothing to do".to_string(),
            false => counts.join(", "),
        };
        let stopped = self.run.stopped.as_deref();
        let stopped = stopped.map(|why| format!("; stopped early: {}", plain(why)));
        format!(
            "{counts}; {} in {}, {}{}",
            size(self.totals.bytes),
            span(self.run.took),
            count(self.requests(), "request"),
            stopped.unwrap_or_default()
        )
    }

    /// Every request, with those that belong to no image.
    pub(super) fn requests(&self) -> u64 {
        let at_hosts = self.hosts.iter().map(|host| host.requests);
        at_hosts
            .fold(0, u64::saturating_add)
            .max(self.totals.requests)
    }
}

impl Row {
    /// The row as a line of a log: status, names, digests and size.
    pub fn line(&self) -> String {
        let to = self.after.as_ref().or(self.source_digest.as_ref());
        let digests = match (&self.before, to) {
            (Some(before), Some(to)) => format!("  {} -> {}", before.short(), to.short()),
            (None, Some(to)) => format!("  {}", to.short()),
            _ => String::new(),
        };
        let names = names(self);
        format!("{:8} {names}{digests}  {}", self.status, size(self.bytes))
    }

    /// The row as a line of a log: status, names and the reason.
    pub fn reasoned_line(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("no reason was told");
        format!("{:8} {}: {}", self.status, names(self), plain(reason))
    }
}

fn names(row: &Row) -> String {
    match row.source.is_empty() {
        true => plain(&row.destination),
        false => format!("{} (from {})", plain(&row.destination), plain(&row.source)),
    }
}
