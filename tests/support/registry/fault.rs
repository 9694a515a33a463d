//! What goes wrong, when, and how.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use super::message::{Framing, Request, Response};
use super::streams::Upset;

/// How a connection comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// A TCP reset, after the client's machine has all that was sent.
    Reset,
    /// A clean end (FIN), in good order with TLS too.
    Close,
    /// Nothing more comes, until the client goes away or the server ends.
    Stall,
}

/// What follows when only a part of a request's body was read.
#[derive(Debug, Clone)]
pub enum Midway {
    /// The rest is never answered. What came is processed like that of a client that went away.
    Hangup(Hangup),
    /// This answer; then the rest is read and thrown away, so the client can see the answer.
    AnswerAndDrain(Response),
    /// This answer; then the connection is closed with the rest unread, which resets it.
    AnswerAndClose(Response),
}

type Ask = Arc<dyn Fn(&mut Request) + Send + Sync>;
type Change = Arc<dyn Fn(&Request, &mut Response) + Send + Sync>;

/// What happens to a request. The functions below make the common ones.
#[derive(Clone)]
pub enum Action {
    /// The truth: only to count, or to wait for it.
    Pass,
    /// The truth, as soon as the gate is open.
    Hold(Gate),
    /// This answer; the request is read, but not processed.
    Answer(Response),
    /// The request is changed before it is processed.
    Ask(Ask),
    /// The request is processed and its true answer changed.
    Change(Change),
    /// No answer, whether or not the request was processed.
    Silence { processed: bool, then: Hangup },
    /// These bytes, head and all, and a clean end; the request is read, but not processed.
    Raw(Bytes),
    /// Only so many bytes of the request's body are read.
    Midway { after: usize, then: Midway },
    /// The stream breaks, or all of the connection's. Only with HTTP/2.
    Upset(Upset),
}

impl Action {
    /// This status with an error document.
    pub fn status(status: u16) -> Self {
        Self::error(status, "UNKNOWN", "scripted")
    }

    /// This status and code in an error document.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Answer(Response::error(status, code, message))
    }

    /// 429; with `Retry-After` if given (seconds or a date).
    pub fn too_many_requests(retry_after: Option<&str>) -> Self {
        let mut response = Response::error(429, "TOOMANYREQUESTS", "scripted");
        if let Some(value) = retry_after {
            response.headers.set("Retry-After", value);
        }
        Self::Answer(response)
    }

    /// 307 to exactly this URL.
    pub fn redirect(url: &str) -> Self {
        Self::Answer(Response::new(307).with("Location", url))
    }

    /// 307 to the same path and query at another server (`http://127.0.0.1:1234`).
    pub fn redirect_to_server(origin: &str) -> Self {
        let origin = origin.to_string();
        Self::change(move |request, response| {
            *response = Response::new(307).with("Location", format!("{origin}{}", request.target));
        })
    }

    pub fn ask(ask: impl Fn(&mut Request) + Send + Sync + 'static) -> Self {
        Self::Ask(Arc::new(ask))
    }

    pub fn change(change: impl Fn(&Request, &mut Response) + Send + Sync + 'static) -> Self {
        Self::Change(Arc::new(change))
    }

    /// The true answer with a header added or replaced.
    pub fn header(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_string(), value.to_string());
        Self::change(move |_, response| response.headers.set(&name, value.as_str()))
    }

    /// The true answer without a header. `Content-Length` cannot be left out so: see [`Self::chunked`]
    /// and [`Self::until_close`].
    pub fn without_header(name: &str) -> Self {
        let name = name.to_string();
        Self::change(move |_, response| response.headers.remove(&name))
    }

    /// Reset before any answer; not processed.
    pub fn reset() -> Self {
        Self::silence(false, Hangup::Reset)
    }

    /// Clean end before any answer; not processed. Also what a client sees that uses an idle
    /// connection which the server closes at that moment.
    pub fn close() -> Self {
        Self::silence(false, Hangup::Close)
    }

    /// No answer for ever; not processed.
    pub fn stall() -> Self {
        Self::silence(false, Hangup::Stall)
    }

    /// Processed, but the answer is lost.
    pub fn lose(then: Hangup) -> Self {
        Self::silence(true, then)
    }

    fn silence(processed: bool, then: Hangup) -> Self {
        Self::Silence { processed, then }
    }

    /// The true answer, announced as whole, up to so many bytes of its body.
    pub fn cut(after: usize, how: Hangup) -> Self {
        Self::change(move |_, response| response.end = Some((after, how)))
    }

    /// The true answer, so many bytes at once with pauses.
    pub fn drip(bytes: usize, pause: Duration) -> Self {
        Self::change(move |_, response| response.drip = Some((bytes, pause)))
    }

    /// The true answer, later.
    pub fn delay(time: Duration) -> Self {
        Self::change(move |_, response| response.delay = time)
    }

    /// The true answer with all bits of one byte of its body flipped.
    pub fn flip(at: usize) -> Self {
        Self::change(move |_, response| {
            let mut body = response.body.to_vec();
            body[at] ^= 0xff;
            response.body = body.into();
        })
    }

    /// The true answer with a shorter body and the `Content-Length` of that.
    pub fn truncate(to: usize) -> Self {
        Self::change(move |_, response| response.body.truncate(to))
    }

    /// The true answer with a shorter body, chunked with a good end, so that nothing tells.
    pub fn truncate_chunked(to: usize) -> Self {
        Self::change(move |_, response| {
            response.body.truncate(to);
            response.framing = Framing::Chunked;
        })
    }

    /// The true answer with more bytes at its end, and the `Content-Length` of that.
    pub fn extend(more: impl Into<Bytes>) -> Self {
        let more = more.into();
        Self::change(move |_, response| {
            response.body = [&*response.body, &*more].concat().into();
        })
    }

    /// The true answer, chunked, without `Content-Length`.
    pub fn chunked() -> Self {
        Self::change(|_, response| response.framing = Framing::Chunked)
    }

    /// The true answer without any length; it ends with the connection.
    pub fn until_close() -> Self {
        Self::change(|_, response| response.framing = Framing::UntilClose)
    }

    /// The whole (200), whatever `Range` asked for.
    pub fn ignore_range() -> Self {
        Self::ask(|request| request.headers.remove("range"))
    }

    /// The true 206, that says it is another range. The bytes are the right ones.
    pub fn content_range(value: &str) -> Self {
        Self::header("Content-Range", value)
    }

    /// The true 206 as a `multipart/byteranges` of one part.
    pub fn multipart() -> Self {
        Self::change(|_, response| {
            let range = response.headers.get("Content-Range").unwrap_or_default();
            let head = format!("--cut\r\nContent-Range: {range}\r\n\r\n");
            let body = [head.as_bytes(), &response.body, b"\r\n--cut--\r\n"].concat();
            response.headers.remove("Content-Range");
            response
                .headers
                .set("Content-Type", "multipart/byteranges; boundary=cut");
            response.body = body.into();
        })
    }

    /// The request's body is read up to here, then the connection ends.
    pub fn hang_up_midway(after: usize, how: Hangup) -> Self {
        let then = Midway::Hangup(how);
        Self::Midway { after, then }
    }

    /// The request's body is never read further than this; the connection stays.
    pub fn stop_reading(after: usize) -> Self {
        Self::hang_up_midway(after, Hangup::Stall)
    }

    /// The request's body is read up to here and answered; the rest is thrown away.
    pub fn answer_midway(after: usize, response: Response) -> Self {
        let then = Midway::AnswerAndDrain(response);
        Self::Midway { after, then }
    }

    /// The request's body is read up to here and answered; the connection ends at once.
    pub fn answer_midway_and_close(after: usize, response: Response) -> Self {
        let then = Midway::AnswerAndClose(response);
        Self::Midway { after, then }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Pass => "pass",
            Self::Hold(_) => "hold",
            Self::Answer(response) => return write!(f, "answer {}", response.status),
            Self::Ask(_) => "ask",
            Self::Change(_) => "change",
            Self::Silence { processed, then } => return write!(f, "{then:?} ({processed})"),
            Self::Raw(_) => "raw",
            Self::Midway { after, .. } => return write!(f, "midway at {after}"),
            Self::Upset(upset) => return write!(f, "{upset:?}"),
        };
        f.write_str(name)
    }
}

