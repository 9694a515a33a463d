//! Rows, added up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Row, Status, moment};

/// Rows, added up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Totals {
    /// How many rows there are of each status; a status without any is not there.
    pub tags: BTreeMap<Status, u64>,
    /// Bytes that were written.
    pub bytes: u64,
    /// Requests that were made for rows. Lists and tokens are counted at the registries.
    pub requests: u64,
    /// How long the rows took, one after the other; many were done at once.
    #[serde(rename = "seconds", with = "moment::seconds")]
    pub took: Duration,
}

impl Totals {
    /// Adds rows up. What is too large for a number stays at the largest.
    pub(super) fn of(rows: &[Row]) -> Self {
        rows.iter().fold(Self::default(), |mut all, row| {
            *all.tags.entry(row.status).or_default() += 1;
            all.bytes = all.bytes.saturating_add(row.bytes);
            all.requests = all.requests.saturating_add(row.requests);
            all.took = all.took.saturating_add(row.took);
            all
        })
    }

    /// How many rows have a status.
    pub fn count(&self, status: Status) -> u64 {
        self.tags.get(&status).copied().unwrap_or_default()
    }

    /// How many rows changed something at a destination, or would.
    pub fn changes(&self) -> u64 {
        let changed = self.tags.iter().filter(|(status, _)| status.is_change());
        changed.map(|(_, count)| count).sum()
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.tags.values().sum()
    }
}
