//! Layers of a stream. Such a layer comes once, before anybody knows of which image it is, and what
//! it is called is known when all of it has come. So nothing is compared here: it is said what the
//! bytes were, and whoever learns later what they should be compares.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::sync::Arc;

use super::diff_id::Unpacking;
use super::{Blob, FileRange, PIECE};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Algorithm, Compression, Descriptor, DiffId, Digest, Hasher, MediaType};
use crate::store::compress::{self, Coding, Sink, Workers};

/// A layer that goes by.
pub struct Passing {
    /// What its file's name says that it is called: a digest or a DiffId, not checked.
    pub name: Option<Digest>,
    /// Its size in bytes.
    pub size: u64,
    /// How it is compressed, by its first bytes.
    pub compression: Compression,
    from: Box<dyn Read + Send>,
    recoding: Option<(Coding, Arc<Workers>)>,
    is_unpacked: bool,
}

/// What went by, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// What it was: its digest, its size, and how it was compressed.
    pub came: Descriptor,
    /// What it unpacks to, if it was unpacked.
    pub diff_id: Option<DiffId>,
    /// What the destination has it as.
    pub stored: Descriptor,
    /// Whether it was written there, and was not there before.
    pub is_new: bool,
}

impl Passing {
    /// A layer of `size` bytes that `from` gives; `from` fails if they do not all come.
    pub fn new(
        name: Option<Digest>,
        size: u64,
        compression: Compression,
        from: impl Read + Send + 'static,
    ) -> Self {
        Self {
            name,
            size,
            compression,
            from: Box::new(from),
            recoding: None,
            is_unpacked: false,
        }
    }

    /// Also finds out what it unpacks to.
    #[must_use]
    pub fn unpacked(mut self) -> Self {
        self.is_unpacked = true;
        self
    }

    /// Compresses it anew on its way.
    #[must_use]
    pub fn recompressed(mut self, to: Coding, workers: Arc<Workers>) -> Self {
        self.recoding = Some((to, workers));
        self
    }

    /// Reads everything, handing it on in order; blocks the thread. What `sink` was given counts only
    /// if this returns what passed.
    ///
    /// # Errors
    /// `Corrupt` if it does not unpack; otherwise what reading or `sink` gives.
    pub fn pour(self, sink: &mut Sink<'_>) -> Result<Passed> {
        let what = self.shown();
        match self.recoding.clone() {
            Some((to, workers)) => self.pour_recoded(to, &workers, sink),
            None => self.pour_verbatim(sink),
        }
        .attempting(|| what)
    }

    /// Lets it pass, because the destination has it as `stored`; blocks the thread.
    ///
    /// # Errors
    /// `Corrupt` if it is not what its name says; otherwise as [`Passing::pour`].
    pub fn pass(self, stored: Descriptor) -> Result<Passed> {
        let (name, what) = (self.name.clone(), self.shown());
        let passed = self.pour_verbatim(&mut |_| Ok(())).attempting(|| what)?;
        match name {
            Some(name) if name != passed.came.digest => Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "what is called {name} has the bytes of {}",
                    passed.came.digest
                ),
            )),
            _ => Ok(Passed {
                stored,
                is_new: false,
                ..passed
            }),
        }
    }

    /// Keeps what it becomes in a file that has no name and goes away by itself; blocks the thread.
    ///
    /// # Errors
    /// `NoSpace` if the directory for temporary files is full; otherwise as [`Passing::pour`].
    pub(crate) fn spooled(self) -> Result<(Blob, Passed)> {
        let what = || "cannot keep a layer in the directory for temporary files (TMPDIR)";
        let mut file = tempfile::tempfile().attempting(what)?;
        let passed = self.poured_into(&mut file, what)?;
        let blob = Blob::file(passed.stored.clone(), FileRange::whole(file)?);
        Ok((blob, passed))
    }

    fn poured_into(self, file: &mut File, what: fn() -> &'static str) -> Result<Passed> {
        self.pour(&mut |piece| file.write_all(piece).attempting(what))
    }

    fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("cannot read {name} ({} bytes)", self.size),
            None => format!("cannot read a layer of {} bytes", self.size),
        }
    }

    fn algorithm(&self) -> Algorithm {
        self.name
            .as_ref()
            .map_or(Algorithm::Sha256, Digest::algorithm)
    }

    fn pour_verbatim(mut self, sink: &mut Sink<'_>) -> Result<Passed> {
        let mut hasher = Hasher::new(self.algorithm());
        let mut unpacking = match self.is_unpacked {
            true => Unpacking::new(Algorithm::Sha256, self.compression)?,
            false => None,
        };
        let mut buffer = vec![0; PIECE];
        loop {
            let n = read(&mut self.from, &mut buffer)?;
            let piece = buffer.get(..n).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            hasher.update(piece);
            if let Some(unpacking) = &mut unpacking {
                unpacking.update(piece)?;
            }
            sink(piece)?;
        }
        let came = self.came(hasher.finish());
        let diff_id = match (self.compression, unpacking) {
            (Compression::None, _) => Some(came.digest.clone()),
            (_, Some(mut unpacking)) => unpacking.finish()?,
            (_, None) => None,
        };
        Ok(Passed {
            stored: came.clone(),
            came,
            diff_id,
            is_new: true,
        })
    }

    fn pour_recoded(
        mut self,
        to: Coding,
        workers: &Workers,
        sink: &mut Sink<'_>,
    ) -> Result<Passed> {
        let (mut packed, mut size) = (Hasher::new(Algorithm::Sha256), 0);
        let mut counted = |piece: &[u8]| {
            packed.update(piece);
            size += piece.len() as u64;
            sink(piece)
        };
        let mut whole = Hashed::new(
            &mut self.from,
            self.name
                .as_ref()
                .map_or(Algorithm::Sha256, Digest::algorithm),
        );
        let unpacked = match self.compression {
            Compression::None => {
                compress::encode(&mut whole, to, workers, &mut counted)?;
                None
            }
            own => {
                let plain = compress::decoder(&mut whole, own)?;
                let mut plain = Hashed::new(plain, Algorithm::Sha256);
                compress::encode(&mut plain, to, workers, &mut counted)?;
                Some(plain.hasher.finish())
            }
        };
        io::copy(&mut whole, &mut io::sink())?;
        let digest = whole.hasher.finish();
        let came = self.came(digest);
        let media_type = MediaType::oci_layer(to.compression());
        Ok(Passed {
            diff_id: unpacked.or_else(|| Some(came.digest.clone())),
            came,
            stored: Descriptor::new(media_type, packed.finish(), size),
            is_new: true,
        })
    }

    fn came(&self, digest: Digest) -> Descriptor {
        Descriptor::new(MediaType::oci_layer(self.compression), digest, self.size)
    }
}

/// Reads once more if a signal came in between.
fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Hashes what is read.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Hashed<R> {
    fn new(inner: R, algorithm: Algorithm) -> Self {
        let hasher = Hasher::new(algorithm);
        Self { inner, hasher }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}
