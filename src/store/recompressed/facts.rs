//! The facts, and the lines that tell them. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::image::{Compression, Digest, Repository};
use crate::store::compress::Coding;

/// Which compressors made what is remembered. It goes up when the golden digests of
/// `tests/determinism.rs` change: what older ones made is what nobody would make again.
const GENERATION: &str = "1";

/// How many repositories are remembered for one outcome, the newest.
const PLACES: usize = 8;

/// What came out when a layer was compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remade {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Repositories that had it, the newest last.
    pub places: Vec<Repository>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) content: Digest,
    pub(super) to: Coding,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) place: Option<Repository>,
}

type Key = (Digest, Compression, i32);

/// What is known. Of contradictions the newest counts.
#[derive(Debug, Default)]
pub(super) struct Facts(HashMap<Key, Remade>);

impl Facts {
    /// Reads lines. Those that are damaged or of other compressors are passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut facts = Self::default();
        for fact in text.lines().filter_map(Fact::parse) {
            facts.learn(fact);
        }
        facts
    }

    pub(super) fn find(&self, content: &Digest, to: Coding) -> Option<&Remade> {
        self.0.get(&key(content, to))
    }

    /// Learns a fact. `false` if it was known.
    pub(super) fn learn(&mut self, fact: Fact) -> bool {
        let Fact {
            content,
            to,
            digest,
            size,
            place,
        } = fact;
        let new = Remade {
            digest,
            size,
            places: place.into_iter().collect(),
        };
        match self.0.get_mut(&key(&content, to)) {
            Some(known) if known.digest == new.digest && known.size == new.size => {
                let mut is_new = false;
                for place in new.places {
                    if !known.places.contains(&place) {
                        is_new = true;
                        known.places.push(place);
                    }
                }
                if known.places.len() > PLACES {
                    known.places.remove(0);
                }
                is_new
            }
            _ => {
                self.0.insert(key(&content, to), new);
                true
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn key(content: &Digest, to: Coding) -> Key {
    (content.clone(), to.compression(), to.level())
}

impl Fact {
    /// `1 CONTENT METHOD LEVEL DIGEST SIZE REPOSITORY|- CHECK`, and the end of the line. The check is
    /// over all that stands before it, so that no damaged line passes for another one.
    pub(super) fn line(&self) -> String {
        let Self {
            content,
            to,
            digest,
            size,
            place,
        } = self;
        let (method, level) = (to.compression(), to.level());
        let place = place
            .as_ref()
            .map_or("-".to_string(), Repository::to_string);
        let told = format!("{GENERATION} {content} {method} {level} {digest} {size} {place}");
        format!("{told} {}\n", check(&told))
    }

    fn parse(line: &str) -> Option<Self> {
        let (told, checked) = line.rsplit_once(' ')?;
        if check(told) != checked {
            return None;
        }
        let mut fields = told.split(' ');
        if fields.next()? != GENERATION {
            return None;
        }
        let content = fields.next()?.parse().ok()?;
        let method = fields.next()?;
        let method = [Compression::None, Compression::Gzip, Compression::Zstd]
            .into_iter()
            .find(|it| it.as_str() == method)?;
        let to = Coding::new(method, Some(fields.next()?.parse().ok()?)).ok()?;
        let digest = fields.next()?.parse().ok()?;
        let size = fields.next()?.parse().ok()?;
        let place = match fields.next()? {
            "-" => None,
            place => Some(place.parse().ok()?),
        };
        fields.next().is_none().then_some(Self {
            content,
            to,
            digest,
            size,
            place,
        })
    }
}

fn check(told: &str) -> String {
    Digest::of(told.as_bytes()).hex().chars().take(16).collect()
}

/// The newest lines that tell something, up to so many bytes, the oldest first.
pub(super) fn newest(text: &str, limit: usize) -> String {
    let mut kept = Vec::new();
    let (mut seen, mut size) = (BTreeSet::new(), 0);
    for line in text.lines().rev() {
        if Fact::parse(line).is_none() || !seen.insert(line) {
            continue;
        }
        size += line.len() + 1;
        if size > limit {
            break;
        }
        kept.push(line);
    }
    kept.iter().rev().fold(String::new(), |mut all, line| {
        all.push_str(line);
        all.push('\n');
        all
    })
}
