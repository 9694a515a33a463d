//! What must hold of headers and bodies that servers send, whatever they send.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a body fails by panicking"
)]

use std::time::{Duration, SystemTime};

use httpdate::{fmt_http_date, parse_http_date};
use reqwest::Url;

use super::headers::challenge::{self, Challenge};
use super::headers::content::{self, ETag};
use super::headers::{errors, limits, link as links, range, summary, warning};
use super::policy::{self, Origin, Scheme, UploadTo};
use super::retry::{Backoff, Op, RetryPolicy, Signal, Stop, verdict};
use super::shown as fit;
use crate::error::Error;
use crate::error::fuzzing::{harmless, shown};
use crate::image::Digest;

/// The lines of the input: each is the value of a header.
fn lines(text: &str) -> Vec<&str> {
    text.split('\n').collect()
}

fn address(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// An error that can be shown and tells nothing of an address but where it is (S-40).
fn tells_no_more(error: &Error) {
    shown(error);
    let told = error.in_one_line();
    assert!(
        !told.contains(['?', '@']),
        "{told:?} tells more than an origin"
    );
}

/// The values of `WWW-Authenticate`, one a line. What is understood means the same when it is written
/// again; no token is asked for in the clear, at a private address, or, with credentials, at a stranger's
/// (S-33).
///
/// # Panics
/// If not so.
pub fn www_authenticate(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found = challenge::parse(&lines(&text));
    assert!(found.len() <= 32);
    let written: Vec<String> = found.iter().map(written).collect();
    assert!(written.concat().len() <= 2 * text.len() + 80 * found.len());
    // A challenge a line, and all of them in one.
    assert_eq!(challenge::parse(&written), found);
    assert_eq!(challenge::parse(&[written.join(", ")]), found);
    if let Some(chosen) = challenge::choose(&found) {
        assert!(found.contains(chosen) && !matches!(chosen, Challenge::Other(_)));
    }
    for one in &found {
        if let Challenge::Bearer { realm, .. } = one {
            asked_for_tokens(realm);
        }
    }
}

fn written(challenge: &Challenge) -> String {
    let quoted = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    };
    match challenge {
        Challenge::Basic { realm } => format!("Basic realm={}", quoted(realm)),
        Challenge::Other(scheme) => scheme.clone(),
        Challenge::Bearer {
            realm,
            service,
            scope,
            error,
        } => {
            let mut all = format!("Bearer realm={}", quoted(realm));
            let scope = (!scope.is_empty()).then(|| scope.join(" "));
            for (name, value) in [("service", service), ("scope", &scope), ("error", error)] {
                if let Some(value) = value {
                    all = format!("{all},{name}={}", quoted(value));
                }
            }
            all
        }
    }
}

fn asked_for_tokens(realm: &str) {
    let trusted = ["auth.trusted.example:8443".to_string()];
    for registry in [
        "https://r.example.com",
        "http://localhost:5000",
        "https://10.0.0.1",
    ] {
        let registry = Origin::of(&address(registry)).unwrap();
        for has_credentials in [false, true] {
            let url = match policy::realm(&registry, realm, has_credentials, &trusted) {
                Ok(url) => url,
                Err(error) => {
                    shown(&error);
                    continue;
                }
            };
            let there = Origin::of(&url).unwrap();
            let is_own = there.host() == registry.host();
            let is_clear = there.scheme() == Scheme::Http;
            assert!(!is_clear || is_own && registry.scheme() == Scheme::Http);
            if let Ok(ip) = there.host().trim_matches(['[', ']']).parse() {
                assert!(is_own || policy::is_public(ip), "{there} is private");
            }
            let is_near = ["example.com", "auth.trusted.example"];
            let is_near = is_near.iter().any(|it| there.host().ends_with(it));
            assert!(
                !has_credentials || is_own || is_near,
                "{there} is a stranger"
            );
            let again = policy::realm(&registry, url.as_str(), has_credentials, &trusted);
            assert_eq!(again.unwrap(), url);
        }
    }
}

