//! Tags that stand for something else than at their source.

use imgcopy::sync::report::Status;

use crate::kit::{REPO, asked, writes};
use crate::night::{Night, entry, repo};
use crate::support::registry::{Action, Fault, Form, Image, Registry};

/// A source, a destination with another image under the same tag, and both digests.
fn moved() -> (Registry, Registry, String, String) {
    let (here, there) = (Registry::start(), Registry::start());
    let old = there.add_image(REPO, "1", &[900, 500], 1);
    let new = here.add_image(REPO, "1", &[900, 600], 2);
    (here, there, old, new)
}

fn night(here: &Registry, there: &Registry, more: &str) -> Night {
    Night::of(&entry(&repo(here, REPO), "\"1\"", &repo(there, REPO), more))
}

#[test]
fn a_tag_moves_by_default() {
    let (here, there, old, new) = moved();
    let night = night(&here, &there, "");
    let morning = night.runs().all(Status::Updated, 1);
    let row = morning.row(":1");
    let digests = [&row.before, &row.after, &row.source_digest];
    let digests = digests.map(|digest| digest.as_ref().unwrap().to_string());
    assert_eq!(digests, [old, new.clone(), new.clone()]);
    assert_eq!(there.tag_of(REPO, "1"), Some(new));
    there.assert_whole(REPO);
    there.forget();
    night.runs().all(Status::Same, 1);
    asked(&there, &[("HEAD tag", 1)]);
}

#[test]
fn a_tag_that_is_to_keep_its_image_costs_its_source_nothing() {
    let (here, there, old, _) = moved();
    let night = night(&here, &there, ", change: keep");
    let morning = night.runs().all(Status::Kept, 1);
    assert!(morning.reason(":1").contains("change: keep"));
    assert_eq!(there.tag_of(REPO, "1"), Some(old));
    asked(&here, &[]);
    asked(&there, &[("HEAD tag", 1)]);
}

#[test]
fn a_tag_that_must_not_move_fails() {
    let (here, there, old, new) = moved();
    let night = night(&here, &there, ", change: fail");
    let morning = night.run(&[]).ended(3).all(Status::Failed, 1);
    let row = morning.row(":1");
    assert_eq!(row.source_digest.as_ref().unwrap().to_string(), new);
    assert!(row.advice.as_deref().unwrap().contains("change: update"));
    assert_eq!(there.tag_of(REPO, "1"), Some(old));
    assert_eq!(writes(&there), 0);
    // What is not there yet may come.
    there.fail(Fault::on("HEAD", "/manifests/1").then(Action::status(404)));
    night.runs().all(Status::New, 1);
}

#[test]
fn the_old_image_gets_its_name_before_the_tag_moves() {
    let (here, there, old, new) = moved();
    let night = night(&here, &there, ", backup: \"{tag}.old\"");
    night.runs().all(Status::Updated, 1);
    assert_eq!(there.tag_of(REPO, "1.old"), Some(old.clone()));
    assert_eq!(there.tag_of(REPO, "1"), Some(new.clone()));
    // Nothing moves, nothing is renamed.
    there.forget();
    night.runs().all(Status::Same, 1);
    assert_eq!(there.tag_of(REPO, "1.old"), Some(old));
    assert_eq!(writes(&there), 0);
    there.assert_whole(REPO);
}

#[test]
fn a_tag_stays_if_its_old_image_cannot_be_kept() {
    let (here, there, old, _) = moved();
    let night = night(&here, &there, ", backup: \"{tag}.old\"");
    let denied = Fault::on("PUT", "/manifests/1.old").always();
    there.fail(denied.then(Action::error(403, "DENIED", "no such names here")));
    let morning = night.run(&[]).ended(3).all(Status::Failed, 1);
    assert!(
        morning.reason(":1").contains("1.old, so it stays"),
        "{}",
        morning.reason(":1")
    );
    assert_eq!(there.tag_of(REPO, "1"), Some(old));
    assert_eq!(there.count("PUT", "/blobs/"), 0);
}

