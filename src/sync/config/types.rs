//! What a `sync.yaml` means: every default applied, every name completed, every text parsed.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::copy::Subset;
use crate::image::{Platform, Reference, Repository};
use crate::store::registry::credentials::Secret;
use crate::store::registry::{Mirror, Quota, Rate, Share};
use crate::sync::select::{Selector, Tags};

use super::cron::Cron;
use super::pattern::HostPattern;
use super::template::{TagTemplate, Template};
use super::units::Bandwidth;

/// A whole `sync.yaml` with all that it includes.
#[derive(Debug, Clone)]
pub struct Config {
    /// The version of the schema. Only 1 exists.
    pub version: u32,
    /// What is special about registries, in the order of the file. See [`Config::rule`].
    pub registries: Vec<RegistryRule>,
    /// What is copied, in the order of the files.
    pub entries: Vec<Entry>,
    /// What becomes of tags at destinations that no source has any more.
    pub prune: Prune,
    /// Where things are remembered between runs: a directory.
    pub state: Option<PathBuf>,
    /// When `imgcopy watch` runs.
    pub schedule: Option<Schedule>,
    /// Who is told about a run.
    pub notify: Vec<Notify>,
    /// Where metrics go.
    pub metrics: Metrics,
    /// Texts that came from `${file:…}`: wherever they appear, they are not shown.
    pub(crate) hidden: Vec<Secret>,
}

impl Config {
    /// What is special about a registry: the rule for its very name, or else of the globs that match
    /// the one with the most letters. `host` is as in [`Repository::registry`].
    pub fn rule(&self, host: &str) -> Option<&RegistryRule> {
        let matching = self.registries.iter().filter(|it| it.pattern.matches(host));
        // `max_by_key` gives the last of equals, and the first is meant.
        matching.rev().max_by_key(|it| it.pattern.specificity())
    }
}

/// Where something is written. Lines and columns count from 1; a column counts characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Position {
    /// As compilers write it, so that editors find it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display().to_string();
        write!(f, "{}:{}:{}", file.escape_debug(), self.line, self.column)
    }
}

/// What is special about registries.
#[derive(Debug, Clone)]
pub struct RegistryRule {
    /// Where it is written.
    pub at: Position,
    /// Which ones.
    pub pattern: HostPattern,
    /// Who we are there. Without it, whoever the files and helpers of containers tools say.
    pub auth: Option<Auth>,
    /// A file with the certificates of authorities that are trusted besides the usual ones.
    pub ca: Option<PathBuf>,
    /// How connections are protected. Without it, as everywhere else.
    pub tls: Option<Tls>,
    /// Hosts that have the same images, asked first when reading: `HOST` or `HOST/PREFIX`.
    pub mirror: Vec<Mirror>,
    /// How many requests may be in flight.
    pub parallel: Option<NonZeroUsize>,
    /// How many requests may be begun in a time.
    pub rate: Option<Rate>,
    /// How many bytes may move in a time, both ways together.
    pub bandwidth: Option<Bandwidth>,
    /// How much of the registry's own limit is used.
    pub quota: Option<Quota>,
}

/// Who we are at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    None,
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        pass: Secret,
    },
    /// A token that is sent to the registry as Bearer.
    Token(Secret),
    /// A credential helper of Docker: `docker-credential-` and this.
    Helper(String),
}

/// How connections are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS, verified.
    On,
    /// TLS, not verified.
    Insecure,
    /// Plain HTTP.
    Off,
}

/// One entry of `images`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it is written.
    pub at: Position,
    /// Where images come from.
    pub from: From,
    /// Which of them. Empty (`include` and `also`) where `from` names a single image itself: see
    /// [`From::is_single`].
    pub tags: Tags,
    /// Where they go: at least one.
    pub to: Vec<Template>,
    /// For which platforms; empty means all.
    pub platforms: Vec<Platform>,
    /// What becomes of an index of which not all platforms are copied.
    pub index: Subset,
    /// What that refers to an image goes with it.
    pub referrers: Referrers,
    /// What happens to a tag that stands for something else at the destination.
    pub change: Change,
    /// Tags that never change: if the destination has one, nobody is asked.
    pub immutable: Vec<Selector>,
    /// The name that a tag's old image gets before the tag is moved.
    pub backup: Option<TagTemplate>,
}

/// Where images come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// A repository of a registry.
    Registry(Repository),
    /// A local place: `oci:`, `dir:`, `docker-archive:`, `oci-archive:`, `docker-daemon:`. Its name is
    /// [`Name::Sole`](crate::image::Name::Sole) where `tags` choose.
    Local(Reference),
}

/// What that refers to an image (signatures, attestations) goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Referrers {
    /// Everything.
    All,
    /// Nothing.
    None,
    /// What is of these artifact types. At least one.
    Types(Vec<String>),
}

/// What happens to a tag that stands for something else at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It moves.
    Update,
    /// It stays.
    Keep,
    /// It stays, and that is a failure.
    Fail,
}

/// What becomes of tags at destinations that no source has any more.
#[derive(Debug, Clone)]
pub struct Prune {
    /// What is done.
    pub mode: PruneMode,
    /// If more than this share of a repository's tags would go, none goes.
    pub max: Share,
    /// How long a tag must have been gone at the source. Needs [`Config::state`].
    pub grace: Option<Duration>,
    /// Tags that stay.
    pub keep: Vec<Selector>,
}

/// What pruning does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneMode {
    /// Nothing.
    Off,
    /// It says what it would delete.
    Report,
    /// It deletes.
    Delete,
}

/// When `imgcopy watch` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The times.
    pub cron: Cron,
    /// The time zone's name in the IANA database; `UTC` by default.
    pub zone: String,
    /// A run begins up to this much later, so that not everybody begins at once.
    pub jitter: Duration,
    /// How long a run may take.
    pub deadline: Option<Duration>,
}

/// Somebody who is told about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// The address that gets a POST. It may hold a secret.
    pub webhook: Secret,
    /// After which runs. At least one.
    pub when: Vec<Occasion>,
}

/// A reason to tell somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Something failed or was put off.
    Failure,
    /// Something was copied or deleted.
    Change,
    /// A run ended.
    Always,
}

/// Where metrics go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// A file for the textfile collector of Prometheus' node exporter.
    pub textfile: Option<PathBuf>,
}

impl From {
    /// Whether it names one image itself, so that `tags` are empty: an archive's `:@0`, a plain
    /// directory, an engine's image.
    pub fn is_single(&self) -> bool {
        match self {
            From::Registry(_) | From::Local(Reference::Docker { .. }) => false,
            From::Local(Reference::Dir { .. }) => true,
            From::Local(other) => *other.name() != crate::image::Name::Sole,
        }
    }
}

impl fmt::Display for From {
    /// As it is written in `from`, completed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Registry(repository) => repository.fmt(f),
            From::Local(reference) => reference.fmt(f),
        }
    }
}
