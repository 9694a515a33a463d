//! Where the engine is and who we are to it, as the `docker` command is told.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use reqwest::{Certificate, Client, Identity, Url, redirect};

use crate::error::{Attempt as _, Error, ErrorKind, Result};

/// How a Docker engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    host: Host,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`.
    certificates: Option<PathBuf>,
    /// Whether the engine's certificate is verified; without an answer it is.
    verify: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Unix(PathBuf),
    Net { is_tls: Option<bool>, at: String },
}

/// Where the engine of this machine listens.
const DEFAULT: &str = "unix:///var/run/docker.sock";
const AGENT: &str = concat!("imgcopy/", env!("CARGO_PKG_VERSION"));
const CONNECT: Duration = Duration::from_secs(10);

impl Access {
    /// As the environment says (`DOCKER_HOST`, `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`); `host` has
    /// precedence over it.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` if the host is nothing that can be reached.
    pub fn of_process(host: Option<&str>) -> Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = host.map(str::to_string).or_else(|| set("DOCKER_HOST"));
        let named = named.as_deref().unwrap_or(DEFAULT);
        let home = || Some(PathBuf::from(set("HOME")?).join(".docker"));
        let path = set("DOCKER_CERT_PATH").map(PathBuf::from);
        let certificates = match set("DOCKER_TLS_VERIFY") {
            Some(_) => path.or_else(home),
            // It speaks of the certificate in any case.
            None => path.filter(|_| named.starts_with("https:")),
        };
        Self::new(named, certificates)
    }

    /// The engine at `host`: `unix:///path`, `tcp://host:port`, `http://` or `https://`. With a
    /// directory of certificates `tcp://` means TLS.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` if the host is nothing that can be reached.
    pub fn new(host: &str, certificates: Option<PathBuf>) -> Result<Self> {
        let told = || format!("cannot use the Docker host \"{}\"", shown(host));
        let host = host.parse().attempting(told)?;
        Ok(Self {
            host,
            certificates,
            verify: None,
        })
    }

    /// As a command line says more of it: other certificates, and whether that of the engine is
    /// verified. Either makes `tcp://` mean TLS.
    #[must_use]
    pub fn with_tls(mut self, certificates: Option<PathBuf>, verify: Option<bool>) -> Self {
        self.certificates = certificates.or(self.certificates);
        self.verify = verify.or(self.verify);
        self
    }

    fn is_tls(&self) -> bool {
        match &self.host {
            Host::Unix(_) => false,
            Host::Net { is_tls, .. } => {
                is_tls.unwrap_or(self.certificates.is_some() || self.verify.is_some())
            }
        }
    }

    /// What comes before each path.
    pub(super) fn base(&self) -> Result<Url> {
        let text = match (&self.host, self.is_tls()) {
            (Host::Unix(_), _) => "http://localhost/".to_string(),
            (Host::Net { at, .. }, true) => format!("https://{}/", with_port(at, 2376)),
            (Host::Net { at, .. }, false) => format!("http://{}/", with_port(at, 2375)),
        };
        Url::parse(&text).map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))
    }

    /// Every request has a connection of its own: an engine asks for nothing else, and none that it
    /// closed meanwhile is taken for a good one.
    pub(super) fn client(&self) -> Result<Client> {
        let mut builder = Client::builder()
            .user_agent(AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0)
            .http1_only()
            .no_proxy();
        if let Host::Unix(path) = &self.host {
            builder = builder.unix_socket(path.clone());
        }
        match (&self.certificates, self.is_tls()) {
            (_, false) => builder = builder.tls_certs_only([]),
            (None, true) => {}
            (Some(directory), true) => {
                let ca = read(directory, "ca.pem")?;
                let ca = Certificate::from_pem_bundle(&ca);
                let ca = ca.attempting(|| format!("cannot use ca.pem in {}", directory.display()));
                builder = builder.tls_certs_only(ca?);
                if let Some(identity) = identity(directory)? {
                    builder = builder.identity(identity);
                }
            }
        }
        builder
            .tls_danger_accept_invalid_certs(self.verify == Some(false))
            .build()
            .attempting(|| "cannot make an HTTP client for the Docker engine")
    }
}

/// Who we are; an engine need not want to know.
fn identity(directory: &Path) -> Result<Option<Identity>> {
    if !directory.join("cert.pem").exists() && !directory.join("key.pem").exists() {
        return Ok(None);
    }
    let mut pem = read(directory, "cert.pem")?;
    pem.push(b'\n');
    pem.extend(read(directory, "key.pem")?);
    let told = || format!("cannot use cert.pem and key.pem in {}", directory.display());
    Identity::from_pem(&pem).map(Some).attempting(told)
}