/// A source with an index for three architectures, of which two are wanted.
fn some_platforms(index: &str) -> (Registry, Registry, Night) {
    let (here, there) = (Registry::start(), Registry::start());
    let images = [1, 2, 3].map(|seed| Image::new(Form::OciGzip, &[900, 500], seed));
    let digests = images.each_ref().map(|image| here.add(REPO, None, image));
    let all: Vec<(&str, &str)> = ["amd64", "arm64", "s390x"]
        .into_iter()
        .zip(digests.iter().map(String::as_str))
        .collect();
    here.add_index(REPO, "1", &all);
    let more = format!(", platforms: [linux/amd64, linux/arm64], index: {index}");
    let night = night(&here, &there, &more);
    (here, there, night)
}

#[test]
fn a_trimmed_index_is_the_same_on_the_next_night_and_costs_no_blob() {
    let (here, there, night) = some_platforms("trim");
    let morning = night.runs().all(Status::New, 1);
    let (row, was) = (morning.row(":1"), here.tag_of(REPO, "1").unwrap());
    assert_eq!(row.source_digest.as_ref().unwrap().to_string(), was);
    assert_ne!(row.after, row.source_digest);
    assert_eq!(there.blobs(REPO).len(), 6);
    there.assert_whole(REPO);
    let written = there.tag_of(REPO, "1");
    here.forget();
    there.forget();
    night.runs().all(Status::Same, 1);
    assert_eq!(there.tag_of(REPO, "1"), written);
    assert_eq!((here.count("*", "/blobs/"), writes(&there)), (0, 0));
    night.run(&["--dry-run"]).ended(0).all(Status::Same, 1);
}

#[test]
fn a_sparse_index_keeps_its_digest_where_it_is_taken() {
    use crate::support::registry::Options;
    let (here, _, night) = some_platforms("sparse");
    let there = Registry::with(Options {
        checks_references: false,
        ..Options::default()
    });
    night.wants(&entry(
        &repo(&here, REPO),
        "\"1\"",
        &repo(&there, REPO),
        ", platforms: [linux/amd64, linux/arm64], index: sparse",
    ));
    night.runs().all(Status::New, 1);
    assert_eq!(there.tag_of(REPO, "1"), here.tag_of(REPO, "1"));
    assert_eq!(there.blobs(REPO).len(), 6);
    there.forget();
    here.forget();
    night.runs().all(Status::Same, 1);
    assert_eq!((here.count("*", "/blobs/"), writes(&there)), (0, 0));
}

#[test]
fn a_registry_that_takes_no_sparse_index_is_told_so_and_nothing_is_left_half() {
    let (_here, there, night) = some_platforms("sparse");
    let morning = night.run(&[]).ended(3).all(Status::Failed, 1);
    assert_eq!(there.tags(REPO), [""; 0]);
    assert!(!morning.reason(":1").is_empty());
}

#[test]
fn a_tag_that_moves_between_question_and_copy_arrives_as_it_was_planned() {
    let (here, there, _, planned) = moved();
    // The tag moves as soon as somebody has asked what it stands for.
    let size = here.manifest(REPO, &planned).unwrap().bytes.len();
    let later = here.add_image(REPO, "1", &[900, 700], 3);
    assert_ne!(later, planned);
    let told = planned.clone();
    let asked = Fault::on("HEAD", "/manifests/1").always();
    here.fail(asked.then(Action::change(move |_, response| {
        response.headers.set("Docker-Content-Digest", told.as_str());
        response.headers.set("Content-Length", size.to_string());
    })));
    let morning = night(&here, &there, "").runs().all(Status::Updated, 1);
    assert_eq!(
        here.count("GET", "/manifests/1"),
        0,
        "it is asked for by its digest"
    );
    assert_eq!(there.tag_of(REPO, "1"), Some(planned.clone()));
    assert_eq!(
        morning.row(":1").after.as_ref().unwrap().to_string(),
        planned
    );
}
