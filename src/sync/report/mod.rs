//! What came of many copies: a document, and the forms in which it is written.
//!
//! A [`Report`] is plain data. [`Report::to_json`] writes it for programs, and [`Report::parse`] reads
//! that again; `JUnit` XML is for CI systems, HTML for people, and [`metrics`](Report::metrics) for
//! Prometheus. Text in it comes from registries and files, so every form escapes it (S-46, S-47).
//!
//! A report's `version` is raised when its form changes so that older readers would misread it; a
//! version that is not known is refused.

mod failure;
mod file;
mod forecast;
mod html;
mod junit;
mod lines;
mod merge;
mod metrics;
mod moment;
mod text;
mod totals;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::image::Digest;

pub use file::Form;
pub use forecast::Forecast;
pub(super) use metrics::Exposition;
pub use moment::Moment;
pub use totals::Totals;

/// The version of the document that this program writes and reads.
const VERSION: u32 = 1;

/// What came of many copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    version: u32,
    /// What was run.
    pub run: Run,
    /// The rows, added up.
    pub totals: Totals,
    /// Bytes and blobs that did not travel because images share them.
    pub saved: Saved,
    /// The registries, by name.
    pub hosts: Vec<HostLine>,
    /// Of a run that changes nothing: what it would cost, by host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forecast: Vec<Forecast>,
    /// One for each image and destination, by destination and source.
    pub rows: Vec<Row>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// The version of imgcopy.
    pub imgcopy: String,
    /// When it began.
    pub started: Moment,
    /// How long it took.
    #[serde(rename = "seconds", with = "moment::seconds")]
    pub took: Duration,
    /// The file that said what to copy; `None` for a merge of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Which part of the file this is about; several after a merge, none if it is about all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Shard>,
    /// Why it ended before everything was tried, as a clause: `"the deadline of 4 h was reached"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// What concerns no row, a clause each: an entry whose source could not be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Whether it was put together from the reports of several runs or machines.
    #[serde(default, rename = "merged", skip_serializing_if = "std::ops::Not::not")]
    pub is_merged: bool,
}

impl Run {
    /// A run that begins now, of this version of imgcopy.
    pub fn begin(file: Option<String>) -> Self {
        Self {
            imgcopy: env!("CARGO_PKG_VERSION").to_string(),
            started: SystemTime::now().into(),
            took: Duration::ZERO,
            file,
            shards: Vec::new(),
            stopped: None,
            problems: Vec::new(),
            is_merged: false,
        }
    }
}

/// A part of the work: `2/8`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shard {
    /// How many parts there are.
    pub of: u32,
    /// Which one this is, from 0.
    pub index: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// What became of an image at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The destination had nothing of this name, and has it now.
    New,
    /// The destination had another image of this name.
    Updated,
    /// It was there already.
    Same,
    /// The destination has an image of this name that is not the source's, and keeps it.
    Kept,
    /// Put off: a limit or the end of the time came first. A later run does it.
    Deferred,
    /// Left out on purpose.
    Skipped,
    /// It failed.
    Failed,
    /// A run that changes nothing: it would be new.
    WouldCreate,
    /// A run that changes nothing: it would take another image's place.
    WouldUpdate,
    /// No source has it any more, and the destination has it no longer.
    Pruned,
    /// A run that changes nothing: no source has it any more, and it would go.
    WouldPrune,
}

