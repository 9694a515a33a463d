//! What is told when a run has ended: metrics in a file, and webhooks.

use crate::support::imgcopy;
use crate::support::registry::{Action, Fault};
use crate::{Hook, World, sample, text_of};

const LAST_SUCCESS: &str = "imgcopy_last_success_timestamp_seconds";

#[test]
fn metrics_are_written_and_keep_the_last_success() {
    let world = World::new();
    let metrics = world.at("imgcopy.prom");
    world.wants(
        "[1]",
        &format!("metrics: {{textfile: {}}}", metrics.display()),
    );
    let (code, told) = world.starts("sync", &["--dry-run"]).ends();
    assert_eq!(code, Some(0), "{told}");
    assert!(!metrics.exists(), "nothing was done");
    let (code, told) = world.starts("sync", &[]).ends();
    assert_eq!(code, Some(0), "{told}");
    let first = text_of(&metrics);
    assert_eq!(sample(&first, "imgcopy_tags{status=\"new\"}"), 1.0);
    let success = sample(&first, LAST_SUCCESS);
    let down = Fault::on("*", "team/app").always();
    world
        .from
        .fail(down.then(Action::error(403, "DENIED", "no")));
    let (code, told) = world.starts("sync", &[]).ends();
    assert_eq!(code, Some(3), "{told}");
    let second = text_of(&metrics);
    assert_eq!(sample(&second, "imgcopy_tags{status=\"failed\"}"), 1.0);
    assert!(
        (sample(&second, LAST_SUCCESS) - success).abs() < 0.001,
        "{second}"
    );
    assert!(sample(&second, "imgcopy_last_run_timestamp_seconds") > success);
}

#[test]
fn metrics_that_cannot_be_written_are_a_warning() {
    let world = World::new();
    world.wants("[1]", "metrics: {textfile: /nowhere/at/all.prom}");
    let (code, told) = world.starts("sync", &[]).ends();
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("warning: cannot write the metrics /nowhere/at/all.prom"),
        "{told}"
    );
}

#[test]
fn webhooks_are_told_what_they_want_to_hear() {
    let world = World::new();
    let (always, change, failure) = (Hook::start(), Hook::start(), Hook::start());
    let notify = format!(
        "notify: [{{webhook: '{}', when: [always]}}, {{webhook: '{}', when: [change]}}, {{webhook: '{}'}}]",
        always.address(),
        change.address(),
        failure.address()
    );
    world.wants("[1, 2]", &notify);
    world.starts("sync", &["--dry-run"]).ends();
    assert_eq!(always.bodies().len(), 0, "nothing was done");
    // Tag 2 is not there.
    let (code, told) = world.starts("sync", &[]).ends();
    assert_eq!(code, Some(3), "{told}");
    world.from.add_image("team/app", "2", &[2000], 2);
    for _ in 0..2 {
        let (code, told) = world.starts("sync", &[]).ends();
        assert_eq!(code, Some(0), "{told}");
    }
    let heard = [&always, &change, &failure].map(|hook| hook.bodies().len());
    assert_eq!(heard, [3, 2, 1]);
    let body = &failure.bodies()[0];
    assert_eq!(
        (&body["exitCode"], &body["file"]),
        (&3.into(), &"sync.yaml".into())
    );
    assert_eq!(body["totals"]["tags"]["failed"], 1, "{body}");
    assert!(
        body["text"].as_str().unwrap().contains("1 new, 1 failed"),
        "{body}"
    );
    let failures = body["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1);
    let destination = failures[0]["destination"].as_str().unwrap();
    assert!(destination.ends_with("mirror/app:2"), "{body}");
    assert_eq!(failures[0]["kind"], "not-found");
}

#[test]
fn a_webhook_is_tried_again_and_no_failure_of_the_run() {
    let world = World::new();
    let (busy, gone) = (Hook::start(), Hook::start());
    busy.server
        .fail(Fault::on("POST", "").then(Action::status(503)));
    gone.server
        .fail(Fault::on("POST", "").always().then(Action::status(404)));
    let [busy_at, gone_at] = [&busy, &gone].map(Hook::address);
    let notify = format!(
        "notify: [{{webhook: '{busy_at}', when: [always]}}, {{webhook: '{gone_at}', when: [always]}}]"
    );
    world.wants("[1]", &notify);
    let (code, told) = world.starts("sync", &[]).ends();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!((busy.server.count("POST", ""), busy.bodies().len()), (2, 1));
    assert_eq!(gone.server.count("POST", ""), 1, "404 does not pass");
    assert_eq!(told.matches("warning: ").count(), 1, "{told}");
    assert!(
        told.contains("webhook 2 of `notify` was not told: it answered 404"),
        "{told}"
    );
}

#[test]
fn s40_the_address_of_a_webhook_is_nowhere_to_be_seen() {
    let world = World::new();
    let hook = Hook::start();
    hook.server
        .fail(Fault::on("POST", "").always().then(Action::reset()));
    // Nobody listens on port 1.
    let nobody = format!("http://127.0.0.1:1/{}", Hook::SECRET);
    let unusable = format!("http://127.0.0.1:99999999/{}", Hook::SECRET);
    let notify = format!(
        "notify: [{{webhook: '{}', when: [always]}}, {{webhook: '{nobody}', when: [always]}}, {{webhook: '{unusable}', when: [always]}}]",
        hook.address()
    );
    world.wants("[1]", &notify);
    let running = world.starts("sync", &["--debug", "--report", "out.json"]);
    let (code, told) = running.ends();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(hook.server.count("POST", ""), 3);
    assert_eq!(told.matches("was not told: ").count(), 3, "{told}");
    assert!(told.contains("its address cannot be used"), "{told}");
    assert!(told.contains("it cannot be reached (3 tries)"), "{told}");
    let file = world.at("sync.yaml");
    let shown = imgcopy([std::ffi::OsStr::new("config"), file.as_os_str()])
        .ok()
        .stdout;
    for text in [&told, &shown, &text_of(&world.at("out.json"))] {
        assert!(!text.contains(Hook::SECRET), "{text}");
    }
}
