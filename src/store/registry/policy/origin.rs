//! Who answers under an address.

use std::fmt;

use reqwest::Url;

use super::{refused, shown, unreadable};
use crate::error::Result;

/// How an address is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// Scheme, host and port: credentials, certificates and headers of ours belong to one of them and
/// go to no other (S-31, S-43).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an address; `None` if it is not HTTP, or if a user or a password is in it.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let is_plain = url.username().is_empty() && url.password().is_none();
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        is_plain.then(|| Self {
            scheme,
            host: host.to_string(),
            port,
        })
    }

    /// The origin of an address that a server gave.
    ///
    /// # Errors
    /// `Denied` where [`Origin::of`] has none, with the reason.
    pub(super) fn given(url: &Url) -> Result<Self> {
        Self::of(url).ok_or_else(|| {
            if !matches!(url.scheme(), "http" | "https") {
                let shown = shown(url);
                return refused(format!("{shown} is neither an http nor an https address"));
            }
            match url.has_host() {
                true => refused(format!("the address at {} holds a user name", shown(url))),
                false => unreadable("the address has no host"),
            }
        })
    }

    /// How it is asked.
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name in lower case, an IPv4 address in its usual form, or an IPv6 address in
    /// brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port, given or not.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `host`, or `host:port` if the port is not that of the scheme.
    pub(super) fn authority(&self) -> String {
        let usual = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        match self.port == usual {
            true => self.host.clone(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority())
    }
}
