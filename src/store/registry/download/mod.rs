//! Reading a blob from a registry: a stream that goes on where it broke off.

mod packed;
mod parts;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use reqwest::Method;
use reqwest::header::{HeaderValue, IF_RANGE, RANGE};
use tokio::time::Instant;
use tracing::debug;

use crate::error::{Error, ErrorKind, Result};
use crate::image::Descriptor;
use crate::store::blob::{Content, Pieces};
use crate::store::locked;
use crate::store::registry::answer::Answer;
use crate::store::registry::end::End;
use crate::store::registry::gate::Line;
use crate::store::registry::headers::content::ETag;
use crate::store::registry::headers::range::{Resumed, Wanted, resumed};
use crate::store::registry::host::Host;
use crate::store::registry::retry::{Backoff, Op, Signal, Verdict, verdict};
use crate::store::registry::trouble::Trouble;

use packed::Unpacker;

/// A blob at a registry, or at one of its mirrors.
pub(super) struct Remote {
    pub(super) ends: Arc<Vec<End>>,
    pub(super) blob: Descriptor,
    /// Who gave a part of it in answer to a request for that.
    pub(super) went_on: WentOn,
}

/// Registries that gave a part of a blob.
pub(super) type WentOn = Arc<Mutex<Vec<Arc<Host>>>>;

impl Content for Remote {
    fn open(&self) -> BoxFuture<'static, Result<Pieces>> {
        let (ends, blob) = (Arc::clone(&self.ends), self.blob.clone());
        let went_on = Arc::clone(&self.went_on);
        async move {
            let mut ends: VecDeque<End> = ends.iter().cloned().collect();
            let nobody = || Error::new(ErrorKind::NotFound, "nobody has it");
            let first = ends.pop_front().ok_or_else(nobody)?;
            let mut download = Download::new(first, ends, blob, went_on);
            download.reopen().await?;
            Ok(download.pieces())
        }
        .boxed()
    }

    /// Perhaps the parts do not belong together: those registries are asked for no more parts.
    fn found_wrong(&self) {
        for host in locked(&self.went_on).drain(..) {
            debug!(host = host.registry, "it gave wrong bytes for a part");
            host.learnt.no_ranges.store(true, Ordering::Relaxed);
        }
    }
}

/// Below this many bytes per second a transfer counts as stalled (F-52).
const CRAWL: u64 = 1 << 10;

/// A blob that is being read.
struct Download {
    end: End,
    /// Where it is asked for next, if this end fails: the place itself after its mirrors.
    others: VecDeque<End>,
    blob: Descriptor,
    /// How many bytes were handed on.
    offset: u64,
    body: Option<Answer>,
    /// What unpacks the body, if somebody packed it on its way.
    unpacker: Option<Unpacker>,
    /// How many bytes of the body come again and are left out.
    skip: u64,
    /// What the bytes so far are a part of, as the registry named it.
    etag: Option<String>,
    backoff: Backoff,
    /// Whether the server cannot give a part.
    no_ranges: bool,
    went_on: WentOn,
    /// The rest, if it is read in several parts at once.
    parts: Option<Pieces>,
    /// Whether that was tried and failed.
    no_parts: bool,
    /// How long was waited for how many bytes: the speed of the registry, however slowly they are
    /// taken.
    measured: (Duration, u64),
    /// The same, since no other blob is read beside.
    alone: (Duration, u64),
}

