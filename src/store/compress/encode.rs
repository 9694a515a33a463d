//! Compresses a stream block by block, with many hands, in order.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc;

use super::workers::{Done, Permit, Workers};
use super::{Coding, Sink};
use crate::error::{Error, ErrorKind, Result};
use crate::image::Compression;

/// How much of a layer is compressed by itself, in bytes. A block forgets 32 KiB of history, which
/// costs 0.1 % of the result; smaller ones cost more, larger ones memory.
const BLOCK: usize = 1 << 20;

/// Reads `from` to its end and hands its compressed form to `sink`. The last block is handed on
/// only after `from` has ended, so a reader that checks its content has the last word.
pub(crate) fn encode(
    mut from: impl Read,
    to: Coding,
    workers: &Workers,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut line = Line::new(to, workers);
    let mut held = None;
    loop {
        let mut block = line.spare.pop().unwrap_or_default();
        fill(&mut from, &mut block)?;
        if block.is_empty() {
            break;
        }
        if let Some(whole) = held.replace(block) {
            line.submit(whole, sink)?;
        }
    }
    // Nothing at all still makes one (empty) member or frame.
    line.submit(held.unwrap_or_default(), sink)?;
    line.drain(sink)
}

/// Blocks that were handed out, in the order in which they must come back.
struct Line<'w> {
    to: Coding,
    workers: &'w Workers,
    waiting: VecDeque<(mpsc::Receiver<Done>, Permit<'w>)>,
    spare: Vec<Vec<u8>>,
}

impl<'w> Line<'w> {
    fn new(to: Coding, workers: &'w Workers) -> Self {
        Self {
            to,
            workers,
            waiting: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    fn submit(&mut self, block: Vec<u8>, sink: &mut Sink<'_>) -> Result<()> {
        if self.to.compression() == Compression::None {
            sink(&block)?;
            self.spare.push(block);
            return Ok(());
        }
        let permit = self.permit(sink)?;
        let done = self.workers.submit(block, self.to)?;
        self.waiting.push_back((done, permit));
        Ok(())
    }

    /// Room for one more block in memory. While there is none, the oldest block of this line is
    /// brought in; a line with nothing out waits for the others, who are doing the same.
    fn permit(&mut self, sink: &mut Sink<'_>) -> Result<Permit<'w>> {
        loop {
            if let Some(permit) = self.workers.try_permit() {
                return Ok(permit);
            }
            match self.waiting.pop_front() {
                Some(oldest) => self.bring_in(oldest, sink)?,
                None => return Ok(self.workers.wait_for_permit()),
            }
        }
    }

    fn drain(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        while let Some(oldest) = self.waiting.pop_front() {
            self.bring_in(oldest, sink)?;
        }
        Ok(())
    }

    fn bring_in(
        &mut self,
        (done, permit): (mpsc::Receiver<Done>, Permit<'w>),
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let stopped = |_| Error::new(ErrorKind::Interrupted, "compression was stopped");
        let Done { block, packed } = done.recv().map_err(stopped)?;
        sink(&packed?)?;
        drop(permit);
        self.spare.push(block);
        Ok(())
    }
}

/// Fills a block: short only at the end.
fn fill(from: &mut impl Read, block: &mut Vec<u8>) -> io::Result<()> {
    if block.len() < BLOCK {
        // Fresh zeros cost nothing, unlike those that are written one by one.
        *block = vec![0; BLOCK];
    }
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(())
}