/// The values of `Link`, one a line. The next page is on the origin that was asked and below `/v2/`,
/// whatever is written there (S-36), and asking for it needs no user and no fragment.
///
/// # Panics
/// If not so.
pub fn link(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let values = lines(&text);
    let next = links::next(&values);
    if let Some(next) = next {
        assert!(text.contains(next));
        // Written as the specification wants it, it is the same.
        if !next.contains('>') {
            let well = format!("<{next}>; rel=\"next\"");
            assert_eq!(links::next(&[well]), Some(next.trim()));
        }
    }
    for base in [
        "https://r.example.com/v2/a/b/tags/list?n=100",
        "http://localhost:5000/v2/_catalog",
    ] {
        let base = address(base);
        for target in next.into_iter().chain(values.iter().copied()) {
            next_page(&base, target);
        }
    }
}

fn next_page(base: &Url, target: &str) {
    match policy::next_page(base, target) {
        Ok(url) => {
            assert_eq!(Origin::of(&url), Origin::of(base));
            assert!(url.path().starts_with("/v2/") && url.fragment().is_none());
            let is_up = |part: &str| matches!(part, "." | "..");
            assert!(!url.path().split('/').any(is_up));
            assert_eq!(policy::next_page(&url, url.as_str()).unwrap(), url);
            harmless(url.as_str());
            is_redacted(&url);
        }
        Err(error) => tells_no_more(&error),
    }
}

/// The values of `Location`, one a line. What is followed is an address of HTTP without a user, is the
/// same when it comes once more, and what is appended to it changes nothing else. Credentials go along
/// to the origin that was asked and nowhere else; nothing goes from HTTPS to HTTP, and nothing from
/// outside to an address near us (S-31, S-32, S-35).
///
/// # Panics
/// If not so.
pub fn location(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for base in [
        "https://r.example.com/v2/a/blobs/uploads/1?_state=x",
        "http://127.0.0.1:5000/v2/a/blobs/uploads/",
    ] {
        let base = address(base);
        for value in lines(&text) {
            match policy::location(&base, value) {
                Ok(url) => {
                    // What is percent-encoded takes three bytes for one.
                    assert!(url.as_str().len() <= base.as_str().len() + 3 * value.len() + 16);
                    followed(&base, &url);
                }
                Err(error) => tells_no_more(&error),
            }
        }
    }
}

fn followed(base: &Url, url: &Url) {
    let (from, there) = (Origin::of(base).unwrap(), Origin::of(url).unwrap());
    assert!(url.fragment().is_none());
    assert_eq!(policy::location(base, url.as_str()).as_ref().unwrap(), url);
    harmless(url.as_str());
    is_redacted(url);
    let digest = Digest::of(b"");
    let whole = policy::with_digest(url.clone(), &digest);
    assert_eq!(
        (Origin::of(&whole), whole.path()),
        (Some(there.clone()), url.path())
    );
    let query = match url.query() {
        None | Some("") => format!("digest={digest}"),
        Some(before) => format!("{before}&digest={digest}"),
    };
    assert_eq!(whole.query(), Some(&*query));
    for is_private in [false, true] {
        match policy::may_follow(&from, url, is_private) {
            Ok(origin) => assert_eq!(origin, there),
            Err(error) => tells_no_more(&error),
        }
        match policy::may_upload_to(&from, url, is_private) {
            Ok(UploadTo::SameOrigin) => assert_eq!(from, there),
            Ok(UploadTo::Elsewhere(origin)) => {
                assert!(origin == there && origin != from);
                assert_eq!(origin.scheme(), Scheme::Https);
                let ip = origin.host().trim_matches(['[', ']']).parse();
                let is_near = ip.is_ok_and(|ip| !policy::is_public(ip));
                assert!(!is_near || is_private || origin.host() == from.host());
            }
            Err(error) => tells_no_more(&error),
        }
    }
}

/// What is shown of an address has no value but those that are known to be harmless.
fn is_redacted(url: &Url) {
    let shown = fit::url(url);
    harmless(&shown);
    assert!(shown.chars().count() <= 512);
    let query = shown.split_once('?').map_or("", |(_, query)| query);
    for pair in query.trim_end_matches('…').split('&') {
        if let Some((name, value)) = pair.split_once('=') {
            let is_known = [
                "scope",
                "service",
                "mount",
                "from",
                "digest",
                "n",
                "last",
                "artifactType",
            ];
            assert!(
                is_known.contains(&name) || "REDACTED".starts_with(value),
                "{shown}"
            );
        }
    }
}

