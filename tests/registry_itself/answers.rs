//! Answers that go wrong.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Client;

use crate::support::registry::{
    Action, Fault, Framing, Gate, Hangup, Registry, Request, Response as Answer, Server,
};
use crate::{REPO, ask, header, raw, raw_get, send, status, with_blob};

#[test]
fn a_body_is_cut_after_so_many_bytes() {
    let (registry, bytes, path) = with_blob(3_000_000);
    for at in [0, 1, 1_000_000, 2_999_999] {
        for (how, end) in [
            (Hangup::Reset, Some(ErrorKind::ConnectionReset)),
            (Hangup::Close, None),
        ] {
            let hits = registry.fail(Fault::on("GET", "/blobs/").then(Action::cut(at, how)));
            assert_eq!(
                raw_get(&registry, &path),
                (bytes[..at].to_vec(), end),
                "{how:?} at {at}"
            );
            assert_eq!(hits.count(), 1);
            assert_eq!(registry.log().last().unwrap().sent, at);
        }
    }
    assert_eq!(raw_get(&registry, &path), (bytes, None));
}

#[test]
fn a_body_stops_for_ever() {
    let (registry, bytes, path) = with_blob(100);
    registry.fail(Fault::on("GET", "/blobs/").then(Action::cut(10, Hangup::Stall)));
    let mut stream = TcpStream::connect(registry.host()).unwrap();
    write!(stream, "GET /v2/{path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut came = Vec::new();
    while !came.ends_with(&bytes[..10]) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        came.push(byte[0]);
    }
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let waits = stream.read(&mut [0]).unwrap_err().kind();
    assert!(
        matches!(waits, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{waits:?}"
    );
    drop(registry);
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert!(
        matches!(stream.read(&mut [0]), Ok(0) | Err(_)),
        "it ends with the server"
    );
}

#[tokio::test]
async fn bodies_are_changed_and_framed_as_told() {
    let (registry, bytes, path) = with_blob(100);
    let get = async |action: Action| {
        registry.fail(Fault::on("GET", "/blobs/").then(action));
        let got = send(ask(&registry, "GET", &path)).await;
        let length = header(&got, "content-length");
        (length, got.bytes().await.ok().map(|bytes| bytes.to_vec()))
    };
    let mut flipped = bytes.clone();
    flipped[50] ^= 0xff;
    let extended = [&*bytes, b"more"].concat();
    let length = |length: &str, body: &[u8]| (length.to_string(), Some(body.to_vec()));
    assert_eq!(get(Action::flip(50)).await, length("100", &flipped));
    assert_eq!(get(Action::truncate(30)).await, length("30", &bytes[..30]));
    assert_eq!(
        get(Action::truncate_chunked(30)).await,
        length("", &bytes[..30])
    );
    assert_eq!(get(Action::extend("more")).await, length("104", &extended));
    assert_eq!(get(Action::chunked()).await, length("", &bytes));
    assert_eq!(get(Action::until_close()).await, length("", &bytes));
    assert_eq!(
        get(Action::drip(30, Duration::from_millis(1))).await,
        length("100", &bytes)
    );
    assert_eq!(
        get(Action::delay(Duration::from_millis(1))).await,
        length("100", &bytes)
    );
    // A length that is too large is an early end; one that is too small hides the rest.
    assert_eq!(
        get(Action::header("Content-Length", "101")).await,
        ("101".to_string(), None)
    );
    assert_eq!(
        get(Action::header("Content-Length", "99")).await,
        length("99", &bytes[..99])
    );
    // Chunks that end early are an error too.
    let cut = Action::change(|_, response| {
        response.framing = Framing::Chunked;
        response.end = Some((10, Hangup::Close));
    });
    assert_eq!(get(cut).await, (String::new(), None));
}

#[tokio::test]
async fn ranges_are_ignored_or_wrong_or_in_parts() {
    let (registry, bytes, path) = with_blob(100);
    let get = async |action: Action| {
        registry.fail(Fault::on("GET", "/blobs/").then(action));
        let got = send(ask(&registry, "GET", &path).header("Range", "bytes=90-")).await;
        let said = (
            got.status().as_u16(),
            header(&got, "content-range"),
            header(&got, "content-type"),
        );
        (said, got.bytes().await.unwrap())
    };
    let ((status, range, _), body) = get(Action::ignore_range()).await;
    assert_eq!((status, range.as_str(), body.len()), (200, "", 100));
    let ((status, range, _), body) = get(Action::content_range("bytes 80-99/100")).await;
    assert_eq!(
        (status, range.as_str(), body.len()),
        (206, "bytes 80-99/100", 10)
    );
    let ((status, range, kind), body) = get(Action::multipart()).await;
    assert_eq!((status, range.as_str()), (206, ""));
    assert_eq!(kind, "multipart/byteranges; boundary=cut");
    let parts = [
        &b"--cut\r\nContent-Range: bytes 90-99/100\r\n\r\n"[..],
        &bytes[90..],
        b"\r\n--cut--\r\n",
    ];
    assert_eq!(body, parts.concat());
    let ((status, range, _), _) = get(Action::without_header("Content-Range")).await;
    assert_eq!((status, range.as_str()), (206, ""));
}

#[tokio::test]
async fn an_answer_is_replaced_and_the_request_not_processed() {
    let registry = Registry::start();
    let start = || ask(&registry, "POST", &format!("{REPO}/blobs/uploads/"));
    for (action, expected, retry_after) in [
        (Action::status(503), 503, ""),
        (Action::error(403, "DENIED", "quota"), 403, ""),
        (Action::too_many_requests(Some("7")), 429, "7"),
        (Action::too_many_requests(None), 429, ""),
        (Action::redirect("http://x.test/"), 307, ""),
    ] {
        registry.fail(Fault::on("POST", "/uploads/").then(action));
        let got = send(start()).await;
        assert_eq!(
            (got.status().as_u16(), header(&got, "retry-after").as_str()),
            (expected, retry_after)
        );
    }
    let bytes = b"HTTP/1.1 418 Odd\nX: y\n\nbody";
    registry.fail(Fault::on("GET", "/v2/").then(Action::Raw(bytes[..].into())));
    assert_eq!(
        raw(&registry, "GET /v2/ HTTP/1.1\r\n\r\n"),
        (bytes.to_vec(), None)
    );
    assert_eq!(registry.open_uploads(), 0);
    assert_eq!(registry.count("POST", ""), 5);
    assert_eq!(status(start()).await, 202);
}

#[tokio::test]
async fn a_redirect_leads_to_another_server() {
    let (registry, bytes, path) = with_blob(100);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let cdn = Server::start({
        let (seen, bytes) = (seen.clone(), bytes.clone());
        move |request: &Request| {
            seen.lock().unwrap().push(request.target.clone());
            Answer::new(200).body("text/plain", bytes.clone())
        }
    });
    registry.fail(
        Fault::on("GET", "/blobs/")
            .always()
            .then(Action::redirect_to_server(&cdn.origin())),
    );
    let following = Client::builder().no_proxy().build().unwrap();
    let got = send(following.get(registry.url(&format!("/v2/{path}?a=b")))).await;
    assert_eq!(got.bytes().await.unwrap(), bytes);
    assert_eq!(*seen.lock().unwrap(), [format!("/v2/{path}?a=b")]);
    assert_eq!(
        (
            registry.requests("GET", "/blobs/")[0].status,
            cdn.count("GET", "/blobs/")
        ),
        (307, 1)
    );
}

#[test]
fn nothing_is_answered_whether_or_not_it_was_done() {
    let registry = Registry::start();
    let post = format!("POST /v2/{REPO}/blobs/uploads/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    let reset = Some(ErrorKind::ConnectionReset);
    for (action, end, open) in [
        (Action::reset(), reset, 0),
        (Action::close(), None, 0),
        (Action::lose(Hangup::Close), None, 1),
        (Action::lose(Hangup::Reset), reset, 2),
    ] {
        registry.fail(Fault::on("POST", "/uploads/").then(action.clone()));
        assert_eq!(raw(&registry, &post), (Vec::new(), end), "{action:?}");
        assert_eq!(registry.open_uploads(), open, "{action:?}");
        assert_eq!(registry.log().last().unwrap().status, 0);
    }
}

#[tokio::test]
async fn a_request_is_held_until_the_gate_opens() {
    let (registry, bytes, path) = with_blob(10);
    let gate = Gate::closed();
    let hits = registry.fail(
        Fault::on("GET", "/blobs/")
            .times(2)
            .then(Action::Hold(gate.clone())),
    );
    let get = || tokio::spawn(ask(&registry, "GET", &path).send());
    let (one, two) = (get(), get());
    let (registry, hits) = tokio::task::spawn_blocking(move || {
        hits.wait(2);
        (registry, hits)
    })
    .await
    .unwrap();
    assert!(!one.is_finished() && !two.is_finished());
    gate.open();
    for got in [one, two] {
        assert_eq!(got.await.unwrap().unwrap().bytes().await.unwrap(), bytes);
    }
    assert_eq!(hits.count(), 2);
    assert_eq!(registry.most_at_once("GET", "/blobs/"), 2);
    assert_eq!(registry.connections(), 2);
}
