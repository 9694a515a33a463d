//! The entries of a tar, one after the other (POSIX.1-2001 pax, ustar, and GNU's long names).
//!
//! The headers are walked here rather than by the `tar` crate's iterator because whoever reads an
//! archive otherwise than Docker and skopeo do can be shown another image than they see (S-51). So
//! what Go's reader refuses is refused, and so is whatever readers do not agree on: one entry
//! described by several extension headers, sizes that contradict each other, rubbish after an empty
//! block. Names and records are limited before they are read. Fields of a header are the crate's.

use tar::{EntryType, Header};

use super::tape::{Body, Tape};
use crate::error::{Error, ErrorKind, Result};

/// A tar consists of blocks of so many bytes.
pub(super) const BLOCK: u64 = 512;
/// The longest name, and the largest PAX header, in bytes.
const NAME_LIMIT: usize = 4096;
const PAX_LIMIT: u64 = 1 << 20;

/// An entry, with what its extension headers say.
pub(super) struct TarEntry {
    pub(super) name: String,
    /// Where a link leads; empty for anything else.
    pub(super) link: String,
    pub(super) kind: EntryType,
    pub(super) content: Body,
}

/// The entries of a tar. Ends after the first error.
pub(super) struct Entries<T> {
    tape: T,
    is_done: bool,
}

/// What extension headers say about the entry that follows.
#[derive(Default)]
struct Extended {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    is_pax: bool,
}

impl<T: Tape> Entries<T> {
    pub(super) fn of(tape: T) -> Self {
        Self {
            tape,
            is_done: false,
        }
    }

    /// The next entry; `None` at the end of the archive, which may lack its mark.
    fn read(&mut self) -> Result<Option<TarEntry>> {
        let mut extended = Extended::default();
        while let Some(header) = self.header()? {
            let kind = header.entry_type();
            let own_size = own_size(&header, self.tape.at())?;
            match kind {
                EntryType::GNULongName => {
                    let name = self.long_text(own_size)?;
                    extended.set_gnu(name, |extended| &mut extended.name)?;
                }
                EntryType::GNULongLink => {
                    let link = self.long_text(own_size)?;
                    extended.set_gnu(link, |extended| &mut extended.link)?;
                }
                EntryType::XHeader => extended.set_pax(&self.small(own_size, PAX_LIMIT)?)?,
                EntryType::XGlobalHeader => {
                    extended.must_be_empty()?;
                    self.small(own_size, PAX_LIMIT)?;
                }
                EntryType::GNUSparse => return Err(invalid("it holds sparse files".into())),
                _ => {
                    let size = content_size(kind, own_size, extended.size)?;
                    return extended.entry(&header, size, &mut self.tape).map(Some);
                }
            }
        }
        extended.must_be_empty()?;
        Ok(None)
    }

    fn header(&mut self) -> Result<Option<Header>> {
        if self.tape.is_at_end()? {
            return match self.tape.at() {
                0 => Err(no_tar()),
                _ => Ok(None),
            };
        }
        let at = self.tape.at();
        let header = self.block()?;
        if is_empty(&header) {
            // The end is two empty blocks, or one and the end of the file.
            if !self.tape.is_at_end()? && !is_empty(&self.block()?) {
                return Err(invalid(format!(
                    "it is damaged: a lone empty block at byte {at}"
                )));
            }
            return Ok(None);
        }
        if !is_header(&header) {
            return Err(match at {
                0 => no_tar(),
                _ => invalid(format!(
                    "it is damaged: there is no tar header at byte {at}"
                )),
            });
        }
        Ok(Some(header))
    }

    fn block(&mut self) -> Result<Header> {
        let at = self.tape.at();
        let block = self.tape.read(BLOCK).map_err(|error| match at {
            0 if error.kind() == ErrorKind::Invalid => no_tar(),
            _ => error,
        })?;
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        Ok(header)
    }

    fn small(&mut self, size: u64, limit: u64) -> Result<Vec<u8>> {
        if size > limit {
            return Err(invalid(format!(
                "a header of {size} bytes is over the limit of {limit}"
            )));
        }
        self.tape.read(size)
    }

    fn long_text(&mut self, size: u64) -> Result<String> {
        let bytes = self.small(size, NAME_LIMIT as u64 + 1)?;
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        name(bytes.get(..end).unwrap_or_default())
    }
}

