//! The body of an upload on its way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::store::blob::Pieces;
use crate::store::locked;
use crate::store::registry::options::Limits;

/// The body of an upload on its way: how much has gone, when, and what the source said.
pub(super) struct Flow {
    size: u64,
    sent: AtomicU64,
    /// Whether the source is being waited for, which is no fault of the destination.
    is_starving: AtomicBool,
    /// When something went last; `None` before the connection is there.
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

    pub(super) fn body(self: &Arc<Self>, first: Option<Bytes>, pieces: Pieces) -> reqwest::Body {
        let flow = Arc::clone(self);
        let all = stream::iter(first.map(Ok)).chain(pieces);
        let watched = stream::unfold(all, move |mut all| {
            let flow = Arc::clone(&flow);
            async move {
                flow.moves();
                flow.is_starving.store(true, Ordering::Relaxed);
                let piece = all.next().await;
                flow.moves();
                flow.is_starving.store(false, Ordering::Relaxed);
                let piece = flow.pass(piece?);
                Some((piece, all))
            }
        });
        reqwest::Body::wrap_stream(watched)
    }

    fn pass(&self, piece: Result<Bytes>) -> Result<Bytes, std::io::Error> {
        match piece {
            Ok(piece) => {
                self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
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

/// Who let an upload stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stalled {
    /// The destination took no bytes, or gave no answer to all of them.
    Destination,
    /// The source gave no bytes, for so long that the destination may soon hang up.
    Source,
}