impl Status {
    /// Every status, in the order in which they are shown.
    pub const ALL: [Status; 11] = [
        Status::New,
        Status::Updated,
        Status::WouldCreate,
        Status::WouldUpdate,
        Status::Pruned,
        Status::WouldPrune,
        Status::Same,
        Status::Kept,
        Status::Deferred,
        Status::Skipped,
        Status::Failed,
    ];

    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::New => "new",
            Status::Updated => "updated",
            Status::Same => "same",
            Status::Kept => "kept",
            Status::Deferred => "deferred",
            Status::Skipped => "skipped",
            Status::Failed => "failed",
            Status::WouldCreate => "would-create",
            Status::WouldUpdate => "would-update",
            Status::Pruned => "pruned",
            Status::WouldPrune => "would-prune",
        }
    }

    /// Whether the destination has changed, or would.
    pub fn is_change(self) -> bool {
        use Status::{New, Pruned, Updated, WouldCreate, WouldPrune, WouldUpdate};
        let would = matches!(self, WouldCreate | WouldUpdate | WouldPrune);
        would || matches!(self, New | Updated | Pruned)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of one image at one destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    /// The image at the source, as a reference; empty where no source has it (pruning).
    pub source: String,
    /// Its name at the destination, as a reference.
    pub destination: String,
    /// What became of it.
    pub status: Status,
    /// What its name stands for at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_digest: Option<Digest>,
    /// What its name stood for at the destination before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// What its name stands for at the destination now, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// Bytes that were written for it; bytes of blobs that would be, if it would be new or updated.
    pub bytes: u64,
    /// Requests that were made for it.
    pub requests: u64,
    /// How long it took.
    #[serde(rename = "seconds", with = "moment::seconds")]
    pub took: Duration,
    /// How often it was tried; 0 if nothing was.
    pub attempts: u32,
    /// Why it is so, as one line: for failures all that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What kind of failure it was, for programs: `rate-limited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

impl Row {
    /// A row that has nothing but names and a status.
    pub fn new(source: impl Into<String>, destination: impl Into<String>, status: Status) -> Self {
        Self {
            source: source.into(),
            destination: destination.into(),
            status,
            source_digest: None,
            before: None,
            after: None,
            bytes: 0,
            requests: 0,
            took: Duration::ZERO,
            attempts: 0,
            reason: None,
            kind: None,
            advice: None,
            entry: None,
        }
    }
}

/// Where a file says something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
}

/// What one registry was asked, gave and took.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostLine {
    /// Its name.
    pub host: String,
    /// Requests.
    pub requests: u64,
    /// Bytes of content that came from it.
    pub bytes_read: u64,
    /// Bytes of content that went to it.
    pub bytes_written: u64,
    /// Requests that it counts as pulls.
    pub pulls: u64,
    /// How many pulls it gave for each period, where it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulls_limit: Option<u64>,
    /// How many of them were left when it told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulls_left: Option<u64>,
}

/// What did not travel because images share blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Saved {
    /// Blobs that were wanted again and moved once.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these blobs, those that the registry took from another repository.
    pub mounted: u64,
}

impl Report {
    /// Adds up and sorts, so that the same rows always give the same report.
    pub fn new(run: Run, saved: Saved, mut hosts: Vec<HostLine>, mut rows: Vec<Row>) -> Self {
        rows.sort_by(|a, b| {
            let key = |row: &Row| (row.destination.clone(), row.source.clone());
            key(a).cmp(&key(b)).then(a.status.cmp(&b.status))
        });
        hosts.sort_by(|a, b| a.host.cmp(&b.host));
        Self {
            version: VERSION,
            run,
            totals: Totals::of(&rows),
            saved,
            hosts,
            forecast: Vec::new(),
            rows,
        }
    }

    /// The same report with more rows.
    #[must_use]
    pub fn and(mut self, rows: Vec<Row>) -> Self {
        self.rows.extend(rows);
        Self::new(self.run, self.saved, self.hosts, self.rows).with_forecast(self.forecast)
    }

    /// Reads what [`Report::to_json`] wrote. The totals are made anew.
    ///
    /// # Errors
    /// `Unsupported` for another version of the document; `Invalid` if it is none.
    pub fn parse(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let found: Versioned = serde_json::from_slice(json)
            .map_err(|error| Error::from(error).attempting("it is no report of imgcopy"))?;
        if found.version != VERSION {
            let what = format!(
                "it is a report of version {}, and this imgcopy reads version {VERSION}",
                found.version
            );
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let report: Self = serde_json::from_slice(json)?;
        let read = Self::new(report.run, report.saved, report.hosts, report.rows);
        Ok(read.with_forecast(report.forecast))
    }

    /// The rows that failed, for a run that does only these.
    pub fn failed(&self) -> impl Iterator<Item = &Row> {
        self.rows_with(Status::Failed)
    }

    /// The rows of one status.
    pub fn rows_with(&self, status: Status) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.status == status)
    }

    /// The exit code that tells what came of it: 0 done; 3 something failed; 4 something was put off
    /// or not tried, and a later run goes on. What failed needs somebody, what was put off only time;
    /// so 3 comes before 4.
    pub fn exit_code(&self) -> u8 {
        let failed = self.totals.count(Status::Failed) > 0
            || !self.run.problems.is_empty()
            || !self.missing_shards().is_empty();
        match failed {
            true => 3,
            false if self.is_unfinished() => 4,
            false => 0,
        }
    }

    fn is_unfinished(&self) -> bool {
        self.run.stopped.is_some() || self.totals.count(Status::Deferred) > 0
    }
}
