//! The keys of `sync.yaml`: their names, what may stand there, what they are for, and what holds
//! without them. The reader, its advice, the JSON Schema and the test of the example all go by this
//! table, so they cannot differ.

use super::words::{self, Word};

/// A key of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it is for, in a line.
    pub(super) doc: &'static str,
    /// What holds without it, as it would be written.
    pub(super) default: Option<&'static str>,
    pub(super) is_required: bool,
    /// Known, and an error that says so.
    pub(super) is_planned: bool,
}

/// In which forms a value may be written; at least one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) word: Option<&'static Word>,
    /// A list of these.
    pub(super) list: Option<&'static Kind>,
    pub(super) map: Option<Keys>,
}

/// The keys of a map.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keys {
    /// These.
    Fixed(&'static [Key]),
    /// Hosts and globs of hosts, each with a map of these.
    Hosts(&'static [Key]),
}

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        doc,
        default: None,
        is_required: false,
        is_planned: false,
    }
}

impl Key {
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    const fn planned(mut self) -> Self {
        self.is_planned = true;
        self
    }
}

impl Kind {
    const fn one(word: &'static Word) -> Self {
        Self {
            word: Some(word),
            list: None,
            map: None,
        }
    }

    const fn map(keys: Keys) -> Self {
        Self {
            word: None,
            list: None,
            map: Some(keys),
        }
    }

    const fn list(item: &'static Kind) -> Self {
        Self {
            word: None,
            list: Some(item),
            map: None,
        }
    }

    /// A word, or a list of such.
    const fn some(word: &'static Word, item: &'static Kind) -> Self {
        Self {
            word: Some(word),
            list: Some(item),
            map: None,
        }
    }

    const fn or_map(mut self, keys: &'static [Key]) -> Self {
        self.map = Some(Keys::Fixed(keys));
        self
    }
}

const TEXT: Kind = Kind::one(&words::TEXT);
static PATH: Kind = Kind::one(&words::PATH);
const DURATION: Kind = Kind::one(&words::DURATION);
const COUNT: Kind = Kind::one(&words::COUNT);
const SHARE: Kind = Kind::one(&words::SHARE);
static SELECTOR: Kind = Kind::one(&words::SELECTOR);
const SELECTORS: Kind = Kind::some(&words::SELECTOR, &SELECTOR);
static SUFFIX: Kind = Kind::one(&words::SUFFIX);
static TEMPLATE: Kind = Kind::one(&words::TEMPLATE);
static PLATFORM: Kind = Kind::one(&words::PLATFORM);
static ARTIFACT: Kind = Kind::one(&words::ARTIFACT);
static HOST: Kind = Kind::one(&words::MIRROR);
static OCCASION: Kind = Kind::one(&words::OCCASION);

static TAGS_KEYS: [Key; 9] = [
    key(
        "include",
        SELECTORS,
        "which tags: literals, globs, version ranges, /regexes/, pins",
    ),
    key(
        "suffix",
        Kind::some(&words::SUFFIX, &SUFFIX),
        "variants that ranges take besides plain tags: alpine in 1.27-alpine",
    ),
    key("exclude", SELECTORS, "which of them not"),
    key("newer", DURATION, "only images created within this time"),
    key("sort", Kind::one(&words::SORT), "what the latest are by").or("version"),
    key("latest", COUNT, "only so many, the newest first"),
    key(
        "per",
        Kind::one(&words::PER),
        "so many of each major or minor version",
    ),
    key("also", SELECTORS, "which tags in any case"),
    key(
        "min",
        Kind::one(&words::ANY_COUNT),
        "fewer tags than this are an error",
    )
    .or("1"),
];

static VERIFY_KEYS: [Key; 0] = [];

const FROM: Key = key(
    "from",
    Kind::one(&words::FROM),
    "a repository, or oci:, docker-archive:, oci-archive:, dir:, docker-daemon:",
)
.required();
const TAGS: Key = key(
    "tags",
    Kind::some(&words::SELECTOR, &SELECTOR).or_map(&TAGS_KEYS),
    "which tags; a selector, a list of them, or a map",
);
const TO: Key = key(
    "to",
    Kind::some(&words::TEMPLATE, &TEMPLATE),
    "where they go: {registry} {repo} {namespace} {name} {flat} {tag} are those of the source",
);
const PLATFORMS: Key = key(
    "platforms",
    Kind::some(&words::PLATFORMS, &PLATFORM),
    "for which platforms: all, or OS/ARCHITECTURE[/VARIANT]",
)
.or("all");
const INDEX: Key = key("index", Kind::one(&words::INDEX), "with some platforms: trim makes a smaller index with a digest of its own, sparse keeps it as it is").or("trim");
const REFERRERS: Key = key(
    "referrers",
    Kind::some(&words::REFERRERS, &ARTIFACT),
    "signatures and what else refers to images: all, none, or a list of artifact types",
)
.or("all");
const CHANGE: Key = key(
    "change",
    Kind::one(&words::CHANGE),
    "a tag that moved at the source: update moves it, keep does not, fail makes it a failure",
)
.or("update");
const IMMUTABLE: Key = key(
    "immutable",
    SELECTORS,
    "tags that never move: present at the destination is done, without a question to the source",
)
.or("[]");
const BACKUP: Key = key(
    "backup",
    Kind::one(&words::BACKUP),
    "the name that the old image gets before a tag moves: {tag} and {date}",
)
.or("off");
const VERIFY: Key = key(
    "verify",
    Kind::map(Keys::Fixed(&VERIFY_KEYS)),
    "signatures that must be there",
)
.planned();

