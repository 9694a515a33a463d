//! How registries are reached: `registries.conf` and `certs.d`.
//!
//! - [`RegistriesConf`]: mirrors, other locations, blocked and insecure registries
//!   (containers-registries.conf(5), containers-registries.conf.d(5)).
//! - [`CertFiles`]: the certificates of one registry (containers-certs.d(5)).
//!
//! Where to look comes in as [`Places`], so nothing here asks the environment by itself.

mod certs;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod places;
mod prefix;
mod registries;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::{Attempt as _, Error, ErrorKind, Result};

pub use certs::{CertFiles, ClientPair, PemFile};
pub use places::Places;
pub use registries::{Endpoint, RegistriesConf};

/// The largest configuration or certificate file that is read, in bytes (S-53). A bundle of every
/// CA that browsers trust has a quarter of it.
const LIMIT: u64 = 1 << 20;

/// A small file's bytes; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if is_missing(&error) => return Ok(None),
        opened => opened.attempting(|| format!("cannot open {}", path.display()))?,
    };
    let mut bytes = Vec::new();
    let read = file.take(LIMIT + 1).read_to_end(&mut bytes);
    let size = read.attempting(|| format!("cannot read {}", path.display()))?;
    if size as u64 > LIMIT {
        let what = format!("{} is larger than {LIMIT} bytes", path.display());
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(Some(bytes))
}

/// Nothing is there. A home like `/dev/null`, as services have it, holds nothing either.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
