//! The body of an upload on its way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::store::blob::Pieces;
use crate::store::locked;

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
                flow.is_starving.store(false, Ordering::Relaxed);
                let piece = flow.pass(piece?);
                Some((piece, all))
            }
        });
        reqwest::Body::wrap_stream(watched)
    }

    fn pass(&self, piece: Result<Bytes>) -> Result<Bytes, std::io::Error> {
        self.moves();
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

    /// Ends when nothing has moved for too long: bytes for `idle`, or the answer to all of them
    /// for `commit`. While the request waits for its turn or the source is slow, nobody is to blame
    /// here: both have limits of their own.
    pub(super) async fn stalled(&self, idle: Duration, commit: Duration) {
        loop {
            let limit = match self.is_all_sent() {
                true => commit,
                false => idle,
            };
            let moved = *locked(&self.moved);
            match moved {
                Some(moved) if !self.is_starving.load(Ordering::Relaxed) => {
                    if moved + limit <= Instant::now() {
                        return;
                    }
                    tokio::time::sleep_until(moved + limit).await;
                }
                _ => {
                    tokio::time::sleep(limit).await;
                    if moved.is_some() {
                        self.moves();
                    }
                }
            }
        }
    }
}
