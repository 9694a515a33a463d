//! Requests that go wrong.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};

use crate::support::registry::{Action, Fault, Hangup, Registry, Response as Answer, soon};
use crate::{REPO, ask, location, send};

/// A connection that has sent the head of a PUT of so many bytes to a new upload, and its first bytes.
fn putting(registry: &Registry, length: usize, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(registry.host()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(
        stream,
        "POST /v2/{REPO}/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).unwrap();
    let to = answer
        .lines()
        .find_map(|line| line.strip_prefix("Location: http://x"))
        .unwrap();
    write!(
        stream,
        "PATCH {to} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(first).unwrap();
    stream
}

#[test]
fn a_requests_body_is_read_in_part_and_the_connection_ends() {
    for (how, is_reset) in [(Hangup::Reset, true), (Hangup::Close, false)] {
        let registry = Registry::start();
        registry.fail(Fault::on("PATCH", "/uploads/").then(Action::hang_up_midway(600, how)));
        let mut stream = putting(&registry, 1000, &[1; 600]);
        let end = stream.read(&mut [0]);
        let expected = is_reset.then_some(ErrorKind::ConnectionReset);
        assert_eq!(
            end.as_ref().err().map(std::io::Error::kind),
            expected,
            "{end:?}"
        );
        // What came is kept, as distribution keeps it.
        let at = location(
            &registry,
            &tokio_block(ask(
                &registry,
                "GET",
                &format!("{REPO}/blobs/uploads/upload-1"),
            )),
        );
        assert!(at.contains("/600%3D"), "{at}");
        assert_eq!(registry.requests("PATCH", "")[0].body_len, 600);
    }
}

fn tokio_block(request: RequestBuilder) -> Response {
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(send(request))
}

#[test]
fn a_client_that_goes_away_midway_leaves_what_it_sent() {
    let registry = Registry::start();
    drop(putting(&registry, 1000, &[1; 600]));
    let is_read = || {
        registry
            .requests("PATCH", "")
            .iter()
            .any(|entry| entry.ended.is_some())
    };
    soon(is_read);
    assert_eq!(registry.requests("PATCH", "")[0].body_len, 600);
    assert_eq!(registry.requests("PATCH", "")[0].status, 0);
}

#[test]
fn an_answer_comes_while_the_body_is_still_sent() {
    let registry = Registry::start();
    let answer = Answer::error(413, "SIZE_INVALID", "too large");
    registry.fail(Fault::on("PATCH", "").then(Action::answer_midway(100, answer.clone())));
    let mut stream = putting(&registry, 8_000_000, &[1; 100]);
    stream.write_all(&vec![1; 7_999_900]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut came = String::new();
    stream.read_to_string(&mut came).unwrap();
    assert!(came.starts_with("HTTP/1.1 413 "), "{came}");
    assert!(came.contains("Connection: close\r\n"), "{came}");
    assert_eq!(registry.requests("PATCH", "")[0].body_len, 100);

    registry.fail(Fault::on("PATCH", "").then(Action::answer_midway_and_close(100, answer)));
    let mut stream = putting(&registry, 8_000_000, &[1; 5000]);
    let mut came = Vec::new();
    let end = stream.read_to_end(&mut came);
    let wrote = stream
        .write_all(&vec![1; 7_995_000])
        .map_err(|error| error.kind());
    assert!(
        end.is_err() || wrote.is_err(),
        "the connection was reset: {end:?} {wrote:?}"
    );
    assert_eq!(registry.requests("PATCH", "")[1].status, 413);
}

#[test]
fn a_server_stops_reading() {
    let registry = Registry::start();
    let stops = registry.fail(Fault::on("PATCH", "").then(Action::stop_reading(10)));
    let mut stream = putting(&registry, 1 << 30, &[1; 10]);
    stops.wait(1);
    stream
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let piece = vec![1; 1 << 20];
    // The buffers of the system take some megabytes.
    let end = (0..512)
        .find_map(|_| stream.write_all(&piece).err())
        .unwrap()
        .kind();
    assert!(
        matches!(end, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{end:?}"
    );
    assert_eq!(registry.requests("PATCH", "")[0].body_len, 10);
}
