//! Hosts that are down, lists that are lost, and what is over when everything else is done.

use imgcopy::sync::report::Status;

use crate::kit::{REPO, kinds};
use crate::night::{Night, entry, repo};
use crate::support::registry::{Action, Fault, Hangup, Options, Registry};

const TAGS: u64 = 100;

fn many(server: &Registry) {
    let digest = server.add_image(REPO, "0", &[300], 1);
    for tag in 1..TAGS {
        server.set_tag(REPO, &tag.to_string(), &digest);
    }
}

fn names() -> String {
    let names: Vec<String> = (0..TAGS).map(|tag| format!("\"{tag}\"")).collect();
    names.join(", ")
}

/// How many connections a host gets at most that refuses all of them: the tags that are asked about
/// at once and a few more, each so often as a request is repeated, in two passes.
const MOST: usize = (64 + 16) * 3 * 2;

#[test]
fn a_destination_that_is_down_all_night_is_left_alone_and_the_others_finish() {
    let [here, dead, good] = [0; 3].map(|_| Registry::start());
    many(&here);
    dead.fail(Fault::on("*", "").always().then(Action::reset()));
    let to =
        |server: &Registry, tags: &str| entry(&repo(&here, REPO), tags, &repo(server, REPO), "");
    let few = "\"0\", \"1\", \"2\"";
    let night = Night::of(&format!("{}{}", to(&dead, &names()), to(&good, few)));
    let morning = night.run(&[]).ended(3);
    let count = |status| morning.report.totals.count(status);
    assert_eq!((count(Status::New), count(Status::Failed)), (3, TAGS));
    assert_eq!(good.tags(REPO), ["0", "1", "2"]);
    assert!(dead.log().len() <= MOST, "{}", dead.log().len());
    assert!(morning.told.contains("times in a row"), "{}", morning.told);
}

#[test]
fn a_source_that_is_down_all_night_is_left_alone_though_nothing_is_there_yet() {
    let [dead, other, there] = [0; 3].map(|_| Registry::start());
    dead.fail(Fault::on("*", "").always().then(Action::reset()));
    other.add_image("other", "1", &[500], 2);
    let night = Night::of(&format!(
        "{}{}",
        entry(&repo(&dead, REPO), &names(), &repo(&there, REPO), ""),
        entry(&repo(&other, "other"), "\"1\"", &repo(&there, "other"), ""),
    ));
    let morning = night.run(&[]).ended(3);
    assert_eq!(morning.row("other:1").status, Status::New);
    assert_eq!(morning.report.totals.count(Status::Failed), TAGS);
    assert!(dead.log().len() <= MOST, "{:?}", kinds(&dead));
}

#[test]
fn what_failed_is_tried_once_more_when_all_else_is_done() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    here.add_image(REPO, "1", &[900, 500], 1);
    here.add_image(REPO, "2", &[900, 600], 2);
    // Longer than a request is repeated.
    here.fail(
        Fault::on("GET", "/manifests/1")
            .times(3)
            .then(Action::status(503)),
    );
    let night = Night::of(&entry(
        &repo(&here, REPO),
        "\"1\", \"2\"",
        &repo(&there, REPO),
        "",
    ));
    let morning = night.runs().all(Status::New, 2);
    assert_eq!(
        (morning.row(":1").attempts, morning.row(":2").attempts),
        (2, 1)
    );
    assert!(
        morning.told.contains("trying 1 once more"),
        "{}",
        morning.told
    );
    there.assert_whole(REPO);
}

#[test]
fn what_cannot_be_otherwise_is_not_tried_again() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    here.add_image(REPO, "1", &[900, 500], 1);
    let night = Night::of(&entry(
        &repo(&here, REPO),
        "\"1\", \"2\"",
        &repo(&there, REPO),
        "",
    ));
    let morning = night.run(&[]).ended(3);
    let row = morning.row(":2");
    assert_eq!((row.kind.as_deref(), row.attempts), (Some("not-found"), 1));
    assert_eq!(here.count("GET", "/manifests/2"), 1);
}

#[test]
fn a_source_that_lists_nothing_fails_its_entry_and_the_others_finish() {
    let [empty, here, there] = [0; 3].map(|_| Registry::start());
    here.add_image("other", "1", &[500], 2);
    let night = Night::of(&format!(
        "{}{}",
        entry(&repo(&empty, REPO), "\"*\"", &repo(&there, REPO), ""),
        entry(&repo(&here, "other"), "\"*\"", &repo(&there, "other"), ""),
    ));
    for answer in [
        Action::status(404),
        Action::Answer(crate::support::registry::Response::json(
            200,
            &serde_json::json!({ "name": REPO, "tags": null }),
        )),
        Action::status(500),
        Action::status(401),
        Action::reset(),
    ] {
        empty.heal();
        empty.fail(Fault::on("GET", "/tags/list").always().then(answer));
        let morning = night.run(&[]).ended(3);
        assert_eq!(morning.report.rows.len(), 1, "{:#?}", morning.report);
        assert!(matches!(
            morning.row("other:1").status,
            Status::New | Status::Same
        ));
        let problem = &morning.report.run.problems[0];
        assert!(
            problem.contains(":4:") && problem.contains(&empty.host()),
            "{problem}"
        );
        assert!(morning.told.contains(&empty.host()), "{}", morning.told);
    }
}

#[test]
fn a_page_of_a_list_that_is_lost_is_no_shorter_list() {
    let [there, other] = [0; 2].map(|_| Registry::start());
    let here = Registry::with(Options {
        page_size: Some(2),
        ..Options::default()
    });
    for tag in 0..10 {
        here.add_image(REPO, &tag.to_string(), &[300], tag);
    }
    other.add_image("other", "1", &[500], 2);
    for answer in [
        Action::status(500),
        Action::cut(5, Hangup::Close),
        Action::status(404),
    ] {
        here.heal();
        here.fail(Fault::on("GET", "/tags/list").nth(3).always().then(answer));
        let night = Night::of(&format!(
            "{}{}",
            entry(&repo(&here, REPO), "\"*\"", &repo(&there, REPO), ""),
            entry(&repo(&other, "other"), "\"*\"", &repo(&there, "other"), ""),
        ));
        let morning = night.run(&[]).ended(3);
        assert_eq!(morning.report.rows.len(), 1);
        assert_eq!(morning.report.run.problems.len(), 1);
        assert_eq!(there.tags(REPO), [""; 0]);
    }
    here.heal();
    let night = Night::of(&entry(&repo(&here, REPO), "\"*\"", &repo(&there, REPO), ""));
    night.runs().all(Status::New, 10);
}
