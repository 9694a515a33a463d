//! What a run would cost, and a plan as text for a person.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::text::{count, plain, size, span};
use super::{Report, Row, Status};

/// What a run would ask of a registry at least, and move from and to it. What belongs to images, such as
/// their signatures, is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Forecast {
    /// Its name; for places of this machine how they are written.
    pub host: String,
    /// Requests, with those that looking takes.
    pub requests: u64,
    /// Requests that it counts as pulls, likewise.
    pub pulls: u64,
    /// Bytes of blobs that would come from it.
    pub bytes_read: u64,
    /// Bytes of blobs that would go to it.
    pub bytes_written: u64,
}

impl Forecast {
    /// The same host, for the work of another machine.
    fn add(&mut self, other: &Forecast) {
        self.requests = self.requests.saturating_add(other.requests);
        self.pulls = self.pulls.saturating_add(other.pulls);
        self.bytes_read = self.bytes_read.saturating_add(other.bytes_read);
        self.bytes_written = self.bytes_written.saturating_add(other.bytes_written);
    }
}

impl Report {
    /// The report of a run that changes nothing, with what it foresees; one line for each host.
    #[must_use]
    pub fn with_forecast(self, forecast: Vec<Forecast>) -> Self {
        let mut hosts: BTreeMap<String, Forecast> = BTreeMap::new();
        for line in forecast {
            let new = || Forecast {
                host: line.host.clone(),
                ..Forecast::default()
            };
            hosts
                .entry(line.host.clone())
                .or_insert_with(new)
                .add(&line);
        }
        Self {
            forecast: hosts.into_values().collect(),
            ..self
        }
    }

    /// The report of a run that changes nothing, as text: by destination what would happen to which
    /// name and why, what each host would be asked, and all numbers. What stays as it is is counted.
    pub fn plan_text(&self) -> String {
        let mut by_place: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            let place = place_of(&row.destination);
            by_place.entry(place).or_default().push(row);
        }
        let mut text = String::new();
        for (place, rows) in by_place {
            let _ = writeln!(text, "{}", plain(place));
            for row in rows.iter().filter(|row| row.status != Status::Same) {
                row_text(&mut text, row);
            }
            let same = rows.iter().filter(|row| row.status == Status::Same).count();
            if same > 0 {
                let _ = writeln!(text, "  {:12}  {}", "same", count(same as u64, "name"));
            }
            text.push('\n');
        }
        for problem in &self.run.problems {
            let _ = writeln!(text, "problem: {}\n", plain(problem));
        }
        self.hosts_text(&mut text);
        self.sums_text(&mut text);
        text
    }

    fn hosts_text(&self, text: &mut String) {
        if self.forecast.is_empty() {
            return;
        }
        let names = self
            .forecast
            .iter()
            .map(|it| plain(&it.host).chars().count());
        let wide = names.max().unwrap_or_default().max(13);
        let _ = writeln!(
            text,
            "{:wide$}  {:>8}  {:>6}  {:>9}  {:>9}",
            "At least", "requests", "pulls", "read", "written"
        );
        for line in &self.forecast {
            let _ = writeln!(
                text,
                "{:wide$}  {:>8}  {:>6}  {:>9}  {:>9}",
                plain(&line.host),
                line.requests,
                line.pulls,
                size(line.bytes_read),
                size(line.bytes_written)
            );
        }
        text.push('\n');
    }

    fn sums_text(&self, text: &mut String) {
        let present = Status::ALL.iter().map(|it| (self.totals.count(*it), it));
        let counts: Vec<String> = present
            .filter(|(count, _)| *count > 0)
            .map(|(count, status)| format!("{count} {status}"))
            .collect();
        let counts = match counts.is_empty() {
            true => "nothing to do".to_string(),
            false => counts.join(", "),
        };
        let moved = size(self.totals.bytes);
        let pulls: u64 = self.hosts.iter().map(|host| host.pulls).sum();
        let _ = writeln!(
            text,
            "{counts}; {moved} to move\nThis plan itself took {} and {} in {}.",
            count(self.requests(), "request"),
            count(pulls, "counted pull"),
            span(self.run.took)
        );
    }
}

fn row_text(text: &mut String, row: &Row) {
    let digests = match (&row.before, &row.source_digest) {
        (Some(before), Some(now)) if before != now => {
            format!("  {} -> {}", before.short(), now.short())
        }
        _ => String::new(),
    };
    let moved = match row.status {
        Status::WouldCreate | Status::WouldUpdate => format!("  {}", size(row.bytes)),
        _ => String::new(),
    };
    let from = match row.source.is_empty() {
        true => String::new(),
        false => format!("  from {}", plain(&row.source)),
    };
    let _ = writeln!(
        text,
        "  {:12}  {}{from}{digests}{moved}",
        row.status,
        plain(&row.destination),
    );
    if let Some(reason) = &row.reason {
        let _ = writeln!(text, "  {:12}    {}", "", plain(reason));
    }
    if let Some(advice) = &row.advice {
        let _ = writeln!(text, "  {:12}    hint: {}", "", plain(advice));
    }
}

/// The registry of a destination; places of this machine are one.
fn place_of(destination: &str) -> &str {
    let local = [
        "oci:",
        "oci-archive:",
        "docker-archive:",
        "dir:",
        "docker-daemon:",
    ];
    match local
        .iter()
        .any(|transport| destination.starts_with(transport))
    {
        true => "this machine",
        false => destination
            .split_once('/')
            .map_or(destination, |(host, _)| host),
    }
}
