//! What can be typed.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};

use imgcopy::image::{Reference, Tag};

use crate::cache::CacheArgs;
use crate::choices::{Format, ManifestFormat, Method, Progress};
use crate::config::ConfigArgs;
use crate::login::{LoginArgs, LogoutArgs};
use crate::platforms::{PlatformArgs, SelectionArgs};
use crate::reach::{BothSides, OneSide};
use crate::referrers::CompanionArgs;
use crate::report::ReportArgs;
use crate::shell::{CompletionsArgs, ManArgs};
use crate::sync::{LockArgs, SyncArgs};
use crate::upkeep::{DeleteArgs, GcArgs, TagArgs};
use crate::watch::WatchArgs;

/// Copies container images: plans first, then streams only what is missing, every byte verified
#[derive(Debug, Parser)]
#[command(
    name = "imgcopy",
    version,
    arg_required_else_help = true,
    override_usage = "imgcopy SOURCE DESTINATION [OPTIONS]\n       imgcopy VERB ...",
    after_help = REFERENCES
)]
pub(crate) struct Cli {
    /// Log every step to stderr
    #[arg(long, global = true, display_order = 99)]
    pub(crate) debug: bool,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const REFERENCES: &str = "\
References:
  docker://[HOST/]REPO[:TAG][@DIGEST]   a registry
  oci:DIR[:NAME|:@N|@DIGEST]            an OCI image layout; dir:DIR is skopeo's plain form
  oci-archive:FILE[:NAME|:@N|@DIGEST]   an OCI layout in a tar; FILE - is stdin or stdout
  docker-archive:FILE[:NAME|:@N]        what `docker save` writes; FILE - is stdin or stdout
  docker-daemon:[NAME[:TAG]|sha256:ID]  the images of a Docker engine (DOCKER_HOST)

More verbs: gc logout lock watch config schema report cache completions man; VERB --help says more
Exit codes: 0 done, 1 failed, 2 no image, 3 some failed, 4 limited, 64 usage, 130/143 interrupted";

impl Cli {
    /// Parses a command line. One that begins with a reference or an option is a copy.
    pub(crate) fn parse_from(args: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut args: Vec<OsString> = args.collect();
        let own = ["-h", "--help", "-V", "--version"];
        let begin = args
            .iter()
            .skip(1)
            .position(|arg| arg != "--debug")
            .unwrap_or(0)
            + 1;
        let first = args
            .get(begin)
            .map(|first| first.to_string_lossy().into_owned());
        let is_copy = first.is_some_and(|first| {
            first.contains(':') || (first.starts_with('-') && !own.contains(&first.as_str()))
        });
        if is_copy {
            args.insert(begin, "copy".into());
        }
        let is_plan = args.get(begin).is_some_and(|first| first == "plan");
        if is_plan && args.iter().any(|arg| crate::sync::is_file(arg)) {
            args.splice(begin..=begin, ["sync".into(), "--dry-run".into()]);
        }
        Self::try_parse_from(args).map_err(with_advice)
    }
}

/// A first word that is no verb, nor like one, may be meant for a reference: `imgcopy busybox …`.
fn with_advice(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let why = word.parse::<Reference>().err().map(|why| why.to_string());
    let is_verb = error.get(ContextKind::SuggestedSubcommand).is_some();
    if let Some(why) = why.filter(|_| !is_verb && !word.is_empty()) {
        let tips = ContextValue::StyledStrs(vec![why.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Copy an image; the verb may be left out
    #[command(
        after_help = COPY_EXAMPLES,
        override_usage = "imgcopy copy [OPTIONS] SOURCE... DESTINATION"
    )]
    Copy(CopyArgs),
    /// Copy what a file says: mirroring jobs; imgcopy watch does it by a schedule
    Sync(Box<SyncArgs>),
    /// Do it again and again, as the file schedules it
    #[command(hide = true)]
    Watch(Box<WatchArgs>),
    /// Write down which digests a file's tags stand for, for sync --locked
    #[command(hide = true)]
    Lock(LockArgs),
    /// Show what a copy or a file's copies would do, and why; nothing is moved
    Plan(PlanArgs),
    /// Show what an image is
    Inspect(InspectArgs),
    /// List the names of the images of a place
    Tags(TagsArgs),
    /// List the names of the images of a place as JSON, as skopeo does
    #[command(hide = true)]
    ListTags(ListTagsArgs),
    /// Print the digest that a name stands for
    Digest(DigestArgs),
    /// Delete an image of a registry, or a name in an OCI directory
    Delete(DeleteArgs),
    /// Give an image another name where it is; nothing is moved
    Tag(TagArgs),
    /// Remove what nothing in an OCI directory refers to
    #[command(hide = true)]
    Gc(GcArgs),
    /// Read all of an image and check every digest, size and DiffId
    Verify(VerifyArgs),
    /// Check credentials for a registry, and keep them
    Login(LoginArgs),
    /// Forget the credentials for a registry
    #[command(hide = true)]
    Logout(LogoutArgs),
    /// Put reports of `sync` together
    #[command(hide = true)]
    Report(ReportArgs),
    /// Show or clear what is remembered of layers that were compressed anew
    #[command(hide = true)]
    Cache(CacheArgs),
    /// Show what a sync.yaml means, or what is wrong with it
    #[command(hide = true)]
    Config(ConfigArgs),
    /// Print the JSON Schema of sync.yaml
    #[command(hide = true)]
    Schema,
    /// Print what completes command lines in a shell
    #[command(hide = true)]
    Completions(CompletionsArgs),
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man(ManArgs),
}

const COPY_EXAMPLES: &str = "\
Examples:
  imgcopy docker-archive:x.tar oci:busybox:latest
  imgcopy copy docker-archive:all.tar:app:1.2 oci:mirror:app-1.2 --compression zstd
  imgcopy copy oci:mirror:app-1.2 oci:/backup:app-1.2
  imgcopy copy docker://alpine docker://busybox docker-archive:both.tar
  imgcopy oci:mirror:app-1.2 docker-archive:- | docker load
  docker save app:1.2 | imgcopy docker-archive:- docker://registry.example/app:1.2";

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The image to copy, and where it goes; several into one archive or directory keep their names
    #[arg(value_name = "REFERENCE", required = true, num_args = 1..)]
    pub(crate) references: Vec<Reference>,

    #[command(flatten)]
    pub(crate) job: JobArgs,

    /// Convert manifests into another format; digests change
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        conflicts_with = "preserve_digests"
    )]
    pub(crate) format: Option<ManifestFormat>,

    /// Write the digest of the copied image into a file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) digestfile: Option<PathBuf>,

    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value_t = Progress::Auto, value_name = "HOW")]
    pub(crate) progress: Progress,

    /// Show no progress and no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The image to copy
    pub(crate) source: Reference,

    /// Where it goes
    pub(crate) destination: Reference,

    #[command(flatten)]
    pub(crate) job: JobArgs,

    /// Convert manifests into another format; digests change
    #[arg(long, value_name = "FORMAT", conflicts_with = "preserve_digests")]
    pub(crate) manifest_format: Option<ManifestFormat>,

    /// How the plan is shown
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// Another name for the image at the destination; may be given several times
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) additional_tag: Vec<Tag>,

    /// How plain layers are compressed [default: gzip from docker-archive: and docker-daemon:, else as they are]
    #[arg(long, visible_alias = "dest-compress-format", value_name = "HOW")]
    pub(crate) compression: Option<Method>,

    /// How hard: gzip 1 to 12 [default: 1], zstd 1 to 19 [default: 2]
    #[arg(long, visible_alias = "dest-compress-level", value_name = "LEVEL", value_parser = level)]
    pub(crate) compression_level: Option<i32>,

    /// Compress layers anew that are compressed by another method already
    #[arg(long, requires = "compression")]
    pub(crate) recompress: bool,

    #[command(flatten)]
    pub(crate) layers: LayerArgs,

    /// Fail rather than change a digest
    #[arg(long, conflicts_with = "recompress")]
    pub(crate) preserve_digests: bool,

    /// Read blobs that are at the destination already again, even if imgcopy wrote them
    #[arg(long)]
    pub(crate) deep: bool,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    #[command(flatten)]
    pub(crate) companions: CompanionArgs,

    /// Threads that compress [default: one for each core]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Blobs that travel at once [default: 8 from or to a registry, else one more than threads]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) parallel: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) reach: BothSides,
}

