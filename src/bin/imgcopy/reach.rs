//! How registries are reached: the options for it, as skopeo names them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};

use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::Reference;
use imgcopy::store::Source;
use imgcopy::store::registry::credentials::{
    Credential, Environment, Keyring, Login as UserPassword, Secret,
};
use imgcopy::store::registry::{Limits, Login, Options, Registries, RetryPolicy};

use crate::commands::Failure;
use crate::places::{Reached, engine, source};

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

    #[command(flatten)]
    patience: Patience,
}

/// How often to try, and how long to wait.
#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// How often a request is repeated that may yet succeed
    #[arg(long, value_name = "N", default_value_t = 4, hide_short_help = true)]
    retry_times: u32,

    /// How long to wait before the first repetition; doubles each time
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration, hide_short_help = true)]
    retry_delay: Duration,

    /// How long to wait at most when a registry asks for it
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, hide_short_help = true)]
    max_retry_wait: Duration,

    /// How long nothing may move before a transfer counts as stalled
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, hide_short_help = true)]
    timeout: Duration,

    /// A token server of another site that may have the credentials
    #[arg(long, value_name = "HOST", hide_short_help = true)]
    trusted_realm: Vec<String>,
}

impl Patience {
    /// At least so many repetitions, and everything else as it is by default. What skopeo calls none still
    /// takes up downloads that broke off, and repeats what a registry put off.
    pub(crate) fn of_times(retry_times: u32) -> Self {
        let retry = RetryPolicy::default();
        Self {
            retry_times: retry_times.max(retry.times),
            retry_delay: retry.delay,
            max_retry_wait: retry.max_wait,
            timeout: Limits::default().idle,
            trusted_realm: Vec::new(),
        }
    }
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
        let source_engine = engine(sources, self.src_daemon_host.as_ref())?;
        let other_engine = engine([destination], self.dest_daemon_host.as_ref())?;
        let places: Vec<&Reference> = sources.iter().chain([destination]).collect();
        let source = Side {
            creds: self.src_creds.as_ref(),
            password_stdin: self.src_password_stdin,
            no_creds: self.src_no_creds,
            token: self.src_registry_token.as_ref(),
            authfile: self.src_authfile.as_ref().or(self.authfile.as_ref()),
            tls_verify: self.src_tls_verify,
            cert_dir: self.src_cert_dir.as_ref(),
        };
        let destination = Side {
            creds: self.dest_creds.as_ref(),
            password_stdin: self.dest_password_stdin,
            no_creds: self.dest_no_creds,
            token: self.dest_registry_token.as_ref(),
            authfile: self.dest_authfile.as_ref().or(self.authfile.as_ref()),
            tls_verify: self.dest_tls_verify,
            cert_dir: self.dest_cert_dir.as_ref(),
        };
        Ok(Reached {
            source_engine,
            other_engine,
            ..Reached::between(&places, &source, &destination, &self.patience)?
        })
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

    /// The place of a reference, to read from it.
    pub(crate) fn source(&self, reference: &Reference) -> Result<Box<dyn Source>, Failure> {
        let registries = self.registries(reference).map_err(Failure::Usage)?;
        let engine = engine([reference], self.daemon_host.as_ref()).map_err(Failure::Usage)?;
        Ok(source(reference, &registries, engine.as_ref())?)
    }

    pub(crate) fn options(&self) -> Result<Options> {
        let side = Side {
            creds: self.creds.as_ref(),
            password_stdin: self.password_stdin,
            no_creds: self.no_creds,
            token: self.registry_token.as_ref(),
            authfile: self.authfile.as_ref(),
            tls_verify: self.tls_verify,
            cert_dir: self.cert_dir.as_ref(),
        };
        side.options(&self.patience)
    }
}

impl Side<'_> {
    pub(crate) fn options(&self, patience: &Patience) -> Result<Options> {
        let mut options = Options::of_process()?;
        options.login = self.login()?;
        options.tls_verify = self.tls_verify;
        options.certificates = self.cert_dir.cloned();
        options.retry.times = patience.retry_times;
        options.retry.delay = patience.retry_delay;
        options.retry.max_wait = patience.max_retry_wait;
        options.limits.idle = patience.timeout;
        options.limits.source = patience.timeout * 3 / 4;
        options.limits.answer = patience.timeout;
        options.trusted_realms.clone_from(&patience.trusted_realm);
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

/// `500ms`, `60s`, `5m`, `1h`; a bare number is seconds.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("write it as 500ms, 60s, 5m or 1h".to_string()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "a number comes first, as in 60s".to_string())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| "it is too long".to_string())
}
