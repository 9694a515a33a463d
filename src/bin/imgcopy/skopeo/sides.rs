//! How registries are reached, in skopeo's words: the same options for the source, for the destination,
//! and for verbs that have one place.

use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use imgcopy::image::Reference;
use imgcopy::store::registry::Registries;
use imgcopy::store::registry::credentials::{Login as UserPassword, Secret};

use super::told::Fatal;
use super::usage::go_bool;
use crate::places::Reached;
use crate::reach::{Patience, Side};

/// The names of one side's options.
pub(super) trait Names: Clone + Send + Sync + 'static {
    const CREDS: &'static str;
    const USERNAME: &'static str;
    const PASSWORD: &'static str;
    const NO_CREDS: &'static str;
    const TOKEN: &'static str;
    const AUTHFILE: &'static str;
    const CERT_DIR: &'static str;
    const TLS_VERIFY: &'static str;
    const DAEMON_HOST: &'static str;
    const BLOB_DIR: &'static str;
}

macro_rules! names {
    ($(#[$doc:meta])* $side:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(super) struct $side;

        impl Names for $side {
            const CREDS: &'static str = concat!($prefix, "creds");
            const USERNAME: &'static str = concat!($prefix, "username");
            const PASSWORD: &'static str = concat!($prefix, "password");
            const NO_CREDS: &'static str = concat!($prefix, "no-creds");
            const TOKEN: &'static str = concat!($prefix, "registry-token");
            const AUTHFILE: &'static str = concat!($prefix, "authfile");
            const CERT_DIR: &'static str = concat!($prefix, "cert-dir");
            const TLS_VERIFY: &'static str = concat!($prefix, "tls-verify");
            const DAEMON_HOST: &'static str = concat!($prefix, "daemon-host");
            const BLOB_DIR: &'static str = concat!($prefix, "shared-blob-dir");
        }
    };
}

names!(
    /// `--src-…`
    Src,
    "src-"
);
names!(
    /// `--dest-…`
    Dest,
    "dest-"
);
names!(
    /// Without a prefix, where there is one place.
    Only,
    ""
);

/// What was said about one side. It holds passwords, so it is never shown.
#[derive(Clone)]
pub(super) struct SideArgs<N> {
    creds: Option<String>,
    username: Option<String>,
    password: Option<String>,
    no_creds: bool,
    token: Option<String>,
    authfile: Option<PathBuf>,
    cert_dir: Option<PathBuf>,
    tls_verify: Option<bool>,
    daemon_host: Option<String>,
    blob_dir: Option<String>,
    names: PhantomData<N>,
}

impl<N: Names> SideArgs<N> {
    /// Refuses what is not done, and finds out who to be.
    pub(super) fn checked(&self) -> Result<Checked<'_>, Fatal> {
        if self.daemon_host.is_some() {
            let option = format!("--{}", N::DAEMON_HOST);
            return Err(Fatal::no_option(&option, "no Docker daemon can be reached"));
        }
        if self.blob_dir.is_some() {
            let option = format!("--{}", N::BLOB_DIR);
            let why = "each OCI directory holds its own blobs";
            return Err(Fatal::no_option(&option, why));
        }
        let creds = self.login()?;
        let token = self.token.as_ref().filter(|_| creds.is_none());
        Ok(Checked {
            creds,
            no_creds: self.no_creds,
            token,
            authfile: self.authfile.as_ref(),
            cert_dir: self.cert_dir.as_ref(),
            tls_verify: self.tls_verify,
        })
    }

    fn login(&self) -> Result<Option<UserPassword>, Fatal> {
        let clash = |one: &str, other: &str| {
            let what = format!("{one} and {other} cannot be specified at the same time");
            Err(Fatal::new(what))
        };
        match (&self.creds, &self.username, &self.password) {
            (Some(_), _, _) if self.no_creds => clash("creds", "no-creds"),
            (_, Some(_), _) if self.no_creds => clash("username", "no-creds"),
            (Some(_), Some(_), _) => clash("creds", "username"),
            (_, None, Some(_)) => Err(Fatal::new(
                "username must be specified when password is specified",
            )),
            (_, Some(_), None) => Err(Fatal::new(
                "password must be specified when username is specified",
            )),
            (Some(creds), None, None) => parsed(creds).map(Some),
            (None, Some(username), Some(password)) => Ok(Some(UserPassword {
                username: username.clone(),
                password: Some(Secret::new(password)),
            })),
            (None, None, None) => Ok(None),
        }
    }
}

