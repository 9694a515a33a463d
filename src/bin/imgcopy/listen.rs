//! `/metrics` and `/healthz`, for `imgcopy watch`. Whoever connects gets one answer, and little time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use imgcopy::error::Result;
use imgcopy::sync::watch::Board;

/// How many may be answered at once. Others wait.
const AT_ONCE: usize = 16;
/// How long a connection may be there.
const LIMIT: Duration = Duration::from_secs(10);
/// How large the head of a request may be, in bytes.
const HEAD: usize = 16 << 10;

/// Text as Prometheus reads it.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Answers as long as `tasks` are there. Gives the address, with the port that was found where none was
/// named.
///
/// # Errors
/// If nobody can listen there.
pub(crate) async fn listen(
    address: SocketAddr,
    board: Arc<Board>,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    tasks.spawn(async move {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, for example: that passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let board = Arc::clone(&board);
            tokio::spawn(async move {
                let _place = place;
                // Whoever goes away, or is slow, gets nothing.
                let _ = tokio::time::timeout(LIMIT, serve(stream, &board)).await;
            });
        }
    });
    Ok(bound)
}

async fn serve(stream: TcpStream, board: &Board) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), board);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn answer(method: &Method, path: &str, board: &Board) -> Response<Full<Bytes>> {
    let reads = method == Method::GET || method == Method::HEAD;
    let (status, kind, text) = match path {
        "/metrics" | "/healthz" if !reads => (
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            "only GET is answered\n".to_string(),
        ),
        "/metrics" => (StatusCode::OK, METRICS, board.metrics()),
        "/healthz" => match board.health(jiff::Timestamp::now()) {
            Ok(()) => (StatusCode::OK, TEXT, "ok\n".to_string()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        _ => (
            StatusCode::NOT_FOUND,
            TEXT,
            "there are /metrics and /healthz\n".to_string(),
        ),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    answer
}
