//! What imgcopy knows about the blobs of a directory because it wrote or read them (S-08).
//!
//! A line for each blob: its digest, the size, inode and time by which the file is known again, and
//! its DiffId if that was seen. A file that differs in any of these is read again. Losing the ledger
//! costs nothing but reading.

use std::collections::HashMap;

use crate::image::{DiffId, Digest};
use crate::store::files::Stamp;

/// The file, inside the directory's `.imgcopy`.
pub(super) const FILE: &str = "verified";

/// The largest ledger that is read, in bytes: a quarter of a million blobs.
pub(super) const LIMIT: u64 = 64 << 20;

/// What is known of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) stamp: Stamp,
    pub(super) diff_id: Option<DiffId>,
}

/// What is known, and which of it is new.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    records: HashMap<Digest, Record>,
    fresh: Vec<Digest>,
    /// How many lines the file has.
    lines: usize,
    /// Whether the file is there and cannot be read.
    is_unreadable: bool,
}

/// How the file must change to hold what is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Append(String),
    /// Most of its lines are out of date, or it cannot be read.
    Rewrite(String),
}

impl Ledger {
    /// Reads what was written before. Lines that make no sense are passed over: a crash may have
    /// cut the last one.
    pub(super) fn parse(text: &str) -> Self {
        let records = text.lines().filter_map(parse_line).collect();
        Self {
            records,
            lines: text.lines().count(),
            ..Self::default()
        }
    }

    /// Knows nothing, and will put a new file in place of one that cannot be read.
    pub(super) fn unreadable() -> Self {
        Self {
            is_unreadable: true,
            ..Self::default()
        }
    }

    /// What is known of a blob whose file has this stamp.
    pub(super) fn find(&self, digest: &Digest, stamp: Stamp) -> Option<&Record> {
        self.records
            .get(digest)
            .filter(|record| record.stamp == stamp)
    }

    /// Notes that a file was found to be the blob, and what it unpacks to if that is known now.
    pub(super) fn note(&mut self, digest: &Digest, stamp: Stamp, diff_id: Option<&DiffId>) {
        let known = self
            .find(digest, stamp)
            .and_then(|record| record.diff_id.clone());
        let diff_id = diff_id.cloned().or(known);
        let record = Record { stamp, diff_id };
        if self.records.get(digest) != Some(&record) {
            self.records.insert(digest.clone(), record);
            self.fresh.push(digest.clone());
        }
    }

    /// How the file must change; told once.
    pub(super) fn take_change(&mut self) -> Change {
        let fresh = std::mem::take(&mut self.fresh);
        if fresh.is_empty() {
            return Change::None;
        }
        if self.is_unreadable || self.lines > 2 * self.records.len() + 64 {
            return Change::Rewrite(
                self.records
                    .keys()
                    .map(|digest| self.line(digest))
                    .collect(),
            );
        }
        Change::Append(fresh.iter().map(|digest| self.line(digest)).collect())
    }

    fn line(&self, digest: &Digest) -> String {
        let Some(Record { stamp, diff_id }) = self.records.get(digest) else {
            return String::new();
        };
        let Stamp {
            size,
            inode,
            modified,
        } = stamp;
        let diff_id = diff_id.as_ref().map_or("-".to_string(), Digest::to_string);
        format!("{digest} {size} {inode} {modified} {diff_id}\n")
    }
}

fn parse_line(line: &str) -> Option<(Digest, Record)> {
    let mut fields = line.split(' ');
    let digest = fields.next()?.parse().ok()?;
    let stamp = Stamp {
        size: fields.next()?.parse().ok()?,
        inode: fields.next()?.parse().ok()?,
        modified: fields.next()?.parse().ok()?,
    };
    let diff_id = match fields.next()? {
        "-" => None,
        text => Some(text.parse().ok()?),
    };
    fields
        .next()
        .is_none()
        .then_some((digest, Record { stamp, diff_id }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        size: 1,
        inode: 2,
        modified: 3,
    };

    /// The lines that are added to the file.
    fn added(ledger: &mut Ledger) -> String {
        match ledger.take_change() {
            Change::Append(lines) => lines,
            Change::None => String::new(),
            Change::Rewrite(_) => panic!("nothing is out of date"),
        }
    }

    #[test]
    fn what_is_noted_is_known_again_until_the_file_changes() {
        let (blob, plain) = (Digest::of(b"blob"), Digest::of(b"plain"));
        let mut ledger = Ledger::default();
        ledger.note(&blob, STAMP, Some(&plain));
        let text = added(&mut ledger);
        assert_eq!(added(&mut ledger), "");
        let again = Ledger::parse(&text);
        assert_eq!(again.find(&blob, STAMP).unwrap().diff_id, Some(plain));
        for other in [
            Stamp { size: 2, ..STAMP },
            Stamp { inode: 1, ..STAMP },
            Stamp {
                modified: 4,
                ..STAMP
            },
        ] {
            assert!(again.find(&blob, other).is_none());
        }
    }

    #[test]
    fn a_line_cut_by_a_crash_is_passed_over() {
        let mut ledger = Ledger::default();
        ledger.note(&Digest::of(b"one"), STAMP, None);
        let text = added(&mut ledger);
        for cut in 0..text.len() - 1 {
            // A shorter number would be another stamp, which fits no file.
            let half = Ledger::parse(text.get(..cut).unwrap());
            assert!(half.find(&Digest::of(b"one"), STAMP).is_none());
        }
        let torn = format!("{}{text}", text.get(..40).unwrap().to_string() + "\n");
        assert!(
            Ledger::parse(&torn)
                .find(&Digest::of(b"one"), STAMP)
                .is_some()
        );
    }

    #[test]
    fn noting_the_same_again_is_nothing_new_and_keeps_the_diff_id() {
        let (blob, plain) = (Digest::of(b"blob"), Digest::of(b"plain"));
        let mut ledger = Ledger::default();
        ledger.note(&blob, STAMP, Some(&plain));
        added(&mut ledger);
        ledger.note(&blob, STAMP, None);
        assert_eq!(added(&mut ledger), "");
        assert_eq!(ledger.find(&blob, STAMP).unwrap().diff_id, Some(plain));
    }

    #[test]
    fn a_file_of_old_lines_or_one_that_cannot_be_read_is_written_anew() {
        let blob = Digest::of(b"blob");
        let mut old = Ledger::default();
        old.note(&blob, STAMP, None);
        let line = added(&mut old);
        let mut ledger = Ledger::parse(&line.repeat(1000));
        ledger.note(&blob, Stamp { size: 9, ..STAMP }, None);
        let Change::Rewrite(text) = ledger.take_change() else {
            panic!("1000 lines for one blob");
        };
        assert_eq!(text.lines().count(), 1);
        let mut ledger = Ledger::unreadable();
        assert_eq!(
            ledger.take_change(),
            Change::None,
            "nothing to say is no reason to write"
        );
        ledger.note(&blob, STAMP, None);
        assert_eq!(ledger.take_change(), Change::Rewrite(line));
    }
}
