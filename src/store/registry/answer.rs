//! What came back for a request.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, Url};
use tokio::sync::OwnedSemaphorePermit;

use super::headers::{content, only};
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
    pub(super) response: Response,
    /// The place in the gate; free when the body has been read.
    #[expect(
        dead_code,
        reason = "it is held, and given back when the answer is dropped"
    )]
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// How long the body may stall.
    pub(super) idle: Duration,
    /// What a 401 means, for users.
    pub(super) advice: Option<String>,
}

impl Answer {
    /// The body, if it is not larger than `limit` bytes (S-17, S-18).
    pub(super) async fn body(mut self, limit: u64) -> Result<Bytes, Trouble> {
        let mut body = BytesMut::new();
        loop {
            let next = tokio::time::timeout(self.idle, self.response.chunk()).await;
            let next = next.map_err(|_| Trouble::stalled("the answer stalled"))?;
            let Some(piece) = next? else {
                return Ok(body.freeze());
            };
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
