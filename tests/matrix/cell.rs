//! One cell: an image, where it comes from, where it goes; and all that must be true of the copy.

use std::collections::BTreeSet;
use std::fmt;

use imgcopy::copy::{Outcome, Selection};
use imgcopy::error::{Error, ErrorKind};

use crate::Subject;
use crate::graph::Graph;
use crate::places::{Kind, Place, harvest, harvest_saved};
use crate::refusals::{self, Refusal};
use crate::support::{stamps, told, tree, truth};
use crate::world::World;

pub(crate) struct Cell<'c> {
    name: &'c str,
    from: Kind,
    source: String,
    to: Kind,
    selection: Selection,
    expected: Expected,
}

/// What arrives.
enum Expected {
    /// Every byte of it.
    Verbatim(Graph),
    /// These images: their IDs and DiffIds.
    Images(Vec<truth::Image>),
    Refused(Refusal),
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            from,
            source,
            to,
            ..
        } = self;
        write!(f, "{name}: {from:?} ({source}) -> {to:?}")
    }
}

impl<'c> Cell<'c> {
    pub(crate) fn of(subject: &'c Subject, (from, source): (Kind, &str), to: Kind) -> Self {
        let name = subject.name.as_str();
        // Places of single images get the one for this machine if none is chosen: so one is chosen.
        let selection = match to {
            Kind::DockerArchive if subject.graph.is_index() => {
                Selection::One("linux/amd64".parse().unwrap())
            }
            _ => Selection::All,
        };
        // Neither is asked of a registry nor sent to one what lives elsewhere.
        let graph = match (from, to) {
            (Kind::Registry, _) | (_, Kind::Registry) => subject.graph.without_foreign(),
            _ => subject.graph.clone(),
        };
        let expected = match refusals::of(name, from, to) {
            Some(refusal) => Expected::Refused(refusal),
            None if to == Kind::DockerArchive => {
                Expected::Images(graph.image_for("amd64").unwrap().images())
            }
            None if from == Kind::DockerArchive => Expected::Images(graph.images()),
            None => Expected::Verbatim(graph.spelled_out()),
        };
        let source = source.to_string();
        Self {
            name,
            from,
            source,
            to,
            selection,
            expected,
        }
    }

    /// An image of an archive of `docker save`.
    pub(crate) fn saved(source: &'c str, image: &truth::Image, to: Kind) -> Self {
        Self {
            name: "an archive of docker save",
            from: Kind::DockerArchive,
            source: source.to_string(),
            to,
            selection: Selection::All,
            expected: Expected::Images(vec![image.clone()]),
        }
    }

    pub(crate) fn check(&self, world: &World) {
        let place = world.destination(self.to);
        let copied = world.copy(&self.source, &place.reference(), &self.selection);
        match (&self.expected, copied) {
            (Expected::Refused(refusal), Err(error)) => self.is_refused(&place, refusal, &error),
            (Expected::Refused(_), Ok(outcome)) => panic!("{self}: copied as {}", outcome.digest),
            (_, Err(error)) => panic!("{self}: {}", told(&error)),
            (_, Ok(outcome)) => {
                self.is_there(&place, &outcome);
                self.asked_for_nothing_foreign(world);
                self.is_right(world, &place, &outcome);
                self.stays(world, &place, &outcome);
            }
        }
    }

    /// The error says what cannot be held, and nothing is left behind.
    fn is_refused(&self, place: &Place<'_>, (kind, said): &Refusal, error: &Error) {
        let told = told(error);
        assert_eq!(error.kind(), *kind, "{self}: {told}");
        assert!(told.contains(said), "{self}: {told}");
        let left = tree(place.around());
        assert!(place.is_empty(), "{self}: {left:?} {:?}", place.contents());
    }

    /// All of it, and nothing else.
    fn is_there(&self, place: &Place<'_>, outcome: &Outcome) {
        let digest = outcome.digest.to_string();
        if self.to == Kind::DockerArchive {
            let Expected::Images(expected) = &self.expected else {
                panic!("{self}: no images");
            };
            assert_eq!(&harvest_saved(&place.path), expected, "{self}");
            return;
        }
        let found = harvest(place);
        assert_eq!(found.root, digest, "{self}");
        match &self.expected {
            Expected::Verbatim(expected) => {
                assert_eq!(found.root, expected.root, "{self}");
                assert_eq!(&found, expected, "{self}");
                assert_eq!(outcome.absent, expected.absent.len(), "{self}");
            }
            Expected::Images(expected) => assert_eq!(&found.images(), expected, "{self}"),
            Expected::Refused(_) => panic!("{self}: it should have been refused"),
        }
    }

    /// What lives at its own address is asked for nowhere (S-30, Q-83).
    fn asked_for_nothing_foreign(&self, world: &World) {
        if let (Kind::Registry, Expected::Verbatim(graph)) = (self.from, &self.expected) {
            let (_, repository) = self.source.rsplit_once('/').unwrap();
            let repository = repository.trim_end_matches(":a");
            for digest in &(&graph.absent - &graph.absent_manifests()) {
                let blob = format!("/{repository}/blobs/{digest}");
                assert_eq!(world.here.count("*", &blob), 0, "{self}: {digest}");
            }
        }
    }

    /// imgcopy finds nothing wrong with it either.
    fn is_right(&self, world: &World, place: &Place<'_>, outcome: &Outcome) {
        let verdict = world.verify(&place.reference());
        assert!(
            verdict.findings.is_empty(),
            "{self}: {:?}",
            verdict.findings
        );
        // An archive for docker load holds no manifest: what is read there is made of its list.
        if self.to != Kind::DockerArchive {
            assert_eq!(verdict.digest, outcome.digest, "{self}");
        }
        let absent: BTreeSet<String> = verdict.absent.iter().map(ToString::to_string).collect();
        if let Expected::Verbatim(expected) = &self.expected {
            assert_eq!(absent, expected.absent_manifests(), "{self}");
            let read = expected.manifests.len();
            assert_eq!(verdict.manifests, read, "{self}");
        }
    }

    /// There is nothing left to do, and nothing is done. An archive is not written again.
    fn stays(&self, world: &World, place: &Place<'_>, outcome: &Outcome) {
        let reference = place.reference();
        let before = (stamps(place.around()), place.contents());
        world.there.forget();
        if self.to.is_archive() {
            let error = world.copy(&self.source, &reference, &self.selection);
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{self}: {}", told(&error));
            let said = "an archive is written in one piece";
            assert!(told(&error).contains(said), "{self}: {}", told(&error));
        } else {
            let plan = world
                .plan(&self.source, &reference, &self.selection)
                .unwrap();
            assert!(plan.is_empty(), "{self}: {plan:?}");
            let again = world
                .copy(&self.source, &reference, &self.selection)
                .unwrap();
            assert_eq!(again.digest, outcome.digest, "{self}");
            assert_eq!((again.moved, again.manifests), (0, 0), "{self}");
        }
        for asked in world.there.log() {
            assert!(
                ["GET", "HEAD"].contains(&asked.method.as_str()),
                "{self}: {asked:?}"
            );
        }
        assert_eq!((stamps(place.around()), place.contents()), before, "{self}");
    }
}
