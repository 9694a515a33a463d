//! P-12: large blobs are read by several connections at once where one is slow.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use imgcopy::copy::{Job, Silent, copy};
use imgcopy::image::{Name, Reference};
use imgcopy::store::registry::{Limits, Options, Registries};
use imgcopy::store::{open_destination, open_source};
use support::registry::{Action, Fault, Registry};
use support::*;

const SIZE: usize = 9 << 20;

/// A registry with an image of one large layer, copied into a directory as if `fast` were a fast
/// connection. Gives how many requests there were for the layer.
fn copied(registry: &Registry, fast: u64) -> usize {
    let image = registry.add_image("a/app", "1", &[SIZE], 1);
    let temporary = tempdir();
    let directory = temporary.path().join("layout");
    let from: Reference = format!("docker://{}/a/app:1", registry.host())
        .parse()
        .unwrap();
    let to: Reference = oci_at(&directory, "1").parse().unwrap();
    let registries = Registries::new(Options {
        limits: Limits {
            split: 4 << 20,
            fast,
            ..Limits::default()
        },
        ..Options::bare()
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(async {
        let source = open_source(&from, &registries).unwrap();
        let destination = open_destination(&to, &registries, false).unwrap();
        let mut job = Job::new(&*source, &*destination);
        job.name = from.name().clone();
        job.tags = to.name().tag().cloned().into_iter().collect();
        // One after the other: the layer is alone.
        job.parallel = std::num::NonZeroUsize::MIN;
        assert!(matches!(job.name, Name::Tag(_)));
        copy(&job, &Silent::new()).await.unwrap()
    });
    assert_eq!(outcome.digest.to_string(), image);
    assert_eq!(assert_whole(&directory), ["1"]);
    let parts = registry.requests("GET", "/blobs/");
    parts
        .iter()
        .filter(|request| request.sent > 1 << 19)
        .count()
}

#[test]
fn p12_a_slow_connection_gets_help() {
    let registry = Registry::start();
    assert!(copied(&registry, u64::MAX) > 3, "{:?}", registry.log());
}

#[test]
fn p12_a_fast_connection_needs_none() {
    assert_eq!(copied(&Registry::start(), 0), 1);
}

#[test]
fn p12_a_registry_without_ranges_is_read_as_one_stream() {
    let registry = Registry::start();
    let ranged = |request: &support::registry::Request| request.headers.get("range").is_some();
    let whole = Fault::on("GET", "/blobs/").when(ranged).always();
    registry.fail(whole.then(Action::ignore_range()));
    copied(&registry, u64::MAX);
}

#[test]
fn p12_a_part_that_fails_costs_no_byte_of_the_blob() {
    let registry = Registry::start();
    let ranged = |request: &support::registry::Request| request.headers.get("range").is_some();
    let third = Fault::on("GET", "/blobs/").when(ranged).nth(3);
    registry.fail(third.then(Action::content_range("bytes 0-9/10")));
    copied(&registry, u64::MAX);
}
