//! Writing a blob to a registry: a session, then one PUT with everything. Chunks are for
//! registries that refuse that.
//!
//! The content is opened before the session is, so that no registry waits for a slow source, and
//! its last piece comes only if all of it is right (S-12): a wrong blob is never completed.

mod flow;
mod open;
mod session;
mod tries;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use tracing::debug;

use super::answer::Answer;
use super::end::End;
use super::gate::Line;
use super::policy;
use super::retry::{Backoff, Op, Signal, Verdict, verdict};
use super::send::{Call, Payload};
use super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Digest;
use crate::store::blob::{Blob, Pieces};
use flow::{Flow, Stalled};
use open::Open;
use tries::Tries;

pub(super) use session::{Mounted, Session, mount};

/// How large chunks are, in bytes, unless the registry wants larger ones.
const CHUNK: u64 = 8 << 20;
/// A chunk is held in memory, so no registry gets larger ones.
const LARGEST_CHUNK: u64 = 64 << 20;
/// Below this there is no use in trying smaller ones: nginx's own limit is twice as much.
const SMALLEST_CHUNK: u64 = 512 << 10;
/// GHCR takes no more than this in one PATCH.
const GHCR_CHUNK: u64 = 4 << 20;

/// What came of one try.
enum Failed {
    /// The source: whoever reads it has tried again already.
    Source(Error),
    /// The destination, in the middle of what.
    Destination(Op, Trouble),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Destination(Op::Open, error.into())
    }
}

/// A blob that is being written.
pub(super) struct Upload<'e> {
    pub(super) end: &'e End,
    pub(super) blob: Blob,
    /// A session that a mount left open.
    pub(super) session: Option<Session>,
    /// How large the chunks of the last try were, if it was made in chunks that may be smaller.
    pub(super) chunk: Option<u64>,
}

