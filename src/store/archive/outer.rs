//! Opening an archive file: in place if it is a plain tar, else by way of an unnamed temporary file
//! that the system removes whatever happens.
//!
//! What is compressed is unpacked into that file. What comes from a pipe (stdin, a FIFO) may pass once
//! (see `stream`); whoever wants to read it as a file has it kept in a temporary one, too: that is a copy
//! of the whole archive, and needs the room for it.

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

/// An archive as it is found.
pub(super) enum Outer {
    /// The tar, in a file.
    File(FileRange),
    /// It comes through this pipe, and nothing of it has been read yet.
    Pipe(File),
}

/// The archive in the file at `path`, or what comes on stdin.
pub(super) fn open(path: &Path) -> Result<Outer> {
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
        return in_file(file).map(Outer::File);
    }
    if kind.is_fifo() || kind.is_socket() {
        return Ok(Outer::Pipe(file));
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
        compression => Limited::new(range.reader(), compression)
            .and_then(kept)
            .attempting(|| format!("cannot unpack it ({compression})")),
    }
}

/// The tar that comes through a pipe, and how it is compressed. Waits until it begins to come.
pub(super) fn in_pipe(mut pipe: File) -> Result<(impl Read + Send + 'static, Compression)> {
    let mut first = Vec::new();
    (&mut pipe).take(MAGIC as u64).read_to_end(&mut first)?;
    let compression = Compression::sniff(&first);
    let from = Limited::new(io::Cursor::new(first).chain(pipe), compression)?;
    Ok((from, compression))
}

/// The same, kept in a temporary file.
pub(super) fn kept_from(pipe: File) -> Result<FileRange> {
    let (from, compression) = in_pipe(pipe)?;
    kept(from).attempting(|| match compression {
        Compression::None => "cannot keep what comes through the pipe".to_string(),
        _ => format!("cannot unpack what comes through the pipe ({compression})"),
    })
}

/// Reads everything into a temporary file.
fn kept(mut from: impl Read) -> Result<FileRange> {
    let temporary = std::env::temp_dir();
    let place = || {
        format!(
            "a temporary file in {} (TMPDIR says where)",
            temporary.display()
        )
    };
    let mut file = tempfile::tempfile().attempting(|| format!("cannot make {}", place()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        file.write_all(buffer.get(..n).unwrap_or_default())
            .attempting(|| format!("cannot write {}", place()))?;
    }
    FileRange::whole(file)
}

/// Unpacks what comes, and not to much more than came.
struct Limited {
    plain: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
    given: u64,
}

impl Limited {
    fn new(from: impl Read + Send + 'static, compression: Compression) -> Result<Self> {
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner: from,
            taken: Arc::clone(&taken),
        };
        Ok(Self {
            plain: decoder(counted, compression)?,
            taken,
            given: 0,
        })
    }
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.plain.read(buffer)?;
        self.given += n as u64;
        if self.given > FREE.max(self.taken.load(Ordering::Relaxed).saturating_mul(RATIO)) {
            let what = format!(
                "it unpacks to more than {RATIO} times its size: unpack it yourself if you trust it"
            );
            return Err(Error::new(ErrorKind::Invalid, what).into());
        }
        Ok(n)
    }
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
