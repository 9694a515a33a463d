//! Requests and responses as data.

use std::time::Duration;

use bytes::Bytes;

use super::fault::Hangup;

/// Header fields in order, with names as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.iter();
        let same = fields.filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str())
    }

    /// Adds a field, even if there is one of that name.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_string(), value.into()));
    }

    /// Adds a field in place of all of that name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.add(name, value);
    }

    pub fn remove(&mut self, name: &str) {
        self.0
            .retain(|(field, _)| !field.eq_ignore_ascii_case(name));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.0.iter();
        fields.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The number of the connection; the first is 1.
    pub connection: usize,
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// The path as it came.
    pub path: String,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    pub headers: Headers,
    pub body: Bytes,
    /// Whether the whole body came. If not, no answer will reach the client.
    pub whole: bool,
    /// Whether the request came over TLS.
    pub secure: bool,
}

impl Request {
    pub(super) fn new(method: &str, target: &str, headers: Headers) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            connection: 0,
            method: method.to_string(),
            target: target.to_string(),
            path: path.to_string(),
            query: form(query),
            headers,
            body: Bytes::new(),
            whole: true,
            secure: false,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The query as it came, without the question mark.
    pub fn raw_query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Scheme and host by which the client called this server.
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.header("host").unwrap_or_default())
    }

    /// User and password, if the client sent them.
    pub fn basic(&self) -> Option<(String, String)> {
        use base64::Engine as _;
        let text = self.header("authorization")?.strip_prefix("Basic ")?;
        let engine = base64::engine::general_purpose::STANDARD;
        let plain = String::from_utf8(engine.decode(text).ok()?).ok()?;
        let (user, password) = plain.split_once(':')?;
        Some((user.to_string(), password.to_string()))
    }

    /// The bearer token, if the client sent one.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// A form or a query, decoded.
pub fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    };
    pairs.map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How the length of a response's body is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`. If a header of that name was set, it goes out as it is, right or wrong; if it
    /// was wrong, the connection is closed after the body.
    Length,
    /// `Transfer-Encoding: chunked`, with a good end.
    Chunked,
    /// Neither; the body ends with the connection.
    UntilClose,
}

/// An answer, and how it goes over the wire.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    pub framing: Framing,
    /// What happens after so many bytes of the body. More than it has: after the whole body.
    pub end: Option<(usize, Hangup)>,
    /// So many bytes of the body at once, then a pause.
    pub drip: Option<(usize, Duration)>,
    /// How long to wait before the first byte.
    pub delay: Duration,
}

impl Response {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body: Bytes::new(),
            framing: Framing::Length,
            end: None,
            drip: None,
            delay: Duration::ZERO,
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.set(name, value);
        self
    }

    pub fn body(mut self, media_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", media_type);
        self.body = body.into();
        self
    }

    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status).body("application/json; charset=utf-8", value.to_string())
    }

    /// The error document of the distribution specification.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = serde_json::json!({ "code": code, "message": message, "detail": null });
        Self::json(status, &serde_json::json!({ "errors": [error] }))
    }
}
