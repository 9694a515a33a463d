//! What stays where it is, or as it is, although it could move or be compressed anew.

use imgcopy::copy::{Selection, Silent, copy};
use imgcopy::image::Compression;
use imgcopy::store::compress::Coding;

use crate::cell::Cell;
use crate::fixtures;
use crate::places::{ALL, Kind, harvest, plant};
use crate::shapes;
use crate::support::told;
use crate::world::World;

/// zstd:chunked, eStargz, gzip and zstd: whoever asks for a compression asks for plain layers to be
/// compressed, and such layers say with their bytes where their files are.
#[test]
fn compressed_layers_stay_whatever_compression_is_asked_for() {
    let world = World::new();
    let chunked = fixtures::graphs(&["podman"]).into_iter();
    let chunked = chunked.filter(|subject| subject.name.contains("zstd"));
    let stargz = shapes::layers().into_iter();
    let stargz = stargz.filter(|subject| subject.name == "eStargz");
    let subjects: Vec<_> = chunked.chain(stargz).collect();
    assert!(subjects.len() > 2);
    for subject in subjects {
        for compression in [Compression::Gzip, Compression::Zstd] {
            for to in ALL.into_iter().filter(|to| *to != Kind::DockerArchive) {
                let source = plant(&subject.graph, &world.source(Kind::Oci)).unwrap();
                let place = world.destination(to);
                let to = place.reference();
                let copied = world.with_job(&source, &to, &Selection::All, async |job| {
                    let mut job = job.clone();
                    job.compression = Some(Coding::new(compression, None)?);
                    copy(&job, &Silent::new()).await
                });
                let outcome = copied.unwrap_or_else(|error| panic!("{to}: {}", told(&error)));
                assert_eq!(outcome.digest.to_string(), subject.graph.root, "{to}");
                assert_eq!(harvest(&place), subject.graph, "{to}");
            }
        }
    }
}

#[test]
fn images_of_every_shape_move_within_a_registry() {
    let world = World::new();
    let subjects = [
        shapes::images(),
        shapes::layers(),
        shapes::indexes(),
        shapes::artifacts(),
    ];
    let subjects = subjects.concat();
    let mut cells = Vec::new();
    for subject in &subjects {
        let near = world.destination(Kind::Registry);
        if let Some(source) = plant(&subject.graph, &near) {
            cells.push(Cell::of(subject, (Kind::Registry, &source), Kind::Registry));
        }
    }
    world.check(&cells);
}

/// The registry has the last word: the name does not move.
#[test]
fn a_registry_that_wants_every_image_refuses_a_sparse_index() {
    let world = World::new();
    for subject in shapes::sparse() {
        let source = plant(&subject.graph, &world.source(Kind::Oci)).unwrap();
        let place = world.destination(Kind::Registry);
        let error = world.copy(&source, &place.reference(), &Selection::All);
        let told = told(&error.unwrap_err());
        for digest in subject.graph.absent_manifests() {
            assert!(told.contains(&digest), "{told}");
        }
        assert_eq!(world.there.tags(&place.repository), [""; 0]);
        assert_eq!(world.there.open_uploads(), 0);
    }
}
