//! `imgcopy lock` and `sync --locked`.

use imgcopy::sync::report::Status;

use crate::kit::{REPO, writes};
use crate::night::{Night, entry, repo};
use crate::support::Run;
use crate::support::registry::Registry;

fn two() -> (Registry, Registry, Night) {
    let (here, there) = (Registry::start(), Registry::start());
    for tag in ["1", "2"] {
        here.add_image(REPO, tag, &[300], tag.parse().unwrap());
    }
    let night = Night::of(&entry(&repo(&here, REPO), "\"*\"", &repo(&there, REPO), ""));
    (here, there, night)
}

fn lock(night: &Night, args: &[&str]) -> Run {
    Run::of(night.command("lock").args(args))
}

#[test]
fn what_is_locked_is_copied_though_the_tag_has_moved() {
    let (here, there, night) = two();
    lock(&night, &[]).ok();
    let text = std::fs::read_to_string(night.at("sync.lock")).unwrap();
    let locked = here.tag_of(REPO, "1").unwrap();
    assert!(
        text.contains(&format!("{}:1@{locked}\n", repo(&here, REPO))),
        "{text}"
    );
    here.add_image(REPO, "1", &[400], 7);
    here.add_image(REPO, "3", &[400], 8);
    here.forget();
    night.run(&["--locked"]).ended(0).all(Status::New, 2);
    assert_eq!(there.tag_of(REPO, "1"), Some(locked));
    assert_eq!(there.tags(REPO), ["1", "2"]);
    // Its source was not asked what its tags are.
    for question in ["/manifests/1", "/manifests/2", "/manifests/3"] {
        assert_eq!(here.count("*", question), 0);
    }
    there.forget();
    here.forget();
    night.run(&["--locked"]).ended(0).all(Status::Same, 2);
    assert_eq!((writes(&there), here.log().len()), (0, 0));
    // Without it the tag moves.
    night.runs();
    assert_eq!(there.tag_of(REPO, "1"), here.tag_of(REPO, "1"));
}

#[test]
fn a_check_tells_whether_the_lock_is_up_to_date_and_writes_nothing() {
    let (here, _, night) = two();
    let told = lock(&night, &["--check"]);
    assert!(told.code.is_some_and(|code| code != 0), "{}", told.stderr);
    assert!(!night.at("sync.lock").exists());
    lock(&night, &[]).ok();
    lock(&night, &["--check"]).ok();
    let before = std::fs::read(night.at("sync.lock")).unwrap();
    here.add_image(REPO, "1", &[400], 7);
    let told = lock(&night, &["--check"]);
    assert!(told.stderr.contains("not up to date"), "{}", told.stderr);
    assert_ne!(told.code, Some(0));
    assert_eq!(std::fs::read(night.at("sync.lock")).unwrap(), before);
    lock(&night, &[]).ok();
    lock(&night, &["--check"]).ok();
}

#[test]
fn a_lock_is_whole_or_it_is_not_written() {
    let (here, _, night) = two();
    night.wants(&entry(&repo(&here, REPO), "\"1\", \"9\"", "r.corp/x", ""));
    let told = lock(&night, &[]);
    assert_ne!(told.code, Some(0));
    assert!(told.stderr.contains('9'), "{}", told.stderr);
    assert!(!night.at("sync.lock").exists());
}

#[test]
fn what_is_not_locked_is_not_copied_by_a_locked_run() {
    let (here, there, night) = two();
    lock(&night, &[]).ok();
    night.wants(&entry(
        &repo(&here, REPO),
        "\"1\", \"3\"",
        &repo(&there, REPO),
        "",
    ));
    let ran = Run::of(night.command("sync").arg("--locked"));
    assert_eq!(ran.code, Some(64), "{}", ran.stderr);
    assert!(ran.stderr.contains(":3 is not locked"), "{}", ran.stderr);
    assert_eq!(writes(&there), 0);
    std::fs::remove_file(night.at("sync.lock")).unwrap();
    let ran = Run::of(night.command("sync").arg("--locked"));
    assert!(ran.stderr.contains("sync.lock"), "{}", ran.stderr);
    assert_ne!(ran.code, Some(0));
}
