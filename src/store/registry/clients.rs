//! The HTTP clients of one registry, made when they are needed first.
//!
//! Blobs travel by HTTP/1.1, each over a connection of its own: with HTTP/2 all of them would share
//! the windows of one (P-10). What is fetched from elsewhere after a redirect has a client without
//! the certificates that belong to the registry (S-43), which connects to no address that it
//! should not (S-32).

mod names;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};

use super::conf::CertFiles;
use super::gate::Line;
use super::shown;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use names::PublicOnly;

pub(super) use names::Names;

/// How clients are made.
pub(super) struct Recipe {
    pub(super) connect: Duration,
    /// Certificates of authorities, and of ourselves.
    pub(super) certificates: CertFiles,
    pub(super) verified: bool,
    /// The hosts of proxies; without any, none is used.
    pub(super) proxies: Vec<String>,
    pub(super) names: Names,
}

/// How a registry is asked: each way has connections of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Over TLS.
    Https,
    /// In the clear: nothing of TLS need be made ready.
    Http,
}

/// The clients.
pub(super) struct Clients {
    recipe: Recipe,
    control: OnceLock<Client>,
    blobs: OnceLock<Client>,
    uploads: OnceLock<Client>,
    elsewhere: OnceLock<Client>,
    tokens: OnceLock<Client>,
}

const AGENT: &str = concat!("imgcopy/", env!("CARGO_PKG_VERSION"));

/// Connections that nobody uses are closed before servers and their balancers do it.
const IDLE: Duration = Duration::from_secs(50);

impl Clients {
    pub(super) fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            control: OnceLock::new(),
            blobs: OnceLock::new(),
            uploads: OnceLock::new(),
            elsewhere: OnceLock::new(),
            tokens: OnceLock::new(),
        }
    }

    /// The client for the registry itself.
    pub(super) fn own(&self, line: Line, way: Way) -> Result<Client> {
        let (cell, plain) = match line {
            Line::Control => (&self.control, false),
            Line::Download => (&self.blobs, true),
            Line::Upload => (&self.uploads, true),
        };
        made(cell, || {
            let builder = match way {
                Way::Https => self.with_identity(self.recipe.builder(self.recipe.verified)?)?,
                Way::Http => self.recipe.bare().tls_certs_only([]),
            };
            Ok(if plain { builder.http1_only() } else { builder })
        })
    }

    /// The client for where the registry sends us. `private` allows addresses that are not public.
    pub(super) fn elsewhere(&self, private: bool) -> Result<Client> {
        made(&self.elsewhere, || {
            self.recipe.abroad(self.recipe.verified, private)
        })
    }

    /// The client for token servers at other hosts. They are always verified: our password goes
    /// there, and what a user allows for a registry is not meant for them (S-33).
    pub(super) fn tokens(&self, private: bool) -> Result<Client> {
        made(&self.tokens, || self.recipe.abroad(true, private))
    }

    fn with_identity(&self, mut builder: ClientBuilder) -> Result<ClientBuilder> {
        if let Some(pair) = self.recipe.certificates.clients.first() {
            let mut pem = pair.certificate.bytes.clone();
            pem.push(b'\n');
            pem.extend_from_slice(&pair.key.bytes);
            let identity = Identity::from_pem(&pem).map_err(|error| {
                let path = pair.certificate.path.display();
                invalid(format!("cannot use the client certificate {path}"), &error)
            })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }
}

fn made(cell: &OnceLock<Client>, make: impl Fn() -> Result<ClientBuilder>) -> Result<Client> {
    if let Some(client) = cell.get() {
        return Ok(client.clone());
    }
    let built = with_roots(make)?;
    Ok(cell.get_or_init(|| built).clone())
}

/// A client that knows authorities even where the machine has none.
pub(crate) fn with_roots(make: impl Fn() -> Result<ClientBuilder>) -> Result<Client> {
    make()?.build().or_else(|error| {
        // A machine without any certificates of authorities: an image FROM scratch.
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let roots = roots.filter_map(|root| Certificate::from_der(root).ok());
        tracing::debug!(%error, "the system has no authorities: taking those that came along");
        make()
            .and_then(|builder| Ok(builder.tls_certs_only(roots).build()?))
            .attempting(|| "cannot make an HTTP client")
    })
}

impl Recipe {
    /// What every client has.
    fn bare(&self) -> ClientBuilder {
        let builder = Client::builder()
            .user_agent(AGENT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true);
        let builder = match &self.names.0 {
            Some(own) => builder.dns_resolver(Arc::clone(own)),
            None => builder,
        };
        match self.proxies.is_empty() {
            true => builder.no_proxy(),
            false => builder,
        }
    }

    /// For another host than the registry.
    fn abroad(&self, verified: bool, private: bool) -> Result<ClientBuilder> {
        let builder = self.builder(verified)?.http1_only();
        Ok(builder.dns_resolver(PublicOnly {
            names: self.names.clone(),
            private,
            except: self.proxies.clone(),
        }))
    }

    fn builder(&self, verified: bool) -> Result<ClientBuilder> {
        let mut authorities = Vec::new();
        for file in &self.certificates.authorities {
            let found = Certificate::from_pem_bundle(&file.bytes)
                .map_err(|error| invalid(format!("cannot use {}", file.path.display()), &error))?;
            authorities.extend(found);
        }
        let mut builder = self.bare().http2_adaptive_window(true);
        if !authorities.is_empty() {
            builder = builder.tls_certs_merge(authorities);
        }
        Ok(builder.tls_danger_accept_invalid_certs(!verified))
    }
}

fn invalid(what: String, error: &reqwest::Error) -> Error {
    Error::new(ErrorKind::Invalid, error.to_string()).attempting(what)
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        let told = error.without_url().to_string();
        Error::new(ErrorKind::Io, shown::text(&told))
    }
}