fn read(directory: &Path, name: &str) -> Result<Vec<u8>> {
    let path = directory.join(name);
    std::fs::read(&path).attempting(|| {
        let path = path.display();
        format!("cannot read {path}, a certificate for the Docker engine")
    })
}

/// A name and perhaps a port; an IPv6 address stands in brackets.
fn with_port(at: &str, port: u16) -> String {
    let after_address = at.rsplit_once(']').map_or(at, |(_, rest)| rest);
    match after_address.contains(':') {
        true => at.to_string(),
        false => format!("{at}:{port}"),
    }
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let what = "write it as unix:///PATH, tcp://HOST:PORT, http://… or https://…";
            return Err(Error::new(ErrorKind::Invalid, what));
        };
        let is_tls = match scheme {
            "unix" if rest.starts_with('/') => return Ok(Host::Unix(PathBuf::from(rest))),
            "unix" => {
                let what =
                    "the path of a socket begins with a slash, as in unix:///run/docker.sock";
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            "tcp" => None,
            "http" => Some(false),
            "https" => Some(true),
            _ => {
                let what = "only unix, tcp, http and https are reached; for ssh, forward the socket with ssh -L";
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
        };
        let at = rest.trim_end_matches('/');
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-:[]".contains(c);
        if at.is_empty() || !at.chars().all(fits) {
            let what = "a host and a port follow the slashes, as in tcp://engine.example:2376";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Host::Net {
            is_tls,
            at: at.to_string(),
        })
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Unix(path) => write!(f, "unix://{}", path.display()),
            Host::Net { at, .. } if self.is_tls() => write!(f, "https://{at}"),
            Host::Net { at, .. } => write!(f, "http://{at}"),
        }
    }
}

fn shown(text: &str) -> String {
    text.escape_debug().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(host: &str, certificates: Option<&str>) -> String {
        let access = Access::new(host, certificates.map(PathBuf::from)).unwrap();
        access.base().unwrap().to_string()
    }

    #[test]
    fn ports_and_tls_are_those_of_docker() {
        assert_eq!(base("unix:///run/x.sock", None), "http://localhost/");
        assert_eq!(base("tcp://h.example", None), "http://h.example:2375/");
        assert_eq!(
            base("tcp://h.example/", Some("/c")),
            "https://h.example:2376/"
        );
        assert_eq!(base("tcp://[::1]", Some("/c")), "https://[::1]:2376/");
        assert_eq!(base("tcp://[::1]:99", None), "http://[::1]:99/");
        assert_eq!(
            base("http://h.example:8", Some("/c")),
            "http://h.example:8/"
        );
        assert_eq!(base("https://h.example", None), "https://h.example:2376/");
    }

    #[test]
    fn what_a_command_line_says_of_tls_means_tls() {
        let with = |certificates: Option<&str>, verify| {
            let access = Access::new("tcp://h.example", None).unwrap();
            let access = access.with_tls(certificates.map(PathBuf::from), verify);
            access.base().unwrap().to_string()
        };
        assert_eq!(with(None, None), "http://h.example:2375/");
        for (certificates, verify) in [(Some("/c"), None), (None, Some(true)), (None, Some(false))]
        {
            assert_eq!(with(certificates, verify), "https://h.example:2376/");
        }
        let socket = Access::new("unix:///run/x.sock", None).unwrap();
        let socket = socket.with_tls(None, Some(false));
        assert_eq!(socket.base().unwrap().as_str(), "http://localhost/");
    }

    #[test]
    fn what_cannot_be_reached_says_so() {
        for bad in [
            "",
            "h.example:2375",
            "unix://x",
            "tcp://",
            "tcp://u:p@h",
            "tcp://h/path",
        ] {
            let error = Access::new(bad, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        }
        for bad in ["ssh://h.example", "npipe:////./pipe/docker_engine", "fd://"] {
            let error = Access::new(bad, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{bad}");
        }
    }

    #[test]
    fn certificates_that_are_not_there_are_named() {
        let home = tempfile::tempdir().unwrap();
        let access = Access::new("tcp://h.example", Some(home.path().to_path_buf())).unwrap();
        let error = access.client().unwrap_err();
        assert!(error.to_string().contains("ca.pem"), "{error}");
        std::fs::write(home.path().join("ca.pem"), "").unwrap();
        std::fs::write(home.path().join("key.pem"), "").unwrap();
        let error = access.client().unwrap_err();
        assert!(error.to_string().contains("cert.pem"), "{error}");
    }
}
