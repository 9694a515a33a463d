//! One connection: HTTP/1.1 over a socket, and every way to break it off.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::fault::Hangup;
use super::message::{Framing, Headers, Request, Response};

/// The longest head of a request.
const HEAD: usize = 64 * 1024;

/// How much of a body is written at once.
const PIECE: usize = 64 * 1024;

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Reads at most `most` bytes; 0 is the end, as is an error.
    async fn read(&mut self, into: &mut BytesMut, most: usize) -> usize {
        let most = most as u64;
        let read = match self {
            Self::Plain(stream) => stream.take(most).read_buf(into).await,
            Self::Tls(stream) => stream.take(most).read_buf(into).await,
        };
        read.unwrap_or(0)
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn shutdown(&mut self) {
        let _gone = match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        };
    }
}

/// How the reading of a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyEnd {
    Whole,
    /// As far as was wanted.
    Enough,
    /// The client went away, or what it sends is not HTTP.
    Broken,
}

/// Told of each step of sending, before it is taken, so that a log is never behind the client.
pub(super) trait Witness {
    fn sends(&self, body_bytes: usize);
    fn ends(&self);
}

pub(super) struct Link {
    stream: Stream,
    /// What was read too much.
    ahead: BytesMut,
}

impl Link {
    pub(super) fn new(stream: Stream) -> Self {
        let ahead = BytesMut::new();
        Self { stream, ahead }
    }

    /// The next request without its body; `None` if the client is done or talks nonsense, which gets
    /// 400 at once: TLS to a server that has none is found out that way.
    pub(super) async fn head(&mut self) -> Option<Request> {
        loop {
            let end = self.ahead.windows(4).position(|mark| mark == b"\r\n\r\n");
            let is_nonsense = self
                .ahead
                .first()
                .is_some_and(|byte| !byte.is_ascii_uppercase());
            if end.is_some() || is_nonsense || self.ahead.len() == HEAD {
                let head = self.ahead.split_to(end.map_or(0, |end| end + 4));
                let request = std::str::from_utf8(&head).ok().and_then(parsed);
                if request.is_none() {
                    let refusal = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
                    let _gone = self.write(refusal).await;
                }
                return request;
            }
            let room = HEAD - self.ahead.len();
            if self.stream.read(&mut self.ahead, room).await == 0 {
                return None;
            }
        }
    }

    /// The body of a request, but not more than `most` bytes of it.
    pub(super) async fn body(&mut self, of: &Request, most: usize) -> (Bytes, BodyEnd) {
        let is_chunked = of.header("transfer-encoding") == Some("chunked");
        let length = of.header("content-length").unwrap_or("0").parse();
        let expects = of.header("expect").is_some();
        if expects && most > 0 && self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
            return (Bytes::new(), BodyEnd::Broken);
        }
        let mut body = BytesMut::new();
        let end = match (is_chunked, length) {
            (true, _) => self.chunks(&mut body, most).await,
            (false, Ok(length)) => self.exactly(&mut body, length, most).await,
            (false, Err(_)) => BodyEnd::Broken,
        };
        (body.freeze(), end)
    }

    async fn exactly(&mut self, body: &mut BytesMut, length: usize, most: usize) -> BodyEnd {
        let mut missing = length.min(most);
        while missing > 0 {
            if self.ahead.is_empty() {
                body.reserve(missing.min(PIECE));
                match self.stream.read(body, missing).await {
                    0 => return BodyEnd::Broken,
                    read => missing -= read,
                }
            } else {
                let piece = self.ahead.split_to(missing.min(self.ahead.len()));
                missing -= piece.len();
                body.extend_from_slice(&piece);
            }
        }
        match length <= most {
            true => BodyEnd::Whole,
            false => BodyEnd::Enough,
        }
    }

    async fn chunks(&mut self, body: &mut BytesMut, most: usize) -> BodyEnd {
        while let Some(line) = self.line().await {
            let Ok(length) = usize::from_str_radix(&line, 16) else {
                return BodyEnd::Broken;
            };
            match self.exactly(body, length, most - body.len()).await {
                BodyEnd::Whole => {}
                other => return other,
            }
            match (self.line().await, length) {
                (Some(text), 0) if text.is_empty() => return BodyEnd::Whole,
                (Some(text), _) if text.is_empty() => {}
                _ => return BodyEnd::Broken,
            }
        }
        BodyEnd::Broken
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|mark| mark == b"\r\n") {
                let line = self.ahead.split_to(end);
                self.ahead.advance(2);
                return String::from_utf8(line.to_vec()).ok();
            }
            if self.stream.read(&mut self.ahead, HEAD).await == 0 {
                return None;
            }
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write(bytes).await
    }

    /// Sends an answer. Gives whether the connection can serve another request, and if not, how it is
    /// to end.
    pub(super) async fn send(
        &mut self,
        request: &Request,
        response: &Response,
        witness: &impl Witness,
    ) -> Result<(), Hangup> {
        pause(response.delay).await;
        let is_head = request.method == "HEAD";
        let body = if is_head { &[] } else { &*response.body };
        let (shown, after) = match response.end {
            Some((after, how)) => (&body[..after.min(body.len())], Err(how)),
            None => (body, after(request, response)),
        };
        let is_cut = shown.len() < body.len();
        if shown.is_empty() {
            witness.ends();
        }
        self.write(&head(request, response))
            .await
            .map_err(|_| Hangup::Close)?;
        let (size, between) = response.drip.unwrap_or((PIECE, Duration::ZERO));
        let pieces = shown.chunks(size).count();
        for (at, piece) in shown.chunks(size).enumerate() {
            witness.sends(piece.len());
            let framed = framed(response.framing, piece, is_cut && at + 1 == pieces);
            if at + 1 == pieces {
                witness.ends();
            }
            self.write(&framed).await.map_err(|_| Hangup::Close)?;
            pause(between).await;
        }
        if response.framing == Framing::Chunked && !is_cut && !is_head {
            self.write(b"0\r\n\r\n").await.map_err(|_| Hangup::Close)?;
        }
        after
    }

    /// Ends the connection.
    pub(super) async fn hang_up(mut self, how: Hangup) {
        match how {
            Hangup::Reset => {
                received(self.stream.tcp()).await;
                let _gone = self.stream.tcp().set_zero_linger();
            }
            Hangup::Close => {
                self.stream.shutdown().await;
                let _slow = timeout(Duration::from_secs(5), self.drain()).await;
            }
            Hangup::Stall => self.drain().await,
        }
    }

    /// Keeps the connection and reads nothing, until the server ends.
    pub(super) async fn freeze(self) {
        std::future::pending::<()>().await;
    }

    /// Drops the connection as it is. What the client sent and nobody read makes that a reset.
    pub(super) async fn drop_at_once(self) {
        received(self.stream.tcp()).await;
    }

    async fn drain(&mut self) {
        let mut away = BytesMut::with_capacity(PIECE);
        while self.stream.read(&mut away, PIECE).await > 0 {
            away.clear();
        }
    }
}

