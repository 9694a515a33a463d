//! Archives, which are written in one piece or not at all.

use imgcopy::sync::report::Status;

use crate::kit::REPO;
use crate::night::{Night, entry, repo};
use crate::support::registry::{Action, Fault, Registry};
use crate::support::{imgcopy, stamps};

/// Two repositories that go into one archive.
fn two(kind: &str) -> (Registry, Night) {
    let here = Registry::start();
    here.add_image("a/one", "1", &[900, 500], 1);
    here.add_image("b/two", "1", &[900, 600], 1);
    let night = Night::of("");
    night.wants(&both(&here, kind, "\"1\""));
    std::fs::create_dir(night.at("out")).unwrap();
    (here, night)
}

fn both(here: &Registry, kind: &str, tags: &str) -> String {
    let to = format!("{kind}:out/all.tar");
    format!(
        "{}{}",
        entry(&repo(here, "a/one"), "\"1\"", &to, ""),
        entry(&repo(here, "b/two"), tags, &to, ""),
    )
}

const KINDS: [&str; 2] = ["oci-archive", "docker-archive"];

#[track_caller]
fn names(night: &Night, kind: &str) -> Vec<String> {
    let archive = format!("{kind}:{}", night.at("out/all.tar").display());
    let told = imgcopy(["tags", &archive]).ok();
    let mut names: Vec<String> = told.stdout.lines().map(str::to_string).collect();
    names.sort();
    names
}

#[test]
fn a_changed_image_makes_the_archive_anew_with_all_in_it() {
    for kind in KINDS {
        let (here, night) = two(kind);
        night.runs().all(Status::New, 2);
        let (before, were) = (stamps(&night.at("out")), names(&night, kind));
        assert_eq!(were.len(), 2, "{were:?}");
        here.add_image("b/two", "1", &[900, 700], 1);
        let morning = night.runs();
        assert_ne!(stamps(&night.at("out")), before);
        assert_eq!(names(&night, kind), were);
        let changed = morning.row("two:1");
        assert!(changed.status.is_change(), "{changed:#?}");
        night.runs().all(Status::Same, 2);
    }
}

#[test]
fn an_image_that_fails_leaves_the_old_archive() {
    for kind in KINDS {
        let (here, night) = two(kind);
        night.runs();
        let before = stamps(&night.at("out"));
        here.add_image("a/one", "1", &[900, 700], 1);
        here.add_image("b/two", "1", &[900, 800], 1);
        here.fail(
            Fault::on("GET", "/b/two/blobs/")
                .always()
                .then(Action::status(403)),
        );
        let morning = night.run(&[]).ended(3).all(Status::Failed, 2);
        assert!(
            morning.reason("one:1").contains("stays as it was"),
            "{}",
            morning.reason("one:1")
        );
        assert_eq!(stamps(&night.at("out")), before);
        here.heal();
        night.runs();
        assert_eq!(names(&night, kind).len(), 2);
    }
}

#[test]
fn an_entry_that_nobody_could_list_leaves_the_old_archive() {
    for kind in KINDS {
        let (here, night) = two(kind);
        night.wants(&both(&here, kind, "\"*\""));
        night.runs();
        let before = stamps(&night.at("out"));
        here.add_image("a/one", "1", &[900, 700], 1);
        here.fail(
            Fault::on("GET", "/b/two/tags/")
                .always()
                .then(Action::status(500)),
        );
        let morning = night.run(&[]).ended(3).all(Status::Failed, 1);
        assert!(
            morning.reason("one:1").contains("stays as it was"),
            "{}",
            morning.reason("one:1")
        );
        assert_eq!(stamps(&night.at("out")), before);
        assert_eq!(names(&night, kind).len(), 2);
    }
}

#[test]
fn a_run_of_a_part_takes_nothing_out_of_an_archive() {
    for kind in KINDS {
        let (here, night) = two(kind);
        night.runs();
        let were = names(&night, kind);
        here.add_image("a/one", "1", &[900, 700], 1);
        night.run(&["--only", "*a/one*"]).ended(0);
        assert_eq!(names(&night, kind), were);
        night.runs().all(Status::Same, 2);
    }
}

#[test]
fn a_night_that_fails_at_first_writes_an_archive_in_the_second_pass() {
    for kind in KINDS {
        let (here, night) = two(kind);
        here.fail(
            Fault::on("GET", "/b/two/manifests/")
                .times(3)
                .then(Action::status(503)),
        );
        let morning = night.runs().all(Status::New, 2);
        assert_eq!(morning.row("two:1").attempts, 2);
        assert_eq!(names(&night, kind).len(), 2);
    }
}

#[test]
fn an_archive_and_a_registry_ask_a_source_once() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    here.add_image(REPO, "1", &[900], 1);
    let night = Night::of(&format!(
        "  - {{from: \"{}\", tags: [\"1\"], to: [\"oci-archive:all.tar\", \"{}\"]}}",
        repo(&here, REPO),
        repo(&there, REPO)
    ));
    night.runs().all(Status::New, 2);
    here.forget();
    night.runs().all(Status::Same, 2);
    assert_eq!(here.count("HEAD", "/manifests/1"), 1);
    assert_eq!(here.count("GET", ""), 0);
}

#[test]
fn local_places_are_sources_by_their_tags_or_by_one_name() {
    let all = crate::support::fixture("docker20/multiimage.tar");
    let all = format!("docker-archive:{}", all.display());
    let night = Night::of(&format!(
        "  - {{from: \"{all}\", tags: \"*child*\", to: \"oci:all\"}}\n  - {{from: \"{all}:corpus/tiny:base\", to: \"oci:one:base\"}}"
    ));
    let morning = night.runs().all(Status::New, 3);
    assert_eq!(
        morning.row("one:base").source,
        format!("{all}:corpus/tiny:base")
    );
    let child = morning.row("all:corpus/tiny:child1");
    assert_eq!(child.source, format!("{all}:corpus/tiny:child1"));
    night.runs().all(Status::Same, 3);
}
