//! One registry as one side of a copy reaches it: its address, its clients, its gate, and what was
//! learnt about it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, Url};
use tokio::sync::OnceCell;

use super::auth::Auth;
use super::clients::{Clients, Names, Recipe, Way};
use super::conf::{CertFiles, Endpoint};
use super::gate::{Gate, Gates, Line};
use super::options::{Login, Options, Tls};
use super::policy::{Origin, Scheme, Transport, is_public, scheme_for};
use super::retry::Op;
use super::trouble::Trouble;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Digest, Repository};
use crate::store::locked;

/// A registry.
pub(super) struct Host {
    /// As users call it: `docker.io`, `localhost:5000`.
    pub(super) registry: String,
    pub(super) options: Arc<Options>,
    pub(super) gate: Arc<Gate>,
    pub(super) clients: Clients,
    pub(super) auth: Auth,
    pub(super) learnt: Learnt,
    transport: Transport,
    address: OnceCell<Url>,
    is_private: OnceCell<bool>,
}

/// The lock of one blob in one repository.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// What was learnt about a registry during this run.
#[derive(Default)]
pub(super) struct Learnt {
    /// It takes blobs in chunks only.
    pub(super) wants_chunks: AtomicBool,
    /// How large chunks may be, in bytes; 0 if it has refused none for its size.
    pub(super) largest_chunk: AtomicU64,
    /// It gave wrong bytes where it was asked for a part of a blob: no parts are asked for.
    pub(super) no_ranges: AtomicBool,
    /// What each of its repositories surely holds, because it said so or took it from us.
    holds: Mutex<BTreeMap<String, BTreeSet<Digest>>>,
    /// Repositories that are read from: a token for writing asks for them, too (P-08).
    pub(super) sources: Mutex<BTreeSet<String>>,
    /// Blobs that are being written: the second one waits for the first.
    writing: Mutex<BTreeMap<(String, Digest), Turn>>,
}

impl Learnt {
    pub(super) fn holds(&self, path: &str, digest: &Digest) -> bool {
        let holds = locked(&self.holds);
        holds.get(path).is_some_and(|held| held.contains(digest))
    }

    pub(super) fn note(&self, path: &str, digests: impl IntoIterator<Item = Digest>) {
        let mut holds = locked(&self.holds);
        holds.entry(path.to_string()).or_default().extend(digests);
    }

    /// The repository turned out to lack what it said it had.
    pub(super) fn forget(&self, path: &str) {
        locked(&self.holds).remove(path);
    }

    /// Another repository that holds the blob.
    pub(super) fn elsewhere(&self, path: &str, digest: &Digest) -> Option<String> {
        let holds = locked(&self.holds);
        let mut others = holds.iter().filter(|(other, _)| *other != path);
        others
            .find(|(_, held)| held.contains(digest))
            .map(|(other, _)| other.clone())
    }

    /// The lock of one blob in one repository.
    pub(super) fn turn(&self, path: &str, digest: &Digest) -> Turn {
        let mut writing = locked(&self.writing);
        let key = (path.to_string(), digest.clone());
        Arc::clone(writing.entry(key).or_default())
    }
}

/// Docker Hub's API, which lives at another host than its name says.
const HUB_API: &str = "registry-1.docker.io";

/// How long it may take to find out whether an insecure registry speaks TLS.
const PROBE: Duration = Duration::from_secs(10);

impl Host {
    /// A registry, reached as somebody.
    pub(super) fn new(
        end: &Endpoint,
        options: &Arc<Options>,
        login: Login,
        gates: &Gates,
    ) -> Result<Self> {
        let registry = &end.registry;
        let certificates =
            CertFiles::find(registry, options.certificates.as_deref(), &options.places)
                .and_then(|found| found.and_authorities(&options.authorities))
                .attempting(|| format!("cannot read the certificates for {registry}"))?;
        let has_certificates = !certificates.is_empty();
        let transport = match options.tls {
            Some(Tls::Verified) => Transport::Https,
            Some(Tls::Unverified) => Transport::HttpsUnverified,
            Some(Tls::Off) => Transport::Http,
            None => scheme_for(registry, options.tls_verify, end.insecure, has_certificates),
        };
        Ok(Self {
            registry: registry.clone(),
            gate: gates.of(registry, &options.limits),
            clients: Clients::new(Recipe {
                connect: options.limits.connect,
                certificates,
                verified: transport.is_verified(),
                // No proxy stands before this very machine.
                proxies: match is_local(registry) {
                    true => Vec::new(),
                    false => options.proxies.clone(),
                },
                names: Names(options.resolver.clone()),
            }),
            auth: Auth::new(registry, login),
            options: Arc::clone(options),
            learnt: Learnt::default(),
            transport,
            address: OnceCell::new(),
            is_private: OnceCell::new(),
        })
    }

    /// Where its API is: scheme, host and port.
    pub(super) async fn address(&self) -> Result<&Url> {
        self.address
            .get_or_try_init(|| async {
                let https = match self.transport {
                    Transport::Https | Transport::HttpsUnverified => true,
                    Transport::Http => false,
                    Transport::HttpsUnverifiedThenHttp => self.speaks_tls().await?,
                };
                self.at(if https { "https" } else { "http" })
            })
            .await
    }

    fn at(&self, scheme: &str) -> Result<Url> {
        let host = match self.registry.as_str() {
            Repository::HUB => HUB_API,
            other => other,
        };
        let what = || format!("{host} is no address");
        Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))
            .attempting(what)
    }

    /// Whether a registry that need not speak TLS does. Any answer counts, also a refusal.
    async fn speaks_tls(&self) -> Result<bool> {
        let client = self.clients.own(Line::Control, Way::Https)?;
        let mut url = self.at("https")?;
        url.set_path("/v2/");
        let spoken = self.repeat(Op::Read, || async {
            self.gate.begin(&Method::GET).await;
            match tokio::time::timeout(PROBE, client.get(url.clone()).send()).await {
                // Nobody was asked: that says nothing about TLS.
                Ok(Err(error)) if error.is_dns() => Err(Trouble::from(error)),
                asked => Ok(matches!(asked, Ok(Ok(_)))),
            }
        });
        Ok(spoken.await?)
    }

    pub(super) async fn origin(&self) -> Result<Origin> {
        let no_origin = || Error::new(ErrorKind::Invalid, "the registry has no address");
        Origin::of(self.address().await?).ok_or_else(no_origin)
    }

    pub(super) async fn way(&self) -> Result<Way> {
        Ok(match self.origin().await?.scheme() {
            Scheme::Http => Way::Http,
            Scheme::Https => Way::Https,
        })
    }

    /// Whether it is reached at an address that is not public, so that it may send us to others
    /// (S-32).
    pub(super) async fn is_private(&self) -> Result<bool> {
        let origin = self.origin().await?;
        let found = self.is_private.get_or_init(|| async {
            let host = origin.host().trim_matches(['[', ']']);
            if let Ok(address) = host.parse::<IpAddr>() {
                return !is_public(address);
            }
            let names = Names(self.options.resolver.clone());
            let found = match host.parse() {
                Ok(name) => names.look_up(name, origin.port()).await.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            // Where nobody knows the name, a proxy may.
            found.iter().any(|address| !is_public(address.ip()))
        });
        Ok(*found.await)
    }

    pub(super) fn wants_chunks(&self) -> bool {
        self.learnt.wants_chunks.load(Ordering::Relaxed)
    }
}

/// Whether it is this very machine.
fn is_local(registry: &str) -> bool {
    scheme_for(registry, None, false, false) == Transport::Http
}
