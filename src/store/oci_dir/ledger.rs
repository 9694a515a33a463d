//! What imgcopy knows about the blobs of a directory because it wrote or read them (S-08).
//!
//! A line for each blob: its digest, the size, inode and time by which the file is known again, and
//! its DiffId if that was seen. A file that differs in any of these is read again. The ledger is
//! only ever added to, and losing it costs nothing but reading.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::files::Stamp;
use crate::image::{DiffId, Digest};

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
}

impl Ledger {
    /// Reads what was written before. Lines that make no sense are passed over: a crash may have
    /// cut the last one.
    pub(super) fn parse(text: &str) -> Self {
        let records = text.lines().filter_map(parse_line).collect();
        Self {
            records,
            fresh: Vec::new(),
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

    /// The lines to add to the file, each noted once.
    pub(super) fn take_fresh(&mut self) -> String {
        let mut lines = String::new();
        for digest in std::mem::take(&mut self.fresh) {
            if let Some(Record { stamp, diff_id }) = self.records.get(&digest) {
                let Stamp {
                    size,
                    inode,
                    modified,
                } = stamp;
                let diff_id = diff_id.as_ref().map_or("-".to_string(), Digest::to_string);
                // Writing to a String cannot fail.
                let _ = writeln!(lines, "{digest} {size} {inode} {modified} {diff_id}");
            }
        }
        lines
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

    #[test]
    fn what_is_noted_is_known_again_until_the_file_changes() {
        let (blob, plain) = (Digest::of(b"blob"), Digest::of(b"plain"));
        let mut ledger = Ledger::default();
        ledger.note(&blob, STAMP, Some(&plain));
        let text = ledger.take_fresh();
        assert_eq!(ledger.take_fresh(), "");
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
        let text = ledger.take_fresh();
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
        ledger.take_fresh();
        ledger.note(&blob, STAMP, None);
        assert_eq!(ledger.take_fresh(), "");
        assert_eq!(ledger.find(&blob, STAMP).unwrap().diff_id, Some(plain));
    }
}