static ENTRY_KEYS: [Key; 10] = [
    FROM, TAGS, TO, PLATFORMS, INDEX, REFERRERS, CHANGE, IMMUTABLE, BACKUP, VERIFY,
];
static DEFAULTS_KEYS: [Key; 9] = [
    TAGS, TO, PLATFORMS, INDEX, REFERRERS, CHANGE, IMMUTABLE, BACKUP, VERIFY,
];
/// One of `images`: a reference, or a map.
pub(super) static ENTRY: Kind = Kind::one(&words::FROM).or_map(&ENTRY_KEYS);

static AUTH_KEYS: [Key; 4] = [
    key("user", TEXT, "the user"),
    key("pass", TEXT, "the password"),
    key("token", TEXT, "a token in place of user and password"),
    key(
        "helper",
        Kind::one(&words::HELPER),
        "a credential helper of Docker: osxkeychain, ecr-login",
    ),
];
static QUOTA_KEYS: [Key; 2] = [
    key("keep", SHARE, "how much is left to others").or("0%"),
    key(
        "wait",
        DURATION,
        "how long to wait for more before the rest is put off",
    )
    .or("0s"),
];
static REGISTRY_KEYS: [Key; 9] = [
    key(
        "auth",
        Kind::one(&words::AUTH).or_map(&AUTH_KEYS),
        "who we are: none, {user, pass}, {token} or {helper}; else as after `docker login`",
    ),
    key(
        "ca",
        Kind::one(&words::PATH),
        "a file with certificates of authorities to trust besides",
    ),
    key(
        "tls",
        Kind::one(&words::TLS),
        "on, insecure (not verified), off (plain HTTP)",
    )
    .or("on"),
    key(
        "mirror",
        Kind::some(&words::MIRROR, &HOST),
        "hosts that are read from first: HOST or HOST/PREFIX",
    ),
    key("parallel", COUNT, "requests in flight").or("16"),
    key("rate", Kind::one(&words::RATE), "requests in a time"),
    key(
        "bandwidth",
        Kind::one(&words::BANDWIDTH),
        "bytes in a second",
    ),
    key(
        "quota",
        Kind::map(Keys::Fixed(&QUOTA_KEYS)),
        "how much of the registry's own limit is used",
    ),
    key("create", TEXT, "whether repositories are created").planned(),
];

static PRUNE_KEYS: [Key; 4] = [
    key(
        "mode",
        Kind::one(&words::PRUNE),
        "off, report (say what delete would do), delete",
    )
    .or("off"),
    key(
        "max",
        SHARE,
        "if more of a repository's tags than this would go, none goes",
    )
    .or("10%"),
    key(
        "grace",
        DURATION,
        "how long a tag must have been gone; needs state",
    ),
    key("keep", SELECTORS, "tags that stay").or("[]"),
];
static SCHEDULE_KEYS: [Key; 4] = [
    key(
        "cron",
        Kind::one(&words::CRON),
        "minute, hour, day, month, weekday",
    )
    .required(),
    key("zone", Kind::one(&words::ZONE), "the time zone").or("UTC"),
    key("jitter", DURATION, "begin up to this much later").or("0s"),
    key("deadline", DURATION, "how long a run may take"),
];
static NOTIFY_KEYS: [Key; 2] = [
    key(
        "webhook",
        Kind::one(&words::WEBHOOK),
        "the address that gets a POST with the summary as JSON",
    )
    .required(),
    key(
        "when",
        Kind::some(&words::OCCASION, &OCCASION),
        "after which runs: failure, change, always",
    )
    .or("failure"),
];
static METRICS_KEYS: [Key; 1] = [key(
    "textfile",
    Kind::one(&words::PATH),
    "a file for Prometheus' node exporter",
)];
static NOTIFY: Kind = Kind::map(Keys::Fixed(&NOTIFY_KEYS));

const DEFAULTS: Key = key(
    "defaults",
    Kind::map(Keys::Fixed(&DEFAULTS_KEYS)),
    "any key of an entry but `from`; the entry's own key comes first",
);
const IMAGES: Key = key(
    "images",
    Kind::list(&ENTRY),
    "what is copied: references with a tag, or maps",
);

static ROOT_KEYS: [Key; 10] = [
    key(
        "version",
        Kind::one(&words::VERSION),
        "the version of this schema",
    )
    .required(),
    key(
        "registries",
        Kind::map(Keys::Hosts(&REGISTRY_KEYS)),
        "what is special about registries, by host or glob; the most specific one counts",
    ),
    DEFAULTS,
    IMAGES,
    key(
        "include",
        Kind::some(&words::PATH, &PATH),
        "files with more `defaults` and `images`: paths and globs, from this file's directory",
    ),
    key(
        "prune",
        Kind::map(Keys::Fixed(&PRUNE_KEYS)),
        "what becomes of tags at destinations that no source has any more",
    ),
    key(
        "state",
        Kind::one(&words::STATE),
        "a directory for what is remembered between runs",
    ),
    key(
        "schedule",
        Kind::map(Keys::Fixed(&SCHEDULE_KEYS)),
        "when `imgcopy watch` runs",
    ),
    key("notify", Kind::list(&NOTIFY), "who is told about a run"),
    key(
        "metrics",
        Kind::map(Keys::Fixed(&METRICS_KEYS)),
        "where metrics go",
    ),
];
/// A whole file.
pub(super) static ROOT: Kind = Kind::map(Keys::Fixed(&ROOT_KEYS));

static INCLUDED_KEYS: [Key; 2] = [DEFAULTS, IMAGES];
/// A file that another one includes.
pub(super) static INCLUDED: Kind = Kind::map(Keys::Fixed(&INCLUDED_KEYS));
