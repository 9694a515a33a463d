//! Whether a registry is asked by HTTPS (S-42).

use std::net::{Ipv4Addr, Ipv6Addr};

/// How a registry is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Over TLS that is verified. If that fails, nothing else is tried.
    Https,
    /// Over TLS that is not verified. If that fails, nothing else is tried.
    HttpsUnverified,
    /// Over TLS that is not verified; if the server does not speak TLS, by HTTP.
    HttpsUnverifiedThenHttp,
    /// By HTTP.
    Http,
}

impl Transport {
    /// Whether TLS is verified where it is spoken, be it by a server that we are sent to.
    pub(crate) fn is_verified(self) -> bool {
        match self {
            Self::Https | Self::Http => true,
            Self::HttpsUnverified | Self::HttpsUnverifiedThenHttp => false,
        }
    }
}

/// How to ask `registry`, `host` or `host:port`. What the user said about verification
/// (`--*-tls-verify`) counts first, then `insecure = true` of registries.conf. By itself only this
/// very machine is asked by HTTP, by the name `localhost` or a loopback address, unless there are
/// certificates for it.
pub(crate) fn scheme_for(
    registry: &str,
    tls_verify: Option<bool>,
    insecure_in_conf: bool,
    has_certs: bool,
) -> Transport {
    let by_itself = match is_this_machine(registry) && !has_certs {
        true => Transport::Http,
        false => Transport::Https,
    };
    match tls_verify {
        Some(true) => Transport::Https,
        None if !insecure_in_conf => by_itself,
        Some(false) | None => Transport::HttpsUnverifiedThenHttp,
    }
}

/// Exactly `localhost`, or a loopback address in its usual form: no other name is believed.
fn is_this_machine(registry: &str) -> bool {
    if let Some((inner, _)) = registry.strip_prefix('[').and_then(|it| it.split_once(']')) {
        return inner.parse() == Ok(Ipv6Addr::LOCALHOST);
    }
    let host = registry.split_once(':').map_or(registry, |(host, _)| host);
    let loopback = |address: Ipv4Addr| address.is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(loopback)
}
