//! `/metrics` and `/healthz`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::registry::soon;
use crate::{Running, World, sample};

/// Where it listens.
fn address(running: &Running) -> String {
    running.tells("listening on ", 1);
    soon(|| running.told().contains('\n'));
    let told = running.told();
    let line = told.lines().find(|line| line.starts_with("listening on "));
    line.unwrap()["listening on ".len()..].to_string()
}

/// What it answers to some bytes.
fn exchange(address: &str, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: &str, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

#[test]
fn metrics_grow_and_health_is_told() {
    let world = World::new();
    let running = world.starts("watch", &["--interval", "100ms", "--listen", "127.0.0.1:0"]);
    let at = address(&running);
    running.tells("1 same;", 1);
    let first = get(&at, "/metrics");
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    assert!(
        first.contains("content-type: text/plain; version=0.0.4"),
        "{first}"
    );
    running.tells("1 same;", 4);
    let second = get(&at, "/metrics");
    let requests = format!("imgcopy_requests_total{{host=\"{}\"}}", world.to.host());
    for name in [
        "imgcopy_runs_total{result=\"ok\"}",
        &requests,
        "imgcopy_tags_total{status=\"same\"}",
    ] {
        assert!(sample(&first, name) >= 1.0, "{first}");
        assert!(
            sample(&second, name) > sample(&first, name),
            "{name}\n{second}"
        );
    }
    let written = format!(
        "imgcopy_bytes_total{{host=\"{}\",direction=\"written\"}}",
        world.to.host()
    );
    assert!(sample(&second, &written) > 2000.0, "{second}");
    assert_eq!(
        sample(&second, "imgcopy_runs_total{result=\"failed\"}"),
        0.0
    );
    assert!(get(&at, "/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_file_that_is_wrong_shows_in_the_metrics() {
    let world = World::new();
    let running = world.starts("watch", &["--interval", "1h", "--listen", "127.0.0.1:0"]);
    let at = address(&running);
    running.tells("next run at ", 1);
    let is_right = || {
        sample(
            &get(&at, "/metrics"),
            "imgcopy_config_last_reload_successful",
        )
    };
    assert_eq!(is_right(), 1.0);
    world.wants("[1", "");
    running.signal("-HUP");
    running.tells("still counts", 1);
    assert_eq!(is_right(), 0.0);
}

#[test]
fn nothing_else_is_answered() {
    let world = World::new();
    let running = world.starts("watch", &["--interval", "1h", "--listen", "127.0.0.1:0"]);
    let at = address(&running);
    for path in ["/", "/metrics/", "/metrics/../healthz", "//metrics"] {
        assert!(get(&at, path).starts_with("HTTP/1.1 404 "), "{path}");
    }
    let post = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert!(exchange(&at, post).starts_with("HTTP/1.1 405 "));
    let head = exchange(&at, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(exchange(&at, "\u{1}\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(
        get(&at, "/metrics").starts_with("HTTP/1.1 200 "),
        "it goes on"
    );
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let world = World::new();
    let holds = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holds.local_addr().unwrap().to_string();
    let (code, told) = world
        .starts("watch", &["--interval", "1h", "--listen", &taken])
        .ends();
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains(&format!("cannot listen on {taken}")),
        "{told}"
    );
}
