//! What an engine says, as data.

use std::io;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::error::{Error, ErrorKind};
use crate::image::Digest;

/// How long a text of the engine may be that is shown, in characters.
const SHOWN: usize = 400;

/// An image as `GET /images/{name}/json` describes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    /// The digest of the config, or in an engine above containerd that of a manifest or index.
    pub(super) id: Digest,
}

/// An image as `GET /images/json` lists it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) repo_tags: Option<Vec<String>>,
}

/// A refusal.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// A line of the answer to `POST /images/load`.
#[derive(Deserialize)]
struct Line {
    error: Option<String>,
}

/// What a refusal says.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> Error {
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::INSUFFICIENT_STORAGE => ErrorKind::NoSpace,
        _ => ErrorKind::Io,
    };
    let said = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.message);
    let said = said.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
    let what = match said.trim() {
        "" => format!("the engine answers {status}"),
        said => format!("the engine answers {}: {}", status.as_u16(), shown(said)),
    };
    Error::new(kind, what)
}

/// What went wrong with a load although the answer began with 200.
pub(super) fn failed_load(answer: &[u8]) -> Option<Error> {
    let lines = serde_json::Deserializer::from_slice(answer).into_iter::<Line>();
    for line in lines {
        let told = match line {
            Ok(Line { error: None }) => continue,
            Ok(Line { error: Some(told) }) => format!("the engine says: {}", shown(&told)),
            Err(_) => "the engine's answer is cut short or no JSON".to_string(),
        };
        let kind = match told.contains("no space left") {
            true => ErrorKind::NoSpace,
            false => ErrorKind::Io,
        };
        return Some(Error::new(kind, told));
    }
    None
}

/// What a failed connection or transfer means.
pub(super) fn broken(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut told = error.to_string();
    let mut broken = None;
    let mut says_certificate = false;
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            broken = Some(io.kind());
        }
        told = inner.to_string();
        says_certificate |= told.contains("certificate");
        cause = inner.source();
    }
    if let Some(at) = told.find(" (os error ") {
        told.truncate(at);
    }
    let (kind, what) = match (error.is_connect(), broken) {
        (_, _) if says_certificate => (ErrorKind::Untrusted, shown(&told)),
        (true, Some(io::ErrorKind::PermissionDenied)) => (
            ErrorKind::Denied,
            "this user may not talk to it: be in the group of the socket".to_string(),
        ),
        (true, _) => (
            ErrorKind::Unreachable,
            format!(
                "no Docker engine answers there ({}): does it run, and is DOCKER_HOST right?",
                shown(&told)
            ),
        ),
        (false, _) if error.is_timeout() => (ErrorKind::Io, "no answer in time".to_string()),
        (false, _) => (
            ErrorKind::Io,
            format!("the connection broke off: {}", shown(&told)),
        ),
    };
    Error::new(kind, what)
}

pub(super) fn shown(text: &str) -> String {
    text.trim().escape_debug().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_engine() {
        let told = |status: u16, body: &str| {
            let error = refused(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            (error.kind(), error.to_string())
        };
        let (kind, what) = told(404, r#"{"message":"No such image: x\u001b[0m"}"#);
        assert_eq!(kind, ErrorKind::NotFound);
        assert_eq!(what, "the engine answers 404: No such image: x\\u{1b}[0m");
        assert_eq!(told(403, "<html>").0, ErrorKind::Denied);
        assert_eq!(
            told(500, "").1,
            "the engine answers 500 Internal Server Error"
        );
        assert!(told(500, &"x".repeat(9999)).1.len() < 500);
    }

    #[test]
    fn a_load_that_fails_says_so_in_its_stream() {
        let whole = br#"{"stream":"Loaded image: x:1\n"}{"stream":"y"}"#;
        assert!(failed_load(whole).is_none());
        assert!(failed_load(b"").is_none());
        let failed = br#"{"stream":"a"}
            {"errorDetail":{"message":"no such file"},"error":"no such file"}"#;
        let error = failed_load(failed).unwrap();
        assert_eq!(error.to_string(), "the engine says: no such file");
        let full = failed_load(br#"{"error":"write /x: no space left on device"}"#).unwrap();
        assert_eq!(full.kind(), ErrorKind::NoSpace);
        assert!(failed_load(br#"{"stream":"#).is_some());
    }
}
