//! Addresses that come in headers: `Location` and `Link`.

use std::fmt::Display;

use reqwest::Url;

use super::{LONGEST, Origin, refused, unreadable};
use crate::error::Result;
use crate::image::Digest;

/// The address in a `Location`, which may be relative to that of the request (RFC 9110, 10.2.2):
/// a path, a query alone, `//host/path`, or all of it.
///
/// Uploads carry signed state there, so it must come back as it was. `Url` keeps path and
/// query byte for byte, percent-encodings and their case too, but for what follows:
///
/// - `.` and `..`, also as `%2e`, are resolved (RFC 3986, 5.2.4, asks for that) and a backslash in
///   the path becomes a slash;
/// - what may not stand in an address is percent-encoded: spaces, `"<>`, in the path also
///   `` `{} ``, and letters that are not ASCII;
/// - `'` in the query becomes `%27`, though RFC 3986 allows it. Whoever decodes the query sees no
///   difference;
/// - the port of the scheme (`:443`) and the fragment go.
///
/// # Errors
/// `Io` if it is no address, longer than 8 KiB, or holds control characters; `Denied` if it is
/// neither http nor https, or names a user. Whether we may go there is for
/// [`may_follow`](super::may_follow) and [`may_upload_to`](super::may_upload_to) to say.
pub(crate) fn location(base: &Url, header: &str) -> Result<Url> {
    let url = resolved(base, header)?;
    Origin::given(&url)?;
    Ok(url)
}

/// The address with `digest=` appended, as the request needs it that ends an upload (OCI
/// distribution specification, "Pushing blobs"). What is there stays byte for byte.
pub(crate) fn with_digest(mut url: Url, digest: &Digest) -> Url {
    let query = match url.query() {
        None | Some("") => format!("digest={digest}"),
        Some(query) => format!("{query}&digest={digest}"),
    };
    url.set_query(Some(&query));
    url
}

/// The next page of a list. Registries behind proxies write wrong hosts there, and bad ones write
/// others (S-36, Q-77): only path and query count, and the host stays.
///
/// # Errors
/// `Io` as for [`location`]; `Denied` if it is neither http nor https, or leads out of `/v2/`.
pub(crate) fn next_page(base: &Url, link: &str) -> Result<Url> {
    let there = resolved(base, link)?;
    if !matches!(there.scheme(), "http" | "https") {
        return Err(refused("the next page is at no http or https address"));
    }
    if !there.path().starts_with("/v2/") {
        return Err(refused("the next page is not below /v2/"));
    }
    let mut url = base.clone();
    url.set_path(there.path());
    url.set_query(there.query());
    url.set_fragment(None);
    Ok(url)
}

fn resolved(base: &Url, text: &str) -> Result<Url> {
    let mut url = base.join(checked(text)?).map_err(no_address)?;
    url.set_fragment(None);
    Ok(url)
}

/// What a server gave as an address, if it can be one.
pub(super) fn checked(text: &str) -> Result<&str> {
    if text.is_empty() {
        return Err(unreadable("the address is empty"));
    }
    if text.len() > LONGEST {
        let what = format!("the address has {} bytes, more than {LONGEST}", text.len());
        return Err(unreadable(what));
    }
    match text.contains(char::is_control) {
        true => Err(unreadable("the address holds control characters")),
        false => Ok(text),
    }
}

pub(super) fn no_address(error: impl Display) -> crate::error::Error {
    unreadable(format!("the address cannot be read: {error}"))
}
