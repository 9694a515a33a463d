//! Parts of a file: shares of several machines, what fits a pattern, what failed last time; and what a
//! run that changes nothing shows.

use std::collections::BTreeSet;

use imgcopy::sync::report::Status;

use crate::kit::{REPO, writes};
use crate::night::{Night, entry, repo};
use crate::support::Run;
use crate::support::registry::{Action, Fault, Registry};

#[test]
fn shards_are_disjoint_and_together_the_whole() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    let mut images = String::new();
    for number in 0..12 {
        let path = format!("app/{number}");
        here.add_image(&path, "1", &[300], number);
        here.add_image(&path, "2", &[400], number);
        images += &entry(&repo(&here, &path), "\"*\"", &repo(&there, "{repo}"), "");
    }
    let night = Night::of(&images);
    let mut seen = BTreeSet::new();
    for index in 0..3 {
        let shard = format!("{index}/3");
        let morning = night.run(&["--shard", &shard]).ended(0);
        assert_eq!(morning.report.run.shards.len(), 1);
        for row in &morning.report.rows {
            assert_eq!(row.status, Status::New);
            assert!(
                seen.insert(row.destination.clone()),
                "{} twice",
                row.destination
            );
        }
    }
    assert_eq!(seen.len(), 24);
    let whole = night.runs().all(Status::Same, 24);
    let whole: BTreeSet<String> = whole
        .report
        .rows
        .into_iter()
        .map(|row| row.destination)
        .collect();
    assert_eq!(seen, whole);
    let bad = Run::of(night.command("sync").args(["--shard", "3/3"]));
    bad.fails(64);
}

#[test]
fn only_what_fits_is_copied() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    for path in ["a/one", "b/two"] {
        here.add_image(path, "1", &[300], 1);
    }
    let night = Night::of(&format!(
        "{}{}",
        entry(&repo(&here, "a/one"), "\"1\"", &repo(&there, "{repo}"), ""),
        entry(&repo(&here, "b/two"), "\"1\"", &repo(&there, "{repo}"), ""),
    ));
    let morning = night.run(&["--only", "*/b/*"]).ended(0).all(Status::New, 1);
    assert!(morning.row("b/two:1").reason.is_none());
    assert_eq!(there.tags("a/one"), [""; 0]);
}

#[test]
fn a_second_run_does_only_what_failed_and_what_nobody_could_list() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    for path in ["good", "bad", "unlisted"] {
        here.add_image(path, "1", &[300], 1);
    }
    let to = |path: &str, tags: &str| entry(&repo(&here, path), tags, &repo(&there, "{repo}"), "");
    let night = Night::of(
        &[
            to("good", "\"1\""),
            to("bad", "\"1\""),
            to("unlisted", "\"*\""),
        ]
        .concat(),
    );
    here.fail(
        Fault::on("GET", "/bad/manifests/")
            .always()
            .then(Action::status(403)),
    );
    here.fail(
        Fault::on("GET", "/unlisted/tags")
            .always()
            .then(Action::status(403)),
    );
    let morning = night.run(&[]).ended(3);
    assert_eq!(morning.report.rows.len(), 2);
    std::fs::copy(night.at("report.json"), night.at("first.json")).unwrap();
    here.heal();
    here.forget();
    there.forget();
    let morning = night
        .run(&["--retry-from", "first.json"])
        .ended(0)
        .all(Status::New, 2);
    assert_eq!(morning.row("bad:1").attempts, 1);
    assert_eq!(here.count("*", "/good/") + there.count("*", "/good/"), 0);
    assert_eq!(there.tags("unlisted"), ["1"]);
    // Nothing is left.
    std::fs::copy(night.at("report.json"), night.at("second.json")).unwrap();
    there.forget();
    night
        .run(&["--retry-from", "second.json"])
        .ended(0)
        .all(Status::New, 0);
    assert_eq!(there.log().len(), 0);
}

#[test]
fn a_dry_run_shows_what_would_be_done_and_does_nothing() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    for tag in ["new", "moved", "same"] {
        here.add_image(REPO, tag, &[300], 1);
    }
    there.add_image(REPO, "moved", &[300], 2);
    there.add_image(REPO, "same", &[300], 1);
    let tags = "\"new\", \"moved\", \"same\"";
    let night = Night::of(&entry(
        &repo(&here, REPO),
        tags,
        &repo(&there, REPO),
        ", backup: \"{tag}.old\"",
    ));
    let before = there.tags(REPO);
    let morning = night.run(&["--dry-run"]).ended(0);
    assert_eq!(morning.row(":new").status, Status::WouldCreate);
    assert_eq!(morning.row(":moved").status, Status::WouldUpdate);
    assert_eq!(morning.row(":same").status, Status::Same);
    // What would be copied is read as far as that tells what it would take; no layer is.
    assert_eq!((writes(&there), here.count("GET", "/manifests/")), (0, 2));
    assert_eq!(here.count("GET", "/blobs/"), 0);
    assert_eq!(there.tags(REPO), before);
    let planned = Run::of(crate::support::command().current_dir(night.home()).args([
        "plan",
        "sync.yaml",
        "--format",
        "json",
    ]))
    .ok();
    let planned: serde_json::Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(planned["totals"]["tags"]["would-create"], 1, "{planned}");
    assert_eq!((writes(&there), here.count("GET", "/blobs/")), (0, 0));
}

#[test]
fn a_dry_run_makes_no_directory_and_no_archive() {
    let here = Registry::start();
    here.add_image(REPO, "1", &[300], 1);
    let night = Night::of(&format!(
        "  - {{from: \"{}\", tags: [\"1\"], to: [\"oci:layout\", \"oci-archive:a.tar\", \"docker-archive:b.tar\"]}}",
        repo(&here, REPO)
    ));
    let files = |night: &Night| {
        let mut files = crate::support::tree(night.home());
        files.retain(|file| file != "report.json");
        files
    };
    let before = files(&night);
    night
        .run(&["--dry-run"])
        .ended(0)
        .all(Status::WouldCreate, 3);
    assert_eq!(files(&night), before);
    // The config tells what the layers unpack to.
    assert_eq!(here.count("GET", "/blobs/"), 1);
}
