//! Writing a blob to a registry: a session, then one PUT with everything. Chunks are for
//! registries that refuse that.
//!
//! The content is opened before the session is, so that no registry waits for a slow source, and
//! its last piece comes only if all of it is right (S-12): a wrong blob is never completed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use tokio::time::Instant;
use tracing::debug;

use super::end::End;
use super::gate::Line;
use super::policy::{self, Origin, UploadTo};
use super::retry::{Backoff, Op, Signal, Verdict, verdict};
use super::send::{Answer, Call, Payload};
use super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Algorithm, Descriptor, Digest, Repository};
use crate::store::blob::{Blob, Pieces};
use crate::store::locked;

/// Where the next request of an upload goes.
#[derive(Debug, Clone)]
pub(super) struct Session {
    url: Url,
    to_registry: bool,
}

/// How large chunks are, in bytes, unless the registry wants larger ones.
const CHUNK: u64 = 8 << 20;
/// GHCR takes no more than this in one PATCH.
const GHCR_CHUNK: u64 = 4 << 20;
/// Connections that break twice in a blob of this size may mean that its size is refused (F-64).
const LARGE: u64 = 1 << 20;

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
}

impl Upload<'_> {
    pub(super) async fn run(mut self) -> Result<()> {
        let mut backoff = Backoff::new(&self.end.host.options.retry);
        let mut broken = 0;
        loop {
            let (op, trouble) = match self.once().await {
                Ok(()) => break,
                Err(Failed::Source(error)) => return Err(error),
                Err(Failed::Destination(op, trouble)) => (op, trouble),
            };
            self.session = None;
            let Some(signal) = trouble.signal.clone() else {
                return Err(trouble.error);
            };
            let mut verdict = verdict(op, &signal);
            if op != Op::Open && matches!(signal, Signal::Reset) {
                broken += 1;
                if broken == 2
                    && self.blob.descriptor().size > LARGE
                    && !self.end.host.wants_chunks()
                {
                    verdict = Verdict::Chunked;
                }
            }
            debug!(blob = %self.blob.descriptor().digest, error = %trouble.error, ?op, ?verdict, "an upload failed");
            match verdict {
                Verdict::Fail | Verdict::SelfHeal => return Err(trouble.error),
                Verdict::LookUp | Verdict::Compare if self.is_there().await => break,
                Verdict::Chunked => self.want_chunks(),
                _ => {}
            }
            match backoff.next(&signal, &verdict) {
                Ok(pause) => self.end.host.rest(&signal, pause).await,
                Err(stop) => return Err(explained(trouble.stopped(&stop).error, broken)),
            }
        }
        self.end.note([self.blob.descriptor().digest.clone()]);
        Ok(())
    }

    fn want_chunks(&self) {
        let wants = &self.end.host.learnt.wants_chunks;
        wants.store(true, Ordering::Relaxed);
    }

    /// Whether the blob got there although no answer did.
    async fn is_there(&self) -> bool {
        self.end
            .has_blob(self.blob.descriptor())
            .await
            .unwrap_or(false)
    }

    async fn once(&mut self) -> Result<(), Failed> {
        let mut pieces = self.blob.clone().pieces();
        let first = pieces.next().await.transpose().map_err(Failed::Source)?;
        let session = match self.session.take() {
            Some(session) => (session, None),
            None => open(self.end, self.blob.descriptor()).await?,
        };
        match self.end.host.wants_chunks() {
            true => self.in_chunks(session, first, pieces).await,
            false => self.at_once(session.0, first, pieces).await,
        }
    }

    /// One PUT with everything.
    async fn at_once(
        &self,
        session: Session,
        first: Option<Bytes>,
        pieces: Pieces,
    ) -> Result<(), Failed> {
        let descriptor = self.blob.descriptor();
        let flow = Arc::new(Flow::new(descriptor.size));
        let body = flow.body(first, pieces);
        let mut call = self
            .call(Method::PUT, &session, Some(&descriptor.digest))
            .await?;
        call.headers.insert(CONTENT_TYPE, OCTETS);
        call.body = match descriptor.size {
            0 => Payload::Nothing,
            size => Payload::Once(Mutex::new(Some(body)), size),
        };
        let limits = &self.end.host.options.limits;
        call.patience = limits.commit.saturating_mul(100);
        let sent = async {
            tokio::select! {
                answer = self.end.host.send(&call) => answer,
                () = flow.stalled(limits.idle, limits.commit) => Err(Trouble::stalled("the upload stalled")),
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
        &self,
        session: (Session, Option<u64>),
        first: Option<Bytes>,
        mut pieces: Pieces,
    ) -> Result<(), Failed> {
        let (mut session, least) = session;
        let usual = match self.end.host.registry.as_str() {
            "ghcr.io" => GHCR_CHUNK,
            _ => CHUNK,
        };
        let size = usize::try_from(least.unwrap_or(0).max(usual)).unwrap_or(usize::MAX);
        let mut chunk = BytesMut::from(first.unwrap_or_default().as_ref());
        let mut offset = 0;
        loop {
            let next = pieces.next().await.transpose().map_err(Failed::Source)?;
            let is_last = next.is_none();
            chunk.extend_from_slice(&next.unwrap_or_default());
            while chunk.len() >= size || (is_last && !chunk.is_empty()) {
                let part = chunk.split_to(size.min(chunk.len())).freeze();
                let len = part.len() as u64;
                session = self.patch(&session, part, offset).await?;
                offset += len;
            }
            if is_last {
                break;
            }
        }
        let digest = &self.blob.descriptor().digest;
        let mut call = self.call(Method::PUT, &session, Some(digest)).await?;
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
        call.body = Payload::Bytes(part);
        let limits = &self.end.host.options.limits;
        // A chunk is small: what has not gone out by then has stalled.
        call.patience = limits.idle.saturating_mul(5);
        let failed = |trouble| Failed::Destination(Op::Send, trouble);
        let answer = self.end.host.send(&call).await.map_err(failed)?;
        // Registries answer 201, 202 or 204.
        let answer = answer.expect(&[200, 201, 202, 204]).await.map_err(failed)?;
        match answer.header("location").map(str::to_string) {
            Some(_) => Ok(next_session(self.end, &answer).await?),
            None => Ok(session.clone()),
        }
    }

    async fn call(
        &self,
        method: Method,
        session: &Session,
        digest: Option<&Digest>,
    ) -> Result<Call> {
        let mut call = self.end.host.call(method, "", &self.end.scopes).await?;
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
        let stored = answer
            .header("docker-content-digest")
            .and_then(|it| it.parse::<Digest>().ok());
        if let Some(stored) = stored
            && stored.algorithm() == digest.algorithm()
            && stored != *digest
        {
            let what = format!("the registry calls {digest} {stored}");
            let error = Error::new(ErrorKind::Corrupt, what);
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

fn explained(error: Error, broken: u32) -> Error {
    match broken {
        0 | 1 => error,
        _ => error.attempting("the registry closed the connection during the upload: perhaps a limit of size, or a proxy"),
    }
}

/// Begins an upload. Also tells how large chunks must be at least.
async fn open(end: &End, blob: &Descriptor) -> Result<(Session, Option<u64>), Failed> {
    let mut path = format!("{}/blobs/uploads/", end.path);
    if blob.digest.algorithm() != Algorithm::Sha256 {
        // For the hash that is not the usual one, the registry must know beforehand.
        path.push_str(&format!(
            "?digest-algorithm={}",
            blob.digest.algorithm().as_str()
        ));
    }
    let opened = end.host.repeat(Op::Open, || async {
        let call = end.host.call(Method::POST, &path, &end.scopes).await?;
        end.host.send(&call).await?.expect(&[202, 200, 201]).await
    });
    let answer = opened.await.map_err(|trouble| {
        Failed::Destination(
            Op::Open,
            Trouble {
                signal: None,
                ..trouble
            },
        )
    })?;
    let least = answer
        .header("oci-chunk-min-length")
        .and_then(|it| it.parse().ok());
    Ok((next_session(end, &answer).await?, least))
}

async fn next_session(end: &End, answer: &Answer) -> Result<Session> {
    let missing = || {
        Error::new(
            ErrorKind::Io,
            "the registry does not say where the upload goes on (Location)",
        )
    };
    let header = answer.header("location").ok_or_else(missing)?;
    let url = policy::location(&answer.url, header)?;
    let origin = end.host.origin().await?;
    let from = Origin::of(&answer.url).unwrap_or(origin.clone());
    let to = policy::may_upload_to(&from, &url, end.host.is_private().await?)?;
    Ok(Session {
        url,
        to_registry: to == UploadTo::SameOrigin && from == origin,
    })
}

/// What came of asking for a blob of another repository.
pub(super) enum Mounted {
    Yes,
    /// No, but an upload was begun instead, which the blob can use.
    Opened(Session),
    No,
}

/// Asks the registry to take a blob from another of its repositories. Whatever it answers other
/// than 201 and 202 means that the blob must travel (Q-42, F-41).
pub(super) async fn mount(end: &End, blob: &Descriptor, from: &Repository) -> Result<Mounted> {
    let path = format!(
        "{}/blobs/uploads/?mount={}&from={}",
        end.path,
        blob.digest,
        from.path()
    );
    let scopes = end.scopes.clone().reading(from.path());
    let mounted = end.host.repeat(Op::Open, || async {
        let call = end.host.call(Method::POST, &path, &scopes).await?;
        end.host.send(&call).await?.expect(&[201, 202]).await
    });
    match mounted.await {
        Ok(answer) if answer.status.as_u16() == 201 => {
            end.note([blob.digest.clone()]);
            Ok(Mounted::Yes)
        }
        Ok(answer) => Ok(next_session(end, &answer)
            .await
            .map_or(Mounted::No, Mounted::Opened)),
        Err(trouble) => {
            debug!(error = %trouble.error, %from, "not mounted");
            Ok(Mounted::No)
        }
    }
}

/// The body of an upload on its way: how much has gone, when, and what the source said.
struct Flow {
    size: u64,
    sent: AtomicU64,
    /// Whether the source is being waited for, which is no fault of the destination.
    is_starving: AtomicBool,
    moved: Mutex<Instant>,
    error: Mutex<Option<Error>>,
}

impl Flow {
    fn new(size: u64) -> Self {
        Self {
            size,
            sent: AtomicU64::new(0),
            is_starving: AtomicBool::new(false),
            moved: Mutex::new(Instant::now()),
            error: Mutex::default(),
        }
    }

    fn body(self: &Arc<Self>, first: Option<Bytes>, pieces: Pieces) -> reqwest::Body {
        let flow = Arc::clone(self);
        let all = stream::iter(first.map(Ok)).chain(pieces);
        let watched = stream::unfold(all, move |mut all| {
            let flow = Arc::clone(&flow);
            async move {
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
        *locked(&self.moved) = Instant::now();
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

    fn is_all_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed) >= self.size
    }

    fn source_error(&self) -> Option<Error> {
        locked(&self.error).take()
    }

    /// Ends when nothing has moved for too long: bytes for `idle`, or the answer to all of them
    /// for `commit`.
    async fn stalled(&self, idle: Duration, commit: Duration) {
        loop {
            let limit = match self.is_all_sent() {
                true => commit,
                false => idle,
            };
            let until = *locked(&self.moved) + limit;
            if self.is_starving.load(Ordering::Relaxed) {
                // The source has an idle time of its own.
                tokio::time::sleep(limit).await;
                *locked(&self.moved) = Instant::now();
            } else if until <= Instant::now() {
                return;
            } else {
                tokio::time::sleep_until(until).await;
            }
        }
    }
}
