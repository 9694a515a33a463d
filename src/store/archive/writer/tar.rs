//! Writing a tar entry by entry: the same entries always give the same bytes.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt as _;

use tar::{EntryType, Header};
use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, Result};
use crate::store::blob::Receipt;
use crate::store::compress::Sink;

const BLOCK: u64 = 512;
/// The longest name that a plain header holds, in bytes.
const SHORT: usize = 100;

/// Where the tar goes.
pub(super) enum Out {
    /// A file, which gets its name when it is whole.
    File(NamedTempFile),
    /// A pipe: what has gone cannot be taken back.
    Stream(Box<dyn Write + Send>),
}

/// A tar that is being written.
pub(super) struct TarWriter {
    out: Out,
    at: u64,
    /// An entry in a pipe was begun and not ended: nothing can follow.
    is_broken: bool,
}

impl TarWriter {
    pub(super) fn new(out: Out) -> Self {
        Self {
            out,
            at: 0,
            is_broken: false,
        }
    }

    /// Whether entries must say how large they are before they come.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.out, Out::Stream(_))
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.add_sized(name, content.len() as u64, |sink| sink(content))
    }

    /// Adds a file of `size` bytes. If `fill` fails, the entry is not there.
    pub(super) fn add_sized<T>(
        &mut self,
        name: &str,
        size: u64,
        fill: impl FnOnce(&mut Sink<'_>) -> Result<T>,
    ) -> Result<T> {
        let begun = self.at;
        let filled = self.filled(name, size, fill);
        if filled.is_err() {
            self.take_back(begun);
        }
        filled
    }

    /// Adds a file whose name and size come out when it has been written; without a name it is taken
    /// back. Only for files: a pipe wants both first.
    pub(super) fn add_open(
        &mut self,
        fill: impl FnOnce(&mut Sink<'_>) -> Result<Receipt>,
        name: impl FnOnce(&Receipt) -> Option<String>,
    ) -> Result<Receipt> {
        let begun = self.at;
        let filled = self.open(fill, name, begun);
        match &filled {
            Ok((_, true)) => {}
            _ => self.take_back(begun),
        }
        filled.map(|(receipt, _)| receipt)
    }

    fn open(
        &mut self,
        fill: impl FnOnce(&mut Sink<'_>) -> Result<Receipt>,
        name: impl FnOnce(&Receipt) -> Option<String>,
        begun: u64,
    ) -> Result<(Receipt, bool)> {
        self.at += BLOCK;
        let receipt = fill(&mut |piece| self.put(piece))?;
        let size = self.at - begun - BLOCK;
        let Some(name) = name(&receipt) else {
            return Ok((receipt, false));
        };
        self.pad(size)?;
        let header = header(&name, size, EntryType::Regular)?;
        match &self.out {
            Out::File(file) => file.as_file().write_all_at(header.as_bytes(), begun)?,
            Out::Stream(_) => return Err(no_size()),
        }
        Ok((receipt, true))
    }

    fn filled<T>(
        &mut self,
        name: &str,
        size: u64,
        fill: impl FnOnce(&mut Sink<'_>) -> Result<T>,
    ) -> Result<T> {
        if name.len() > SHORT {
            let link = header(
                "././@LongLink",
                name.len() as u64 + 1,
                EntryType::GNULongName,
            )?;
            self.put(link.as_bytes())?;
            self.put(name.as_bytes())?;
            self.put(&[0])?;
            self.pad(name.len() as u64 + 1)?;
        }
        let short = name.get(..SHORT).unwrap_or(name);
        self.put(header(short, size, EntryType::Regular)?.as_bytes())?;
        let begun = self.at;
        let filled = fill(&mut |piece| self.put(piece))?;
        if self.at - begun != size {
            let what = format!("it has {} bytes and should have {size}", self.at - begun);
            return Err(Error::new(ErrorKind::Corrupt, what));
        }
        self.pad(size)?;
        Ok(filled)
    }

    fn put(&mut self, piece: &[u8]) -> Result<()> {
        match &mut self.out {
            Out::File(file) => file.as_file().write_all_at(piece, self.at)?,
            Out::Stream(_) if self.is_broken => {
                let what = "an earlier entry could not be finished, and a pipe takes nothing back";
                return Err(Error::new(ErrorKind::Io, what));
            }
            Out::Stream(stream) => stream.write_all(piece)?,
        }
        self.at += piece.len() as u64;
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let rest = usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or_default();
        self.put([0; 512].get(..rest).unwrap_or_default())
    }

    fn take_back(&mut self, begun: u64) {
        match self.out {
            Out::File(_) => self.at = begun,
            Out::Stream(_) => self.is_broken = self.at != begun || self.is_broken,
        }
    }

    /// Writes the end of the tar. A file is on the disk afterwards, still without its name.
    pub(super) fn end(mut self) -> Result<Option<NamedTempFile>> {
        self.put(&[0; 1024])?;
        match self.out {
            Out::Stream(mut stream) => {
                stream.flush()?;
                Ok(None)
            }
            Out::File(file) => {
                synced(file.as_file(), self.at)?;
                Ok(Some(file))
            }
        }
    }
}

/// What was taken back may stand behind the end.
fn synced(file: &File, len: u64) -> Result<()> {
    file.set_len(len)?;
    file.sync_all()?;
    Ok(())
}

fn no_size() -> Error {
    Error::new(ErrorKind::Io, "a pipe takes no entry of unknown size")
}

/// A header that says nothing of when and by whom it was written.
fn header(name: &str, size: u64, kind: EntryType) -> Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

#[cfg(test)]
mod tests;
