//! What is kept of an archive that comes as a stream: documents and small layers. In memory, and beyond
//! a bound in an unnamed temporary file.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::sync::Arc;

use crate::error::{Attempt as _, Result};
use crate::store::blob::FileRange;

/// How much is kept in memory, in bytes.
const MEMORY: u64 = 16 << 20;

/// Files that were kept.
#[derive(Default)]
pub(super) struct Shelf {
    memory: Option<Board>,
    disk: Option<Board>,
}

struct Board {
    file: Arc<File>,
    used: u64,
}

impl Shelf {
    /// Keeps what `from` gives, which is `len` bytes.
    pub(super) fn keep(&mut self, from: impl Read, len: u64) -> Result<FileRange> {
        let used = self.memory.as_ref().map_or(0, |board| board.used);
        let fits = used + len <= MEMORY;
        let board = match (&mut self.memory, &mut self.disk) {
            (Some(board), _) if fits => board,
            (_, Some(board)) if !fits => board,
            (memory, _) if fits => memory.insert(Board::of(memory_file()?)),
            (_, disk) => disk.insert(Board::of(temporary()?)),
        };
        board.keep(from)
    }
}

impl Board {
    fn of(file: File) -> Self {
        Self {
            file: Arc::new(file),
            used: 0,
        }
    }

    fn keep(&mut self, mut from: impl Read) -> Result<FileRange> {
        let mut to = &*self.file;
        let len = io::copy(&mut from, &mut to)?;
        to.flush()?;
        let offset = self.used;
        self.used += len;
        Ok(FileRange {
            file: Arc::clone(&self.file),
            offset,
            len,
        })
    }
}

/// A file that is nothing but memory.
#[cfg(target_os = "linux")]
fn memory_file() -> Result<File> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create("imgcopy", flags).attempting(|| "cannot take memory")?;
    Ok(file.into())
}

#[cfg(not(target_os = "linux"))]
fn memory_file() -> Result<File> {
    temporary()
}

fn temporary() -> Result<File> {
    tempfile::tempfile().attempting(|| {
        let place = std::env::temp_dir();
        format!(
            "cannot make a temporary file in {} (TMPDIR says where)",
            place.display()
        )
    })
}
