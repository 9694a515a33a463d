//! Sending one request: through the gate, with the header that it needs, along redirects, and again
//! where that may help.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, trace};

use super::auth::{self, Scopes, TokenRequest};
use super::clients::Way;
use super::gate::Line;
use super::headers::{all, only, warning};
use super::host::Host;
use super::policy::{self, Origin};
use super::retry::{Backoff, Op, Signal, Verdict, verdict};
use super::shown;
use super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};

/// The largest error body that is read, in bytes (S-17).
const ERROR_LIMIT: u64 = 64 << 10;
/// How many redirects are followed (S-31).
const HOPS: usize = 5;

/// A request.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Payload,
    pub(super) line: Line,
    pub(super) scopes: Scopes,
    /// How long the answer may take to begin.
    pub(super) patience: Duration,
    /// Whether redirects are followed; only those of reading are at all.
    pub(super) follow: bool,
    /// Whether our credentials go along; not to where an upload was sent elsewhere.
    pub(super) to_registry: bool,
}

/// What a request carries.
pub(super) enum Payload {
    Nothing,
    /// Something small, which can be sent again.
    Bytes(Bytes),
    /// A stream of this many bytes, which can be sent once.
    Once(std::sync::Mutex<Option<reqwest::Body>>, u64),
}

/// What came back: the head, and a body that is not read yet.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where it came from in the end.
    pub(super) url: Url,
    pub(super) response: Response,
    /// The place in the gate; free when the body has been read.
    pub(super) place: Option<OwnedSemaphorePermit>,
    idle: Duration,
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
    pub(super) async fn into_trouble(self) -> Trouble {
        let (status, headers) = (self.status, self.headers.clone());
        // What cannot be read of the body is not told; the status says enough.
        let body = self.body(ERROR_LIMIT).await.unwrap_or_default();
        Trouble::refused(status, &headers, &body)
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
}

