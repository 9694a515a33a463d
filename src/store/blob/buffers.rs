//! Buffers that are used again: new ones for each piece would cost as much as hashing does.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::store::locked;

/// Buffers of one size that come back when nobody reads their piece any more.
pub(super) struct Buffers {
    size: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// Buffers of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            free: Arc::default(),
        }
    }

    /// Reads once. An empty piece is the end.
    pub(super) fn fill(&self, from: &mut impl Read) -> io::Result<Bytes> {
        let free = locked(&self.free).pop();
        let mut buffer = free.unwrap_or_else(|| vec![0; self.size]);
        let len = from.read(&mut buffer)?;
        Ok(Bytes::from_owner(Filled {
            buffer,
            len,
            free: Arc::clone(&self.free),
        }))
    }
}

struct Filled {
    buffer: Vec<u8>,
    len: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        locked(&self.free).push(std::mem::take(&mut self.buffer));
    }
}
