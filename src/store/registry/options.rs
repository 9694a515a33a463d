//! How registries are reached: all that a user can say about one side of a copy.

use std::fmt;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;

use super::conf::{Places, RegistriesConf};
use super::credentials::{Credential, Environment, Keyring};
use super::retry::RetryPolicy;
use crate::error::Result;
use crate::image::Repository;

/// Who we are to registries.
#[derive(Debug, Clone)]
pub enum Login {
    /// Whoever the files and helpers of containers tools say.
    Keyring(Arc<Keyring>),
    /// Nobody: no credential is looked up or sent.
    Anonymous,
    /// This one, at the registry of the reference that it was given for and at no other.
    As(Credential),
}

/// How patient to be, and how much to do at once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// How long a registry may take to begin its answer.
    pub answer: Duration,
    /// How long nothing may move in a transfer; half of it where a blob is read, so that reading can go
    /// on elsewhere before whoever it is sent to gives up.
    pub idle: Duration,
    /// How long a registry that is written to has to wait in the middle of a blob for where it comes
    /// from. Then the upload begins anew: proxies hang up after a minute.
    pub source: Duration,
    /// How long a registry may take to store what it was sent: those above object stores copy it.
    pub commit: Duration,
    /// How many blobs are read from one registry at once, and how many are written.
    pub transfers: usize,
    /// How many other requests are made to one registry at once.
    pub requests: usize,
    /// From which size on, in bytes, a blob may be read in several ranges at once.
    pub split: u64,
    /// At how many bytes per second one connection is fast enough not to be helped by others.
    pub fast: u64,
    /// How many transfers each way, and how many other requests, Docker Hub sees at once at most.
    pub hub: usize,
    /// How many requests are begun in a time. Without a word, as many as come about.
    pub rate: Option<Rate>,
    /// How many bytes of blobs move per second, both ways together.
    pub bandwidth: Option<NonZeroU64>,
    /// How much of the registry's own limit on pulls is used. Without a word, all of it.
    pub quota: Option<Quota>,
}

/// So many in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU64,
    /// In what time.
    pub per: Duration,
}

/// How much of a registry's own limit on pulls is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What is left to others.
    pub keep: Share,
    /// How long a run waits for more, altogether, before it gives up on what still has to be read.
    pub wait: Duration,
}

/// A part of a number of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// In hundredths.
    Percent(u8),
    /// So many.
    Count(u64),
}

impl Share {
    /// How many that is, rounded down.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Share::Percent(percent) => {
                let part = u128::from(whole) * u128::from(percent.min(100)) / 100;
                u64::try_from(part).unwrap_or(u64::MAX)
            }
            Share::Count(count) => count,
        }
    }
}

/// A registry that has the images of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The registry.
    pub registry: String,
    /// What stands before the path of each repository there; may be empty.
    pub prefix: String,
}

impl Mirror {
    /// Where it has a repository.
    ///
    /// # Errors
    /// `Invalid` if that is no name of one.
    pub(super) fn of(&self, repository: &Repository) -> Result<Repository> {
        let prefix = self.prefix.trim_matches('/');
        let path = match prefix.is_empty() {
            true => repository.path().to_string(),
            false => format!("{prefix}/{}", repository.path()),
        };
        Repository::new(&self.registry, &path)
    }
}

/// How connections to a registry are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// By TLS that is verified.
    Verified,
    /// By TLS that is not verified.
    Unverified,
    /// Not at all: plain HTTP.
    Off,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_mins(1),
            idle: Duration::from_mins(1),
            source: Duration::from_secs(45),
            commit: Duration::from_mins(15),
            transfers: 8,
            requests: 16,
            split: 64 << 20,
            fast: 50 << 20,
            hub: 3,
            rate: None,
            bandwidth: None,
            quota: None,
        }
    }
}

