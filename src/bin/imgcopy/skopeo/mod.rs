//! imgcopy under the name `skopeo`: its verbs, its options, what it prints, and its exit codes, so that
//! its users can try imgcopy by replacing one file.
//!
//! Asked for by the name of the program (a link `skopeo` that leads to it), or by the hidden verb
//! `imgcopy skopeo`. What is printed is that of skopeo 1.9.3, with what newer ones add to `inspect`.
//! Every failure exits with 1, as there. What is not done is refused by name, and nothing is ignored
//! that would make a difference to what is written or who may read it.
//!
//! What stays imgcopy's own: every byte is verified; configs keep their bytes when manifests are
//! converted, so image IDs stay; registries on this very machine may be asked by plain HTTP without a word;
//! `delete` refuses to take an image from tags that were not named; and wrong numbers of arguments fail, as
//! in newer versions of skopeo. `tests/skopeo/pair.rs` has the list.
//!
//! `--tmpdir` is taken and makes no difference: images are not unpacked on their way, and what little goes
//! through a temporary file (layers of an archive that is written into a pipe) does so where `TMPDIR` says.
//! So is `--registries.d`: it says where simple signatures lie, and those are neither read nor written; and
//! `--dest-precompute-digests`, because layers are never sent that the registry has.
//!
//! `--retry-times` counts the repetitions of each request, and there are never fewer than imgcopy's own: also
//! with none, skopeo takes up downloads that broke off and repeats what a registry put off.

mod config;
mod copy;
mod document;
mod image;
mod inspect;
mod lines;
mod login;
mod made;
mod options;
mod place;
mod policy;
mod sides;
mod sync;
mod template;
mod told;
mod usage;
mod verbs;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

pub(crate) use options::Cli;
use options::{Global, Verb};
use told::Fatal;

const NAME: &str = "skopeo";

/// The command line of skopeo, if that is what was called.
pub(crate) fn asked(args: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut args: Vec<OsString> = args.collect();
    let is_skopeo = |arg: Option<&OsString>| {
        let name = arg.and_then(|arg| Path::new(arg).file_name());
        name.is_some_and(|name| name == NAME)
    };
    if is_skopeo(args.first()) {
        return Some(args);
    }
    if args.get(1).is_some_and(|verb| verb == NAME) {
        args.remove(0);
        return Some(args);
    }
    None
}

impl Cli {
    /// Parses a command line.
    ///
    /// # Errors
    /// The exit code, when all is said: help, the version, or what is wrong with it.
    pub(crate) fn parse_from(args: Vec<OsString>) -> Result<Self, ExitCode> {
        let args = usage::plain_flags(args).map_err(|fatal| told::fatal(&fatal))?;
        match Self::try_parse_from(&args) {
            Ok(cli) if cli.version => Err(told::version()),
            Ok(cli) => Ok(cli),
            Err(error) => Err(usage::wrong(&error, &args)),
        }
    }

    /// Whether everything is to be logged.
    pub(crate) fn debug(&self) -> bool {
        self.global.debug
    }
}

/// Does what was asked.
pub(crate) async fn run(cli: Cli) -> ExitCode {
    let timeout = cli.global.command_timeout;
    let ended = match timeout {
        Duration::ZERO => verb(cli.global, cli.verb).await,
        limit => tokio::time::timeout(limit, verb(cli.global, cli.verb))
            .await
            .unwrap_or_else(|_| Err(Fatal::new("context deadline exceeded: --command-timeout"))),
    };
    match ended {
        Ok(code) => code,
        Err(fatal) => told::fatal(&fatal),
    }
}

async fn verb(global: Global, verb: Option<Verb>) -> told::Ended {
    match verb {
        None => Err(Fatal::new(
            "Missing command 'skopeo COMMAND'\nTry 'skopeo --help' for more information",
        )),
        Some(Verb::Copy(args)) => copy::copy(&global, *args).await,
        Some(Verb::Inspect(args)) => inspect::inspect(&global, *args).await,
        Some(Verb::ListTags(args)) => verbs::list_tags(*args).await,
        Some(Verb::Delete(args)) => verbs::delete(*args).await,
        Some(Verb::ManifestDigest(args)) => verbs::manifest_digest(&args),
        Some(Verb::Login(args)) => login::login(args).await,
        Some(Verb::Logout(args)) => login::logout(args).await,
        Some(Verb::Sync(args)) => sync::sync(&global, *args).await,
        Some(Verb::StandaloneSign(_)) => Err(unsigned("standalone-sign")),
        Some(Verb::StandaloneVerify(_)) => Err(unsigned("standalone-verify")),
        Some(Verb::GenerateSigstoreKey(_)) => Err(unsigned("generate-sigstore-key")),
    }
}

fn unsigned(verb: &str) -> Fatal {
    Fatal::not_there(verb, "imgcopy neither makes nor checks signatures")
}