impl Upload<'_> {
    pub(super) async fn run(mut self) -> Result<()> {
        let mut backoff = Backoff::new(&self.end.host.options.retry);
        let mut tries = Tries::default();
        loop {
            let (op, trouble) = match self.once().await {
                Ok(()) => break,
                Err(Failed::Source(error)) => return Err(error),
                Err(Failed::Destination(op, trouble)) => (op, trouble),
            };
            let trouble = of_destination(trouble);
            let Some(signal) = trouble.signal.clone() else {
                return Err(trouble.error);
            };
            let mut verdict = verdict(op, &signal);
            tries.count(op, &signal);
            debug!(blob = %self.blob.descriptor().digest, error = %trouble.error, ?op, ?verdict, ?tries, "an upload failed");
            match verdict {
                Verdict::Fail | Verdict::SelfHeal => return Err(trouble.error),
                Verdict::LookUp | Verdict::Compare if self.is_there().await => break,
                // A registry may lose chunks (F-71).
                Verdict::RestartBlob => self.learn_chunks(false),
                _ => {}
            }
            let size = self.blob.descriptor().size;
            if !self.end.host.wants_chunks() && tries.ask_for_chunks(&signal, size) {
                verdict = Verdict::Chunked;
            }
            if verdict == Verdict::Chunked {
                if self.takes_smaller_chunks() {
                    continue;
                }
                self.learn_chunks(true);
            }
            match backoff.next(&signal, &verdict) {
                Ok(pause) => self.end.host.rest(&signal, pause).await,
                Err(stop) => return Err(tries.explain(trouble.stopped(&stop).error)),
            }
        }
        self.end.note([self.blob.descriptor().digest.clone()]);
        Ok(())
    }

    fn learn_chunks(&self, wants: bool) {
        let wants_chunks = &self.end.host.learnt.wants_chunks;
        wants_chunks.store(wants, Ordering::Relaxed);
    }

    /// Whether it was a chunk that was too large, and smaller ones are worth a try: proxies have limits
    /// of their own, and nginx takes a mebibyte unless it is told otherwise.
    fn takes_smaller_chunks(&mut self) -> bool {
        let Some(refused) = self.chunk.take().filter(|size| *size > SMALLEST_CHUNK) else {
            return false;
        };
        let largest = &self.end.host.learnt.largest_chunk;
        // Others may have found out more meanwhile.
        let known = largest.load(Ordering::Relaxed);
        if known == 0 || known >= refused {
            largest.store(refused / 2, Ordering::Relaxed);
        }
        true
    }

    /// How large the chunks of a session are, in bytes; at most as large as the last that was refused.
    fn chunk_size(&self, session: &Session) -> u64 {
        let usual = match self.end.host.registry.as_str() {
            "ghcr.io" => GHCR_CHUNK,
            _ => CHUNK,
        };
        let usual = match self.end.host.learnt.largest_chunk.load(Ordering::Relaxed) {
            0 => usual,
            largest => usual.min(largest),
        };
        session.least.unwrap_or(0).max(usual).min(LARGEST_CHUNK)
    }

    /// Whether the blob got there although no answer did.
    async fn is_there(&self) -> bool {
        self.end
            .has_blob(self.blob.descriptor())
            .await
            .unwrap_or(false)
    }

    async fn once(&mut self) -> Result<(), Failed> {
        // Whoever may not write yet does not begin to read.
        let _turn = self.end.host.gate.turn_to_write().await?;
        let mut pieces = self.blob.clone().pieces();
        let first = pieces.next().await.transpose().map_err(Failed::Source)?;
        let session = match self.session.take() {
            Some(session) => session,
            None => session::open(self.end, self.blob.descriptor())
                .await
                .map_err(|trouble| Failed::Destination(Op::Open, trouble))?,
        };
        let mut open = Open::new(self.end, session);
        let ended = match self.end.host.wants_chunks() {
            true => self.in_chunks(&mut open.session, first, pieces).await,
            false => self.at_once(&open.session, first, pieces).await,
        };
        open.over();
        ended
    }

    /// One PUT with everything.
    async fn at_once(
        &self,
        session: &Session,
        first: Option<Bytes>,
        pieces: Pieces,
    ) -> Result<(), Failed> {
        let descriptor = self.blob.descriptor();
        let flow = Arc::new(Flow::new(descriptor.size));
        let body = flow.body(first, pieces, &self.end.host.gate);
        let mut call = self
            .call(Method::PUT, session, Some(&descriptor.digest))
            .await?;
        call.headers.insert(CONTENT_TYPE, OCTETS);
        let limits = &self.end.host.options.limits;
        (call.body, call.patience) = match descriptor.size {
            0 => (Payload::Nothing, limits.commit),
            // How long it may take altogether depends on its size: the flow is watched instead.
            size => (Payload::Once(Mutex::new(Some(body)), size), Duration::MAX),
        };
        let sent = async {
            tokio::select! {
                answer = self.end.host.send(&call) => answer,
                stalled = flow.stalled(limits) => Err(Trouble::stalled(match stalled {
                    Stalled::Destination => "the upload stalled",
                    Stalled::Source => "what is uploaded stalled at its source",
                })),
            }
        };
        let answered = sent.await;
        if let Some(error) = flow.source_error() {
            return Err(Failed::Source(error));
        }
        let op = if flow.is_all_sent() {
            Op::Commit
        } else {
            Op::Send
        };
        let answer = answered.map_err(|trouble| Failed::Destination(op, trouble))?;
        self.committed(answer, op).await
    }

    /// PATCH by PATCH, then an empty PUT.
    async fn in_chunks(
        &mut self,
        session: &mut Session,
        first: Option<Bytes>,
        mut pieces: Pieces,
    ) -> Result<(), Failed> {
        let size = self.chunk_size(session);
        // The registry wants them as large: smaller ones are not to be tried.
        self.chunk = Some(size).filter(|size| session.least.is_none_or(|least| least < *size));
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut chunk = BytesMut::from(first.unwrap_or_default().as_ref());
        let mut offset = 0;
        loop {
            let next = pieces.next().await.transpose().map_err(Failed::Source)?;
            let is_last = next.is_none();
            chunk.extend_from_slice(&next.unwrap_or_default());
            while chunk.len() >= size || (is_last && !chunk.is_empty()) {
                let part = chunk.split_to(size.min(chunk.len())).freeze();
                let len = part.len() as u64;
                *session = self.patch(session, part, offset).await?;
                offset += len;
            }
            if is_last {
                break;
            }
        }
        let digest = &self.blob.descriptor().digest;
        let mut call = self.call(Method::PUT, session, Some(digest)).await?;
        call.patience = self.end.host.options.limits.commit;
        let answer = self.end.host.send(&call).await;
        let answer = answer.map_err(|trouble| Failed::Destination(Op::Commit, trouble))?;
        self.committed(answer, Op::Commit).await
    }

    async fn patch(&self, session: &Session, part: Bytes, offset: u64) -> Result<Session, Failed> {
        let mut call = self.call(Method::PATCH, session, None).await?;
        let range = format!("{offset}-{}", offset + part.len() as u64 - 1);
        let unsendable = |_| Error::new(ErrorKind::Io, "no such range");
        call.headers.insert(
            CONTENT_RANGE,
            HeaderValue::from_str(&range).map_err(unsendable)?,
        );
        call.headers.insert(CONTENT_TYPE, OCTETS);
        self.end.host.gate.pass_bytes(part.len()).await;
        call.body = Payload::Bytes(part);
        let limits = &self.end.host.options.limits;
        // A chunk is small: what has not gone out by then has stalled.
        call.patience = limits.idle.saturating_mul(5);
        let failed = |trouble| Failed::Destination(Op::Send, trouble);
        let answer = self.end.host.send(&call).await.map_err(failed)?;
        // Registries answer 201, 202 or 204.
        let answer = answer.expect(&[200, 201, 202, 204]).await.map_err(failed)?;
        match answer.header("location").map(str::to_string) {
            Some(_) => Ok(session::next(self.end, &answer, Some(session)).await?),
            None => Ok(session.clone()),
        }
    }

    async fn call(
        &self,
        method: Method,
        session: &Session,
        digest: Option<&Digest>,
    ) -> Result<Call> {
        let mut call = self.end.call(method, "").await?;
        call.url = match digest {
            Some(digest) => policy::with_digest(session.url.clone(), digest),
            None => session.url.clone(),
        };
        call.to_registry = session.to_registry;
        call.line = Line::Upload;
        Ok(call)
    }

    /// Whether the registry has it now. Anything but 201 is looked up (F-78).
    async fn committed(&self, answer: Answer, op: Op) -> Result<(), Failed> {
        let digest = &self.blob.descriptor().digest;
        let status = answer.status.as_u16();
        if !answer.status.is_success() {
            return Err(Failed::Destination(op, answer.into_trouble().await));
        }
        if let Some(stored) = answer.stored_as(digest) {
            let what = format!("the registry calls {digest} {stored}");
            // No fault of the source: reading it again would not help.
            let error = Error::new(ErrorKind::Io, what);
            return Err(Failed::Destination(op, error.into()));
        }
        if status == 201 || self.is_there().await {
            return Ok(());
        }
        let error = Error::new(
            ErrorKind::Io,
            format!("the registry answered {status} and does not have the blob"),
        );
        Err(Failed::Destination(
            op,
            Trouble::new(Signal::Truncated, error),
        ))
    }
}

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What a destination does not find is not the image.
fn of_destination(trouble: Trouble) -> Trouble {
    let error = match trouble.error.kind() {
        ErrorKind::NotFound => trouble.error.of_kind(ErrorKind::Io),
        _ => trouble.error,
    };
    Trouble { error, ..trouble }
}