impl<T: Tape> Iterator for Entries<T> {
    type Item = Result<TarEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let next = self.read().transpose();
        self.is_done = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Extended {
    /// Readers differ on what counts when an entry is described more than once.
    fn must_be_empty(&self) -> Result<()> {
        match (&self.name, &self.link, self.is_pax) {
            (None, None, false) => Ok(()),
            _ => Err(invalid(
                "it is ambiguous: an extension header is followed by no entry of its own".into(),
            )),
        }
    }

    fn set_gnu(&mut self, text: String, field: fn(&mut Self) -> &mut Option<String>) -> Result<()> {
        if self.is_pax || field(self).replace(text).is_some() {
            return Err(invalid("it is ambiguous: an entry has two names".into()));
        }
        Ok(())
    }

    fn set_pax(&mut self, records: &[u8]) -> Result<()> {
        self.must_be_empty()?;
        self.is_pax = true;
        let mut rest = records;
        while !rest.is_empty() {
            let (key, value, behind) = record(rest).ok_or_else(damaged_pax)?;
            match key {
                // An empty value takes back what was said before.
                b"path" => self.name = Some(name(value)?).filter(|name| !name.is_empty()),
                b"linkpath" => self.link = Some(name(value)?).filter(|link| !link.is_empty()),
                b"size" => self.size = Some(number(value, 10).ok_or_else(damaged_pax)?),
                _ if key.starts_with(b"GNU.sparse") => {
                    return Err(invalid("it holds sparse files".into()));
                }
                _ => {}
            }
            rest = behind;
        }
        Ok(())
    }

    fn entry(self, header: &Header, size: u64, tape: &mut impl Tape) -> Result<TarEntry> {
        let short_link = || {
            header
                .link_name_bytes()
                .map(|link| text(&link))
                .unwrap_or_default()
        };
        let kind = header.entry_type();
        let name = self.name.unwrap_or_else(|| text(&header.path_bytes()));
        let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
        let content = match is_file && !name.ends_with('/') {
            true => tape.file(&name, size)?,
            false => tape.skip(size)?,
        };
        Ok(TarEntry {
            name,
            link: self.link.unwrap_or_else(short_link),
            kind,
            content,
        })
    }
}

/// A PAX record, `"<length> <key>=<value>\n"`, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let len = usize::try_from(number(bytes.get(..space)?, 10)?).ok()?;
    let body = bytes.get(space + 1..len)?.strip_suffix(b"\n")?;
    let equals = body
        .iter()
        .position(|byte| *byte == b'=')
        .filter(|at| *at > 0)?;
    Some((
        body.get(..equals)?,
        body.get(equals + 1..)?,
        bytes.get(len..)?,
    ))
}

/// The size in the header itself: octal digits, or 96 bits of which no more than 63 may be used.
fn own_size(header: &Header, at: u64) -> Result<u64> {
    let field = header.as_old().size;
    let size = match field {
        [0x80, 0, 0, 0, high @ 0..0x80, rest @ ..] => Some(
            rest.iter()
                .fold(u64::from(high), |size, byte| size << 8 | u64::from(*byte)),
        ),
        [0x80..=0xff, ..] => None,
        _ => {
            let is_padding = |byte: &u8| *byte == b' ' || *byte == 0;
            let begin = field
                .iter()
                .position(|byte| !is_padding(byte))
                .unwrap_or(field.len());
            let end = field
                .iter()
                .rposition(|byte| !is_padding(byte))
                .map_or(begin, |last| last + 1);
            let digits = field.get(begin..end).unwrap_or_default();
            if digits.is_empty() {
                Some(0)
            } else {
                number(digits, 8)
            }
        }
    };
    size.ok_or_else(|| {
        invalid(format!(
            "it is damaged: the header before byte {at} has no size that can be"
        ))
    })
}

/// How many bytes of content follow a header. Links, directories and devices have none, whatever
/// their header says (as in Go); a PAX size must not contradict the header's own.
fn content_size(kind: EntryType, own: u64, pax: Option<u64>) -> Result<u64> {
    use EntryType as T;
    let bare = [
        T::Link,
        T::Symlink,
        T::Char,
        T::Block,
        T::Directory,
        T::Fifo,
    ];
    match pax {
        _ if bare.contains(&kind) => Ok(0),
        Some(size) if own != 0 && own != size => Err(invalid(format!(
            "two headers disagree on a size: {own} and {size} bytes"
        ))),
        Some(size) => Ok(size),
        None => Ok(own),
    }
}

/// A number of digits and nothing else, up to what Go's int64 holds.
fn number(digits: &[u8], radix: u64) -> Option<u64> {
    let number = digits.iter().try_fold(0_u64, |number, byte| {
        let digit = u64::from(byte.checked_sub(b'0')?);
        number
            .checked_mul(radix)?
            .checked_add(digit)
            .filter(|_| digit < radix)
    });
    number.filter(|number| !digits.is_empty() && i64::try_from(*number).is_ok())
}

fn name(bytes: &[u8]) -> Result<String> {
    if bytes.len() > NAME_LIMIT {
        let what = format!(
            "a name of {} bytes is over the limit of {NAME_LIMIT}",
            bytes.len()
        );
        return Err(invalid(what));
    }
    match bytes.contains(&0) {
        true => Err(damaged_pax()),
        false => Ok(text(bytes)),
    }
}

/// Whether a block is a header: its sum is right.
pub(super) fn is_header(block: &Header) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let field = block.as_bytes().get(148..156).unwrap_or_default();
    let found = sum(block.as_bytes()) - sum(field) + 8 * u32::from(b' ');
    block.cksum().ok() == Some(found)
}

fn is_empty(block: &Header) -> bool {
    block.as_bytes().iter().all(|byte| *byte == 0)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn no_tar() -> Error {
    invalid("it is no tar archive".into())
}

fn damaged_pax() -> Error {
    invalid("it is damaged: a PAX header is malformed".into())
}

pub(super) fn invalid(what: String) -> Error {
    Error::new(ErrorKind::Invalid, what)
}
