//! The rest of a large blob in several parts at once, where one connection is slow (P-12).
//!
//! The parts are handed on in their order, and few of them are in memory. Whatever goes wrong with one
//! of them ends it: then the blob is read on as before, from where the last part ended.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use reqwest::Method;
use reqwest::header::{HeaderValue, IF_RANGE, RANGE};

use crate::error::{Error, ErrorKind, Result};
use crate::image::Descriptor;
use crate::store::blob::Pieces;
use crate::store::registry::end::End;
use crate::store::registry::gate::Line;
use crate::store::registry::headers::range::{ContentRange, content_range};
use crate::store::registry::options::Limits;
use crate::store::registry::retry::Op;
use crate::store::registry::trouble::Trouble;

/// How large a part is, in bytes, and how many are fetched at once.
const PART: u64 = 2 << 20;
const AT_ONCE: usize = 4;
/// How many bytes must have come before their speed counts.
const SAMPLE: u64 = 1 << 20;

/// Whether more connections would help with what is left: only a large blob is worth it, and only
/// where the registry, or the way to it, is what takes the time.
pub(super) fn would_help(blob: u64, left: u64, measured: (Duration, u64), limits: &Limits) -> bool {
    let (waited, bytes) = measured;
    let slow = u128::from(bytes) * 1000 < u128::from(limits.fast) * waited.as_millis().max(1);
    blob >= limits.split && left >= 2 * PART && bytes >= SAMPLE && slow
}

/// What a blob has from `from` on. `etag`: the version that the bytes before are of.
pub(super) fn rest(end: &End, blob: &Descriptor, from: u64, etag: Option<HeaderValue>) -> Pieces {
    let (end, blob) = (end.clone(), blob.clone());
    let begins = std::iter::successors(Some(from), |begin| begin.checked_add(PART));
    let size = blob.size;
    stream::iter(begins.take_while(move |begin| *begin < size))
        .map(move |begin| {
            let part = Part {
                end: end.clone(),
                first: begin,
                last: (begin + PART).min(size) - 1,
                blob: blob.clone(),
                etag: etag.clone(),
            };
            async move { part.fetch().await }.boxed()
        })
        .buffered(AT_ONCE)
        .boxed()
}

struct Part {
    end: End,
    blob: Descriptor,
    first: u64,
    last: u64,
    etag: Option<HeaderValue>,
}

impl Part {
    async fn fetch(&self) -> Result<Bytes> {
        let part = self.end.host.repeat(Op::Read, || self.ask());
        Ok(part.await?)
    }

    async fn ask(&self) -> Result<Bytes, Trouble> {
        let host = &self.end.host;
        let path = format!("{}/blobs/{}", self.end.path, self.blob.digest);
        let mut call = self.end.call(Method::GET, &path).await?;
        call.line = Line::Download;
        let range = format!("bytes={}-{}", self.first, self.last);
        let unsendable = |_| Error::new(ErrorKind::Io, "no such range");
        let range = HeaderValue::from_str(&range).map_err(unsendable)?;
        call.headers.insert(RANGE, range);
        if let Some(etag) = &self.etag {
            call.headers.insert(IF_RANGE, etag.clone());
        }
        let answer = host.send(&call).await?.expect(&[206]).await?;
        let (first, last) = (self.first, self.last);
        match answer.header("content-range").and_then(content_range) {
            Some(ContentRange::Bytes {
                first: a,
                last: b,
                total,
            }) if (a, b) == (first, last) && total.is_none_or(|it| it == self.blob.size) => {}
            _ => {
                let what = "it sent other bytes than the part that was asked for";
                return Err(Error::new(ErrorKind::Io, what).into());
            }
        }
        let len = last - first + 1;
        let body = answer.body(len).await?;
        match body.len() as u64 == len {
            true => Ok(body),
            false => Err(Error::new(ErrorKind::Io, "a part is too short").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p12_only_a_large_blob_that_comes_slowly_is_read_in_parts() {
        let limits = Limits {
            split: 64 << 20,
            fast: 100 << 20,
            ..Limits::default()
        };
        let table = [
            // blob, left, waited, bytes, helps
            (100 << 20, 90 << 20, 1000, 10 << 20, true),
            (100 << 20, 90 << 20, 50, 10 << 20, false),
            (100 << 20, 3 << 20, 1000, 10 << 20, false),
            (100 << 20, 90 << 20, 1000, 1 << 19, false),
            (63 << 20, 50 << 20, 1000, 10 << 20, false),
        ];
        for (blob, left, waited, bytes, helps) in table {
            let measured = (Duration::from_millis(waited), bytes);
            assert_eq!(would_help(blob, left, measured, &limits), helps);
        }
    }
}
