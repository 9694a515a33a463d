//! HTTP/2, as far as it breaks otherwise than HTTP/1.1: its streams.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use super::exchange::{Entry, Stopped};
use super::message::{Headers, Request, Response};
use super::server::Shared;

/// What goes wrong with a stream. The request is not processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upset {
    /// `RST_STREAM`.
    Reset(Reason),
    /// `GOAWAY`, and the end of the connection with all of its streams.
    GoAway(Reason),
}

/// Serves one connection, until either side ends it.
pub(super) async fn serve(
    stream: Box<TlsStream<TcpStream>>,
    connection: usize,
    shared: Arc<Shared>,
) {
    let mut builder = h2::server::Builder::new();
    if let Some(most) = shared.streams {
        builder.max_concurrent_streams(most);
    }
    let Ok(mut link) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    shared.multiplexed.fetch_add(1, Ordering::SeqCst);
    // Streams end with their connection.
    let mut open = JoinSet::new();
    let (ends, mut ended) = unbounded_channel();
    loop {
        let (request, respond) = tokio::select! {
            accepted = link.accept() => match accepted {
                Some(Ok(accepted)) => accepted,
                Some(Err(_)) | None => return,
            },
            Some(reason) = ended.recv() => {
                link.abrupt_shutdown(reason);
                continue;
            }
        };
        let (head, body) = request.into_parts();
        let mut headers = Headers::default();
        if let Some(host) = head.uri.authority() {
            headers.add("host", host.as_str());
        }
        for (name, value) in &head.headers {
            headers.add(name.as_str(), value.to_str().unwrap());
        }
        let target = head.uri.path_and_query().unwrap().as_str();
        let mut request = Request::new(head.method.as_str(), target, headers);
        request.connection = connection;
        request.secure = true;
        open.spawn(answered(
            request,
            body,
            respond,
            shared.clone(),
            ends.clone(),
        ));
    }
}

async fn answered(
    mut request: Request,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    shared: Arc<Shared>,
    ends: UnboundedSender<Reason>,
) {
    let entry = Entry::new(&shared, &request);
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else { return };
        let _gone = body.flow_control().release_capacity(piece.len());
        whole.extend_from_slice(&piece);
    }
    request.body = whole.into();
    match entry.answer(&mut request).await {
        Ok(response) => send(&request, &response, &mut respond),
        Err(Stopped(Upset::Reset(reason))) => respond.send_reset(reason),
        Err(Stopped(Upset::GoAway(reason))) => {
            let _gone = ends.send(reason);
            // The stream is in flight until the connection ends.
            std::future::pending::<()>().await;
        }
    }
}

/// Sends an answer. Whether the client still wants it is its own business.
#[allow(clippy::default_trait_access)]
fn send(request: &Request, response: &Response, respond: &mut SendResponse<Bytes>) {
    let is_bare = request.method == "HEAD" || response.body.is_empty();
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers.iter() {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let length = HeaderValue::from(response.body.len());
    headers.entry("content-length").or_insert(length);
    let sent = respond.send_response(
        with(Default::default(), |head| {
            *head.status_mut() = StatusCode::from_u16(response.status).unwrap();
            *head.headers_mut() = headers;
        }),
        is_bare,
    );
    if let Ok(mut stream) = sent
        && !is_bare
    {
        let _gone = stream.send_data(response.body.clone(), true);
    }
}

/// A value, changed. Its type, which is another crate's, need not be named.
fn with<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut value);
    value
}
