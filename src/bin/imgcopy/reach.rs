//! How registries are reached: the options for it, as skopeo names them.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgAction, Args};

use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::Reference;
use imgcopy::store::Source;
use imgcopy::store::daemon::Access;
use imgcopy::store::registry::credentials::{
    Credential, Environment, Keyring, Login as UserPassword, Secret,
};
use imgcopy::store::registry::{Login, Options, Registries};

use crate::commands::Failure;
use crate::patience::Patience;
use crate::places::{End, Reached, check_shares};

/// For both sides of a copy.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registries")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags of a command line"
)]
pub(crate) struct BothSides {
    /// Who to be at the source: a user name, perhaps with a password
    #[arg(long, value_name = "USER[:PASSWORD]", conflicts_with_all = ["src_no_creds", "src_registry_token"])]
    src_creds: Option<UserPassword>,

    /// Who to be at the destination
    #[arg(long, value_name = "USER[:PASSWORD]", visible_alias = "dst-creds", conflicts_with_all = ["dest_no_creds", "dest_registry_token"])]
    dest_creds: Option<UserPassword>,

    /// Read the password of --src-creds USER from stdin
    #[arg(long, requires = "src_creds", conflicts_with = "dest_password_stdin")]
    src_password_stdin: bool,

    /// Read the password of --dest-creds USER from stdin
    #[arg(long, requires = "dest_creds")]
    dest_password_stdin: bool,

    /// Be nobody at the source
    #[arg(long)]
    src_no_creds: bool,

    /// Be nobody at the destination
    #[arg(long)]
    dest_no_creds: bool,

    /// Bearer token for the source
    #[arg(long, value_name = "TOKEN", hide_short_help = true)]
    src_registry_token: Option<String>,

    /// Bearer token for the destination
    #[arg(long, value_name = "TOKEN", hide_short_help = true)]
    dest_registry_token: Option<String>,

    /// Credentials file [default: those of podman and docker]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,

    /// Credentials file for the source
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    src_authfile: Option<PathBuf>,

    /// Credentials file for the destination
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    dest_authfile: Option<PathBuf>,

    /// Verify the source's certificate; false also allows plain HTTP
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    src_tls_verify: Option<bool>,

    /// Verify the destination's certificate; false also allows plain HTTP
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    dest_tls_verify: Option<bool>,

    /// Certificates for the source: *.crt, *.cert and *.key
    #[arg(long, value_name = "DIR")]
    src_cert_dir: Option<PathBuf>,

    /// Certificates for the destination
    #[arg(long, value_name = "DIR")]
    dest_cert_dir: Option<PathBuf>,

    /// The Docker engine of docker-daemon: as source [default: `DOCKER_HOST`]
    #[arg(long, value_name = "HOST", hide_short_help = true)]
    src_daemon_host: Option<String>,

    /// The Docker engine of docker-daemon: as destination
    #[arg(long, value_name = "HOST", hide_short_help = true)]
    dest_daemon_host: Option<String>,

    /// Where the blobs of the oci: source are, if not in it
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    src_shared_blob_dir: Option<PathBuf>,

    /// Where the blobs of the oci: destination go, if not into it
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    dest_shared_blob_dir: Option<PathBuf>,

    #[command(flatten)]
    patience: Patience,
}

/// For one place.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct OneSide {
    /// Who to be: a user name, perhaps with a password
    #[arg(long, value_name = "USER[:PASSWORD]", conflicts_with_all = ["no_creds", "registry_token"])]
    creds: Option<UserPassword>,

    /// Read the password of --creds USER from stdin
    #[arg(long, requires = "creds")]
    password_stdin: bool,

    /// Be nobody
    #[arg(long)]
    no_creds: bool,

    /// Bearer token
    #[arg(long, value_name = "TOKEN", hide_short_help = true)]
    registry_token: Option<String>,

    /// Credentials file [default: those of podman and docker]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,

    /// Verify the registry's certificate; false also allows plain HTTP
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    tls_verify: Option<bool>,

    /// Certificates: *.crt, *.cert and *.key
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,

    /// The Docker engine of docker-daemon: [default: `DOCKER_HOST`]
    #[arg(long, value_name = "HOST", hide_short_help = true)]
    daemon_host: Option<String>,

    /// Where the blobs of an oci: place are, if not in it
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    shared_blob_dir: Option<PathBuf>,

    #[command(flatten)]
    patience: Patience,
}

/// What the options say about one side.
#[derive(PartialEq)]
pub(crate) struct Side<'a> {
    pub(crate) creds: Option<&'a UserPassword>,
    pub(crate) password_stdin: bool,
    pub(crate) no_creds: bool,
    pub(crate) token: Option<&'a String>,
    pub(crate) authfile: Option<&'a PathBuf>,
    pub(crate) tls_verify: Option<bool>,
    pub(crate) cert_dir: Option<&'a PathBuf>,
    pub(crate) daemon_host: Option<&'a String>,
    pub(crate) blob_dir: Option<&'a PathBuf>,
}

impl BothSides {
    /// The registries of the source and of the destination, which are given in this order.
    pub(crate) fn registries(
        &self,
        sources: &[Reference],
        destination: &Reference,
    ) -> Result<Reached> {
        let password_stdin = self.src_password_stdin || self.dest_password_stdin;
        for from in sources {
            one_on_stdin(from, password_stdin)?;
        }
        let places: Vec<&Reference> = sources.iter().collect();
        if self.src_shared_blob_dir.is_some() {
            check_shares(&places, "--src-shared-blob-dir")?;
        }
        if self.dest_shared_blob_dir.is_some() {
            check_shares(&[destination], "--dest-shared-blob-dir")?;
        }
        let sides = [&self.source(), &self.destination()];
        Reached::between(&places, destination, sides, &self.patience)
    }

