//! Where each file of a tar is: one pass over the headers, nothing unpacked (S-50 to S-52).
//!
//! Names are only ever keys of a map. The headers are walked here rather than by the `tar` crate's
//! iterator because a long name or a PAX record is limited before it is read, sizes that two headers
//! disagree on are refused, and a cut archive is noticed; the fields are read by the crate.

use std::collections::BTreeMap;
use std::io::Read as _;

use tar::{EntryType, Header, PaxExtensions};

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::store::blob::FileRange;

const BLOCK: u64 = 512;
/// The longest name, in bytes, and the largest PAX record.
const NAME_LIMIT: u64 = 4096;
const PAX_LIMIT: u64 = 1 << 20;
/// The most headers.
const HEADER_LIMIT: usize = 1_000_000;

/// What a name stands for.
#[derive(Debug, Clone)]
enum Entry {
    File(FileRange),
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

/// What extension headers say about the entry that follows.
#[derive(Default)]
struct Extended {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    is_sparse: bool,
}

impl TarIndex {
    /// Walks the headers of a tar.
    ///
    /// Fails with `Invalid` if it is no tar, is cut short, or uses sparse files.
    pub(super) fn of(tar: &FileRange) -> Result<Self> {
        let mut index = Self {
            entries: BTreeMap::new(),
            problem: None,
        };
        let mut extended = Extended::default();
        let mut at = 0;
        for _ in 0..HEADER_LIMIT {
            let Some(header) = header(tar, at)? else {
                return Ok(index);
            };
            at += BLOCK;
            let kind = header.entry_type();
            let size = content_size(&header, &extended, at)?;
            let content = part(tar, at, size)?;
            match kind {
                EntryType::GNULongName => extended.name = Some(long_text(&content)?),
                EntryType::GNULongLink => extended.link = Some(long_text(&content)?),
                EntryType::XHeader => pax(&content, &mut extended)?,
                EntryType::XGlobalHeader => {}
                _ => {
                    let extended = std::mem::take(&mut extended);
                    index.add(&header, extended, content)?;
                }
            }
            at += size.div_ceil(BLOCK) * BLOCK;
        }
        Err(invalid(format!("it has more than {HEADER_LIMIT} entries")))
    }