fn parsed(creds: &str) -> Result<UserPassword, Fatal> {
    if creds.is_empty() {
        return Err(Fatal::new("credentials can't be empty"));
    }
    let (username, password) = match creds.split_once(':') {
        Some((username, password)) => (username, password),
        None => (creds, ""),
    };
    if username.is_empty() {
        return Err(Fatal::new("username can't be empty"));
    }
    Ok(UserPassword {
        username: username.to_string(),
        password: Some(Secret::new(password)),
    })
}

/// One side, and who to be there.
pub(super) struct Checked<'a> {
    creds: Option<UserPassword>,
    no_creds: bool,
    token: Option<&'a String>,
    authfile: Option<&'a PathBuf>,
    cert_dir: Option<&'a PathBuf>,
    tls_verify: Option<bool>,
}

impl<'a> Checked<'a> {
    /// As imgcopy has it; `authfile` is that of both sides.
    fn side(&'a self, authfile: Option<&'a PathBuf>) -> Side<'a> {
        Side {
            creds: self.creds.as_ref(),
            password_stdin: false,
            no_creds: self.no_creds,
            token: self.token,
            authfile: self.authfile.or(authfile),
            tls_verify: self.tls_verify,
            cert_dir: self.cert_dir,
        }
    }

    /// The registries of both sides of a copy.
    pub(super) fn beside(
        &self,
        destination: &Checked<'_>,
        authfile: Option<&PathBuf>,
        places: &[&Reference],
        retry_times: u32,
    ) -> Result<Reached, Fatal> {
        let (source, destination) = (self.side(authfile), destination.side(authfile));
        let patience = Patience::of_times(retry_times);
        Ok(Reached::between(places, &source, &destination, &patience)?)
    }

    /// The registries of one place.
    pub(super) fn registries(
        &self,
        place: &Reference,
        retry_times: u32,
    ) -> Result<Registries, Fatal> {
        let (side, patience) = (self.side(None), Patience::of_times(retry_times));
        Ok(Reached::between(&[place], &side, &side, &patience)?.source)
    }
}

impl<N: Names> Args for SideArgs<N> {
    fn augment_args(command: Command) -> Command {
        let value = |name: &'static str, shown: &'static str, help: &'static str| {
            let arg = Arg::new(name).long(name).value_name(shown).help(help);
            arg.allow_hyphen_values(true).action(ArgAction::Set)
        };
        let file =
            |name, shown, help| value(name, shown, help).value_parser(value_parser!(PathBuf));
        let tls = value(
            N::TLS_VERIFY,
            "BOOL",
            "Require HTTPS and verify certificates",
        );
        let tls = tls
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(go_bool);
        command.args([
            value(N::CREDS, "USERNAME[:PASSWORD]", "Who to be at the registry"),
            value(N::USERNAME, "USERNAME", "User name at the registry"),
            value(N::PASSWORD, "PASSWORD", "Password at the registry"),
            Arg::new(N::NO_CREDS)
                .long(N::NO_CREDS)
                .action(ArgAction::SetTrue)
                .help("Be nobody at the registry"),
            value(N::TOKEN, "TOKEN", "Bearer token for the registry"),
            file(N::AUTHFILE, "PATH", "File with credentials"),
            file(
                N::CERT_DIR,
                "PATH",
                "Certificates of the registry: *.crt, *.cert, *.key",
            ),
            tls,
            value(N::DAEMON_HOST, "HOST", "Not there yet").hide(true),
            value(N::BLOB_DIR, "DIRECTORY", "Not there yet").hide(true),
        ])
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<N: Names> FromArgMatches for SideArgs<N> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |name| matches.get_one::<String>(name).cloned();
        let file = |name| matches.get_one::<PathBuf>(name).cloned();
        Ok(Self {
            creds: text(N::CREDS),
            username: text(N::USERNAME),
            password: text(N::PASSWORD),
            no_creds: matches.get_flag(N::NO_CREDS),
            token: text(N::TOKEN),
            authfile: file(N::AUTHFILE),
            cert_dir: file(N::CERT_DIR),
            tls_verify: matches.get_one::<bool>(N::TLS_VERIFY).copied(),
            daemon_host: text(N::DAEMON_HOST),
            blob_dir: text(N::BLOB_DIR),
            names: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