impl Download {
    fn new(end: End, others: VecDeque<End>, blob: Descriptor, went_on: WentOn) -> Self {
        Self {
            no_ranges: end.host.learnt.no_ranges.load(Ordering::Relaxed),
            went_on,
            backoff: Backoff::new(&end.host.options.retry),
            end,
            others,
            blob,
            offset: 0,
            body: None,
            unpacker: None,
            skip: 0,
            etag: None,
            parts: None,
            no_parts: false,
            measured: (Duration::ZERO, 0),
            alone: (Duration::ZERO, 0),
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
            if let Some(piece) = self.next_part().await {
                return Ok(Some(piece));
            }
            if self.body.is_none() {
                if self.offset > 0 && self.offset == self.blob.size {
                    return Ok(None);
                }
                self.reopen().await?;
            }
            let trouble = match self.read().await {
                Ok(Some(piece)) => {
                    self.part_where_that_helps();
                    return Ok(Some(piece));
                }
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

    /// Goes on with several connections, if one is slow and this is the only blob that is being read:
    /// otherwise the others use the wire already.
    fn part_where_that_helps(&mut self) {
        let host = &self.end.host;
        if !host.gate.reads_one_blob() {
            self.alone = (Duration::ZERO, 0);
            return;
        }
        let left = self.blob.size.saturating_sub(self.offset);
        let may = !self.no_parts && !self.no_ranges && self.skip == 0;
        if may && parts::would_help(self.blob.size, left, self.alone, &host.options.limits) {
            debug!(blob = %self.blob.digest, offset = self.offset, "reading the rest in parts");
            let etag = self.strong_etag();
            self.body = None;
            self.goes_on();
            self.parts = Some(parts::rest(&self.end, &self.blob, self.offset, etag));
        }
    }

    /// The next part, while there are any. What fails is read on as one stream.
    async fn next_part(&mut self) -> Option<Bytes> {
        let next = self.parts.as_mut()?.next().await;
        match next {
            Some(Ok(piece)) => {
                self.offset += piece.len() as u64;
                self.backoff.reached(self.offset);
                return Some(piece);
            }
            Some(Err(error)) => {
                debug!(blob = %self.blob.digest, %error, "reading on as one stream");
                self.no_parts = true;
            }
            None => {}
        }
        self.parts = None;
        None
    }

    fn strong_etag(&self) -> Option<HeaderValue> {
        let etag = self.etag.as_deref().and_then(ETag::parse);
        HeaderValue::from_str(etag.and_then(ETag::strong)?).ok()
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Trouble> {
        // A second try must fit into the time that the other side waits for the first.
        let idle = self.end.host.options.limits.idle / 2;
        loop {
            if self.is_crawling(idle) {
                return Err(Trouble::stalled("the blob hardly moved"));
            }
            let Some(mut piece) = self.unpacked(idle).await? else {
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
            self.take(&piece);
            return Ok(Some(piece));
        }
    }

    /// The next bytes of the blob as it is at the registry, whatever was made of it on its way.
    async fn unpacked(&mut self, idle: Duration) -> Result<Option<Bytes>, Trouble> {
        let broken = |error: io::Error| {
            let error = Error::new(ErrorKind::Io, format!("its Content-Encoding: {error}"));
            Trouble::new(Signal::Truncated, error)
        };
        loop {
            if let Some(unpacker) = &mut self.unpacker
                && let Some(piece) = unpacker.next().map_err(broken)?
            {
                return Ok(Some(piece));
            }
            let came = self.came(idle).await?;
            match (&mut self.unpacker, came) {
                (Some(unpacker), Some(piece)) => unpacker.feed(piece),
                (Some(unpacker), None) => return unpacker.end().map_err(broken),
                (None, came) => return Ok(came),
            }
        }
    }

    /// What comes over the wire.
    async fn came(&mut self, idle: Duration) -> Result<Option<Bytes>, Trouble> {
        let Some(answer) = &mut self.body else {
            return Ok(None);
        };
        let begun = Instant::now();
        let Some(piece) = answer.piece(idle).await? else {
            return Ok(None);
        };
        for speed in [&mut self.measured, &mut self.alone] {
            speed.0 += begun.elapsed();
            speed.1 += piece.len() as u64;
        }
        // That we are to be slow is no fault of the registry.
        answer.pass_bytes(piece.len()).await;
        Ok(Some(piece))
    }

    /// Counts what is handed on.
    fn take(&mut self, piece: &[u8]) {
        self.offset += piece.len() as u64;
        self.backoff.reached(self.offset);
    }

    /// Notes that a part was asked for and came.
    fn goes_on(&self) {
        locked(&self.went_on).push(Arc::clone(&self.end.host));
    }

    /// Whether hardly anything came in the last idle time (F-52).
    fn is_crawling(&mut self, idle: Duration) -> bool {
        let (waited, bytes) = self.measured;
        if waited < idle {
            return false;
        }
        self.measured = (Duration::ZERO, 0);
        u128::from(bytes) * 1000 < u128::from(CRAWL) * waited.as_millis()
    }

    /// Waits before the next try, if there is one. Where there is none, the next end goes on where
    /// this one stopped: the digest tells whether both have the same blob.
    async fn recover(&mut self, trouble: Trouble) -> Result<()> {
        let error = match self.wait(trouble).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let Some(next) = self.others.pop_front() else {
            return Err(error.of_piece());
        };
        debug!(blob = %self.blob.digest, offset = self.offset, %error, next = next.host.registry, "asking the next one");
        self.backoff = Backoff::new(&next.host.options.retry);
        self.no_ranges = next.host.learnt.no_ranges.load(Ordering::Relaxed);
        self.end = next;
        self.etag = None;
        Ok(())
    }

    async fn wait(&mut self, trouble: Trouble) -> Result<()> {
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
            let asked = self.ask().await;
            let accepted = asked.and_then(|answer| Ok(self.accept(answer)?));
            match accepted {
                Ok(true) => break,
                Ok(false) => {}
                Err(trouble) => self.recover(trouble).await?,
            }
        }
        self.measured = (Duration::ZERO, 0);
        Ok(())
    }

    async fn ask(&mut self) -> Result<Answer, Trouble> {
        let host = &self.end.host;
        let path = format!("{}/blobs/{}", self.end.path, self.blob.digest);
        let mut call = self.end.call(Method::GET, &path).await?;
        call.line = Line::Download;
        if self.offset > 0 && !self.no_ranges {
            let range = format!("bytes={}-", self.offset);
            let unsendable = |_| Error::new(ErrorKind::Io, "no such range");
            call.headers
                .insert(RANGE, HeaderValue::from_str(&range).map_err(unsendable)?);
            if let Some(etag) = self.strong_etag() {
                call.headers.insert(IF_RANGE, etag);
            }
        }
        host.send(&call).await?.expect(&[200, 206, 416]).await
    }

    /// Whether the answer can be used; if not, the whole blob is asked for.
    fn accept(&mut self, answer: Answer) -> Result<bool> {
        self.unpacker = Unpacker::of(&answer, self.blob.size)?;
        // A part of it packed would be of no use.
        self.no_ranges |= self.unpacker.is_some();
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
            Resumed::GoesOn => {
                self.skip = 0;
                self.goes_on();
            }
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
