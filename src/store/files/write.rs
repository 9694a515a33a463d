//! Writing a blob into a file, so that the disk works while it comes.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::store::blob::{Blob, FileRange, Passed, Passing, Receipt};
use crate::store::compress::Sink;

/// Writes a blob into a new file, unless `stopped` becomes true first. A file of another directory is cloned where the file system
/// can; the clone is then read, so the content is checked either way.
pub(in crate::store) fn write(blob: Blob, to: &File, stopped: &AtomicBool) -> Result<Receipt> {
    let go_on = || go_on(stopped);
    if blob.as_whole_file().is_some_and(|file| clone(file, to)) {
        let range = FileRange::whole(to.try_clone()?)?;
        return blob.read_from(range).pour(&mut |_| go_on());
    }
    let size = blob.descriptor().size;
    let poured = poured(to, &go_on, |sink| blob.pour(sink));
    poured.map_err(|error| full(error, to, size))
}

/// The same for a layer that passes.
pub(in crate::store) fn write_passing(
    layer: Passing,
    to: &File,
    stopped: &AtomicBool,
) -> Result<Passed> {
    let size = layer.size;
    let poured = poured(to, &|| go_on(stopped), |sink| layer.pour(sink));
    poured.map_err(|error| full(error, to, size))
}

fn go_on(stopped: &AtomicBool) -> Result<()> {
    match stopped.load(Ordering::Relaxed) {
        true => Err(Error::new(ErrorKind::Interrupted, "interrupted")),
        false => Ok(()),
    }
}

fn poured<T>(
    mut file: &File,
    go_on: &dyn Fn() -> Result<()>,
    pour: impl FnOnce(&mut Sink<'_>) -> Result<T>,
) -> Result<T> {
    let mut written = 0;
    let mut begun = 0;
    pour(&mut |piece| {
        go_on()?;
        file.write_all(piece)?;
        written += piece.len() as u64;
        if written - begun >= EARLY {
            begin_to_store(file, begun, written - begun);
            begun = written;
        }
        Ok(())
    })
}

fn full(error: Error, to: &File, size: u64) -> Error {
    match (error.kind(), room(to)) {
        (ErrorKind::NoSpace, Some(room)) => error.attempting(format!(
            "the disk is full: {room} bytes left for a blob of {size}"
        )),
        _ => error,
    }
}

/// How many bytes are written before the system is asked to begin to store them, so that the disk
/// works while the rest is read and compressed, and the sync at the end has little left to do.
const EARLY: u64 = 8 << 20;

/// Begins to store a part of a file, without waiting: what Linux does on this advice for pages that
/// are not stored yet.
#[cfg(target_os = "linux")]
fn begin_to_store(file: &File, offset: u64, len: u64) {
    let len = std::num::NonZeroU64::new(len);
    // Only advice: if it is not taken, the sync at the end takes longer.
    let _ = rustix::fs::fadvise(file, offset, len, rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn begin_to_store(_: &File, _: u64, _: u64) {}

/// Whether the file system made `to` a clone of `from`, which shares its bytes.
#[cfg(target_os = "linux")]
fn clone(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn clone(_: &File, _: &File) -> bool {
    false
}

/// What is left of the file system, in bytes.
fn room(file: &File) -> Option<u64> {
    let room = rustix::fs::fstatvfs(file).ok()?;
    Some(room.f_bavail.saturating_mul(room.f_frsize))
}
