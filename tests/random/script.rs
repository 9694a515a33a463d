//! A script: which image goes from where to where, and what goes wrong.

use std::fmt;
use std::time::Duration;

use imgcopy::copy::When;
use imgcopy::store::registry::{Limits, Options, RetryPolicy, Tls};

use crate::chance::Chance;
use crate::image::{Image, Maker, Shape};
use crate::support::registry::{self, Auth, Locations, TokenRules};
use crate::trouble::{Rules, Side, Target, Trouble, trouble};

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Between,
    Within,
    ToDirectory,
    ToOciArchive,
    ToSaved,
    FromDirectory,
    FromOciArchive,
    FromSaved,
}

impl Way {
    pub(crate) fn reads_registry(self) -> bool {
        use Way::{Between, ToDirectory, ToOciArchive, ToSaved, Within};
        matches!(
            self,
            Between | Within | ToDirectory | ToOciArchive | ToSaved
        )
    }

    pub(crate) fn writes_registry(self) -> bool {
        !matches!(self, Way::ToDirectory | Way::ToOciArchive | Way::ToSaved)
    }
}

/// Who may ask a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// Whoever has a token.
    Tokens,
    /// The same, but a token ends after so many requests.
    ShortTokens(usize),
}

/// What a registry is like.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Kind {
    door: Door,
    mounts: bool,
    pub(crate) referrers_api: bool,
    pub(crate) lax: bool,
    pub(crate) careful: bool,
    locations: Locations,
    chunk_min: Option<usize>,
}

impl Kind {
    fn any(chance: &mut Chance) -> Self {
        let locations = [
            Locations::Stateful,
            Locations::Signed,
            Locations::Absolute,
            Locations::Relative,
            Locations::RelativeStateful,
        ];
        let lax = chance.happens(25);
        let short = Door::ShortTokens(30 + chance.below(30));
        let door = chance.weighed(&[(15, Door::Open), (3, Door::Tokens), (2, short)]);
        Self {
            door,
            mounts: chance.happens(80),
            referrers_api: chance.happens(70),
            lax,
            careful: !(lax && chance.happens(50)),
            locations: chance.pick(&locations),
            chunk_min: chance.happens(10).then_some(1 << 20),
        }
    }

    pub(crate) fn options(&self) -> registry::Options {
        let rules = |uses| TokenRules {
            uses,
            ..TokenRules::default()
        };
        let auth = match self.door {
            Door::Open => Auth::Open,
            Door::Tokens => Auth::bearer(rules(None)),
            Door::ShortTokens(uses) => Auth::bearer(rules(Some(uses))),
        };
        registry::Options {
            auth,
            mounts: self.mounts,
            referrers_api: self.referrers_api,
            lax: self.lax,
            checks_references: self.careful,
            locations: self.locations,
            chunk_min: self.chunk_min,
            ..registry::Options::default()
        }
    }

    /// How many requests there may be for each that is needed.
    fn weight(&self) -> usize {
        match self.door {
            Door::Open => 1,
            Door::Tokens => 2,
            Door::ShortTokens(_) => 4,
        }
    }
}

pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) way: Way,
    pub(crate) image: Image,
    /// What the names of the destination stand for before.
    pub(crate) old: Image,
    /// What the tag of the source stands for once it moves.
    pub(crate) moved: Image,
    pub(crate) tags: Vec<&'static str>,
    /// The tags that are there already, with the old image.
    pub(crate) taken: Vec<&'static str>,
    /// How many in a hundred of the pieces are at the destination before, whoever brought them.
    pub(crate) strays: usize,
    pub(crate) chance_of_strays: u64,
    pub(crate) from: Kind,
    pub(crate) to: Kind,
    pub(crate) parallel: usize,
    split: bool,
    pub(crate) companions: When,
    pub(crate) troubles: Vec<Trouble>,
}