impl Host {
    /// A request to an address below `/v2/` of the registry.
    pub(super) async fn call(&self, method: Method, path: &str, scopes: &Scopes) -> Result<Call> {
        let mut url = self.address().await?.clone();
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("/v2/{path}"));
        url.set_query(query);
        Ok(Call {
            method,
            url,
            headers: HeaderMap::new(),
            body: Payload::Nothing,
            line: Line::Control,
            scopes: scopes.clone(),
            patience: self.options.limits.answer,
            follow: true,
            to_registry: true,
        })
    }

    /// Does `once` until it succeeds, or until there is no hope: the table R-01 says which, and
    /// [`Backoff`] when. What the table leaves to those who know more comes back at once.
    pub(super) async fn repeat<T, F>(&self, op: Op, once: impl Fn() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut backoff = Backoff::new(&self.options.retry);
        loop {
            let trouble = match once().await {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            let Some(signal) = &trouble.signal else {
                return Err(trouble);
            };
            let verdict = verdict(op, signal);
            // A new token was asked for already, and it was refused as well.
            if !matches!(verdict, Verdict::Retry | Verdict::After(_)) {
                return Err(trouble);
            }
            debug!(error = %trouble.error, ?signal, "it may work again");
            match backoff.next(signal, &verdict) {
                Ok(pause) => self.rest(signal, pause).await,
                Err(stop) => return Err(trouble.stopped(&stop)),
            }
        }
    }

    /// Waits. If the registry asked for it, everybody does.
    pub(super) async fn rest(&self, signal: &Signal, pause: Duration) {
        let asked = matches!(
            signal,
            Signal::Status { status: 429, .. }
                | Signal::Status {
                    retry_after: Some(_),
                    ..
                }
        );
        match asked {
            true => self.gate.close_for(pause),
            false => tokio::time::sleep(pause).await,
        }
    }

    /// Sends a request once; twice if the registry first wants to know who asks.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Trouble> {
        let place = self.gate.pass(call.line).await?;
        let origin = self.origin().await?;
        let way = self.way().await?;
        let mut header = match call.to_registry {
            true => self.auth.header(self, &call.scopes).await?,
            false => None,
        };
        let mut is_fresh = false;
        loop {
            let response = self.sent(call, way, header.as_ref()).await?;
            let is_ours = Origin::of(response.url()).as_ref() == Some(&origin) && call.to_registry;
            if response.status() != StatusCode::UNAUTHORIZED || !is_ours {
                return Ok(self.answer(response, Some(place)));
            }
            let headers = response.headers().clone();
            let may_help = match is_fresh {
                // It was refused although it is new: perhaps for its other scopes.
                true => self.auth.ask_singly(&call.scopes),
                false => {
                    let sent = header.as_ref();
                    self.auth
                        .challenged(self, &headers, &call.scopes, sent)
                        .await?
                }
            };
            let can_repeat = !matches!(call.body, Payload::Once(..));
            if !may_help || !can_repeat {
                return Ok(self.answer(response, Some(place)));
            }
            // The connection can be used again only after the body was read.
            self.drain(response).await;
            header = self.auth.header(self, &call.scopes).await?;
            is_fresh = true;
        }
    }

    async fn drain(&self, mut response: Response) {
        let mut left = ERROR_LIMIT;
        let idle = self.options.limits.idle;
        while let Ok(Ok(Some(piece))) = tokio::time::timeout(idle, response.chunk()).await {
            left = left.saturating_sub(piece.len() as u64);
            if left == 0 {
                break;
            }
        }
    }

    fn answer(&self, response: Response, place: Option<OwnedSemaphorePermit>) -> Answer {
        for text in warning::texts(&all(response.headers(), "warning")) {
            debug!(
                registry = self.registry,
                warning = text,
                "the registry warns"
            );
        }
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            url: response.url().clone(),
            response,
            place,
            idle: self.options.limits.idle,
        }
    }

    /// Sends a request, and follows where it is sent. Only reading is sent on.
    async fn sent(
        &self,
        call: &Call,
        way: Way,
        header: Option<&HeaderValue>,
    ) -> Result<Response, Trouble> {
        let origin = self.origin().await?;
        let mut url = call.url.clone();
        let mut from = Origin::of(&url).unwrap_or_else(|| origin.clone());
        for _ in 0..=HOPS {
            let is_own = from == origin && call.to_registry;
            let client = match from == origin {
                true => self.clients.own(call.line, way)?,
                false => self.clients.elsewhere(self.is_private().await?)?,
            };
            let mut request = client
                .request(call.method.clone(), url.clone())
                .headers(call.headers.clone());
            request = request.header(ACCEPT_ENCODING, "identity");
            if let Some(header) = header.filter(|_| is_own) {
                request = request.header(auth::HEADER, header.clone());
            }
            request = match &call.body {
                Payload::Nothing if call.method == Method::POST || call.method == Method::PUT => {
                    request.header(CONTENT_LENGTH, 0)
                }
                Payload::Nothing => request,
                Payload::Bytes(bytes) => request.body(bytes.clone()),
                Payload::Once(body, size) => {
                    let body = crate::store::locked(body).take();
                    let gone = || Error::new(ErrorKind::Io, "the content was sent already");
                    request
                        .header(CONTENT_LENGTH, *size)
                        .body(body.ok_or_else(gone)?)
                }
            };
            let patience = call.patience;
            let answered = tokio::time::timeout(patience, request.send()).await;
            let response = answered.map_err(|_| Trouble::stalled("no answer"))??;
            trace!(method = %call.method, url = shown::url(&url), status = response.status().as_u16(), headers = shown::headers(response.headers()), "answered");
            let may_follow = call.follow
                && matches!(call.method, Method::GET | Method::HEAD)
                && matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let target = response.headers().get(LOCATION).filter(|_| may_follow);
            let Some(target) = target else {
                return Ok(response);
            };
            let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
            let next = policy::location(&url, &target)?;
            from = policy::may_follow(&from, &next, self.is_private().await?)?;
            url = next;
        }
        let what = format!("it redirects more than {HOPS} times");
        Err(Error::new(ErrorKind::Denied, what).into())
    }

    /// Asks a token server. It follows no redirects: who asks for a token is told by its answer.
    pub(super) async fn ask_for_token(
        &self,
        request: TokenRequest,
        limit: u64,
    ) -> Result<Bytes, Trouble> {
        let origin = self.origin().await?;
        let is_own = Origin::of(&request.url).is_some_and(|there| there.host() == origin.host());
        let client = match is_own {
            true => self.clients.own(Line::Control, self.way().await?)?,
            false => self.clients.elsewhere(self.is_private().await?)?,
        };
        let mut asked = match &request.form {
            Some(form) => client
                .post(request.url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.clone()),
            None => client.get(request.url.clone()),
        };
        if let Some(authorization) = request.authorization {
            asked = asked.header(auth::HEADER, authorization);
        }
        let answered = tokio::time::timeout(self.options.limits.answer, asked.send()).await;
        let response = answered.map_err(|_| Trouble::stalled("no answer"))??;
        let answer = self.answer(response, None);
        match answer.status.as_u16() {
            200 => answer.body(limit).await,
            // What a token server says may hold a token (S-40).
            _ => Err(Trouble::refused(answer.status, &answer.headers, b"")),
        }
    }
}
