//! The script, the log, and the sockets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::noise;
use crate::support::registry::{Action, Fault, Locations, Options, Registry, digest};
use crate::{REPO, and_digest, ask, client, location, raw, send, status, with_blob};

#[tokio::test]
async fn the_script_counts_what_fits() {
    let (registry, _, path) = with_blob(10);
    let get = async || status(ask(&registry, "GET", &path)).await;
    let second = registry.fail(
        Fault::on("GET", "/blobs/")
            .nth(2)
            .times(2)
            .then(Action::status(500)),
    );
    let fourth = registry.fail(
        Fault::on("*", "blobs")
            .nth(3)
            .times(2)
            .then(Action::status(502)),
    );
    let named = Fault::on("GET", "/blobs/")
        .always()
        .authorized()
        .then(Action::status(418));
    registry.fail(named);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(get().await);
    }
    assert_eq!(
        seen,
        [200, 500, 500, 502, 200],
        "the first fault wins, but both count"
    );
    assert_eq!((second.count(), fourth.count()), (2, 1));
    assert_eq!(
        status(ask(&registry, "GET", &path).bearer_auth("x")).await,
        418
    );
    registry.heal();
    assert_eq!(
        status(ask(&registry, "GET", &path).bearer_auth("x")).await,
        200
    );
    let changed = Action::ask(|request| request.headers.set("range", "bytes=0-0"));
    registry.fail(Fault::on("GET", "/blobs/").then(changed));
    assert_eq!(get().await, 206);
}

#[tokio::test]
async fn connections_are_reset_or_refused() {
    let registry = Registry::start();
    let ping = async || client().get(registry.url("/v2/")).send().await;
    registry.reset_connections(2);
    assert!(ping().await.is_err() && ping().await.is_err());
    assert_eq!(ping().await.unwrap().status(), 200);
    assert_eq!((registry.connections(), registry.count("*", "")), (3, 1));
    let kept = TcpStream::connect(registry.host()).unwrap();
    registry.down();
    kept.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert!(matches!((&kept).read(&mut [0]), Ok(0) | Err(_)));
    let refused = TcpStream::connect(registry.host()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    registry.up();
    assert_eq!(ping().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_log_tells_what_came() {
    let registry = Registry::start();
    let client = client();
    let url = registry.url(&format!("/v2/{REPO}/blobs/uploads/?mount=a%3Ab&from=x+y"));
    send(client.post(url).header("X-Own", "1").body("abc"))
        .await
        .bytes()
        .await
        .unwrap();
    send(client.get(registry.url("/v2/")))
        .await
        .bytes()
        .await
        .unwrap();
    let log = registry.log();
    let (post, ping) = (&log[0], &log[1]);
    assert_eq!(
        (post.method.as_str(), post.status, post.body_len, post.sent),
        ("POST", 202, 3, 0)
    );
    assert_eq!(post.path, format!("/v2/{REPO}/blobs/uploads/"));
    let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
    assert_eq!(post.query, [pair("mount", "a:b"), pair("from", "x y")]);
    assert_eq!(post.headers.get("x-own"), Some("1"));
    assert_eq!((ping.status, ping.sent), (200, 2));
    assert_eq!(
        (post.connection, ping.connection),
        (1, 1),
        "the connection is kept"
    );
    assert!(post.ended.unwrap() <= ping.at);
    assert_eq!(registry.most_at_once("*", ""), 1);
    assert_eq!(
        (registry.count("GET", ""), registry.count("*", "/uploads/")),
        (1, 1)
    );
    registry.wait_for("POST", "mount=", 1);
    registry.forget();
    assert_eq!(registry.count("*", ""), 0);
}

#[test]
fn bodies_come_in_chunks_and_heads_bit_by_bit() {
    let registry = Registry::with(Options {
        locations: Locations::Absolute,
        ..Options::default()
    });
    let name = digest("sha256", b"abcdefg");
    let post = format!("POST /v2/{REPO}/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n\r\n");
    let put = format!(
        "PUT /v2/{REPO}/blobs/uploads/upload-1?digest={name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    );
    let mut stream = TcpStream::connect(registry.host()).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in format!("{post}{put}").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut came = String::new();
    stream.read_to_string(&mut came).unwrap();
    assert_eq!(came.matches("HTTP/1.1 20").count(), 2, "{came}");
    assert_eq!(registry.blob(REPO, &name).unwrap(), "abcdefg");
    let expects = "PUT /v2/x HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1\r\n\r\na";
    let (came, _) = raw(&registry, expects);
    assert!(came.starts_with(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 "));
    for nonsense in ["\x16\x03", "GET\r\n\r\n"] {
        let (came, end) = raw(&registry, nonsense);
        assert!(came.starts_with(b"HTTP/1.1 400 ") && end.is_none());
    }
}

#[tokio::test]
async fn many_clients_and_large_bodies_at_once() {
    let registry = Registry::start();
    let bytes = bytes::Bytes::from(noise(5, 5_000_000));
    let name = digest("sha256", &bytes);
    let mut copies = Vec::new();
    for number in 0..8 {
        let start = ask(&registry, "POST", &format!("r{number}/blobs/uploads/"));
        let to = and_digest(&location(&registry, &send(start).await), &name);
        copies.push(tokio::spawn(
            ask(&registry, "PUT", &to).body(bytes.clone()).send(),
        ));
    }
    for copy in copies {
        assert_eq!(copy.await.unwrap().unwrap().status(), 201);
    }
    for number in 0..8 {
        let got = send(ask(&registry, "GET", &format!("r{number}/blobs/{name}"))).await;
        assert_eq!(got.bytes().await.unwrap(), bytes);
    }
}

#[test]
fn servers_leave_no_threads() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for _ in 0..50 {
        let registry = Registry::start();
        registry.fail(Fault::on("GET", "").then(Action::stall()));
        let mut stream = TcpStream::connect(registry.host()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        registry.wait_for("GET", "", 1);
    }
    // Other tests run at the same time, but not fifty.
    assert!(threads() < before + 50);
}