/// `Retry-After`, `Date` and other values of limits and ranges, one a line. A wait does not depend on
/// our own clock where the server tells its time, and no wait is too long to be counted with.
///
/// # Panics
/// If not so.
pub fn retry_after(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut values = text.split('\n');
    let value = values.next().unwrap_or_default();
    let date = values.next();
    let received = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    let wait = limits::retry_after(value, date, received);
    let sent = date.and_then(|date| parse_http_date(date.trim()).ok());
    let then = parse_http_date(value.trim()).ok();
    if sent.is_some() || then.is_none() {
        let later = received + Duration::from_hours(24);
        assert_eq!(limits::retry_after(value, date, later), wait);
    }
    if let (Some(sent), Some(then)) = (sent, then) {
        assert_eq!(wait, Some(then.duration_since(sent).unwrap_or_default()));
        let same = limits::retry_after(&fmt_http_date(then), Some(&fmt_http_date(sent)), received);
        assert_eq!(same, wait);
    }
    if let Ok(seconds) = value.trim().parse::<u32>()
        && !value.contains('+')
    {
        assert_eq!(wait, Some(Duration::from_secs(seconds.into())));
    }
    waited(wait, received);
    let third = values.next();
    limits::rate_limit(Some(value), date);
    limits::rate_limit(date, third);
    for value in [Some(value), date, third].into_iter().flatten() {
        limits::chunk_min_length(value);
        ranges(value);
    }
}

/// What the table makes of a server that wants us to wait, for every kind of request and status.
fn waited(retry_after: Option<Duration>, now: SystemTime) {
    let policy = RetryPolicy::default();
    for op in [
        Op::Read,
        Op::Open,
        Op::Send,
        Op::Commit,
        Op::PutManifest,
        Op::Token,
    ] {
        for status in [400, 404, 416, 429, 500, 503] {
            let errors = Vec::new();
            let signal = Signal::Status {
                status,
                errors,
                retry_after,
            };
            let verdict = verdict(op, &signal);
            let mut backoff = Backoff::new(&policy);
            match backoff.next(&signal, &verdict) {
                Ok(pause) => assert!(pause >= retry_after.unwrap_or_default()),
                Err(stop @ Stop::RateLimited { wait }) => {
                    assert!(wait > policy.max_wait);
                    harmless(&stop.reason(now).unwrap());
                }
                Err(_) => {}
            }
        }
    }
}

fn ranges(value: &str) {
    if let Some(range::ContentRange::Bytes { first, last, total }) = range::content_range(value) {
        assert!(first <= last && total.is_none_or(|total| last < total));
    }
    if let Some(digest) = content::digest(value) {
        assert_eq!(digest.to_string(), value.trim());
    }
    if let Some(ETag::Strong(tag) | ETag::Weak(tag)) = ETag::parse(value) {
        harmless(tag);
        assert!(ETag::parse(tag).is_some());
    }
    if let Some(kind) = content::media_type(value) {
        assert!(!kind.is_empty() && value.contains(kind));
    }
}

/// A refusal: the status in two bytes, `Content-Type` up to the end of the line, and the body. Then the
/// body's lines as `Warning`. Whatever it is, people get one line that is harmless and not long (S-46),
/// and making it harmless twice changes nothing.
///
/// # Panics
/// If not so.
pub fn refusal(bytes: &[u8]) {
    let (status, rest) = match bytes {
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => (404, bytes),
    };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (kind, body) = rest.split_at(end);
    let kind = std::str::from_utf8(kind).ok();
    for status in [status, 404] {
        let told = summary::summary(status, body, kind);
        in_a_line(&told);
        assert_eq!(fit::text(&told), told);
    }
    let errors = errors::parse(body);
    assert!(errors.len() <= 16);
    for error in &errors {
        in_a_line(&error.message);
        harmless(&error.to_string());
        verdict(
            Op::PutManifest,
            &Signal::Status {
                status,
                errors: errors.clone(),
                retry_after: None,
            },
        );
    }
    let text = String::from_utf8_lossy(body);
    let warnings = warning::texts(&lines(&text));
    assert!(warnings.len() <= 8);
    for warning in &warnings {
        in_a_line(warning);
    }
    let cut = fit::cut(&text, 64);
    harmless(&cut);
    assert!(cut.chars().count() <= 64);
}

fn in_a_line(text: &str) {
    harmless(text);
    assert!(text.chars().count() <= 512);
}