    fn source(&self) -> Side<'_> {
        Side {
            creds: self.src_creds.as_ref(),
            password_stdin: self.src_password_stdin,
            no_creds: self.src_no_creds,
            token: self.src_registry_token.as_ref(),
            authfile: self.src_authfile.as_ref().or(self.authfile.as_ref()),
            tls_verify: self.src_tls_verify,
            cert_dir: self.src_cert_dir.as_ref(),
            daemon_host: self.src_daemon_host.as_ref(),
            blob_dir: self.src_shared_blob_dir.as_ref(),
        }
    }

    fn destination(&self) -> Side<'_> {
        Side {
            creds: self.dest_creds.as_ref(),
            password_stdin: self.dest_password_stdin,
            no_creds: self.dest_no_creds,
            token: self.dest_registry_token.as_ref(),
            authfile: self.dest_authfile.as_ref().or(self.authfile.as_ref()),
            tls_verify: self.dest_tls_verify,
            cert_dir: self.dest_cert_dir.as_ref(),
            daemon_host: self.dest_daemon_host.as_ref(),
            blob_dir: self.dest_shared_blob_dir.as_ref(),
        }
    }
}

impl OneSide {
    pub(crate) fn registries(&self, reference: &Reference) -> Result<Registries> {
        one_on_stdin(reference, self.password_stdin)?;
        Ok(Registries::new(match is_remote(reference) {
            true => self.options()?,
            false => Options::bare(),
        }))
    }

    /// How a place is reached.
    pub(crate) fn end(&self, reference: &Reference) -> Result<End> {
        if self.shared_blob_dir.is_some() {
            check_shares(&[reference], "--shared-blob-dir")?;
        }
        let registries = Arc::new(self.registries(reference)?);
        self.side().end(&[reference], registries)
    }

    /// The place of a reference, to read from it.
    pub(crate) fn source(&self, reference: &Reference) -> Result<Box<dyn Source>, Failure> {
        let end = self.end(reference).map_err(Failure::Usage)?;
        Ok(end.open_source(reference)?)
    }

    pub(crate) fn options(&self) -> Result<Options> {
        self.side().options(&self.patience)
    }

    fn side(&self) -> Side<'_> {
        Side {
            creds: self.creds.as_ref(),
            password_stdin: self.password_stdin,
            no_creds: self.no_creds,
            token: self.registry_token.as_ref(),
            authfile: self.authfile.as_ref(),
            tls_verify: self.tls_verify,
            cert_dir: self.cert_dir.as_ref(),
            daemon_host: self.daemon_host.as_ref(),
            blob_dir: self.shared_blob_dir.as_ref(),
        }
    }
}

impl Side<'_> {
    /// How these places are reached, beside what is known of registries.
    pub(crate) fn end(&self, places: &[&Reference], registries: Arc<Registries>) -> Result<End> {
        let is_engine = |place: &&Reference| matches!(place, Reference::DockerDaemon { .. });
        let engine = match places.iter().any(is_engine) {
            true => {
                let host = self.daemon_host.map(String::as_str);
                let access = Access::of_process(host)?;
                Some(access.with_tls(self.cert_dir.cloned(), self.tls_verify))
            }
            false => None,
        };
        Ok(End {
            registries,
            engine,
            blobs: self.blob_dir.cloned(),
        })
    }

    pub(crate) fn options(&self, patience: &Patience) -> Result<Options> {
        let mut options = Options::of_process()?;
        options.login = self.login()?;
        options.tls_verify = self.tls_verify;
        options.certificates = self.cert_dir.cloned();
        patience.set(&mut options);
        Ok(options)
    }

    fn login(&self) -> Result<Login> {
        if self.no_creds {
            return Ok(Login::Anonymous);
        }
        if let Some(token) = self.token {
            return Ok(Login::As(Credential::RegistryToken(Secret::new(token))));
        }
        let Some(creds) = self.creds else {
            return Ok(Login::Keyring(keyring(self.authfile.cloned())));
        };
        let password = match (&creds.password, self.password_stdin) {
            (Some(_), true) => {
                let what = "the password is given twice: with the user name and on stdin";
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            (Some(password), false) => password.clone(),
            (None, true) => password_of_stdin()?,
            (None, false) => {
                let what = "the password is missing: write USER:PASSWORD, or give it on stdin with the option ending in -password-stdin";
                return Err(Error::new(ErrorKind::Invalid, what));
            }
        };
        Credential::basic(&creds.username, password.reveal()).map(Login::As)
    }
}

/// The credentials of the user's files, or of the one that is named; that one need not exist before
/// the first login.
pub(crate) fn keyring(authfile: Option<PathBuf>) -> Arc<Keyring> {
    Arc::new(Keyring::new(Environment {
        authfile,
        ..Environment::of_process()
    }))
}

/// Only registries need what files and the environment say about them.
pub(crate) fn is_remote(reference: &Reference) -> bool {
    matches!(reference, Reference::Docker { .. })
}

/// Stdin holds an archive or a password, and not both.
fn one_on_stdin(from: &Reference, password_stdin: bool) -> Result<()> {
    if password_stdin && from.is_stdio() {
        let what = format!("{from} reads stdin, so the password cannot be read from there");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(())
}

/// Everything on stdin without the line's end.
pub(crate) fn password_of_stdin() -> Result<Secret> {
    use std::io::Read as _;
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(1 << 16)
        .read_to_string(&mut text)?;
    let text = text.trim_end_matches(['\n', '\r']);
    match text.is_empty() {
        true => Err(Error::new(ErrorKind::Invalid, "stdin holds no password")),
        false => Ok(Secret::new(text)),
    }
}
