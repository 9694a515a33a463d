//! `login` and `logout`: credentials are tried at the registry, and then kept where containers tools
//! look for them.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use imgcopy::error::{Attempt as _, Error, ErrorKind, Result};
use imgcopy::store::registry::credentials::{Credential, Scope, Secret};
use imgcopy::store::registry::{Login, Options, Registries};

use crate::commands::Failure;
use crate::reach::{keyring, password_of_stdin};
use crate::render;

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The registry, or a part of it: HOST[:PORT][/PATH]
    #[arg(value_name = "REGISTRY")]
    scope: Scope,

    /// The user's name; asked for on a terminal if it is missing
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,

    /// Read the password from stdin instead of asking for it
    #[arg(long, requires = "username")]
    password_stdin: bool,

    /// Print who is logged in, and do nothing else
    #[arg(long, conflicts_with_all = ["username", "password_stdin"])]
    get_login: bool,

    /// Credentials file [default: that of podman, or what `REGISTRY_AUTH_FILE` names]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,

    /// Verify the registry's certificate; false also allows plain HTTP
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    tls_verify: Option<bool>,

    /// Certificates: *.crt, *.cert and *.key
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The registry, or a part of it: HOST[:PORT][/PATH]
    #[arg(value_name = "REGISTRY", required_unless_present = "all")]
    scope: Option<Scope>,

    /// Forget the credentials of all registries
    #[arg(short, long, conflicts_with = "scope")]
    all: bool,

    /// Credentials file [default: that of podman, or what `REGISTRY_AUTH_FILE` names]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
}

pub(crate) async fn login(args: LoginArgs) -> Result<ExitCode, Failure> {
    let keyring = keyring(args.authfile.clone());
    let scope = &args.scope;
    if args.get_login {
        return match keyring.get_login(scope).await? {
            Some(user) => Ok(render::line(&user.escape_debug())),
            None => Err(not_logged_in(scope).into()),
        };
    }
    let credential = asked(&args).await.map_err(Failure::Usage)?;
    let (tls_verify, cert_dir) = (args.tls_verify, args.cert_dir.clone());
    check(scope, &credential, tls_verify, cert_dir).await?;
    let kept = keyring.store(scope, &credential).await;
    let kept = kept.attempting(|| format!("cannot keep the credentials for {scope}"))?;
    render::tell(&format!("kept in {kept}"));
    Ok(render::line(&"Login Succeeded!"))
}

/// Asks a registry whether it takes a credential.
pub(crate) async fn check(
    scope: &Scope,
    credential: &Credential,
    tls_verify: Option<bool>,
    cert_dir: Option<PathBuf>,
) -> Result<(), Failure> {
    let options = Options {
        login: Login::As(credential.clone()),
        tls_verify,
        certificates: cert_dir,
        ..Options::of_process().map_err(Failure::Usage)?
    };
    Ok(Registries::new(options).check_login(scope).await?)
}

pub(crate) async fn logout(args: LogoutArgs) -> Result<ExitCode, Failure> {
    let keyring = keyring(args.authfile);
    let Some(scope) = &args.scope else {
        let erased = keyring.erase_all().await;
        erased.attempting(|| "cannot forget all credentials")?;
        return Ok(render::line(
            &"Removed login credentials for all registries",
        ));
    };
    let erased = keyring.erase(scope).await;
    match erased.attempting(|| format!("cannot forget the credentials for {scope}"))? {
        Some(_) => Ok(render::line(&format!(
            "Removed login credentials for {scope}"
        ))),
        None => Err(not_logged_in(scope).into()),
    }
}

pub(crate) fn not_logged_in(scope: &Scope) -> Error {
    Error::new(ErrorKind::Invalid, format!("not logged into {scope}"))
}

/// Who the user is: as the options say, and the rest from the terminal.
async fn asked(args: &LoginArgs) -> Result<Credential> {
    if !args.password_stdin && !std::io::stdin().is_terminal() {
        let what = "there is no terminal to ask for the password on: say --username and \
                    give it by --password-stdin";
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None => typed_username().await?,
    };
    let password = match args.password_stdin {
        true => password_of_stdin()?,
        false => typed_password().await?,
    };
    if password.reveal().is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "the password is empty"));
    }
    Credential::basic(&username, password.reveal())
}

pub(crate) async fn typed_username() -> Result<String> {
    answer("Username: ").await
}

pub(crate) async fn typed_password() -> Result<Secret> {
    // An interrupt drops this, so the terminal shows again what is typed.
    let _quiet = Quiet::begin(std::io::stdin())?;
    answer("Password: ").await.map(Secret::new)
}

async fn answer(question: &str) -> Result<String> {
    {
        let mut stderr = std::io::stderr().lock();
        write!(stderr, "{question}")?;
        stderr.flush()?;
    }
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let stdin = std::io::stdin().lock();
        stdin.take(1 << 16).read_line(&mut line).map(|_| line)
    });
    let died = |error| Error::new(ErrorKind::Io, format!("a thread died: {error}"));
    let line = line.await.map_err(died)??;
    Ok(line.trim_end_matches(['\n', '\r']).to_string())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> Quiet<F> {
    fn begin(terminal: F) -> Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl<F: AsFd> Drop for Quiet<F> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
