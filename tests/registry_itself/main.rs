//! The registry that other tests rely on: that it is true to the distribution specification, and that
//! each of its faults is the fault that it claims to be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod answers;
mod conformance;
mod content;
mod midway;
mod operations;
mod peers;
#[path = "../registries/server.rs"]
#[allow(dead_code)]
mod server;
mod uploads;
mod wire;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use support::noise;
use support::registry::{Registry, Server};

const REPO: &str = "team/app";
const ALL_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// A client that does nothing by itself.
fn client() -> Client {
    let builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    builder.build().unwrap()
}

/// A request to a path below `/v2/`, or to a URL.
fn ask(server: &Server, method: &str, path: &str) -> RequestBuilder {
    let url = match path.contains("://") {
        true => path.to_string(),
        false => server.url(&format!("/v2/{path}")),
    };
    client().request(Method::from_bytes(method.as_bytes()).unwrap(), url)
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

async fn status(request: RequestBuilder) -> u16 {
    send(request).await.status().as_u16()
}

fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    value
        .map_or("", |value| value.to_str().unwrap())
        .to_string()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

async fn code_of(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let document = json_of(response).await;
    (
        status,
        document["errors"][0]["code"].as_str().unwrap().to_string(),
    )
}

/// The `Location` of an answer, as a URL.
fn location(server: &Server, response: &Response) -> String {
    let location = header(response, "location");
    match location.starts_with('/') {
        true => server.url(&location),
        false => location,
    }
}

fn and_digest(location: &str, digest: &str) -> String {
    let mark = if location.contains('?') { '&' } else { '?' };
    format!("{location}{mark}digest={digest}")
}

/// What came over a connection until it ended, and how it ended.
fn raw(server: &Server, request: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(server.host()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut came = Vec::new();
    let end = stream.read_to_end(&mut came);
    (came, end.err().map(|error| error.kind()))
}

/// Like [`raw`], for a GET below `/v2/`: only what came of the body.
fn raw_get(server: &Server, path: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let request = format!("GET /v2/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let (came, end) = raw(server, &request);
    let head = came.windows(4).position(|mark| mark == b"\r\n\r\n");
    (came[head.map_or(came.len(), |at| at + 4)..].to_vec(), end)
}

/// A registry with one blob, and the path to it.
fn with_blob(size: usize) -> (Registry, Vec<u8>, String) {
    let registry = Registry::start();
    let bytes = noise(7, size);
    let path = format!("{REPO}/blobs/{}", registry.add_blob(REPO, bytes.clone()));
    (registry, bytes, path)
}
