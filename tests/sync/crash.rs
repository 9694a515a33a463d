//! Runs that are killed at any moment, and two at once.

use std::process::Stdio;
use std::time::Instant;

use imgcopy::sync::report::Status;

use crate::kit::REPO;
use crate::night::{Night, entry, repo};
use crate::support::registry::Registry;
use crate::support::{Lifetime, Run, assert_whole};

const IMAGES: usize = 6;

fn source() -> Registry {
    let here = Registry::start();
    for tag in 0..IMAGES {
        here.add_image(REPO, &tag.to_string(), &[90_000, 5000, 500], tag as u64 / 2);
    }
    here
}

fn to(here: &Registry, there: &Registry) -> String {
    format!(
        "  - {{from: \"{}\", tags: [\"*\"], to: [\"{}\", \"oci:layout\", \"oci-archive:all.tar\"]}}",
        repo(here, REPO),
        repo(there, "mirror/app")
    )
}

#[test]
fn a_run_that_is_killed_at_any_moment_leaves_whole_images_and_the_next_ends_it() {
    let here = source();
    let mut lifetime = Lifetime::of_copies();
    let begun = Instant::now();
    let there = Registry::start();
    let night = Night::of(&to(&here, &there));
    night.runs();
    lifetime.is_at_least(begun.elapsed());
    let mut killed = 0;
    for seed in 0..40 {
        if killed == 4 {
            break;
        }
        let there = Registry::start();
        let night = Night::of(&to(&here, &there));
        let mut command = night.command("sync");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let died = lifetime.kill(&mut child, seed);
        killed += u64::from(died);
        there.assert_whole("mirror/app");
        assert_whole(&night.at("layout"));
        if died && seed % 2 == 0 {
            night.runs();
            there.assert_whole("mirror/app");
            assert_eq!(there.tags("mirror/app").len(), IMAGES);
            assert_eq!(assert_whole(&night.at("layout")).len(), IMAGES);
            night.runs().all(Status::Same, 3 * IMAGES);
        }
    }
    assert_eq!(killed, 4);
}

#[test]
fn two_runs_of_one_file_at_once_give_what_one_gives() {
    let here = source();
    let there = Registry::start();
    let night = Night::of(&to(&here, &there));
    let runs = [0, 1].map(|_| {
        let mut command = night.command("sync");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    });
    for run in runs {
        let run = Run::from(run.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    there.assert_whole("mirror/app");
    assert_eq!(assert_whole(&night.at("layout")).len(), IMAGES);
    night.runs().all(Status::Same, 3 * IMAGES);
}

#[test]
fn a_run_that_is_asked_to_end_ends_and_leaves_whole_images() {
    let here = source();
    let there = Registry::start();
    let held = crate::support::registry::Fault::on("PUT", "/manifests/")
        .nth(3)
        .always();
    let held = there.fail(held.then(crate::support::registry::Action::stall()));
    let night = Night::of(&entry(&repo(&here, REPO), "\"*\"", &repo(&there, REPO), ""));
    let mut command = night.command("sync");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    held.wait(1);
    let pid = child.id().to_string();
    Run::of(std::process::Command::new("kill").args(["-TERM", &pid])).ok();
    let limit = std::time::Duration::from_secs(20);
    let status = crate::support::ends_within(&mut child, limit);
    assert_eq!(status.code(), Some(143));
    there.assert_whole(REPO);
    assert_eq!(there.tags(REPO).len(), 2);
}