/// Lets requests through when a test says so.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets everybody through, from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        let mut state = self.0.subscribe();
        state.wait_for(|open| *open).await.unwrap();
    }
}

type When = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// One line of the script: which requests, and what happens to them. It happens once, to the first
/// request that fits, unless told otherwise.
#[derive(Clone)]
pub struct Fault {
    method: String,
    part: String,
    when: Option<When>,
    first: usize,
    times: usize,
    pub(super) action: Action,
    seen: usize,
    hits: Hits,
}

impl Fault {
    /// Requests of this method (`*` for any), in whose path and query this text is found.
    pub fn on(method: &str, part: &str) -> Self {
        Self {
            method: method.to_string(),
            part: part.to_string(),
            when: None,
            first: 1,
            times: 1,
            action: Action::Pass,
            seen: 0,
            hits: Hits::default(),
        }
    }

    /// Only requests of which this is true. The body has not been read then.
    pub fn when(mut self, when: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(when));
        self
    }

    /// Only requests that carry credentials: those that were challenged first do not count.
    pub fn authorized(self) -> Self {
        self.when(|request| request.header("authorization").is_some())
    }

    /// Begins with the nth request that fits; the first is 1. Requests that another fault gets count.
    pub fn nth(mut self, nth: usize) -> Self {
        self.first = nth;
        self
    }

    /// Happens to so many requests in a row.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Happens to all requests that fit.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    pub fn then(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    pub(super) fn hits(&self) -> Hits {
        self.hits.clone()
    }

    /// Counts a request if it fits, and tells whether the fault is for it.
    pub(super) fn is_for(&mut self, request: &Request) -> bool {
        let fits = is_method(&self.method, &request.method)
            && request.target.contains(&self.part)
            && self.when.as_ref().is_none_or(|when| when(request));
        if !fits {
            return false;
        }
        self.seen += 1;
        self.seen >= self.first && self.seen - self.first < self.times
    }

    pub(super) fn hit(&self) {
        self.hits.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) fn is_method(asked: &str, method: &str) -> bool {
    asked == "*" || asked == method
}

/// How often a fault happened.
#[derive(Debug, Clone, Default)]
pub struct Hits(Arc<AtomicUsize>);

impl Hits {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until it has happened so often; panics if that takes longer than half a minute.
    #[track_caller]
    pub fn wait(&self, times: usize) {
        soon(|| self.count() >= times);
    }
}

/// Waits for what was promised; panics if it takes longer than half a minute.
#[track_caller]
pub fn soon(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}
