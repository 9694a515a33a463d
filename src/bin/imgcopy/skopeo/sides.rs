//! How registries are reached, in skopeo's words: the same options for the source, for the destination,
//! and for verbs that have one place.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use imgcopy::image::Reference;
use imgcopy::store::registry::credentials::{Login as UserPassword, Secret};
use imgcopy::store::registry::{Options, Registries};

use super::told::Fatal;
use super::usage::go_bool;
use crate::patience::Patience;
use crate::places::{End, Reached};
use crate::reach::{Side, is_remote};

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
    blob_dir: Option<PathBuf>,
    names: PhantomData<N>,
}

impl<N: Names> SideArgs<N> {
    /// Refuses what says something about other places than registries and plain directories.
    pub(super) fn registry_only(&self) -> Result<(), Fatal> {
        let given = [
            (self.daemon_host.is_some(), N::DAEMON_HOST),
            (self.blob_dir.is_some(), N::BLOB_DIR),
        ];
        match given.into_iter().find(|(given, _)| *given) {
            Some((_, option)) => Err(Fatal::new(format!("unknown flag: --{option}"))),
            None => Ok(()),
        }
    }

    /// Finds out who to be.
    pub(super) fn checked(&self) -> Result<Checked<'_>, Fatal> {
        let creds = self.login()?;
        let token = self.token.as_ref().filter(|_| creds.is_none());
        Ok(Checked {
            creds,
            no_creds: self.no_creds,
            token,
            authfile: self.authfile.as_ref(),
            cert_dir: self.cert_dir.as_ref(),
            tls_verify: self.tls_verify,
            daemon_host: self.daemon_host.as_ref().filter(|host| !host.is_empty()),
            blob_dir: self
                .blob_dir
                .as_ref()
                .filter(|it| !it.as_os_str().is_empty()),
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
#[derive(Clone)]
pub(super) struct Checked<'a> {
    creds: Option<UserPassword>,
    no_creds: bool,
    token: Option<&'a String>,
    authfile: Option<&'a PathBuf>,
    cert_dir: Option<&'a PathBuf>,
    tls_verify: Option<bool>,
    daemon_host: Option<&'a String>,
    blob_dir: Option<&'a PathBuf>,
}

impl<'a> Checked<'a> {
    /// The same with what a file says of one registry instead.
    pub(super) fn with(
        &self,
        creds: Option<UserPassword>,
        cert_dir: Option<&'a PathBuf>,
        tls_verify: Option<bool>,
    ) -> Self {
        let own = self.clone();
        Self {
            no_creds: self.no_creds && creds.is_none(),
            token: self.token.filter(|_| creds.is_none()),
            creds: creds.or(own.creds),
            cert_dir: cert_dir.or(self.cert_dir),
            tls_verify: tls_verify.or(self.tls_verify),
            ..own
        }
    }

    /// As imgcopy has it; `authfile` is that of both sides.
    pub(super) fn side(&'a self, authfile: Option<&'a PathBuf>) -> Side<'a> {
        Side {
            creds: self.creds.as_ref(),
            password_stdin: false,
            no_creds: self.no_creds,
            token: self.token,
            authfile: self.authfile.or(authfile),
            tls_verify: self.tls_verify,
            cert_dir: self.cert_dir,
            daemon_host: self.daemon_host,
            blob_dir: self.blob_dir,
        }
    }

    /// How both places of a copy are reached.
    pub(super) fn beside(
        &self,
        destination: &Checked<'_>,
        authfile: Option<&PathBuf>,
        places: [&Reference; 2],
        retry_times: u32,
    ) -> Result<Reached, Fatal> {
        let sides = [&self.side(authfile), &destination.side(authfile)];
        let patience = Patience::of_times(retry_times);
        let [from, to] = places;
        Ok(Reached::between(&[from], to, sides, &patience)?)
    }

    /// How the one place of a verb is reached.
    pub(super) fn end(&self, place: &Reference, retry_times: u32) -> Result<End, Fatal> {
        let (side, patience) = (self.side(None), Patience::of_times(retry_times));
        let options = match is_remote(place) {
            true => side.options(&patience)?,
            false => Options::bare(),
        };
        Ok(side.end(&[place], Arc::new(Registries::new(options)))?)
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
            value(
                N::DAEMON_HOST,
                "HOST",
                "The Docker engine of docker-daemon:",
            ),
            file(
                N::BLOB_DIR,
                "DIRECTORY",
                "Where the blobs of an oci: place are",
            ),
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
            blob_dir: file(N::BLOB_DIR),
            names: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