    fn add(&mut self, header: &Header, extended: Extended, content: FileRange) -> Result<()> {
        if extended.is_sparse || header.entry_type() == EntryType::GNUSparse {
            return Err(invalid("it holds sparse files".into()));
        }
        let raw = extended.name.unwrap_or_else(|| text(&header.path_bytes()));
        let link = || {
            let short = || header.link_name_bytes().map(|link| text(&link));
            extended.link.clone().or_else(short).unwrap_or_default()
        };
        let name = resolved("", &raw);
        let entry = match header.entry_type() {
            EntryType::Directory => return Ok(()),
            // What Go and GNU tar take for a directory in the oldest format.
            EntryType::Regular | EntryType::Continuous if raw.ends_with('/') => return Ok(()),
            EntryType::Regular | EntryType::Continuous => Some(Entry::File(content)),
            EntryType::Symlink => {
                let parent = name.as_deref().and_then(|name| name.rsplit_once('/'));
                resolved(parent.map_or("", |(parent, _)| parent), &link()).map(Entry::Link)
            }
            EntryType::Link => resolved("", &link()).map(Entry::Link),
            _ => Some(Entry::Special),
        };
        match (name, entry) {
            (Some(name), Some(entry)) => self.insert(name, entry)?,
            _ => self.refuse(format!(
                "\"{}\" leads out of the archive",
                raw.escape_debug()
            )),
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
            let shown = name.escape_debug().to_string();
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
    pub(super) fn file(&self, name: &str) -> Result<Option<FileRange>> {
        let Some(name) = resolved("", name) else {
            return Err(invalid(format!(
                "\"{}\" leads out of the archive",
                name.escape_debug()
            )));
        };
        match self.entries.get(&name) {
            None => Ok(None),
            Some(Entry::File(range)) => Ok(Some(range.clone())),
            Some(Entry::Special) => Err(invalid(format!("{} is no file", name.escape_debug()))),
            Some(Entry::Link(to)) => match self.entries.get(to) {
                Some(Entry::File(range)) => Ok(Some(range.clone())),
                Some(Entry::Link(_)) => Err(invalid(format!(
                    "{} is a link to a link",
                    name.escape_debug()
                ))),
                _ => {
                    let to = to.escape_debug();
                    let what = format!(
                        "{} is a link to {to}, which is not there",
                        name.escape_debug()
                    );
                    Err(invalid(what))
                }
            },
        }
    }

    /// The content of a small file.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(range) = self.file(name)? else {
            return Ok(None);
        };
        if range.len > limit {
            let shown = name.escape_debug();
            return Err(invalid(format!(
                "{shown} is over the limit of {limit} bytes"
            )));
        }
        let mut bytes = Vec::new();
        range.reader().read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// The header at a position; `None` at the end of the archive, which may lack its mark.
fn header(tar: &FileRange, at: u64) -> Result<Option<Header>> {
    if at == tar.len && at > 0 {
        return Ok(None);
    }
    if tar.len < BLOCK {
        return Err(invalid("it is no tar archive".into()));
    }
    let block = part(tar, at, BLOCK)?;
    let mut header = Header::new_old();
    block.reader().read_exact(header.as_mut_bytes())?;
    if header.as_bytes().iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let field = header.as_bytes().get(148..156).unwrap_or_default();
    let found = sum(header.as_bytes()) - sum(field) + 8 * u32::from(b' ');
    if header.cksum().ok() != Some(found) {
        let what = match at {
            0 => "it is no tar archive".to_string(),
            _ => format!("it is damaged: there is no tar header at byte {at}"),
        };
        return Err(invalid(what));
    }
    Ok(Some(header))
}

/// How many bytes of content follow a header. Links, directories and devices have none, whatever
/// their header says (as in Go); a PAX size must not contradict the header's own (S-51).
fn content_size(header: &Header, extended: &Extended, at: u64) -> Result<u64> {
    use EntryType as T;
    let kind = header.entry_type();
    let bare = [
        T::Link,
        T::Symlink,
        T::Char,
        T::Block,
        T::Directory,
        T::Fifo,
    ];
    if bare.contains(&kind) {
        return Ok(0);
    }
    let own = header
        .entry_size()
        .attempting(|| format!("it is damaged: the size in the header before byte {at}"))?;
    let size = match extended.size {
        Some(size) if own != 0 && own != size => {
            return Err(invalid(format!(
                "two headers disagree on a size: {own} and {size} bytes"
            )));
        }
        Some(size) => size,
        None => own,
    };
    let limit = match kind {
        T::GNULongName | T::GNULongLink => NAME_LIMIT,
        T::XHeader | T::XGlobalHeader => PAX_LIMIT,
        _ => u64::MAX,
    };
    if size > limit {
        return Err(invalid(format!(
            "a header of {size} bytes is over the limit of {limit}"
        )));
    }
    Ok(size)
}

fn part(tar: &FileRange, at: u64, len: u64) -> Result<FileRange> {
    let end = at.checked_add(len).filter(|end| *end <= tar.len);
    if end.is_none() {
        let what = format!(
            "it is cut short: it ends at byte {}, in the middle of an entry",
            tar.len
        );
        return Err(invalid(what));
    }
    Ok(FileRange {
        file: tar.file.clone(),
        offset: tar.offset + at,
        len,
    })
}

fn long_text(content: &FileRange) -> Result<String> {
    let mut bytes = Vec::new();
    content.reader().read_to_end(&mut bytes)?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(text(&bytes))
}

fn pax(content: &FileRange, extended: &mut Extended) -> Result<()> {
    let damaged = || "it is damaged: a PAX header";
    let mut bytes = Vec::new();
    content.reader().read_to_end(&mut bytes)?;
    for record in PaxExtensions::new(&bytes) {
        let record = record.attempting(damaged)?;
        let value = text(record.value_bytes());
        match record.key().unwrap_or_default() {
            "path" => extended.name = Some(value),
            "linkpath" => extended.link = Some(value),
            "size" => {
                let size = value
                    .parse()
                    .map_err(|_| invalid("a PAX size is no number".into()))?;
                extended.size = Some(size);
            }
            key if key.starts_with("GNU.sparse") => extended.is_sparse = true,
            _ => {}
        }
    }
    Ok(())
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

fn is_equal(one: &FileRange, other: &FileRange) -> Result<bool> {
    if one.len != other.len {
        return Ok(false);
    }
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::Invalid, what)
}

#[cfg(test)]
mod tests;