/// What is done with layers beyond compressing them.
#[derive(Debug, Args)]
pub(crate) struct LayerArgs {
    /// Compress as if nothing had been compressed before, and remember nothing (see imgcopy cache)
    #[arg(long, hide_short_help = true)]
    pub(crate) no_cache: bool,

    /// Send foreign layers to registries, too, if the source has them; none is fetched from its URLs
    #[arg(long, hide_short_help = true)]
    pub(crate) allow_foreign_layers: bool,
}

#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The image
    pub(crate) reference: Reference,

    /// How it is shown: table, or json with the fields of skopeo
    #[arg(short, long, value_parser = inspect_format, default_value = "table")]
    pub(crate) format: Format,

    /// Print the exact bytes of the manifest, or with --config of the config
    #[arg(long, conflicts_with = "format")]
    pub(crate) raw: bool,

    /// Print the config of the image, as it is
    #[arg(long, conflicts_with = "format")]
    pub(crate) config: bool,

    /// Leave RepoTags of the JSON empty instead of asking the registry for them
    #[arg(short, long)]
    pub(crate) no_tags: bool,

    #[command(flatten)]
    pub(crate) platform: PlatformArgs,

    #[command(flatten)]
    pub(crate) reach: OneSide,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  imgcopy inspect oci:mirror:app-1.2
  imgcopy inspect oci:mirror:app-1.2 --format json | jq -r .Digest
  imgcopy inspect oci:mirror:app-1.2 --config --platform linux/arm64";

/// skopeo takes Go templates here, and these are not taken.
fn inspect_format(text: &str) -> Result<Format, String> {
    match text {
        "table" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        template if template.contains("{{") => Err(
            "Go templates are not taken: use --format json and jq, as in `jq -r .Digest`".into(),
        ),
        _ => Err("it is table or json".into()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct TagsArgs {
    /// The place
    pub(crate) reference: Reference,

    /// How they are shown
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) reach: OneSide,
}

#[derive(Debug, Args)]
pub(crate) struct ListTagsArgs {
    /// The place
    pub(crate) reference: Reference,

    #[command(flatten)]
    pub(crate) reach: OneSide,
}

#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// The image
    pub(crate) reference: Reference,

    #[command(flatten)]
    pub(crate) reach: OneSide,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The image
    pub(crate) reference: Reference,

    /// How the result is shown
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) reach: OneSide,
}

/// So many of something, at least one.
pub(crate) fn count(text: &str) -> Result<NonZeroUsize, String> {
    let wanted = "it must be a whole number from 1 on";
    text.parse().map_err(|_| wanted.to_string())
}

/// Which levels a method has is known to the library.
fn level(text: &str) -> Result<i32, String> {
    text.parse()
        .map_err(|_| "it must be a whole number".to_string())
}
