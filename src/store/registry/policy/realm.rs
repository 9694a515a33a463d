//! Where tokens may be asked for (S-33).

use reqwest::Url;

use super::address::{Reach, literal, reach};
use super::location::{checked, no_address};
use super::{Origin, Scheme, refused, shown};
use crate::error::{Error, Result};

/// Registries whose token service is at another site: the domain of the registries, and the host
/// that they name.
const KNOWN: [(&str, &str); 1] = [
    // Scaleway (apple/container#2268).
    ("scw.cloud", "api.scaleway.com"),
];

/// Second-level labels of four letters and more that are no company's under the two letters of a
/// country, like `co` and `com` are.
const GENERIC: [&str; 13] = [
    "asso", "blog", "firm", "gouv", "govt", "info", "jobs", "king", "ltda", "name", "priv",
    "school", "tourism",
];

/// Countries where towns, states and trades are second-level labels, hundreds of them.
const BY_PLACE: [&str; 4] = ["br", "jp", "no", "us"];

/// Below these, every name may be somebody else's.
const SHARED: [&str; 36] = [
    "amazonaws.com",
    "appspot.com",
    "azure-api.net",
    "azurecontainer.io",
    "azurecr.io",
    "azurewebsites.net",
    "cloudapp.azure.com",
    "cloudapp.net",
    "cloudfront.net",
    "cluster.local",
    "digitaloceanspaces.com",
    "duckdns.org",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "googleusercontent.com",
    "herokuapp.com",
    "in-addr.arpa",
    "jfrog.io",
    "netlify.app",
    "ngrok-free.app",
    "ngrok.app",
    "ngrok.io",
    "nip.io",
    "no-ip.org",
    "ondigitalocean.app",
    "onrender.com",
    "pages.dev",
    "run.app",
    "sslip.io",
    "trycloudflare.com",
    "vercel.app",
    "web.app",
    "windows.net",
    "workers.dev",
    "xip.io",
];

/// The address at which a registry wants us to ask for a token, if we may: on the host of the
/// registry itself, whatever the port; elsewhere over HTTPS only, and with credentials only at the
/// same site, at a token service that is known for this registry, or at one of `trusted`
/// (`host` or `host:port`).
///
/// Plain HTTP is for a registry that is itself asked by HTTP, and for its own host.
///
/// # Errors
/// `Denied` if we may not; `Io` if it is no address.
pub(crate) fn realm(
    registry: &Origin,
    realm: &str,
    has_credentials: bool,
    trusted: &[String],
) -> Result<Url> {
    let url = Url::parse(checked(realm)?).map_err(no_address)?;
    if url.scheme() == "null" {
        return Err(refused(format!(
            "{registry} names {} as its token service: set the base URL of the registry (Nexus \
             writes null:// if it has none)",
            shown(&url)
        )));
    }
    let there = Origin::given(&url)?;
    let is_same_host = there.host() == registry.host();
    let is_trusted = trusted
        .iter()
        .any(|it| it.eq_ignore_ascii_case(&there.authority()));
    if there.scheme() == Scheme::Http && !(is_same_host && registry.scheme() == Scheme::Http) {
        return Err(not_there(registry, &there, "it is not encrypted"));
    }
    if is_same_host || is_trusted && there.scheme() == Scheme::Https {
        return Ok(url);
    }
    if reach(there.host()) != Reach::Anywhere {
        return Err(not_there(registry, &there, "the address is not public"));
    }
    let is_near = || {
        same_site(registry.host(), there.host())
            || KNOWN
                .iter()
                .any(|(site, host)| is_below(registry.host(), site) && there.host() == *host)
    };
    match has_credentials && !is_near() {
        true => {
            let why = "it may belong to somebody else; if it is right, name it as a trusted realm";
            Err(not_there(registry, &there, why))
        }
        false => Ok(url),
    }
}

fn not_there(registry: &Origin, realm: &Origin, why: &str) -> Error {
    refused(format!(
        "{registry} names {realm} as its token service, which gets no request: {why}"
    ))
}

/// Whether two hosts are most probably of one owner: they share a domain that somebody can own.
///
/// Only the public suffix list knows that for sure. This errs towards no: a country's two letters
/// under a label of up to three letters (`co.uk`, `com.au`, and `sap.de` too) count as a suffix that
/// many share, and so do the domains of well-known hosters.
fn same_site(a: &str, b: &str) -> bool {
    if literal(a).is_some() || literal(b).is_some() {
        return false;
    }
    let common: Vec<&str> = a
        .rsplit('.')
        .zip(b.rsplit('.'))
        .take_while(|(a, b)| a == b)
        .map(|(label, _)| label)
        .collect();
    let owned = match common.as_slice() {
        // Below a town or trade, or below `com.br`.
        [country, _, _, ..] if BY_PLACE.contains(country) => true,
        [country, _] if BY_PLACE.contains(country) => false,
        [country, second] if is_generic(country, second) => false,
        [_, _, ..] => true,
        _ => false,
    };
    owned
        && !SHARED
            .iter()
            .any(|site| is_below(a, site) && is_below(b, site))
}

/// Whether `second.country` is a domain under which everybody may have one.
fn is_generic(country: &str, second: &str) -> bool {
    country.len() == 2 && (second.len() <= 3 || GENERIC.contains(&second))
}

/// Whether a host is a domain or below it.
fn is_below(host: &str, domain: &str) -> bool {
    let rest = host.strip_suffix(domain);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