/// How one side of a copy reaches registries.
#[derive(Clone)]
pub struct Options {
    /// Who we are.
    pub login: Login,
    /// Whether TLS is verified: `false` also allows plain HTTP. Without a word, verified, except on
    /// this very machine (S-42).
    pub tls_verify: Option<bool>,
    /// How connections are protected, where that is settled: then nothing else is tried, and neither
    /// `tls_verify` nor `registries.conf` has a say.
    pub tls: Option<Tls>,
    /// The directory with certificates for this side, in place of `certs.d`.
    pub certificates: Option<PathBuf>,
    /// Files with certificates of authorities that are trusted besides.
    pub authorities: Vec<PathBuf>,
    /// Where `certs.d` is looked for.
    pub places: Places,
    /// Mirrors, insecure and blocked registries.
    pub conf: Arc<RegistriesConf>,
    /// Asked before the mirrors of `conf` where something is read.
    pub mirrors: Vec<Mirror>,
    /// How often to try again, and when.
    pub retry: RetryPolicy,
    /// How patient to be.
    pub limits: Limits,
    /// Hosts of token servers that get credentials although they belong to another site (S-33).
    pub trusted_realms: Vec<String>,
    /// The hosts of the proxies that `HTTPS_PROXY` and the like name. If there are any, they are used
    /// as those variables say; if not, none is, whatever the variables say.
    pub proxies: Vec<String>,
    /// Where names lead; for programs that have their own answer, and for tests. Without one, the
    /// system is asked. A name that is an address is never looked up.
    pub resolver: Option<Arc<dyn Resolve>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("login", &self.login)
            .field("tls_verify", &self.tls_verify)
            .field("tls", &self.tls)
            .field("certificates", &self.certificates)
            .field("authorities", &self.authorities)
            .field("places", &self.places)
            .field("conf", &self.conf)
            .field("mirrors", &self.mirrors)
            .field("retry", &self.retry)
            .field("limits", &self.limits)
            .field("trusted_realms", &self.trusted_realms)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// What the files and the environment of this process say.
    ///
    /// # Errors
    /// `Invalid` if `registries.conf` cannot be understood; otherwise what reading it gives.
    pub fn of_process() -> Result<Self> {
        let places = Places::of(|name| std::env::var_os(name));
        Ok(Self {
            login: Login::Keyring(Arc::new(Keyring::new(Environment::of_process()))),
            conf: Arc::new(RegistriesConf::load(&places)?),
            places,
            proxies: proxies(|name| std::env::var(name).ok()),
            ..Self::bare()
        })
    }

    /// Nothing from files or the environment: nobody, at the registries themselves.
    pub fn bare() -> Self {
        Self {
            login: Login::Anonymous,
            tls_verify: None,
            tls: None,
            certificates: None,
            authorities: Vec::new(),
            places: Places::of(|_| None),
            conf: Arc::default(),
            mirrors: Vec::new(),
            retry: RetryPolicy::default(),
            limits: Limits::default(),
            trusted_realms: Vec::new(),
            proxies: Vec::new(),
            resolver: None,
        }
    }
}

/// The hosts of the proxies that an environment names. `HTTP_PROXY` does not count where it may come
/// from a header of a web server's client; the HTTP library knows that, too.
fn proxies(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        let value = variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        // The scheme may be missing.
        let url = match value.contains("://") {
            true => value,
            false => format!("http://{value}"),
        };
        let host = url
            .parse()
            .ok()
            .and_then(|url: reqwest::Url| url.host_str().map(str::to_string));
        found.extend(host);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s48_proxies_are_named_by_their_hosts() {
        let table = [
            (
                "https_proxy",
                "http://me:secret@proxy.corp:3128/",
                "proxy.corp",
            ),
            ("HTTP_PROXY", "10.0.0.1:3128", "10.0.0.1"),
            ("all_proxy", "socks5h://gate:1080", "gate"),
            ("HTTPS_PROXY", "", ""),
            ("NO_PROXY", "proxy.corp", ""),
        ];
        for (name, value, host) in table {
            let found = proxies(|asked| (asked == name).then(|| value.to_string()));
            assert_eq!(found.concat(), host, "{name}={value}");
        }
    }
}
