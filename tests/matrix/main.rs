//! Every kind of source to every kind of destination, over every fixture and over shapes that no
//! fixture has: what arrives is compared byte for byte with what was there, by readers and writers
//! that share nothing with imgcopy's. What a destination cannot hold stands in one table (`refusals`).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod build;
mod cell;
mod chains;
mod fixtures;
mod graph;
mod kept;
mod places;
mod refusals;
mod shapes;
mod world;

use cell::Cell;
use graph::Graph;
use places::{ALL, Kind};
use support::registry::Options;
use world::World;

/// An image, and the places where it lies already.
#[derive(Clone)]
struct Subject {
    name: String,
    graph: Graph,
    lies: Vec<(Kind, String)>,
}

/// Copies each image from every kind of place, and from where it lies, to every kind of place.
#[track_caller]
fn all_ways(subjects: &[Subject]) {
    all_ways_in(&World::new(), subjects);
}

#[track_caller]
fn all_ways_in(world: &World, subjects: &[Subject]) {
    let mut cells = Vec::new();
    for subject in subjects {
        let made = ALL.iter().filter_map(|kind| {
            let place = places::plant(&subject.graph, &world.source(*kind))?;
            Some((*kind, place))
        });
        for (from, source) in made.chain(subject.lies.iter().cloned()) {
            let cell = |to| Cell::of(subject, (from, &source), to);
            cells.extend(ALL.into_iter().map(cell));
        }
    }
    world.check(&cells);
}

#[test]
fn every_fixture_of_podman_arrives_everywhere() {
    all_ways(&fixtures::graphs(&["podman", "dir"]));
}

#[test]
fn every_other_fixture_arrives_everywhere() {
    all_ways(&fixtures::graphs(&["buildx", "others", "variants"]));
}

/// What Docker 25 and later save is an OCI archive, too.
#[test]
fn every_archive_of_docker_28_arrives_everywhere_as_an_oci_archive() {
    let subjects = fixtures::graphs(&["docker28"]);
    assert!(subjects.len() > 5);
    let cells = subjects.iter().flat_map(|subject| {
        let (from, source) = &subject.lies[0];
        ALL.map(|to| Cell::of(subject, (*from, source), to))
    });
    World::new().check(&cells.collect::<Vec<_>>());
}

#[test]
fn every_refusal_is_of_an_image_that_is_tried() {
    let mut tried = fixtures::graphs(&["buildx", "others", "variants"]);
    tried.extend(shapes::layers());
    tried.extend(shapes::indexes());
    tried.extend(shapes::sparse());
    tried.extend(shapes::artifacts());
    for name in refusals::names() {
        assert!(tried.iter().any(|subject| subject.name == name), "{name}");
    }
}

#[test]
fn images_of_every_shape_arrive_everywhere() {
    all_ways(&shapes::images());
}

#[test]
fn layers_of_every_shape_arrive_everywhere() {
    all_ways(&shapes::layers());
}

#[test]
fn indexes_of_every_shape_arrive_everywhere() {
    all_ways(&shapes::indexes());
}

#[test]
fn sparse_indexes_arrive_wherever_they_are_taken() {
    let options = Options {
        checks_references: false,
        ..Options::default()
    };
    all_ways_in(&World::with(options), &shapes::sparse());
}

#[test]
fn artifacts_of_every_shape_arrive_everywhere() {
    all_ways(&shapes::artifacts());
}

#[test]
fn every_archive_of_docker_save_arrives_everywhere() {
    let images = fixtures::saved();
    let of_image = |(source, image)| ALL.map(|to| Cell::saved(source, image, to));
    let cells: Vec<Cell<'_>> = images
        .iter()
        .map(|(source, image)| (source.as_str(), image))
        .flat_map(of_image)
        .collect();
    assert!(cells.len() > 100);
    World::new().check(&cells);
}
