//! Where a registry may send us, and what may go along. Pure: addresses in, decisions out.
//!
//! A registry names addresses in redirects, in the `Location` of an upload, in `Link`, and in the
//! realm of a challenge. Each is a way to lead us, or our credentials, to where they should not go
//! (S-31 to S-36). Names are judged here as they are written. What a name resolves to must be
//! judged again with [`is_public`] when connecting (S-32).

mod address;
mod location;
mod origin;
mod realm;
mod redirect;
#[cfg(test)]
mod tests;
mod transport;

use reqwest::Url;

use crate::error::{Error, ErrorKind};

pub(crate) use address::{is_metadata, is_public};
pub(crate) use location::{location, next_page, with_digest};
pub(crate) use origin::{Origin, Scheme};
pub(crate) use realm::realm;
pub(crate) use redirect::{UploadTo, may_follow, may_upload_to};
pub(crate) use transport::{Transport, scheme_for};

/// The longest address that is taken from a server, in bytes.
const LONGEST: usize = 8 << 10;

/// We could go there, and do not want to.
fn refused(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Denied, what)
}

/// The server wrote what is no address.
fn unreadable(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Io, what)
}

/// An address without anything that could be secret: no user, path or query (S-40).
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    let text = format!("{}://{host}{}", url.scheme(), port.unwrap_or_default());
    text.escape_debug().take(300).collect()
}
