//! Longer ways, at whose end the image is what it was.

use std::collections::BTreeSet;
use std::fs;

use imgcopy::copy::Selection;

use crate::Subject;
use crate::fixtures;
use crate::places::{Kind, Place, harvest, plant};
use crate::shapes;
use crate::support::told;
use crate::world::World;

/// Copies from place to place, and gives what each is called on the way.
#[track_caller]
fn along(world: &World, from: &str, places: &[String]) -> Vec<String> {
    let mut from = from;
    let mut digests = Vec::new();
    for to in places {
        let copied = world.copy(from, to, &Selection::All);
        let outcome = copied.unwrap_or_else(|error| panic!("{from} -> {to}: {}", told(&error)));
        digests.push(outcome.digest.to_string());
        from = to;
    }
    digests
}

/// Everything that is made here.
fn made() -> impl Iterator<Item = Subject> {
    let all = [
        shapes::images(),
        shapes::layers(),
        shapes::indexes(),
        shapes::artifacts(),
    ];
    all.into_iter().flatten()
}

/// Copies every image along these kinds of places, and sees that it arrives as it was.
#[track_caller]
fn keeps_every_byte(way: [Kind; 4]) {
    let world = World::new();
    for subject in made() {
        let name = &subject.name;
        let Some(from) = plant(&subject.graph, &world.source(way[0])) else {
            continue;
        };
        let places = way[1..].iter().map(|kind| world.destination(*kind));
        let places: Vec<_> = places.collect();
        let references: Vec<String> = places.iter().map(Place::reference).collect();
        let digests = along(&world, &from, &references);
        assert_eq!(digests, vec![subject.graph.root.clone(); 3], "{name}");
        let end = harvest(places.last().unwrap());
        let [end, begin] = [end, subject.graph.spelled_out()].map(|it| it.without_foreign());
        assert_eq!(end, begin, "{name}");
    }
}

#[test]
fn from_a_layout_by_dir_and_archive_to_a_registry() {
    keeps_every_byte([Kind::Oci, Kind::Dir, Kind::OciArchive, Kind::Registry]);
}

#[test]
fn from_a_registry_by_archive_and_registry_to_a_layout() {
    keeps_every_byte([Kind::Registry, Kind::OciArchive, Kind::Registry, Kind::Oci]);
}

#[test]
fn from_a_dir_by_registry_and_layout_to_a_dir() {
    keeps_every_byte([Kind::Dir, Kind::Registry, Kind::Oci, Kind::Dir]);
}

/// By whatever way an image comes, its archive for `docker load` has the same bytes.
#[test]
fn an_archive_is_the_same_by_every_way() {
    let world = World::new();
    let mut seen = BTreeSet::new();
    for (source, image) in fixtures::saved() {
        if !seen.insert(image.id) {
            continue;
        }
        let archive = |way: &[Kind]| {
            let way: Vec<_> = way.iter().map(|kind| world.destination(*kind)).collect();
            let end = world.destination(Kind::DockerArchive);
            let places = way.iter().chain([&end]).map(Place::reference);
            along(&world, &source, &places.collect::<Vec<_>>());
            fs::read(end.path).unwrap()
        };
        let direct = archive(&[]);
        for way in [
            &[Kind::Oci][..],
            &[Kind::Dir],
            &[Kind::DockerArchive],
            &[Kind::OciArchive, Kind::Registry],
        ] {
            assert!(archive(way) == direct, "{source} by {way:?}");
        }
    }
    assert!(seen.len() > 10, "{}", seen.len());
}
