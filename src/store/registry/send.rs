//! Sending one request: through the gate, with the header that it needs, along redirects, and again
//! where that may help.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, trace};

use super::answer::{Answer, ERROR_LIMIT, Passage};
use super::auth::{self, Refused, Scopes, TokenRequest};
use super::gate::Line;
use super::headers::{all, warning};
use super::host::Host;
use super::policy::{self, Origin};
use super::retry::{Backoff, Op, Signal, Verdict, verdict};
use super::shown;
use super::trouble::Trouble;
use crate::error::{Attempt as _, Error, ErrorKind, Result};

/// How many redirects are followed (S-31).
const HOPS: usize = 5;
/// How often a request is repeated as somebody else: asked for the first time, with a newer password
/// or with a token for one thing alone.
const TRIES: usize = 3;

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
    /// How many requests were made for whoever asks, those for tokens left out.
    pub(super) asked: Arc<AtomicU64>,
}

/// What a request carries.
pub(super) enum Payload {
    Nothing,
    /// Something small, which can be sent again.
    Bytes(Bytes),
    /// A stream of this many bytes, which can be sent once.
    Once(std::sync::Mutex<Option<reqwest::Body>>, u64),
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
            asked: Arc::default(),
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
        if asked {
            self.gate.close_for(pause);
        }
        // Not every request passes the gate: those for tokens do not (F-15).
        tokio::time::sleep(pause).await;
    }

    /// Sends a request once; again if the registry first wants to know who asks.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Trouble> {
        let place = self.gate.pass(call.line).await?;
        let mut header = match call.to_registry {
            true => self.auth.header(self, &call.scopes).await?,
            false => None,
        };
        let mut tries = 0;
        loop {
            let Sent { response, is_own } = self.sent(call, header.as_ref()).await?;
            if response.status() != StatusCode::UNAUTHORIZED || !is_own {
                return Ok(self.answer(response, call.line, place));
            }
            let headers = response.headers().clone();
            let refused = Refused {
                sent: header.as_ref(),
                is_fresh: tries > 0,
            };
            let challenged = self
                .auth
                .challenged(self, &headers, &call.scopes, &refused)
                .await?;
            let may_help = challenged && tries < TRIES;
            let can_repeat = !matches!(call.body, Payload::Once(..));
            if !may_help || !can_repeat {
                let advice = self.auth.advice(self, &headers, &call.scopes).await;
                let mut answer = self.answer(response, call.line, place);
                answer.advice = (!may_help).then_some(advice);
                return Ok(answer);
            }
            // The connection can be used again only after the body was read.
            self.drain(response).await;
            header = self.auth.header(self, &call.scopes).await?;
            tries += 1;
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

    fn answer(&self, response: Response, line: Line, place: OwnedSemaphorePermit) -> Answer {
        for text in warning::texts(&all(response.headers(), "warning")) {
            debug!(
                registry = self.registry,
                warning = text,
                "the registry warns"
            );
        }
        let passage = Passage {
            gate: Arc::clone(&self.gate),
            line,
            place,
        };
        Answer::new(response, self.options.limits.idle).through(passage)
    }

    /// Sends a request, and follows where it is sent. Only reading is sent on. Once it has left the
    /// registry, our credentials stay behind, even if it is sent back (S-31).
    async fn sent(&self, call: &Call, header: Option<&HeaderValue>) -> Result<Sent, Trouble> {
        let origin = self.origin().await?;
        let mut url = call.url.clone();
        let mut at = Origin::of(&url).unwrap_or_else(|| origin.clone());
        let mut is_own = at == origin && call.to_registry;
        for _ in 0..=HOPS {
            let header = header.filter(|_| is_own);
            let response = match at == origin {
                true => self.hop(call, &url, header).await?,
                false => {
                    let hop = self.hop_elsewhere(call, &url).await;
                    let what = || format!("{} sent the request on to {at}", self.registry);
                    hop.map_err(|trouble| trouble.attempting(what()))?
                }
            };
            let may_follow = call.follow
                && matches!(call.method, Method::GET | Method::HEAD)
                && matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let target = response.headers().get(LOCATION).filter(|_| may_follow);
            let Some(target) = target else {
                return Ok(Sent { response, is_own });
            };
            let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
            let what = || format!("cannot follow where {} sends the request on", self.registry);
            let next = policy::location(&url, &target).attempting(what)?;
            at = policy::may_follow(&at, &next, self.is_private().await?)?;
            is_own = is_own && at == origin;
            url = next;
        }
        let what = format!("{} redirects more than {HOPS} times", self.registry);
        Err(Error::new(ErrorKind::Denied, what).into())
    }

    /// One request to the registry itself.
    async fn hop(
        &self,
        call: &Call,
        url: &Url,
        header: Option<&HeaderValue>,
    ) -> Result<Response, Trouble> {
        let client = self.clients.own(call.line, self.way().await?)?;
        self.gate.begin(&call.method).await;
        call.asked.fetch_add(1, Ordering::Relaxed);
        if let Payload::Bytes(bytes) = &call.body {
            let written = bytes.len() as u64;
            self.gate.count(|traffic| traffic.written += written);
        }
        let request = client.request(call.method.clone(), url.clone());
        let request = header.into_iter().fold(request, |request, header| {
            request.header(auth::HEADER, header.clone())
        });
        let response = answered(call, request).await?;
        self.gate.note(response.headers());
        Ok(response)
    }

    /// One request to where the registry sent us: nothing that is ours goes along (S-43).
    async fn hop_elsewhere(&self, call: &Call, url: &Url) -> Result<Response, Trouble> {
        let client = self.clients.elsewhere(self.is_private().await?)?;
        call.asked.fetch_add(1, Ordering::Relaxed);
        self.gate.count(|traffic| traffic.elsewhere += 1);
        answered(call, client.request(call.method.clone(), url.clone())).await
    }

    /// Asks a token server. It follows no redirects: who asks for a token is told by its answer.
    pub(super) async fn ask_for_token(
        &self,
        request: TokenRequest,
        limit: u64,
    ) -> Result<Bytes, Trouble> {
        let (registry, there) = (self.origin().await?, Origin::of(&request.url));
        let is_host = |there: &Origin| there.host() == registry.host();
        let client = match &there {
            Some(there) if *there == registry => {
                self.clients.own(Line::Control, self.way().await?)?
            }
            // Verified or not, as the registry itself is: it is the same machine.
            Some(there) if is_host(there) => self.clients.elsewhere(self.is_private().await?)?,
            _ => self.clients.tokens(self.is_private().await?)?,
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
        self.gate.count(|traffic| traffic.tokens += 1);
        let answered = tokio::time::timeout(self.options.limits.answer, asked.send()).await;
        let response = answered.map_err(|_| Trouble::stalled("no answer"))??;
        let answer = Answer::new(response, self.options.limits.idle);
        match answer.status.as_u16() {
            // An answer that is too long says nothing about the image.
            200 => answer.body(limit).await.map_err(|trouble| Trouble {
                error: trouble.error.of_kind(ErrorKind::Io),
                ..trouble
            }),
            // What a token server says may hold a token (S-40).
            _ => Err(Trouble::refused(answer.status, &answer.headers, b"")),
        }
    }
}

/// What came of sending a request.
struct Sent {
    response: Response,
    /// Whether it was the registry itself that answered, on the whole way.
    is_own: bool,
}

/// Sends one request with what it carries.
async fn answered(call: &Call, request: reqwest::RequestBuilder) -> Result<Response, Trouble> {
    let request = request
        .headers(call.headers.clone())
        .header(ACCEPT_ENCODING, "identity");
    let request = match &call.body {
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
    let answered = tokio::time::timeout(call.patience, request.send()).await;
    let response = answered.map_err(|_| Trouble::stalled("no answer"))??;
    trace!(
        method = %call.method,
        url = shown::url(response.url()),
        status = response.status().as_u16(),
        headers = shown::headers(response.headers()),
        "answered"
    );
    Ok(response)
}
