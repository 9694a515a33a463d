//! Unpacking a layer on its way: one thread reads and unpacks, another one hashes and hands on.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;

use super::PIECE;
use super::buffers::Buffers;
use super::checked::Checked;
use crate::error::Result;
use crate::image::{Algorithm, Compression, DiffId, Hasher};
use crate::store::compress::{Sink, decoder};

/// How many pieces are ready at most before they are asked for.
const AHEAD: usize = 2;

/// Hands on what `stored` unpacks to, and says what that is called and how many bytes it has. The last
/// piece is handed on only after everything was found right.
pub(super) fn unpack(
    stored: Checked,
    compression: Compression,
    expected: Option<&DiffId>,
    sink: &mut Sink<'_>,
) -> Result<(DiffId, u64)> {
    thread::scope(|scope| {
        let (to, from) = sync_channel(AHEAD);
        scope.spawn(move || {
            if let Err(error) = pieces(stored, compression, &to) {
                // Whoever does not read any more needs no error.
                let _ = to.send(Err(error));
            }
        });
        let algorithm = expected.map_or(Algorithm::Sha256, DiffId::algorithm);
        let mut hasher = Hasher::new(algorithm);
        let mut size = 0;
        let mut held: Option<Bytes> = None;
        for piece in from {
            let piece = piece?;
            hasher.update(&piece);
            size += piece.len() as u64;
            if let Some(before) = held.replace(piece) {
                sink(&before)?;
            }
        }
        let found = hasher.finish();
        if let Some(expected) = expected {
            super::diff_id::compare(expected, &found)?;
        }
        sink(&held.unwrap_or_default())?;
        Ok((found, size))
    })
}

fn pieces(stored: Checked, compression: Compression, to: &SyncSender<Result<Bytes>>) -> Result<()> {
    let mut plain = decoder(stored, compression)?;
    let buffers = Buffers::new(PIECE);
    loop {
        let piece = buffers.fill(&mut plain)?;
        if piece.is_empty() || to.send(Ok(piece)).is_err() {
            return Ok(());
        }
    }
}
