//! What came out when layers were compressed anew, so that it need not be done again.
//!
//! Compression is deterministic, so a layer and a way to compress it always give the same digest. Who
//! remembers that digest can ask a destination for it, and mount it from another repository, with
//! nothing read.
//!
//! What is remembered is a claim: a registry vouches for the digest of a blob, and nobody for that
//! blob being this layer in another form. So a line is written only after the bytes were seen, a file
//! that others can write is not believed, and the file is only ever the user's own. Whoever can write
//! it can choose the layers of images that its user copies with other compression.

mod facts;
mod file;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::compress::Coding;
use super::locked;
use crate::error::Result;
use crate::image::{Descriptor, Digest, Repository};
use facts::{Fact, Facts};
use file::CacheFile;

pub use facts::Remade;

/// What is remembered of layers that were compressed anew.
#[derive(Debug, Default)]
pub struct Recompressed {
    facts: Mutex<Facts>,
    file: Option<CacheFile>,
}

/// How much is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The file; it need not exist.
    pub path: Option<PathBuf>,
    /// Of how many contents and ways to compress them the outcome is known.
    pub entries: usize,
    /// How large the file is, in bytes.
    pub bytes: u64,
}

impl Recompressed {
    /// Remembers as long as the program runs.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Remembers in a file of this folder, which is made when there is something to write. Damaged
    /// lines count for nothing.
    ///
    /// # Errors
    /// `Denied` if the file is another user's or others can write it; `Invalid` if it is no file or
    /// far too large; otherwise what reading it gives.
    pub fn open(folder: &Path) -> Result<Self> {
        let file = CacheFile::of(folder);
        let text = file.read()?;
        Ok(Self {
            facts: Mutex::new(Facts::parse(&text)),
            file: Some(file),
        })
    }

    /// Forgets everything that a folder holds, even what cannot be read.
    ///
    /// # Errors
    /// What removing the file gives.
    pub fn clear(folder: &Path) -> Result<()> {
        CacheFile::of(folder).remove()
    }

    /// What came out when this content was compressed so.
    pub fn find(&self, content: &Digest, to: Coding) -> Option<Remade> {
        locked(&self.facts).find(content, to).cloned()
    }

    /// Remembers that each of these contents, which unpack to the same, becomes `made` when it is
    /// compressed so; and the repository that has it now. Only for bytes that were seen. Blocks the
    /// thread.
    ///
    /// # Errors
    /// What writing the file gives. Then it is remembered as long as the program runs.
    pub fn note(
        &self,
        contents: &[Digest],
        to: Coding,
        made: &Descriptor,
        place: Option<&Repository>,
    ) -> Result<()> {
        let mut lines = String::new();
        for content in contents {
            let fact = Fact {
                content: content.clone(),
                to,
                digest: made.digest.clone(),
                size: made.size,
                place: place.cloned(),
            };
            let line = fact.line();
            if locked(&self.facts).learn(fact) {
                lines.push_str(&line);
            }
        }
        match &self.file {
            Some(file) if !lines.is_empty() => file.add(&lines),
            _ => Ok(()),
        }
    }

    /// How much it is.
    ///
    /// # Errors
    /// What looking at the file gives.
    pub fn extent(&self) -> Result<Extent> {
        let (path, bytes) = match &self.file {
            Some(file) => (Some(file.path()), file.size()?),
            None => (None, 0),
        };
        let entries = locked(&self.facts).len();
        Ok(Extent {
            path,
            entries,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests;
