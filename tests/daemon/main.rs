//! `docker-daemon:`, the images of a Docker engine: a real one, and one that does as it is told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub
)]

#[path = "../support/mod.rs"]
mod support;

mod export;
mod fake;
mod load;
mod reach;
mod real;

use std::path::Path;

use support::{fixture, imgcopy};

/// An archive of one image called `corpus/tiny:base`.
fn tiny() -> Vec<u8> {
    std::fs::read(fixture("docker28/single.tar")).unwrap()
}

/// The ID of an image of a place.
fn id_of(reference: &str) -> String {
    let told = imgcopy(["inspect", reference, "--no-tags", "--format", "json"]).ok();
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    told["ImageID"].as_str().unwrap().to_string()
}

/// Fails unless a plan says that nothing is to be done.
#[track_caller]
fn idle(plan: &support::Run) {
    assert!(plan.stdout.ends_with("nothing to do\n"), "{}", plan.stdout);
}

fn layout(home: &Path) -> String {
    support::oci_at(&home.join("layout"), "a")
}
