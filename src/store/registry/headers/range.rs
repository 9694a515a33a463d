//! Ranges: which bytes an answer holds (RFC 9110, section 14).

use reqwest::header::HeaderMap;

use super::content::{ETag, media_type};
use super::{all, only};

/// What `Content-Range` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// These bytes, the last one included.
    Bytes {
        /// The offset of the first byte.
        first: u64,
        /// The offset of the last byte.
        last: u64,
        /// How many there are altogether, if the server says.
        total: Option<u64>,
    },
    /// None, because the request asked for bytes that there are not.
    Unsatisfied {
        /// How many there are.
        total: u64,
    },
}

/// Reads `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10`. `None` if it is malformed or contradicts itself.
pub(crate) fn content_range(value: &str) -> Option<ContentRange> {
    let (unit, rest) = value.trim().split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let total = match total {
        "*" => None,
        digits => Some(number(digits)?),
    };
    if range == "*" {
        return total.map(|total| ContentRange::Unsatisfied { total });
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let sound = first <= last && total.is_none_or(|total| last < total);
    sound.then_some(ContentRange::Bytes { first, last, total })
}

/// What was asked for when a download went on after a failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// How many bytes are there already.
    pub(crate) from: u64,
    /// How many it must become.
    pub(crate) size: u64,
    /// The version of which those bytes are, if the same server named it.
    pub(crate) etag: Option<ETag<'a>>,
}

/// What can be done with the answer to a request for the rest of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// The body goes on where the bytes ended. It may end early, but not late.
    GoesOn,
    /// The body is the whole blob: skip what is there, or begin anew.
    FromStart,
    /// There are no more bytes: all are there. Only the digest is left to check.
    Complete,
    /// Not usable, and why. The blob must be asked for anew, without a range.
    Unusable(String),
}

/// Judges the answer to a request with `Range: bytes=<from>-` (F-48, F-49). Failures of the server
/// (`401`, `503`, ...) are not its business: they come before, by the table of retries.
pub(crate) fn resumed(status: u16, headers: &HeaderMap, wanted: &Wanted<'_>) -> Resumed {
    let unusable = |why: String| Resumed::Unusable(why);
    match status {
        200 => Resumed::FromStart,
        206 => match partial(headers, wanted) {
            Ok(()) => Resumed::GoesOn,
            Err(why) => unusable(why),
        },
        416 => match ranges(headers).as_slice() {
            _ if wanted.from != wanted.size => {
                unusable("it says that there are no such bytes".into())
            }
            [Some(ContentRange::Unsatisfied { total })] if *total != wanted.size => {
                unusable(format!("it has {total} bytes and not {}", wanted.size))
            }
            _ => Resumed::Complete,
        },
        other => unusable(format!("it answered with status {other}")),
    }
}

fn ranges(headers: &HeaderMap) -> Vec<Option<ContentRange>> {
    let values = all(headers, "content-range");
    values.iter().map(|value| content_range(value)).collect()
}

/// Whether a 206 goes on with what was asked for; if not, why.
fn partial(headers: &HeaderMap, wanted: &Wanted<'_>) -> Result<(), String> {
    let kind = only(headers, "content-type").and_then(media_type);
    let multipart = "multipart/byteranges";
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case(multipart)) {
        return Err("it sent its ranges as multipart".into());
    }
    let ranges = ranges(headers);
    let [Some(ContentRange::Bytes { first, last, total })] = ranges.as_slice() else {
        return Err("it does not say plainly which bytes it sent".into());
    };
    if *first != wanted.from {
        return Err(format!(
            "it sent the bytes from {first} and not from {}",
            wanted.from
        ));
    }
    if total.is_some_and(|total| total != wanted.size) || *last >= wanted.size {
        let size = total.unwrap_or(last.saturating_add(1));
        return Err(format!("it has {size} bytes and not {}", wanted.size));
    }
    let version = only(headers, "etag").and_then(ETag::parse);
    match (wanted.etag.and_then(ETag::strong), version) {
        (Some(before), Some(ETag::Strong(now))) if before != now => {
            Err("it has another version meanwhile".into())
        }
        _ => Ok(()),
    }
}

/// Digits only: `parse` alone would take a plus sign too.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
