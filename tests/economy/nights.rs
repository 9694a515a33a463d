//! Nights of `imgcopy sync`: what is asked for a tag that is new, that moved, and that stays.

use std::num::NonZeroU32;

use imgcopy::sync::config::{self, Process};
use imgcopy::sync::report::Report;
use imgcopy::sync::{Ended, How, Places, sync};

use crate::kit::{self, REPO};
use crate::support::registry::Registry;
use crate::{changed, five};

/// A night without what belongs to images.
async fn night(here: &Registry, there: &Registry, more: &str) -> Report {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("sync.yaml");
    let (from, to) = (here.host(), there.host());
    let text = format!(
        "version: 1\nregistries: {{'{from}': {{tls: off}}, '{to}': {{tls: off}}}}\n\
         images: [{{from: '{from}/{REPO}', tags: ['*'], to: '{to}/{REPO}', referrers: none{more}}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = config::load(&file, &Process).unwrap();
    let places = Places::new(&config, kit::options(), NonZeroU32::MIN).unwrap();
    match sync(&config, &places, &How::default(), &|_| {})
        .await
        .unwrap()
    {
        Ended::Run(report) => report,
        Ended::Problems(problems) => panic!("{problems:?}"),
    }
}

/// HEADs and GETs of manifests at both places.
fn asked(here: &Registry, there: &Registry) -> [usize; 4] {
    let count = |of: &Registry, method| of.count(method, "/manifests/");
    [
        count(here, "HEAD"),
        count(here, "GET"),
        count(there, "HEAD"),
        count(there, "GET"),
    ]
}

#[tokio::test]
async fn a_new_tag_is_asked_for_once_at_its_destination() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    let report = night(&here, &there, "").await;
    assert_eq!(report.exit_code(), 0, "{:?}", report.lines());
    assert_eq!(asked(&here, &there), [0, 1, 1, 0]);
    there.assert_whole(REPO);
}

#[tokio::test]
async fn a_tag_that_moved_is_asked_for_once_at_each_place() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &changed());
    there.add(REPO, Some("1"), &five());
    let report = night(&here, &there, "").await;
    assert_eq!(report.exit_code(), 0, "{:?}", report.lines());
    let heads = |of: &Registry| of.count("HEAD", "/manifests/1");
    assert_eq!((heads(&here), heads(&there)), (1, 1));
    // It is read at its source by the digest that was told, once.
    assert_eq!(here.count("GET", "/manifests/"), 1);
    assert_eq!(here.tag_of(REPO, "1"), there.tag_of(REPO, "1"));
}

#[tokio::test]
async fn a_tag_that_stays_costs_a_head_at_each_place() {
    let (here, there) = (Registry::start(), Registry::start());
    for tag in ["1", "2"] {
        here.add(REPO, Some(tag), &five());
        there.add(REPO, Some(tag), &five());
    }
    let report = night(&here, &there, "").await;
    assert_eq!(report.exit_code(), 0, "{:?}", report.lines());
    assert_eq!(asked(&here, &there), [2, 0, 2, 0]);
    // And the list of tags.
    assert_eq!(
        (here.count("GET", "/v2/"), there.count("GET", "/v2/")),
        (1, 0)
    );
}

#[tokio::test]
async fn tags_that_never_change_cost_one_list() {
    let (here, there) = (Registry::start(), Registry::start());
    for tag in ["1", "2", "3", "4"] {
        here.add(REPO, Some(tag), &five());
        there.add(REPO, Some(tag), &five());
    }
    let report = night(&here, &there, ", immutable: ['*']").await;
    assert_eq!(report.exit_code(), 0, "{:?}", report.lines());
    assert_eq!(asked(&here, &there), [0, 0, 0, 0]);
    assert_eq!(there.count("GET", "/tags/list"), 1);
}

#[tokio::test]
async fn a_copy_that_begins_anew_asks_anew() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &changed());
    there.add(REPO, Some("1"), &five());
    // What the tag stands for there vouches for a layer that is lost.
    let lost = here
        .blobs(REPO)
        .into_iter()
        .find(|it| there.blob(REPO, it).is_some());
    there.delete_blob(REPO, &lost.unwrap());
    let report = night(&here, &there, "").await;
    assert_eq!(report.exit_code(), 0, "{:?}", report.lines());
    assert_eq!(there.count("HEAD", "/manifests/1"), 2);
    there.assert_whole(REPO);
}
