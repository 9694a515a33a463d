//! Repositories of registries, as users write them: `docker.io/library/busybox`.
//!
//! The grammar is that of distribution/reference, `ParseNormalizedNamed`, with what the OCI
//! distribution specification asks of names ("Pulling manifests"). A `Repository` can only be made by
//! parsing, so nothing in it can lead a URL elsewhere (S-49).

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// A host with an optional port, and a path there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// Docker Hub, as users call it. Its API lives at another host.
    pub const HUB: &str = "docker.io";

    /// A path at a registry. The path is not completed.
    ///
    /// # Errors
    /// `Invalid` if either breaks the grammar.
    pub fn new(registry: &str, path: &str) -> Result<Self> {
        if !is_registry(registry) {
            let shown: String = registry.escape_debug().take(100).collect();
            let why = match registry {
                "http:" | "https:" => "leave the scheme out, a host comes first",
                _ => "it must be a host, or HOST:PORT",
            };
            let what = format!("invalid registry \"{shown}\": {why}");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        if path.is_empty() || path.len() > 255 || !path.split('/').all(is_component) {
            let shown: String = path.escape_debug().take(100).collect();
            let what = format!(
                "invalid repository \"{shown}\": it must be lower-case letters and digits, joined by . _ - /"
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Self {
            registry: canonical(registry),
            path: path.to_string(),
        })
    }

    /// The registry as users call it: a host in lower case, with a port if one was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path at the registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Repository {
    type Err = Error;

    /// Completes the names of Docker Hub: `busybox` is `docker.io/library/busybox`.
    fn from_str(text: &str) -> Result<Self> {
        let (registry, path) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (Self::HUB, text),
        };
        match canonical(registry) == Self::HUB && !path.is_empty() && !path.contains('/') {
            true => Self::new(registry, &format!("library/{path}")),
            false => Self::new(registry, path),
        }
    }
}

/// Hosts are the same in any case, and Docker Hub has several.
fn canonical(registry: &str) -> String {
    let lower = registry.to_ascii_lowercase();
    match lower.as_str() {
        "index.docker.io" | "registry-1.docker.io" => Repository::HUB.to_string(),
        _ => lower,
    }
}

/// The first component is a host if it looks like one, as Docker decides it.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.bytes().any(|c| c.is_ascii_uppercase())
}

/// A host name, an IPv4 address or an IPv6 address in brackets; then perhaps a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (
                None,
                port.strip_prefix(':').or((!port.is_empty()).then_some("")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    let is_label = |label: &str| {
        let edge = |c: char| c.is_ascii_alphanumeric();
        (1..=63).contains(&label.len())
            && label.starts_with(edge)
            && label.ends_with(edge)
            && label
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let is_port = |port: &str| {
        port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    host.is_none_or(|host| host.len() <= 253 && host.split('.').all(is_label))
        && port.is_none_or(is_port)
}

/// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let edges = text.starts_with(alphanumeric) && text.ends_with(alphanumeric);
    edges
        && text
            .split(alphanumeric)
            .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|c| c == b'-'))
}

impl fmt::Display for Repository {
    /// A host without a dot and a port is written in capitals, as `HOST/path`: that is how Docker tells
    /// it from a part of Docker Hub, and how it is read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match is_host(&self.registry) {
            true => write!(f, "{}/{}", self.registry, self.path),
            false => write!(f, "{}/{}", self.registry.to_ascii_uppercase(), self.path),
        }
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q01_names_of_docker_hub_are_completed() {
        for (typed, whole) in [
            ("busybox", "docker.io/library/busybox"),
            ("grafana/grafana", "docker.io/grafana/grafana"),
            ("docker.io/busybox", "docker.io/library/busybox"),
            (
                "index.docker.io/library/busybox",
                "docker.io/library/busybox",
            ),
            ("registry-1.docker.io/busybox", "docker.io/library/busybox"),
            ("localhost/x", "localhost/x"),
            ("localhost:5000/a/b", "localhost:5000/a/b"),
            ("127.0.0.1:5000/x", "127.0.0.1:5000/x"),
            ("[::1]:5000/x", "[::1]:5000/x"),
            ("[2001:db8::1]/x", "[2001:db8::1]/x"),
            ("Example.COM/x", "example.com/x"),
            ("LOCALHOST/x", "localhost/x"),
            // In lower case it would be read as a part of Docker Hub.
            ("FOO/bar", "FOO/bar"),
            ("a__b/c--d.e", "docker.io/a__b/c--d.e"),
        ] {
            assert_eq!(typed.parse::<Repository>().unwrap().to_string(), whole);
        }
    }

    #[test]
    fn s49_what_could_lead_a_url_elsewhere_is_refused() {
        for bad in [
            "",
            "/",
            "a//b",
            "a/../../b",
            "a%2fb",
            "_catalog",
            "Upper",
            "x/Upper",
            "a_-b",
            "-a",
            "a?b",
            "a#b",
            "u@h.example/x",
            "h.example:/x",
            "h.example:0/x",
            "h.example:65536/x",
            "h.example:5000:1/x",
            "[::1/x",
            "[zz]/x",
            "[::1]5000/x",
            "-h.example/x",
            "h..example/x",
            "a\nb",
            "h.example/",
            "é.example/x",
        ] {
            assert!(bad.parse::<Repository>().is_err(), "{bad}");
        }
    }
}
