//! One exchange of a request and its answer, as the script says, and its line in the log.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::fault::{Action, Hangup, Midway};
use super::link::{BodyEnd, Link, Witness};
use super::message::{Headers, Request, Response};
use super::server::{Shared, held};
use super::streams::Upset;

/// A request that came, and what became of it.
#[derive(Debug, Clone)]
pub struct Logged {
    pub(super) id: usize,
    /// The number of the connection; the first is 1.
    pub connection: usize,
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    pub path: String,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    pub headers: Headers,
    /// How many bytes of the request's body were read.
    pub body_len: usize,
    /// The status that was sent; 0 if none was.
    pub status: u16,
    /// How many bytes of the answer's body were sent.
    pub sent: usize,
    /// When the head had come.
    pub at: Instant,
    /// Just before the last byte was sent, or the connection broken off.
    pub ended: Option<Instant>,
}

/// One exchange, and its line in the log.
pub(super) struct Entry<'a> {
    shared: &'a Shared,
    id: usize,
}

impl<'a> Entry<'a> {
    pub(super) fn new(shared: &'a Shared, request: &Request) -> Self {
        let id = shared.requests.fetch_add(1, Ordering::SeqCst);
        held(&shared.log).push(Logged {
            id,
            connection: request.connection,
            method: request.method.clone(),
            target: request.target.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body_len: 0,
            status: 0,
            sent: 0,
            at: Instant::now(),
            ended: None,
        });
        Self { shared, id }
    }

    fn note(&self, note: impl FnOnce(&mut Logged)) {
        let mut log = held(&self.shared.log);
        if let Some(entry) = log.iter_mut().rev().find(|entry| entry.id == self.id) {
            note(entry);
        }
    }

    /// What the script says. Every fault that fits counts the request; the first that is due wins.
    fn action(&self, request: &Request) -> Action {
        let mut faults = held(&self.shared.faults);
        let mut chosen = None;
        for fault in faults.iter_mut() {
            if fault.is_for(request) && chosen.is_none() {
                fault.hit();
                chosen = Some(fault.action.clone());
            }
        }
        chosen.unwrap_or(Action::Pass)
    }

    fn truth(&self, request: &Request) -> Response {
        (self.shared.answer)(request)
    }

    /// Gives the connection back if it can serve another request.
    pub(super) async fn exchange(&self, mut link: Link, mut request: Request) -> Option<Link> {
        let action = self.action(&request);
        let most = match action {
            Action::Midway { after, .. } => after,
            _ => usize::MAX,
        };
        let (body, end) = link.body(&request, most).await;
        self.note(|entry| entry.body_len = body.len());
        request.body = body;
        request.whole = end == BodyEnd::Whole;
        if end == BodyEnd::Broken {
            self.truth(&request);
            self.ends();
            return None;
        }
        match self.response(action, &mut request).await {
            Ok(response) => self.send(link, &request, &response).await,
            Err(Break::Hangup(how)) => {
                self.ends();
                link.hang_up(how).await;
                None
            }
            Err(Break::Raw(bytes)) => {
                self.ends();
                let _gone = link.write(&bytes).await;
                link.hang_up(Hangup::Close).await;
                None
            }
            Err(Break::Upset(upset)) => panic!("HTTP/1.1 has no streams: {upset:?}"),
            Err(Break::Midway(midway)) => {
                self.midway(link, request, midway).await;
                None
            }
        }
    }

    async fn response(&self, action: Action, request: &mut Request) -> Result<Response, Break> {
        Ok(match action {
            Action::Pass => self.truth(request),
            Action::Hold(gate) => {
                gate.passed().await;
                self.truth(request)
            }
            Action::Answer(response) => response,
            Action::Ask(ask) => {
                ask(request);
                self.truth(request)
            }
            Action::Change(change) => {
                let mut response = self.truth(request);
                change(request, &mut response);
                response
            }
            Action::Silence { processed, then } => {
                if processed {
                    self.truth(request);
                }
                return Err(Break::Hangup(then));
            }
            Action::Raw(bytes) => return Err(Break::Raw(bytes)),
            Action::Midway { then, .. } => return Err(Break::Midway(then)),
            Action::Upset(upset) => return Err(Break::Upset(upset)),
        })
    }

    /// The answer to a request on a stream of HTTP/2, whose body has come. Of what goes wrong below
    /// the answers, there is only what streams have.
    pub(super) async fn answer(&self, request: &mut Request) -> Result<Response, Stopped> {
        self.note(|entry| entry.body_len = request.body.len());
        let action = self.action(request);
        let answer = match self.response(action, request).await {
            Ok(response) => Ok(response),
            Err(Break::Upset(upset)) => Err(Stopped(upset)),
            Err(Break::Hangup(_) | Break::Raw(_) | Break::Midway(_)) => {
                panic!("HTTP/2 breaks in other ways")
            }
        };
        if let Ok(response) = &answer {
            self.note(|entry| entry.status = response.status);
        }
        self.ends();
        answer
    }

    async fn send(&self, mut link: Link, request: &Request, response: &Response) -> Option<Link> {
        self.note(|entry| entry.status = response.status);
        match link.send(request, response, self).await {
            Ok(()) => Some(link),
            Err(how) => {
                link.hang_up(how).await;
                None
            }
        }
    }

    async fn midway(&self, mut link: Link, mut request: Request, midway: Midway) {
        let (mut response, drains) = match midway {
            Midway::Hangup(how) => {
                request.whole = false;
                self.truth(&request);
                self.ends();
                return match how {
                    Hangup::Stall => link.freeze().await,
                    how => link.hang_up(how).await,
                };
            }
            Midway::AnswerAndDrain(response) => (response, true),
            Midway::AnswerAndClose(response) => (response, false),
        };
        response.headers.set("Connection", "close");
        self.note(|entry| entry.status = response.status);
        let _closes = link.send(&request, &response, self).await;
        match drains {
            true => link.hang_up(Hangup::Close).await,
            false => link.drop_at_once().await,
        }
    }
}

/// Why there is no ordinary answer.
enum Break {
    Hangup(Hangup),
    Raw(Bytes),
    Midway(Midway),
    Upset(Upset),
}

/// Why a stream of HTTP/2 gets no answer.
pub(super) struct Stopped(pub(super) Upset);

impl Witness for Entry<'_> {
    fn sends(&self, body_bytes: usize) {
        self.note(|entry| entry.sent += body_bytes);
    }

    fn ends(&self) {
        self.note(|entry| entry.ended = Some(Instant::now()));
    }
}
