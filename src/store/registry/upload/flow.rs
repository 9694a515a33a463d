//! The body of an upload on its way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::store::blob::Pieces;
use crate::store::locked;
use crate::store::registry::gate::Gate;
use crate::store::registry::options::Limits;
use crate::store::registry::pace;

/// The body of an upload on its way: how much has gone, when, and what the source said.
pub(super) struct Flow {
    size: u64,
    sent: AtomicU64,
    /// Whether the source is being waited for, which is no fault of the destination.
    is_starving: AtomicBool,
    /// When something went last; `None` before the connection is there, and while we hold back.
    moved: Mutex<Option<Instant>>,
    error: Mutex<Option<Error>>,
}

impl Flow {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            sent: AtomicU64::new(0),
            is_starving: AtomicBool::new(false),
            moved: Mutex::default(),
            error: Mutex::default(),
        }
    }

    /// The body. What slows it down at the gate is no fault of anybody.
    pub(super) fn body(
        self: &Arc<Self>,
        first: Option<Bytes>,
        pieces: Pieces,
        gate: &Arc<Gate>,
    ) -> reqwest::Body {
        let (flow, gate) = (Arc::clone(self), Arc::clone(gate));
        let all = stream::iter(first.map(Ok)).chain(pieces);
        let all = match gate.is_slowed() {
            true => in_portions(all).boxed(),
            false => all.boxed(),
        };
        let watched = stream::unfold(all, move |mut all| {
            let (flow, gate) = (Arc::clone(&flow), Arc::clone(&gate));
            async move {
                flow.moves();
                flow.is_starving.store(true, Ordering::Relaxed);
                let piece = all.next().await;
                flow.is_starving.store(false, Ordering::Relaxed);
                flow.waits_for_us();
                let piece = flow.pass(piece?, &gate).await;
                flow.moves();
                Some((piece, all))
            }
        });
        reqwest::Body::wrap_stream(watched)
    }

    async fn pass(&self, piece: Result<Bytes>, gate: &Gate) -> Result<Bytes, std::io::Error> {
        match piece {
            Ok(piece) => {
                gate.pass_bytes(piece.len()).await;
                let len = piece.len() as u64;
                gate.count(|traffic| traffic.written += len);
                self.sent.fetch_add(len, Ordering::Relaxed);
                Ok(piece)
            }
            Err(error) => {
                *locked(&self.error) = Some(error);
                Err(std::io::Error::other("the source failed"))
            }
        }
    }

    pub(super) fn is_all_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed) >= self.size
    }

    pub(super) fn source_error(&self) -> Option<Error> {
        locked(&self.error).take()
    }

    fn moves(&self) {
        *locked(&self.moved) = Some(Instant::now());
    }

    fn waits_for_us(&self) {
        *locked(&self.moved) = None;
    }

    /// Ends when nothing has moved for too long, and says whose fault that is. While the request waits
    /// for its turn, it is nobody's.
    pub(super) async fn stalled(&self, limits: &Limits) -> Stalled {
        loop {
            let is_all_sent = self.is_all_sent();
            // Nobody asks whether the end has come, too, once there is nothing left to send.
            let is_starving = !is_all_sent && self.is_starving.load(Ordering::Relaxed);
            let (limit, who) = match (is_starving, is_all_sent) {
                (true, _) => (limits.source, Stalled::Source),
                (false, true) => (limits.commit, Stalled::Destination),
                (false, false) => (limits.idle, Stalled::Destination),
            };
            // Which limit counts may change at any time.
            let mut pause = limits.idle.min(limits.source);
            if let Some(moved) = *locked(&self.moved) {
                let left = limit.saturating_sub(moved.elapsed());
                if left.is_zero() {
                    return who;
                }
                pause = pause.min(left);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn in_portions(all: impl Stream<Item = Result<Bytes>>) -> impl Stream<Item = Result<Bytes>> {
    all.flat_map(|piece| {
        let portions = match piece {
            Ok(piece) => pace::portions(piece).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(portions)
    })
}

/// Who let an upload stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stalled {
    /// The destination took no bytes, or gave no answer to all of them.
    Destination,
    /// The source gave no bytes, for so long that the destination may soon hang up.
    Source,
}