/// Waits, but not for a moment if there is nothing to wait for: even that takes a millisecond.
async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

fn parsed(head: &str) -> Option<Request> {
    let mut lines = head.trim_end().split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?, first.next()?);
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.add(name, value.trim());
    }
    Some(Request::new(method, target, headers))
}

/// A status that never has a body, nor a length.
fn is_bare(status: u16) -> bool {
    status < 200 || status == 204 || status == 304
}

fn head(request: &Request, response: &Response) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", response.status);
    for (name, value) in response.headers.iter() {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let has_length = response.headers.get("content-length").is_some();
    match response.framing {
        Framing::Length if has_length || is_bare(response.status) => {}
        Framing::Length => {
            let _ = write!(head, "Content-Length: {}\r\n", response.body.len());
        }
        Framing::Chunked => head += "Transfer-Encoding: chunked\r\n",
        Framing::UntilClose => {}
    }
    if after(request, response).is_err() && response.headers.get("connection").is_none() {
        head += "Connection: close\r\n";
    }
    head += "\r\n";
    head.into_bytes()
}

/// What follows a whole answer: another request, or the end, because it was asked for or because
/// the body is not as long as was announced.
fn after(request: &Request, response: &Response) -> Result<(), Hangup> {
    let is_close = |headers: &Headers| headers.get("connection") == Some("close");
    let length = response.headers.get("content-length");
    let is_lie = length.is_some_and(|said| said != response.body.len().to_string());
    let can_lie = request.method != "HEAD" && response.framing == Framing::Length;
    let ends = response.framing == Framing::UntilClose || is_lie && can_lie;
    match ends || is_close(&request.headers) || is_close(&response.headers) {
        true => Err(Hangup::Close),
        false => Ok(()),
    }
}

/// A piece of a body as it goes out. A piece after which the connection is cut is announced longer
/// than it is.
fn framed(framing: Framing, piece: &[u8], is_cut: bool) -> Vec<u8> {
    if framing != Framing::Chunked {
        return piece.to_vec();
    }
    let announced = piece.len() + usize::from(is_cut);
    let end: &[u8] = if is_cut { b"" } else { b"\r\n" };
    [format!("{announced:x}\r\n").as_bytes(), piece, end].concat()
}

/// Waits until the client's machine has all that was sent: a reset would take back the rest.
async fn received(tcp: &TcpStream) {
    let (Ok(local), Ok(peer)) = (tcp.local_addr(), tcp.peer_addr()) else {
        return;
    };
    for _ in 0..2000 {
        if unreceived(local, peer) == Some(0) {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// How many bytes the peer has not acknowledged, as Linux tells; `None` if the connection is not there.
fn unreceived(local: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let ends = |text: &str, port: u16| text.ends_with(&format!(":{port:04X}"));
    let row = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ours = ends(fields.get(1)?, local.port()) && ends(fields.get(2)?, peer.port());
        ours.then(|| fields.get(4).map(|queues| (*queues).to_string()))?
    })?;
    u64::from_str_radix(row.split(':').next()?, 16).ok()
}
