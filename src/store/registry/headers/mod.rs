//! What headers and error bodies say: pure functions from text to data.
//!
//! What cannot be read gives `None` or is left out, never an error: a header is a hint, and the
//! status, the size and the digest decide. All of it takes linear time and no more memory than
//! the text itself (S-23).

pub(crate) mod challenge;
pub(crate) mod content;
pub(crate) mod errors;
mod lexer;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod range;
pub(crate) mod summary;
pub(crate) mod warning;

use std::borrow::Cow;

use reqwest::header::HeaderMap;

/// Every value of a header, in the order of the answer. Bytes that are no UTF-8 are replaced, so
/// that a value is never lost: a `Link` that vanished would make a list shorter.
pub(crate) fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<Cow<'a, str>> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect()
}

/// The value of a header that may stand once. `None` if it is missing, or if two values differ.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    match values.all(|other| other == first) {
        true => std::str::from_utf8(first.as_bytes()).ok().map(str::trim),
        false => None,
    }
}

#[cfg(test)]
mod tests;
