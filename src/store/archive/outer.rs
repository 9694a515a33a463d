//! Opening an archive file: in place if it is a plain tar, else by way of an unnamed temporary file
//! that the system removes whatever happens.
//!
//! What is compressed is unpacked into that file. What comes from a pipe (stdin, a FIFO) is kept in
//! it: that is a copy of the whole archive, and needs the room for it. It cannot be done without,
//! because the list of images comes last in most archives (`manifest.json`, `index.json`), after the
//! layers that it speaks of, and a pipe cannot be read twice.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Compression, STDIO};
use crate::store::blob::FileRange;
use crate::store::compress::decoder;

/// What any archive may unpack to, in bytes, and how many times its own size beyond that (S-22).
const FREE: u64 = 1 << 30;
const RATIO: u64 = 200;

/// How many bytes tell a compression.
const MAGIC: usize = 6;

/// The tar inside the file at `path`, or inside what comes on stdin.
pub(super) fn open(path: &Path) -> Result<FileRange> {
    let file = match path.as_os_str() == STDIO {
        true => stdin()?,
        false => opened(path)?,
    };
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        let what = "it is a directory, not an archive: is it oci:?";
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    if kind.is_file() {
        return in_file(file);
    }
    if kind.is_fifo() || kind.is_socket() {
        return in_pipe(&file);
    }
    let what = "it is neither a regular file nor a pipe";
    Err(Error::new(ErrorKind::Unsupported, what))
}

fn opened(path: &Path) -> Result<File> {
    // A FIFO is opened when somebody writes to it. Nothing else may make us wait, not even what takes
    // the place of a file at this moment.
    let is_fifo = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    let flags = match is_fifo {
        true => OFlags::empty(),
        false => OFlags::NONBLOCK,
    };
    let flags = flags.bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(ErrorKind::NoPlace, "there is no such file"),
        _ => error.into(),
    })
}

/// A handle of its own, which no buffer of the process stands in front of.
fn stdin() -> Result<File> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let what = "stdin is a terminal: pipe an archive into imgcopy, or redirect stdin from one";
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(File::from(stdin.as_fd().try_clone_to_owned()?))
}

/// What a file holds from where it is open at: whoever handed stdin on may have read a part.
fn in_file(mut file: File) -> Result<FileRange> {
    let begin = file.stream_position()?;
    let mut range = FileRange::whole(file)?;
    range.offset = begin;
    range.len = range.len.saturating_sub(begin);
    match Compression::sniff(&range.first::<MAGIC>()?) {
        Compression::None => Ok(range),
        compression => kept(range.reader(), compression)
            .attempting(|| format!("cannot unpack it ({compression})")),
    }
}

fn in_pipe(pipe: &File) -> Result<FileRange> {
    let mut first = Vec::new();
    pipe.take(MAGIC as u64).read_to_end(&mut first)?;
    let compression = Compression::sniff(&first);
    kept(first.chain(pipe), compression).attempting(|| match compression {
        Compression::None => "cannot keep what comes through the pipe".to_string(),
        _ => format!("cannot unpack what comes through the pipe ({compression})"),
    })
}

/// Reads everything, unpacked, into a temporary file.
fn kept(from: impl Read + Send, compression: Compression) -> Result<FileRange> {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        inner: from,
        taken: Arc::clone(&taken),
    };
    let mut from = decoder(counted, compression)?;
    let temporary = std::env::temp_dir();
    let place = || {
        format!(
            "a temporary file in {} (TMPDIR says where)",
            temporary.display()
        )
    };
    let mut file = tempfile::tempfile().attempting(|| format!("cannot make {}", place()))?;
    let mut buffer = vec![0; 1 << 20];
    let mut size: u64 = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        size += n as u64;
        if size > FREE.max(taken.load(Ordering::Relaxed).saturating_mul(RATIO)) {
            let what = format!(
                "it unpacks to more than {RATIO} times its size: unpack it yourself if you trust it"
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        file.write_all(buffer.get(..n).unwrap_or_default())
            .attempting(|| format!("cannot write {}", place()))?;
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
