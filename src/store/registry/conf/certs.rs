//! The certificates of one registry: containers-certs.d(5).

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::debug;

use super::{Places, is_missing, read};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::Repository;

/// The certificates for talking to one registry, and to no other (S-43).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertFiles {
    /// Certificates of authorities (`*.crt`) that are trusted besides those of the system.
    pub authorities: Vec<PemFile>,
    /// Certificates that say who we are (`*.cert`), each with its key (`*.key`).
    pub clients: Vec<ClientPair>,
}

/// A certificate of ours, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPair {
    /// The certificate.
    pub certificate: PemFile,
    /// The private key.
    pub key: PemFile,
}

/// A file of certificates or with a key, not parsed yet. `Debug` does not show what is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    /// Where it is, for messages.
    pub path: PathBuf,
    /// What is in it: PEM, if it is what it should be.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl CertFiles {
    /// Reads the certificates for a registry, `host` or `host:port`: those directly in `explicit`
    /// if the user named a directory, else those in the first directory that exists of
    ///
    /// - `$HOME/.config/containers/certs.d/REGISTRY`,
    /// - `/etc/containers/certs.d/REGISTRY`,
    /// - `/etc/docker/certs.d/REGISTRY`.
    ///
    /// The directory is called as the registry is: with the port only if the name has one, and with
    /// IPv6 addresses in brackets, `[::1]:5000`, as Docker does it. Docker Hub is `docker.io`.
    ///
    /// # Errors
    /// `Invalid` if a client's certificate has no key beside it or the other way round, or if
    /// `registry` is none; otherwise whatever reading gives.
    pub fn find(registry: &str, explicit: Option<&Path>, places: &Places) -> Result<Self> {
        if let Some(folder) = explicit {
            return list(folder)
                .attempting(|| format!("cannot list {}", folder.display()))
                .and_then(|paths| Self::read(&paths));
        }
        // Any path does to check the registry, which becomes a part of a path here.
        let checked = Repository::new(registry, "any")?;
        let name = Path::new("certs.d").join(checked.registry());
        let system = places.etc();
        let folders = places
            .home
            .iter()
            .map(|home| home.join(".config/containers"));
        let folders = folders.chain([system.join("containers"), system.join("docker")]);
        for folder in folders.map(|folder| folder.join(&name)) {
            match list(&folder) {
                Ok(paths) => return Self::read(&paths),
                Err(error) if is_missing(&error) => {}
                // The system's certificates may be for root alone.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    debug!(folder = %folder.display(), "certificates that we may not read");
                }
                Err(error) => {
                    return Err(error).attempting(|| format!("cannot list {}", folder.display()));
                }
            }
        }
        Ok(Self::default())
    }

    /// These, and the authorities in more files.
    ///
    /// # Errors
    /// `Io` if a file is not there; otherwise whatever reading gives.
    pub fn and_authorities(mut self, files: &[PathBuf]) -> Result<Self> {
        for file in files {
            let missing = || {
                let what = format!("there is no file {}", file.display());
                Error::new(ErrorKind::Io, what)
            };
            self.authorities.push(pem(file)?.ok_or_else(missing)?);
        }
        Ok(self)
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty() && self.clients.is_empty()
    }

    fn read(paths: &[PathBuf]) -> Result<Self> {
        let mut found = Self::default();
        for path in paths {
            let extension = path.extension().and_then(OsStr::to_str);
            match extension {
                // Some systems ship links to certificates that come with another package, so one
                // that leads nowhere is none.
                Some("crt") => found.authorities.extend(pem(path)?),
                Some("cert") => found.clients.push(pair(path)?),
                Some("key") if !paths.contains(&path.with_extension("cert")) => {
                    let what = format!("{} has no certificate beside it", path.display());
                    let what = format!("{what}: it should be called like the key, with .cert");
                    return Err(Error::new(ErrorKind::Invalid, what));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// A client's certificate, and the key beside it.
fn pair(path: &Path) -> Result<ClientPair> {
    let certificate = pem(path)?.ok_or_else(|| {
        let what = format!("{} is a link that leads nowhere", path.display());
        Error::new(ErrorKind::Invalid, what)
    })?;
    let key = pem(&path.with_extension("key"))?.ok_or_else(|| {
        let what = format!("{} has no key beside it", path.display());
        let hint = "it should be called like the certificate, with .key; \
            certificates of authorities end in .crt";
        Error::new(ErrorKind::Invalid, format!("{what}: {hint}"))
    })?;
    Ok(ClientPair { certificate, key })
}

/// The files of a folder, in the order of their names.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
}

/// A file's bytes; `None` if it is not there.
fn pem(path: &Path) -> Result<Option<PemFile>> {
    let bytes = read(path)?;
    Ok(bytes.map(|bytes| PemFile {
        path: path.to_path_buf(),
        bytes,
    }))
}
