//! Opening an archive file: in place if it is a plain tar, else unpacked into an unnamed temporary
//! file that the system removes whatever happens.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::Compression;
use crate::store::blob::FileRange;
use crate::store::compress::decoder;

/// What any archive may unpack to, in bytes, and how many times its own size beyond that (S-22).
const FREE: u64 = 1 << 30;
const RATIO: u64 = 200;

/// The tar inside the file at `path`.
pub(super) fn open(path: &Path) -> Result<FileRange> {
    // Opening a FIFO would wait for a writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(ErrorKind::NoPlace, "there is no such file"),
        _ => error.into(),
    })?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        let what = "it is a directory, not an archive: is it oci:?";
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    if !metadata.is_file() {
        let what = "it is no regular file: archives are read at many places at once";
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    let range = FileRange::whole(file)?;
    match Compression::sniff(&range.first::<6>()?) {
        Compression::None => Ok(range),
        compression => {
            unpack(&range, compression).attempting(|| format!("cannot unpack it ({compression})"))
        }
    }
}

fn unpack(packed: &FileRange, compression: Compression) -> Result<FileRange> {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        inner: packed.reader(),
        taken: Arc::clone(&taken),
    };
    let mut from = decoder(counted, compression)?;
    let mut file = tempfile::tempfile().attempting(|| {
        format!(
            "cannot make a temporary file in {}",
            std::env::temp_dir().display()
        )
    })?;
    let mut buffer = vec![0; 1 << 20];
    let mut size: u64 = 0;
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        size += n as u64;
        if size > FREE.max(taken.load(Ordering::Relaxed).saturating_mul(RATIO)) {
            let what = format!(
                "it unpacks to more than {RATIO} times its size: unpack it yourself if you trust it"
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        file.write_all(buffer.get(..n).unwrap_or_default())
            .attempting(|| {
                format!(
                    "cannot write a temporary file in {}",
                    std::env::temp_dir().display()
                )
            })?;
    }
    FileRange::whole(file)
}

struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
