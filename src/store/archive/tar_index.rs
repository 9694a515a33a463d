//! Where each file of a tar is: one pass over the headers, nothing unpacked (S-50, S-52). Names are
//! only ever keys of a map.

use std::collections::BTreeMap;
use std::io::Read as _;

use tar::EntryType;

use super::tape::{Body, FileTape, Tape};
use super::tar_walk::{Entries, TarEntry, invalid};
use crate::error::{Error, Result, foreign};
use crate::image::Hasher;
use crate::store::blob::{FileRange, Passed};

/// The most entries.
const ENTRY_LIMIT: usize = 1_000_000;

/// What a name stands for.
#[derive(Debug, Clone)]
enum Entry {
    File(Body),
    /// A symbolic or hard link, with the path that it leads to.
    Link(String),
    /// A device or FIFO.
    Special,
}

/// The files of a tar by name.
#[derive(Debug)]
pub(super) struct TarIndex {
    entries: BTreeMap<String, Entry>,
    /// The first entry that no archive of images may have; told if this proves to be one.
    problem: Option<Error>,
}

impl TarIndex {
    /// Walks the headers of a tar.
    ///
    /// Fails with `Invalid` if it is no tar, is cut short, or uses sparse files.
    pub(super) fn of(tar: &FileRange) -> Result<Self> {
        Self::on(FileTape::of(tar))
    }

    /// As [`TarIndex::of`], for whatever the tar is read from.
    pub(super) fn on(tape: impl Tape) -> Result<Self> {
        let mut index = Self {
            entries: BTreeMap::new(),
            problem: None,
        };
        for (position, entry) in Entries::of(tape).enumerate() {
            if position >= ENTRY_LIMIT {
                return Err(invalid(format!("it has more than {ENTRY_LIMIT} entries")));
            }
            index.add(entry?)?;
        }
        Ok(index)
    }

    fn add(&mut self, entry: TarEntry) -> Result<()> {
        let TarEntry {
            name: raw,
            link,
            kind,
            content,
        } = entry;
        let name = resolved("", &raw);
        let entry = match kind {
            EntryType::Directory => return Ok(()),
            // What Go and GNU tar take for a directory in the oldest format.
            EntryType::Regular | EntryType::Continuous if raw.ends_with('/') => return Ok(()),
            EntryType::Regular | EntryType::Continuous => Some(Entry::File(content)),
            EntryType::Symlink => {
                let parent = name.as_deref().and_then(|name| name.rsplit_once('/'));
                resolved(parent.map_or("", |(parent, _)| parent), &link).map(Entry::Link)
            }
            EntryType::Link => resolved("", &link).map(Entry::Link),
            _ => Some(Entry::Special),
        };
        match (name, entry) {
            (Some(name), Some(entry)) => self.insert(name, entry)?,
            _ => self.refuse(format!("\"{}\" leads out of the archive", foreign(&raw))),
        }
        Ok(())
    }

    /// Two entries of one name are one if they are equal; otherwise readers would differ on which
    /// counts: skopeo takes the first, Docker the last.
    fn insert(&mut self, name: String, entry: Entry) -> Result<()> {
        let same = match (self.entries.get(&name), &entry) {
            (None, _) => true,
            (Some(Entry::File(one)), Entry::File(other)) => is_equal(one, other)?,
            (Some(Entry::Link(one)), Entry::Link(other)) => one == other,
            _ => false,
        };
        if !same {
            let shown = foreign(&name);
            self.refuse(format!("two entries are called \"{shown}\" and differ"));
        }
        self.entries.insert(name, entry);
        Ok(())
    }

    fn refuse(&mut self, what: String) {
        self.problem.get_or_insert_with(|| invalid(what));
    }

    /// Fails if something in it is hostile or ambiguous.
    pub(super) fn check(&mut self) -> Result<()> {
        self.problem.take().map_or(Ok(()), Err)
    }

    /// The file that a name leads to, over at most one link (what `docker save` writes for a layer
    /// that two images share). `None` if there is no such name.
    pub(super) fn file(&self, name: &str) -> Result<Option<Body>> {
        let Some(name) = resolved("", name) else {
            return Err(invalid(format!(
                "\"{}\" leads out of the archive",
                foreign(name)
            )));
        };
        match self.entries.get(&name) {
            None => Ok(None),
            Some(Entry::File(body)) => Ok(Some(body.clone())),
            Some(Entry::Special) => Err(invalid(format!("{} is no file", foreign(&name)))),
            Some(Entry::Link(to)) => match self.entries.get(to) {
                Some(Entry::File(body)) => Ok(Some(body.clone())),
                Some(Entry::Link(_)) => {
                    Err(invalid(format!("{} is a link to a link", foreign(&name))))
                }
                _ => {
                    let to = foreign(to);
                    let what = format!("{} is a link to {to}, which is not there", foreign(&name));
                    Err(invalid(what))
                }
            },
        }
    }

    /// The layers that went by and were taken.
    pub(super) fn passed(&self) -> Vec<Passed> {
        let passed = self.entries.values().filter_map(|entry| match entry {
            Entry::File(Body::Gone(gone)) => gone.as_ref().as_ref().ok(),
            _ => None,
        });
        passed.cloned().collect()
    }

    /// The content of a small file.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(body) = self.file(name)? else {
            return Ok(None);
        };
        let shown = foreign(name);
        if body.len() > limit {
            return Err(invalid(format!(
                "{shown} is over the limit of {limit} bytes"
            )));
        }
        let Body::Here(range) = body else {
            return Err(invalid(format!("{shown} is no document")));
        };
        let mut bytes = Vec::new();
        range.reader().read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// A path as seen from `from`, without `.` and `..`; the archive is the root of absolute ones.
/// `None` if it leaves the archive.
fn resolved(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match path.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn is_equal(one: &Body, other: &Body) -> Result<bool> {
    if one.len() != other.len() {
        return Ok(false);
    }
    match (one, other) {
        (Body::Here(one), Body::Here(other)) => is_equal_here(one, other),
        (Body::Gone(gone), Body::Here(here)) | (Body::Here(here), Body::Gone(gone)) => {
            let Ok(passed) = &**gone else {
                return Ok(false);
            };
            let mut hasher = Hasher::new(passed.came.digest.algorithm());
            let mut from = here.reader();
            let mut buffer = vec![0; 1 << 16];
            loop {
                match from.read(&mut buffer)? {
                    0 => return Ok(hasher.finish() == passed.came.digest),
                    n => hasher.update(buffer.get(..n).unwrap_or_default()),
                }
            }
        }
        (Body::Gone(one), Body::Gone(other)) => Ok(match (&**one, &**other) {
            (Ok(one), Ok(other)) => one.came.digest == other.came.digest,
            _ => false,
        }),
    }
}

fn is_equal_here(one: &FileRange, other: &FileRange) -> Result<bool> {
    let (mut one, mut other) = (one.reader(), other.reader());
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = one.read(&mut left)?;
        let part = right.get_mut(..n).unwrap_or_default();
        other.read_exact(part)?;
        if n == 0 {
            return Ok(true);
        }
        if left.get(..n) != Some(&*part) {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests;
