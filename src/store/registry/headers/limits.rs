//! The bounds that a server sets: how long to wait, how much is still allowed, how small a chunk may be.

use std::time::{Duration, SystemTime};

/// `Retry-After`, from when the answer was sent: RFC 9110, section 10.2.3. What lies in the past
/// is zero, and what cannot be read is `None`.
///
/// A date is taken relative to the `Date` header of the same answer, so that a wrong clock on
/// either side does no harm. Only without that header does `received` count, which is our own
/// clock's time when the answer came.
pub(crate) fn retry_after(
    value: &str,
    date: Option<&str>,
    received: SystemTime,
) -> Option<Duration> {
    let value = value.trim();
    let (past, digits) = match value.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    if !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) {
        // More than fits is as good as never.
        let seconds = digits.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(if past { 0 } else { seconds }));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let sent = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    let wait = then.duration_since(sent.unwrap_or(received));
    Some(wait.unwrap_or_default())
}

/// What Docker Hub says about its limit on pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// How many pulls a window allows.
    pub(crate) limit: Option<u64>,
    /// How many of them are left. Hub calls it its best effort.
    pub(crate) remaining: Option<u64>,
    /// How long a window is.
    pub(crate) window: Option<Duration>,
}

/// Reads `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 76;w=21600`. `None` if neither
/// says a number.
pub(crate) fn rate_limit(limit: Option<&str>, remaining: Option<&str>) -> Option<RateLimit> {
    let limit = limit.and_then(quota);
    let remaining = remaining.and_then(quota);
    let (_, window) = limit.or(remaining)?;
    Some(RateLimit {
        limit: limit.map(|(count, _)| count),
        remaining: remaining.map(|(count, _)| count),
        window,
    })
}

/// A number, and the window in seconds that it is for.
fn quota(value: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = value.split(';').map(str::trim);
    let count = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.trim().parse().ok());
    Some((count, window.map(Duration::from_secs)))
}

/// The least size of the chunks of an upload, in bytes, but for the last one: `OCI-Chunk-Min-Length`
/// (the distribution specification, "Pushing a blob in chunks"; Q-72).
pub(crate) fn chunk_min_length(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten()
}
