//! An interrupt tells what was done, and gives up what is open.

use crate::World;
use crate::support::registry::{Action, Fault, Hits};

/// One image that goes through, and one whose layer stands still.
fn stands(world: &World) -> Hits {
    world.from.add_image("team/app", "2", &[10 << 20], 2);
    world.wants("[1, 2]", "");
    let large = Fault::on("PUT", "/blobs/uploads/").when(|request| {
        let length = request.header("content-length").unwrap_or("0");
        length.parse::<usize>().unwrap() > 1 << 20
    });
    let stands = Action::stop_reading(64 << 10);
    world.to.fail(large.always().then(stands))
}

#[track_caller]
fn assert_told(world: &World, report: &str) {
    let report = world.report(report);
    assert_eq!(report["run"]["stopped"], "it was interrupted", "{report}");
    let status = |row: usize| report["rows"][row]["status"].as_str();
    assert_eq!([status(0), status(1)], [Some("new"), Some("deferred")]);
    assert!(world.to.tag_of("mirror/app", "1").is_some());
    assert_eq!(world.to.tag_of("mirror/app", "2"), None);
}

#[test]
fn r17_an_interrupted_sync_writes_its_reports_and_gives_up_uploads() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let world = World::new();
        let hits = stands(&world);
        let args = ["--report", "out.json", "--report", "out.html"];
        let running = world.starts("sync", &args);
        hits.wait(1);
        running.tells("new  ", 1);
        running.signal(signal);
        let (ended, told) = running.ends();
        assert_eq!(ended, Some(code), "{told}");
        assert!(told.contains("interrupted"), "{told}");
        assert_told(&world, "out.json");
        assert!(world.at("out.html").exists());
        assert_eq!(world.to.open_uploads(), 0, "{signal}");
    }
}

#[test]
fn an_interrupt_before_anything_is_known_writes_a_report_too() {
    let world = World::new();
    world.wants("['*']", "");
    let silent = world.from.fail(
        Fault::on("GET", "/tags/list")
            .always()
            .then(Action::stall()),
    );
    let running = world.starts("sync", &["--report", "out.json"]);
    silent.wait(1);
    running.signal("-INT");
    let (code, told) = running.ends();
    assert_eq!(code, Some(130), "{told}");
    let report = world.report("out.json");
    assert_eq!(
        report["run"]["stopped"],
        "it was interrupted, before all sources had told what they have"
    );
    assert_eq!(report["rows"].as_array().unwrap().len(), 0);
}

#[test]
fn a_deadline_holds_while_tags_are_listed() {
    let world = World::new();
    world.wants("['*']", "");
    world.from.fail(
        Fault::on("GET", "/tags/list")
            .always()
            .then(Action::stall()),
    );
    let running = world.starts("sync", &["--report", "out.json", "--deadline", "300ms"]);
    let (code, told) = running.ends();
    assert_eq!(code, Some(4), "{told}");
    assert_eq!(
        world.report("out.json")["run"]["stopped"],
        "its time was over, before all sources had told what they have"
    );
}

#[test]
fn a_watch_that_is_ended_in_a_run_writes_its_report_and_gives_up_uploads() {
    let world = World::new();
    let hits = stands(&world);
    let args = ["--once-now", "--interval", "1h", "--report", "out.json"];
    let running = world.starts("watch", &args);
    hits.wait(1);
    running.tells("new  ", 1);
    running.signal("-TERM");
    let (code, told) = running.ends();
    assert_eq!(code, Some(143), "{told}");
    assert_told(&world, "out.json");
    assert_eq!(world.to.open_uploads(), 0);
    assert_eq!(told.matches("next run").count(), 0, "{told}");
}

#[test]
fn a_watch_that_waits_ends_at_once() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let world = World::new();
        world.wants("[1]", "schedule: {cron: 0 2 1 1 *, zone: Europe/London}");
        let running = world.starts("watch", &[]);
        running.tells("next run at ", 1);
        running.signal(signal);
        let (ended, told) = running.ends();
        assert_eq!(ended, Some(code), "{told}");
        assert_eq!(world.to.log().len(), 0, "nothing was due");
    }
}
