//! Reading a blob from a registry: a stream that goes on where it broke off.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use reqwest::Method;
use reqwest::header::{HeaderValue, IF_RANGE, RANGE};
use tokio::time::Instant;
use tracing::debug;

use super::end::End;
use super::gate::Line;
use super::headers::content::ETag;
use super::headers::range::{Resumed, Wanted, resumed};
use super::retry::{Backoff, Op, Signal, Verdict, verdict};
use super::send::Answer;
use super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Descriptor;
use crate::store::blob::{Content, Pieces};

/// A blob at a registry, or at one of its mirrors.
pub(super) struct Remote {
    pub(super) ends: Arc<Vec<End>>,
    pub(super) blob: Descriptor,
}

impl Content for Remote {
    fn open(&self) -> BoxFuture<'static, Result<Pieces>> {
        let (ends, blob) = (Arc::clone(&self.ends), self.blob.clone());
        async move {
            let mut last = None;
            for end in ends.iter() {
                let mut download = Download::new(end.clone(), blob.clone());
                match download.reopen().await {
                    Ok(()) => return Ok(download.pieces()),
                    Err(error) => {
                        debug!(%error, mirror = end.is_mirror, "cannot read a blob");
                        last = Some(error);
                    }
                }
            }
            Err(last.unwrap_or_else(|| Error::new(ErrorKind::NotFound, "nobody has it")))
        }
        .boxed()
    }
}

/// Below this many bytes per second a transfer counts as stalled (F-52).
const CRAWL: u64 = 1 << 10;

/// A blob that is being read.
struct Download {
    end: End,
    blob: Descriptor,
    /// How many bytes were handed on.
    offset: u64,
    body: Option<Answer>,
    /// How many bytes of the body come again and are left out.
    skip: u64,
    /// What the bytes so far are a part of, as the registry named it.
    etag: Option<String>,
    backoff: Backoff,
    /// Whether the server cannot give a part.
    no_ranges: bool,
    /// Since when, and from which offset, the speed is measured.
    measured: (Instant, u64),
}

impl Download {
    fn new(end: End, blob: Descriptor) -> Self {
        Self {
            backoff: Backoff::new(&end.host.options.retry),
            end,
            blob,
            offset: 0,
            body: None,
            skip: 0,
            etag: None,
            no_ranges: false,
            measured: (Instant::now(), 0),
        }
    }

    fn pieces(self) -> Pieces {
        stream::try_unfold(self, |mut download| async {
            let piece = download.next().await?;
            Ok(piece.map(|piece| (piece, download)))
        })
        .boxed()
    }

    /// The next bytes. A failure is mended underneath, where that is possible.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.body.is_none() {
                if self.offset > 0 && self.offset == self.blob.size {
                    return Ok(None);
                }
                self.reopen().await?;
            }
            let trouble = match self.read().await {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) if self.offset >= self.blob.size => return Ok(None),
                Ok(None) => {
                    let what = format!("it ended after {} bytes", self.offset);
                    Trouble::new(Signal::Truncated, Error::new(ErrorKind::Io, what))
                }
                Err(trouble) => trouble,
            };
            self.body = None;
            self.recover(trouble).await?;
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Trouble> {
        let idle = self.end.host.options.limits.idle;
        let Some(answer) = &mut self.body else {
            return Ok(None);
        };
        loop {
            let next = tokio::time::timeout(idle, answer.response.chunk()).await;
            let next = next.map_err(|_| Trouble::stalled("the blob stalled"))?;
            let Some(mut piece) = next? else {
                return Ok(None);
            };
            let again = usize::try_from(self.skip)
                .unwrap_or(usize::MAX)
                .min(piece.len());
            drop(piece.split_to(again));
            self.skip -= again as u64;
            if piece.is_empty() {
                continue;
            }
            self.offset += piece.len() as u64;
            self.backoff.reached(self.offset);
            let (since, from) = self.measured;
            if since.elapsed() >= idle {
                if self.offset - from < CRAWL * idle.as_secs() {
                    return Err(Trouble::stalled("the blob hardly moved"));
                }
                self.measured = (Instant::now(), self.offset);
            }
            return Ok(Some(piece));
        }
    }

    /// Waits before the next try, if there is one.
    async fn recover(&mut self, trouble: Trouble) -> Result<()> {
        let Some(signal) = &trouble.signal else {
            return Err(trouble.error);
        };
        let verdict = verdict(Op::Read, signal);
        debug!(blob = %self.blob.digest, offset = self.offset, error = %trouble.error, ?verdict, "a download broke off");
        match verdict {
            Verdict::Retry | Verdict::After(_) => {}
            _ => return Err(trouble.error),
        }
        match self.backoff.next(signal, &verdict) {
            Ok(pause) => {
                self.end.host.rest(signal, pause).await;
                Ok(())
            }
            Err(stop) => Err(trouble.stopped(&stop).error),
        }
    }

    /// Asks the registry for the rest: it may send us to a new place each time (F-53).
    async fn reopen(&mut self) -> Result<()> {
        loop {
            match self.ask().await {
                Ok(answer) => {
                    if self.accept(answer)? {
                        self.measured = (Instant::now(), self.offset);
                        return Ok(());
                    }
                }
                Err(trouble) => self.recover(trouble).await?,
            }
        }
    }

    async fn ask(&self) -> Result<Answer, Trouble> {
        let host = &self.end.host;
        let path = format!("{}/blobs/{}", self.end.path, self.blob.digest);
        let mut call = host.call(Method::GET, &path, &self.end.scopes).await?;
        call.line = Line::Download;
        if self.offset > 0 && !self.no_ranges {
            let range = format!("bytes={}-", self.offset);
            let unsendable = |_| Error::new(ErrorKind::Io, "no such range");
            call.headers
                .insert(RANGE, HeaderValue::from_str(&range).map_err(unsendable)?);
            let strong = self
                .etag
                .as_deref()
                .and_then(ETag::parse)
                .and_then(ETag::strong);
            if let Some(etag) = strong.and_then(|etag| HeaderValue::from_str(etag).ok()) {
                call.headers.insert(IF_RANGE, etag);
            }
        }
        host.send(&call).await?.expect(&[200, 206, 416]).await
    }

    /// Whether the answer can be used; if not, the whole blob is asked for.
    fn accept(&mut self, answer: Answer) -> Result<bool> {
        let status = answer.status.as_u16();
        if self.offset == 0 || self.no_ranges {
            if status != 200 {
                let what = format!("the registry answered {status} to a request for all of it");
                return Err(Error::new(ErrorKind::Io, what));
            }
            self.etag = answer.header("etag").map(str::to_string);
            self.skip = self.offset;
            self.body = Some(answer);
            return Ok(true);
        }
        let wanted = Wanted {
            from: self.offset,
            size: self.blob.size,
            etag: self.etag.as_deref().and_then(ETag::parse),
        };
        match resumed(status, &answer.headers, &wanted) {
            Resumed::GoesOn => self.skip = 0,
            Resumed::FromStart => self.skip = self.offset,
            Resumed::Complete => {
                self.body = None;
                return Ok(true);
            }
            Resumed::Unusable(why) => {
                debug!(why, "cannot go on with a part: reading all of it again");
                self.no_ranges = true;
                return Ok(false);
            }
        }
        self.body = Some(answer);
        Ok(true)
    }
}
