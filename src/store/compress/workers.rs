//! The threads that compress, and the limit on what they hold in memory.

use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::Coding;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Compression;
use crate::store::locked;

/// A few threads that compress blocks for every layer that is being written.
pub struct Workers {
    jobs: Sender<Job>,
    free: Mutex<usize>,
    freed: Condvar,
}

struct Job {
    block: Vec<u8>,
    to: Coding,
    reply: Sender<Done>,
}

/// A compressed block, and the buffer it came in.
pub(super) struct Done {
    pub(super) block: Vec<u8>,
    pub(super) packed: Result<Vec<u8>>,
}

/// The right to keep one block in memory.
pub(super) struct Permit<'w>(&'w Workers);

impl Workers {
    /// Starts `threads` threads. They end when this is dropped.
    ///
    /// # Errors
    /// `Io` if the system gives no thread.
    pub fn start(threads: NonZeroUsize) -> Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.get() {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name("imgcopy-compress".into())
                .spawn(move || work(&queue))?;
        }
        Ok(Self {
            jobs,
            // Enough that every thread finds its next block ready.
            free: Mutex::new(threads.get() * 2 + 2),
            freed: Condvar::new(),
        })
    }

    pub(super) fn submit(&self, block: Vec<u8>, to: Coding) -> Result<Receiver<Done>> {
        let (reply, done) = mpsc::channel();
        let stopped = |_| Error::new(ErrorKind::Interrupted, "compression was stopped");
        self.jobs.send(Job { block, to, reply }).map_err(stopped)?;
        Ok(done)
    }

    pub(super) fn try_permit(&self) -> Option<Permit<'_>> {
        let mut free = locked(&self.free);
        *free = free.checked_sub(1)?;
        Some(Permit(self))
    }

    pub(super) fn wait_for_permit(&self) -> Permit<'_> {
        let mut free = locked(&self.free);
        loop {
            if let Some(left) = free.checked_sub(1) {
                *free = left;
                return Permit(self);
            }
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *locked(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    let mut packer = Packer::default();
    loop {
        let job = locked(queue).recv();
        let Ok(Job { block, to, reply }) = job else {
            return;
        };
        let packed = packer.pack(&block, to);
        // Whoever asked may have given up; the block is then of no use.
        let _ = reply.send(Done { block, packed });
    }
}

/// The state that one thread keeps from block to block. Compressors begin every block afresh; only
/// their memory is reused.
#[derive(Default)]
struct Packer {
    gzip: Option<(i32, libdeflater::Compressor)>,
    stored: Option<libdeflater::Compressor>,
    zstd: Option<(i32, zstd::bulk::Compressor<'static>)>,
    sample: Vec<u8>,
    out: Vec<u8>,
}

/// The fast level looks before it works: a block of which a sample of 16 pieces shrinks by less than
/// a tenth is stored. Media and archives are a seventh of the work and hardly any of the gain.
const FAST: i32 = 1;
const SAMPLE_PIECES: usize = 16;
const SAMPLE_PIECE: usize = 512;

impl Packer {
    fn pack(&mut self, block: &[u8], to: Coding) -> Result<Vec<u8>> {
        match to.compression() {
            Compression::Gzip => self.gzip(block, to.level()),
            Compression::Zstd => self.zstd(block, to.level()),
            other => Err(failed(other, "no encoder")),
        }
    }

    fn gzip(&mut self, block: &[u8], level: i32) -> Result<Vec<u8>> {
        if self.gzip.as_ref().is_none_or(|(at, _)| *at != level) {
            self.gzip = Some((level, deflate(level)?));
        }
        let Some((_, gzip)) = &mut self.gzip else {
            return Err(failed(Compression::Gzip, "no encoder"));
        };
        if level == FAST && !is_worth_it(gzip, block, &mut self.sample, &mut self.out) {
            let stored = match &mut self.stored {
                Some(stored) => stored,
                empty => empty.insert(deflate(0)?),
            };
            return deflated(stored, block, &mut self.out);
        }
        deflated(gzip, block, &mut self.out)
    }

    fn zstd(&mut self, block: &[u8], level: i32) -> Result<Vec<u8>> {
        if self.zstd.as_ref().is_none_or(|(at, _)| *at != level) {
            let mut zstd = zstd::bulk::Compressor::new(level)?;
            // A reader that meets a damaged block says so.
            zstd.include_checksum(true)?;
            self.zstd = Some((level, zstd));
        }
        let Some((_, zstd)) = &mut self.zstd else {
            return Err(failed(Compression::Zstd, "no encoder"));
        };
        grow(&mut self.out, zstd::zstd_safe::compress_bound(block.len()));
        let n = zstd.compress_to_buffer(block, self.out.as_mut_slice())?;
        Ok(self.out.get(..n).unwrap_or_default().to_vec())
    }
}

fn deflate(level: i32) -> Result<libdeflater::Compressor> {
    let level = libdeflater::CompressionLvl::new(level)
        .map_err(|_| failed(Compression::Gzip, "no such level"))?;
    Ok(libdeflater::Compressor::new(level))
}

/// Makes room. Fresh zeros cost nothing, unlike those that are written one by one.
fn grow(out: &mut Vec<u8>, len: usize) {
    if out.len() < len {
        *out = vec![0; len];
    }
}

fn deflated(
    with: &mut libdeflater::Compressor,
    block: &[u8],
    out: &mut Vec<u8>,
) -> Result<Vec<u8>> {
    grow(out, with.gzip_compress_bound(block.len()));
    let n = with
        .gzip_compress(block, out)
        .map_err(|error| failed(Compression::Gzip, &error.to_string()))?;
    Ok(out.get(..n).unwrap_or_default().to_vec())
}

/// Whether a sample of the block shrinks by a tenth. Depends on nothing but the block.
fn is_worth_it(
    with: &mut libdeflater::Compressor,
    block: &[u8],
    sample: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> bool {
    let stride = block.len() / SAMPLE_PIECES;
    if stride < 4 * SAMPLE_PIECE {
        return true;
    }
    sample.clear();
    for part in block.chunks_exact(stride).take(SAMPLE_PIECES) {
        let middle = stride / 2;
        sample.extend_from_slice(part.get(middle..middle + SAMPLE_PIECE).unwrap_or_default());
    }
    out.resize(with.deflate_compress_bound(sample.len()), 0);
    let packed = with.deflate_compress(sample, out);
    packed.is_ok_and(|packed| packed * 10 < sample.len() * 9)
}

fn failed(compression: Compression, why: &str) -> Error {
    Error::new(ErrorKind::Io, format!("{compression} failed: {why}"))
}
