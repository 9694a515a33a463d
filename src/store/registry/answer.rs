//! What came back for a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, Url};
use tokio::sync::OwnedSemaphorePermit;

use super::gate::{Gate, Line};
use super::headers::{content, only};
use super::pace;
use super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Digest;

/// The largest error body that is read, in bytes (S-17).
pub(super) const ERROR_LIMIT: u64 = 64 << 10;

/// What came back: the head, and a body that is not read yet.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where it came from in the end.
    pub(super) url: Url,
    response: Response,
    /// What came of the body and was not handed on.
    rest: Bytes,
    /// How it came through the gate; what token servers say does not.
    passage: Option<Passage>,
    /// How long the body may stall.
    pub(super) idle: Duration,
    /// What a 401 means, for users.
    pub(super) advice: Option<String>,
}

/// How an answer came through the gate.
pub(super) struct Passage {
    pub(super) gate: Arc<Gate>,
    pub(super) line: Line,
    /// The place in the gate; free when the body has been read.
    #[expect(
        dead_code,
        reason = "it is held, and given back when the answer is dropped"
    )]
    pub(super) place: OwnedSemaphorePermit,
}

impl Answer {
    /// What came. The body may stall for `idle`.
    pub(super) fn new(response: Response, idle: Duration) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            url: response.url().clone(),
            response,
            rest: Bytes::new(),
            passage: None,
            idle,
            advice: None,
        }
    }

    /// The same, and it came through the gate.
    pub(super) fn through(mut self, passage: Passage) -> Self {
        self.passage = Some(passage);
        self
    }

    /// The next bytes of the body, which may take so long to come. Of a blob whose speed is limited,
    /// few at once.
    pub(super) async fn piece(&mut self, idle: Duration) -> Result<Option<Bytes>, Trouble> {
        if self.rest.is_empty() {
            let next = tokio::time::timeout(idle, self.response.chunk()).await;
            let Some(piece) = next.map_err(|_| Trouble::stalled("the answer stalled"))?? else {
                return Ok(None);
            };
            if let Some(passage) = &self.passage {
                let read = piece.len() as u64;
                passage.gate.count(|traffic| traffic.read += read);
            }
            self.rest = piece;
        }
        Ok(Some(match self.slowing() {
            Some(_) => pace::portion(&mut self.rest),
            None => std::mem::take(&mut self.rest),
        }))
    }

    /// Waits for the turn of so many bytes, if they are of a blob whose speed is limited.
    pub(super) async fn pass_bytes(&self, bytes: usize) {
        if let Some(gate) = self.slowing() {
            gate.pass_bytes(bytes).await;
        }
    }

    /// The gate, if it slows this body down.
    fn slowing(&self) -> Option<&Gate> {
        let passage = self.passage.as_ref()?;
        let slows = passage.line == Line::Download && passage.gate.is_slowed();
        slows.then_some(&passage.gate)
    }

    /// The body, if it is not larger than `limit` bytes (S-17, S-18).
    pub(super) async fn body(mut self, limit: u64) -> Result<Bytes, Trouble> {
        let mut body = BytesMut::new();
        loop {
            let Some(piece) = self.piece(self.idle).await? else {
                return Ok(body.freeze());
            };
            self.pass_bytes(piece.len()).await;
            if (body.len() + piece.len()) as u64 > limit {
                let what = format!("the answer is over the limit of {limit} bytes");
                return Err(Error::new(ErrorKind::Invalid, what).into());
            }
            body.extend_from_slice(&piece);
        }
    }

    /// The trouble that an answer tells of.
    pub(super) async fn into_trouble(mut self) -> Trouble {
        let (status, headers) = (self.status, self.headers.clone());
        let advice = self.advice.take();
        // What cannot be read of the body is not told; the status says enough.
        let body = self.body(ERROR_LIMIT).await.unwrap_or_default();
        let trouble = Trouble::refused(status, &headers, &body);
        match advice {
            Some(advice) => trouble.attempting(advice),
            None => trouble,
        }
    }

    /// The answer, if its status is one of these.
    pub(super) async fn expect(self, fine: &[u16]) -> Result<Self, Trouble> {
        match fine.contains(&self.status.as_u16()) {
            true => Ok(self),
            false => Err(self.into_trouble().await),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        only(&self.headers, name)
    }

    /// The digest by which the registry calls what it was sent, if it is another one by the same
    /// algorithm (F-78, F-84).
    pub(super) fn stored_as(&self, sent: &Digest) -> Option<Digest> {
        let stored = self.header("docker-content-digest");
        let stored = stored.and_then(content::digest)?;
        (stored.algorithm() == sent.algorithm() && stored != *sent).then_some(stored)
    }

    /// `Content-Length`, in bytes.
    pub(super) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }
}
