//! Redirects, and where uploads go.

use reqwest::Url;

use super::address::{Reach, reach};
use super::{Origin, Scheme, refused};
use crate::error::Result;

/// Whether a redirect from one hop to the next may be followed. Credentials go along only if the
/// origin that is returned is the registry's own (S-31).
///
/// `registry_is_private` says whether the registry itself is reached at an address that is not
/// public, so that a registry inside a cluster may send to a store beside it (S-32). Metadata
/// services are out of reach even then.
///
/// # Errors
/// `Denied` if the target is HTTP and the hop before was HTTPS, if it is an address that is not
/// public (other than the same host), if it names a user, or if it is not HTTP at all.
pub(crate) fn may_follow(from: &Origin, to: &Url, registry_is_private: bool) -> Result<Origin> {
    let there = Origin::given(to)?;
    if from.scheme() == Scheme::Https && there.scheme() == Scheme::Http {
        let what = format!("{from} sends to {there}, which is not encrypted");
        return Err(refused(what));
    }
    if there.host() == from.host() {
        return Ok(there);
    }
    match reach(there.host()) {
        Reach::Anywhere => Ok(there),
        Reach::Private if registry_is_private => Ok(there),
        Reach::Private | Reach::Metadata => {
            let what = format!("{from} sends to {there}, an address that is not public");
            Err(refused(what))
        }
    }
}

/// Where the next request of an upload goes (S-35).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UploadTo {
    /// Where the upload began: credentials go along.
    SameOrigin,
    /// Elsewhere, so without credentials, certificates and headers of ours; and if that server asks
    /// for credentials, it gets none.
    Elsewhere(Origin),
}

/// Whether an upload may go on at the `Location` that a server gave, and what may go along.
///
/// # Errors
/// `Denied` as in [`may_follow`], and if it is another origin without TLS.
pub(crate) fn may_upload_to(
    from: &Origin,
    location: &Url,
    registry_is_private: bool,
) -> Result<UploadTo> {
    let there = may_follow(from, location, registry_is_private)?;
    if there == *from {
        return Ok(UploadTo::SameOrigin);
    }
    match there.scheme() {
        Scheme::Https => Ok(UploadTo::Elsewhere(there)),
        Scheme::Http => {
            let what = format!("{from} sends the upload to {there}, which is not encrypted");
            Err(refused(what))
        }
    }
}
