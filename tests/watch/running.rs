//! `watch` runs again and again, and reads its file again.

use crate::support::registry::{Action, Fault, Gate};
use crate::{World, sample, text_of};

#[test]
fn a_file_without_a_schedule_is_refused() {
    let world = World::new();
    let (code, told) = world.starts("watch", &[]).ends();
    assert_eq!(code, Some(64), "{told}");
    assert!(
        told.contains("sync.yaml:1:1: it has no `schedule`"),
        "{told}"
    );
    assert!(told.contains("--interval"), "{told}");
    world.wants("[1]", "schedule: {cron: 0 2 * *, zone: Europe/Lodnon}");
    let (code, told) = world.starts("watch", &[]).ends();
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("sync.yaml:4:18: "), "{told}");
    assert!(told.contains("did you mean Europe/London?"), "{told}");
    assert_eq!(world.from.log().len(), 0);
}

#[test]
fn what_changes_at_the_source_is_copied_by_a_later_run() {
    let world = World::new();
    let metrics = world.at("imgcopy.prom");
    world.wants(
        "[1]",
        &format!("metrics: {{textfile: {}}}", metrics.display()),
    );
    let running = world.starts("watch", &["--interval", "50ms", "--report", "last.json"]);
    running.tells("1 new;", 1);
    running.tells("1 same;", 1);
    let new = world.from.add_image("team/app", "1", &[2000], 2);
    running.tells("1 updated;", 1);
    running.tells("1 same;", 3);
    running.signal("-TERM");
    let (code, told) = running.ends();
    assert_eq!(code, Some(143), "{told}");
    assert_eq!(world.to.tag_of("mirror/app", "1"), Some(new));
    assert_eq!(world.report("last.json")["version"], 1);
    assert!(sample(&text_of(&metrics), "imgcopy_last_success_timestamp_seconds") > 0.0);
}

#[test]
fn runs_do_not_overlap() {
    let world = World::new();
    let gate = Gate::closed();
    let asked = Fault::on("HEAD", "mirror/app/manifests/1");
    let asked = world.to.fail(asked.then(Action::Hold(gate.clone())));
    let running = world.starts("watch", &["--interval", "20ms"]);
    asked.wait(1);
    // Other runs would have asked, too: another program's whole run takes longer than many intervals.
    let (code, told) = world.starts("config", &[]).ends();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(running.count("images for"), 1, "{}", running.told());
    gate.open();
    running.tells("1 same;", 2);
    let told = running.told();
    // Each run ends before the next begins.
    let events: Vec<bool> = told
        .lines()
        .filter_map(|line| match line {
            line if line.contains("images for") => Some(true),
            line if line.contains(" in ") && line.contains(" request") => Some(false),
            _ => None,
        })
        .collect();
    assert!(events.iter().step_by(2).all(|begins| *begins), "{told}");
    assert!(
        events.iter().skip(1).step_by(2).all(|begins| !begins),
        "{told}"
    );
}

#[test]
fn a_failed_run_is_no_end() {
    let world = World::new();
    world.from.add_image("team/app", "2", &[2000], 2);
    let down = Fault::on("*", "team/app").times(1);
    world
        .from
        .fail(down.then(Action::error(403, "DENIED", "no")));
    let running = world.starts("watch", &["--interval", "50ms"]);
    running.tells("1 failed;", 1);
    running.tells("1 new;", 1);
    running.signal("-TERM");
    assert_eq!(running.ends().0, Some(143));
}

#[test]
fn a_changed_file_counts_from_the_next_run_on() {
    let world = World::new();
    world.from.add_image("team/app", "2", &[2000], 2);
    let running = world.starts("watch", &["--interval", "50ms"]);
    running.tells("1 same;", 1);
    world.wants("[1, 2]", "");
    running.tells("read again", 1);
    running.tells("2 same;", 1);
    assert!(world.to.tag_of("mirror/app", "2").is_some());
    // It is wrong, and what it said before counts.
    world.puts("sync.yaml", "version: 1\nimages: [{form: x, tgas: [1]}]\n");
    running.tells("what it said before still counts", 1);
    let before = running.count("2 same;");
    running.tells("2 same;", before + 2);
    let told = running.told();
    assert_eq!(told.matches("still counts").count(), 1, "told once: {told}");
    assert!(
        told.contains("did you mean `from`?"),
        "all problems: {told}"
    );
    assert!(
        told.contains("did you mean `tags`?"),
        "all problems: {told}"
    );
    // So does what was right again.
    world.wants("[1]", "");
    running.tells("read again", 2);
    let before = running.count("1 same;");
    running.tells("1 same;", before + 1);
}

#[test]
fn a_hangup_reads_the_file_at_once() {
    let world = World::new();
    let yearly = "schedule: {cron: 0 2 1 1 *}";
    world.wants("[1]", yearly);
    let running = world.starts("watch", &["--once-now"]);
    running.tells("1 new;", 1);
    running.tells("next run at ", 1);
    world.wants("[1", yearly);
    running.signal("-HUP");
    running.tells("still counts", 1);
    world.wants("[1]", "");
    running.signal("-HUP");
    running.tells("it has no `schedule`", 1);
    world.wants("[1]", "schedule: {cron: 0 3 1 1 *}");
    running.signal("-HUP");
    running.tells("T03:00:00Z", 1);
    running.signal("-TERM");
    let (code, told) = running.ends();
    assert_eq!(code, Some(143), "{told}");
    assert_eq!(told.matches("images for").count(), 1, "{told}");
}