impl Script {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let chance = &mut chance;
        let way = chance.weighed(&[
            (36, Way::Between),
            (12, Way::Within),
            (14, Way::ToDirectory),
            (6, Way::ToOciArchive),
            (6, Way::ToSaved),
            (10, Way::FromDirectory),
            (6, Way::FromOciArchive),
            (10, Way::FromSaved),
        ]);
        let shape = match way {
            Way::ToSaved | Way::FromSaved => Shape::Single,
            _ => Shape::Any,
        };
        let mut maker = Maker::new(chance);
        let [image, old, moved] = [maker.make(shape), maker.make(Shape::Any), maker.make(shape)];
        let tags = chance.pick(&[vec!["1"], vec!["1"], vec!["1", "b"]]);
        let mut script = Self {
            seed,
            way,
            image,
            old,
            moved,
            taken: chance.pick(&[vec![], vec!["1"], vec!["1", "b"], vec!["b", "other"]]),
            tags,
            strays: chance.pick(&[0, 0, 20, 60]),
            chance_of_strays: chance.next(),
            from: Kind::any(chance),
            to: Kind::any(chance),
            parallel: chance.pick(&[1, 2, 6, 8]),
            split: chance.happens(40),
            companions: chance.pick(&[When::Never, When::Changed, When::Always]),
            troubles: Vec::new(),
        };
        if way == Way::Within {
            script.from = script.to.clone();
        }
        // An archive is always a new one.
        if matches!(way, Way::ToSaved | Way::ToOciArchive) {
            script.taken.clear();
        }
        let targets = script.targets(chance);
        let rules = Rules {
            is_careful: script.to.careful,
            may_move_tag: way.reads_registry() && way != Way::ToSaved,
        };
        for _ in 0..=chance.below(5) {
            script.troubles.push(trouble(chance, &targets, rules));
        }
        script
    }

    /// What requests there are on this way.
    fn targets(&self, chance: &mut Chance) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut add = |side, method, part: &str| {
            let part = part.to_string();
            targets.push(Target { side, method, part });
        };
        let pieces: Vec<String> = self.image.content.pool().into_keys().collect();
        let blobs: Vec<String> = self.image.content.blobs.keys().cloned().collect();
        let hex = |digest: String| digest.split_once(':').unwrap().1.to_string();
        if self.way.reads_registry() {
            for (method, part) in [
                ("*", "/v2/"),
                ("HEAD", "/manifests/"),
                ("GET", "/manifests/"),
                ("GET", "/manifests/"),
                ("GET", "/blobs/"),
                ("GET", "/blobs/"),
                ("GET", "/referrers/"),
            ] {
                add(Side::From, method, part);
            }
            add(Side::From, "GET", &hex(chance.pick(&blobs)));
            add(Side::From, "*", &hex(chance.pick(&pieces)));
            if self.from.door != Door::Open {
                add(Side::From, "*", "/token");
            }
        }
        if self.way.writes_registry() {
            for (method, part) in [
                ("*", "/v2/"),
                ("HEAD", "/manifests/"),
                ("HEAD", "/blobs/"),
                ("POST", "/blobs/uploads/"),
                ("PUT", "/blobs/uploads/"),
                ("PUT", "/blobs/uploads/"),
                ("PATCH", "/blobs/uploads/"),
                ("PUT", "/manifests/"),
                ("PUT", "/manifests/"),
                ("PUT", "/manifests/1"),
                ("GET", "/v2/"),
            ] {
                add(Side::To, method, part);
            }
            add(Side::To, "*", &hex(chance.pick(&pieces)));
            add(Side::To, "PUT", &hex(chance.pick(&blobs)));
            if self.way == Way::Within {
                add(Side::To, "POST", "mount=");
            }
            if self.to.door != Door::Open {
                add(Side::To, "*", "/token");
            }
        }
        targets
    }

    /// How registries are reached: with short pauses, and little patience where something stalls.
    pub(crate) fn options(&self) -> Options {
        match self.troubles.iter().any(Trouble::stalls) {
            true => self.options_with(Duration::from_millis(300)),
            false => self.patient_options(),
        }
    }

    pub(crate) fn patient_options(&self) -> Options {
        self.options_with(Duration::from_mins(1))
    }

    fn options_with(&self, patience: Duration) -> Options {
        let defaults = Limits::default();
        Options {
            tls: Some(Tls::Off),
            retry: RetryPolicy {
                times: 4,
                delay: Duration::from_millis(1),
                max_wait: Duration::from_mins(5),
            },
            limits: Limits {
                answer: patience,
                idle: patience,
                commit: patience,
                split: if self.split { 200_000 } else { defaults.split },
                fast: if self.split { u64::MAX } else { defaults.fast },
                ..defaults
            },
            ..Options::bare()
        }
    }

    /// How many requests there may be at most.
    pub(crate) fn bound(&self) -> usize {
        let pieces = [&self.image, &self.moved].map(|image| {
            image.content.pieces() + image.companions.pieces() + image.referrers.len()
        });
        let pieces = pieces.into_iter().max().unwrap() + self.tags.len();
        let round = 10 + 6 * pieces;
        let hits: usize = self
            .troubles
            .iter()
            .map(|it| it.times.unwrap_or(10 + 5 * pieces))
            .sum();
        let weight = self.from.weight().max(self.to.weight());
        // A copy begins anew at most four times, and each trouble costs a blob its way.
        weight * (round * (1 + hits.min(2)) + 6 * hits)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.way)?;
        let short = |image: &Image| {
            let Image {
                root,
                content,
                companions,
                ..
            } = image;
            let (manifests, blobs) = (content.manifests.len(), content.blobs.len());
            let others = companions.manifests.len();
            format!("{root}: {manifests} manifests, {blobs} blobs, {others} companions")
        };
        writeln!(f, "  image {}", short(&self.image))?;
        writeln!(f, "  old   {} as {:?}", short(&self.old), self.taken)?;
        writeln!(f, "  moved {}", short(&self.moved))?;
        writeln!(
            f,
            "  tags {:?}, {} % there before, companions {:?}, {} at once, split {}",
            self.tags, self.strays, self.companions, self.parallel, self.split
        )?;
        writeln!(f, "  source {:?}", self.from)?;
        writeln!(f, "  destination {:?}", self.to)?;
        for trouble in &self.troubles {
            writeln!(f, "  - {trouble}")?;
        }
        Ok(())
    }
}
