//! What keeps everything.

use imgcopy::sync::report::{Saved, Status};
use serde_json::json;

use crate::Mirror;
use crate::support::registry::{Action, Fault, Response};

const DELETE: &str = "{mode: delete, max: 50%}";
const BEFORE: [&str; 4] = ["old", "v1", "v2", "v3"];
const AFTER: [&str; 3] = ["v1", "v2", "v3"];

#[track_caller]
fn deletes_nothing(mirror: &Mirror) {
    assert_eq!(mirror.registry.count("DELETE", ""), 0);
}

#[test]
fn it_is_off_by_default_and_asks_nothing() {
    let mirror = Mirror::with(&["old"]);
    let file = mirror.file("{}");
    let night = mirror.night(&file, &[]).ends(0);
    assert!(night.rows().is_empty());
    assert_eq!(mirror.registry.count("GET", "/copy/app/tags/list"), 0);
    deletes_nothing(&mirror);
}

#[test]
fn a_report_and_a_dry_run_say_what_delete_does() {
    let mirror = Mirror::with(&["old"]);
    for (prune, more) in [
        ("{mode: report, max: 50%}", None),
        (DELETE, Some("--dry-run")),
    ] {
        let more: Vec<&str> = more.into_iter().collect();
        let night = mirror.night(&mirror.file(prune), &more).ends(0);
        night.is("app:old", Status::WouldPrune, "");
        let told = format!("{}{}", night.run.stdout, night.run.stderr);
        assert!(told.contains("1 would-prune"), "{told}");
        assert!(told.contains("copy/app:old"), "{told}");
    }
    assert_eq!(mirror.tags("copy/app"), BEFORE);
    deletes_nothing(&mirror);
    let night = mirror.night(&mirror.file(DELETE), &[]).ends(0);
    night.is("app:old", Status::Pruned, "");
    assert_eq!(night.rows().len(), 1);
    assert_eq!(mirror.tags("copy/app"), AFTER);
    // And then there is nothing left to do.
    let again = mirror.night(&mirror.file(DELETE), &[]).ends(0);
    assert!(again.rows().is_empty());
}

#[test]
fn a_plan_shows_it() {
    let mirror = Mirror::with(&["old"]);
    std::fs::write(mirror.folder.path().join("sync.yaml"), mirror.file(DELETE)).unwrap();
    let mut command = crate::command();
    command.current_dir(mirror.folder.path());
    let plan = crate::Run::of(command.args(["plan", "sync.yaml"])).ok();
    let mut lines = plan.stdout.lines().map(str::trim);
    let line = lines.find(|line| line.starts_with("would-prune "));
    assert!(
        line.is_some_and(|line| line.ends_with("copy/app:old")),
        "{}",
        plan.stdout
    );
    deletes_nothing(&mirror);
}

#[test]
fn nothing_goes_where_more_would_go_than_may() {
    let mirror = Mirror::with(&["old", "older"]);
    for (max, allowed) in [("20%", 1), ("1", 1), ("0", 0), ("0%", 0)] {
        let file = mirror.file(&format!("{{mode: delete, max: {max}}}"));
        let night = mirror.night(&file, &[]).ends(0);
        let why = format!("2 of 5 tags would go, and `prune.max` allows {allowed}");
        night.is("app:old", Status::Kept, &why);
        night.is("app", Status::Skipped, &why);
        // Nobody has to open the report to know.
        assert!(night.run.stderr.contains(&why), "{}", night.run.stderr);
    }
    deletes_nothing(&mirror);
    // At least one may go, however few there are.
    let few = Mirror::with(&["old"]);
    few.night(&few.file("{mode: delete}"), &[]).ends(0);
    assert_eq!(few.tags("copy/app"), AFTER);
}

#[test]
fn nothing_goes_where_a_source_could_not_be_listed() {
    let mirror = Mirror::with(&["old"]);
    let host = mirror.registry.host();
    // Two entries write to the repository, and only one of them can be asked; another entry is not
    // concerned.
    mirror.registry.add_image("source/other", "w1", &[100], 50);
    mirror.registry.add_image("other/app", "gone", &[100], 51);
    let file = format!(
        "{}images:\n- {{from: {host}/source/app, tags: '*', to: {host}/copy/app}}\n\
         - {{from: {host}/source/more, tags: 'w*', to: {host}/copy/app}}\n\
         - {{from: {host}/source/other, tags: 'w*', to: {host}/other/app}}\n\
         prune: {DELETE}\n",
        "version: 1\n"
    );
    let night = mirror.night(&file, &[]).ends(3);
    night.is("app", Status::Skipped, "could not be asked for its tags");
    assert_eq!(mirror.tags("copy/app"), BEFORE);
    assert_eq!(mirror.tags("other/app"), ["w1"]);
}

#[test]
fn nothing_goes_when_a_page_of_the_list_is_lost() {
    let mirror = Mirror::with(&["old"]);
    // The second page never comes: what stands on it is not gone.
    let first = Action::change(|_, response| {
        response.body = r#"{"name": "source/app", "tags": ["v1"]}"#.into();
        response.headers.set(
            "Link",
            "</v2/source/app/tags/list?n=1&last=v1>; rel=\"next\"",
        );
    });
    mirror
        .registry
        .fail(Fault::on("GET", "/source/app/tags/list?n=1000").then(first));
    mirror.registry.fail(
        Fault::on("GET", "last=v1")
            .always()
            .then(Action::status(404)),
    );
    let night = mirror.night(&mirror.file(DELETE), &[]).ends(3);
    night.is("app", Status::Skipped, "could not be asked for its tags");
    deletes_nothing(&mirror);
}

#[test]
fn s16_a_list_that_is_empty_or_shrank_deletes_nothing() {
    let full = ["v1", "v2", "v3"];
    let lists = [
        (json!({ "name": "source/app", "tags": null }), false),
        (json!({ "name": "source/app", "tags": [] }), false),
        (json!({}), false),
        // The first page, and nothing that tells of a second one; an older list, from a cache.
        (json!({ "name": "source/app", "tags": ["v1"] }), true),
        (json!({ "name": "source/app", "tags": ["v0"] }), true),
    ];
    for (list, is_a_list) in lists {
        let mirror = Mirror::with(&[]);
        mirror.registry.add_image("source/app", "v0", &[100], 1);
        let answer = Action::Answer(Response::json(200, &list));
        let stale = Fault::on("GET", "/source/app/tags/list").always();
        mirror.registry.fail(stale.then(answer));
        let night = mirror.night(&mirror.file("{mode: delete}"), &[]);
        if is_a_list {
            night.is("app", Status::Skipped, "`prune.max` allows 1");
            assert!(night.run.stderr.contains("prune.max"));
        } else {
            assert!(night.run.code != Some(0), "{list}: {}", night.run.stderr);
        }
        deletes_nothing(&mirror);
        for tag in full {
            assert!(mirror.tags("copy/app").contains(&tag.to_string()), "{list}");
        }
    }
}

#[test]
fn nothing_goes_where_a_source_has_nothing_that_is_wanted() {
    let mirror = Mirror::with(&["old"]);
    let host = mirror.registry.host();
    let file = format!(
        "version: 1\nimages:\n\
         - {{from: {host}/source/app, tags: {{include: 'w*', min: 0}}, to: {host}/copy/app}}\n\
         prune: {{mode: delete, max: 100%}}\n"
    );
    let night = mirror.night(&file, &[]).ends(0);
    night.is("app", Status::Skipped, "has nothing that is wanted");
    deletes_nothing(&mirror);
}

#[test]
fn nothing_goes_anywhere_if_nobody_knows_where_an_entry_writes() {
    let mirror = Mirror::with(&["old"]);
    let host = mirror.registry.host();
    let file = mirror.file(DELETE).replace(
        "prune:",
        &format!("- {{from: {host}/none, tags: 'w*', to: '{host}/copy/{{tag}}:1'}}\nprune:"),
    );
    let night = mirror.night(&file, &[]).ends(3);
    night.is("prune", Status::Skipped, "could not be asked for its tags");
    deletes_nothing(&mirror);
}

#[test]
fn nothing_goes_where_an_image_failed() {
    let mirror = Mirror::with(&["old"]);
    mirror.registry.add_image("source/app", "v4", &[100], 4);
    let refused = Fault::on("PUT", "/copy/app/manifests/v4")
        .always()
        .then(Action::status(403));
    mirror.registry.fail(refused);
    let night = mirror.night(&mirror.file(DELETE), &[]).ends(3);
    night.is(
        "app",
        Status::Skipped,
        "1 of its images failed or were put off",
    );
    deletes_nothing(&mirror);
}

#[test]
fn nothing_goes_in_a_run_of_a_part() {
    let mirror = Mirror::with(&["old"]);
    let file = mirror.file(DELETE);
    let part = mirror.night(&file, &["--only", "*:v1"]).ends(0);
    part.is("app", Status::Skipped, "a part of it only");
    let none = mirror.night(&file, &["--only", "elsewhere*"]).ends(0);
    assert!(none.rows().is_empty());
    // A report of something that failed.
    let host = mirror.registry.host();
    let row = imgcopy::sync::report::Row::new("", format!("{host}/copy/app:v1"), Status::Failed);
    let run = imgcopy::sync::report::Run::begin(None);
    let report = imgcopy::sync::report::Report::new(run, Saved::default(), vec![], vec![row]);
    report
        .write(&mirror.folder.path().join("failed.json"))
        .unwrap();
    let retry = mirror
        .night(&file, &["--retry-from", "failed.json"])
        .ends(0);
    retry.is("prune", Status::Skipped, "repeats a part of another one");
    let mut lock = crate::command();
    lock.current_dir(mirror.folder.path())
        .args(["lock", "sync.yaml"]);
    crate::Run::of(&mut lock).ok();
    let locked = mirror.night(&file, &["--locked"]).ends(0);
    locked.is("prune", Status::Skipped, "a lock says what is copied");
    deletes_nothing(&mirror);
    // All of the repository is no part.
    mirror.night(&file, &["--only", "*/copy/*"]).ends(0);
    assert_eq!(mirror.tags("copy/app"), AFTER);
}

#[test]
fn a_shard_prunes_its_own_repositories() {
    let mirror = Mirror::with(&["old"]);
    let night = |shard| {
        mirror
            .night(&mirror.file(DELETE), &["--shard", shard])
            .ends(0)
    };
    let rows = ["0/2", "1/2"].map(|shard| night(shard).rows().len());
    assert_eq!(rows.iter().sum::<usize>(), 1, "{rows:?}");
    assert_eq!(mirror.tags("copy/app"), AFTER);
}

#[test]
fn what_keep_names_stays() {
    let mirror = Mirror::with(&["old", "release-1"]);
    let file = mirror.file("{mode: delete, max: 50%, keep: ['release-*']}");
    let night = mirror.night(&file, &[]).ends(0);
    night.is("app:release-1", Status::Kept, "`prune.keep` names it");
    night.is("app:old", Status::Pruned, "");
    assert_eq!(mirror.tags("copy/app"), ["release-1", "v1", "v2", "v3"]);
}

#[test]
fn backups_of_the_file_stay() {
    let mirror = Mirror::with(&[
        "v1.bak-20260101T000000Z",
        "v1.bak-2026",
        "v1xbak-20260101T000000Z",
    ]);
    let file = mirror.file("{mode: delete, max: 50%}");
    let file = file.replace("tags:", "backup: '{tag}.bak-{date}', tags:");
    let night = mirror.night(&file, &[]).ends(0);
    night.is(
        "app:v1.bak-20260101T000000Z",
        Status::Kept,
        "backups of this file",
    );
    assert_eq!(
        mirror.tags("copy/app"),
        ["v1", "v1.bak-20260101T000000Z", "v2", "v3"]
    );
}

#[test]
fn a_tag_goes_when_it_has_been_gone_for_long_enough() {
    let mirror = Mirror::with(&["old"]);
    let file = mirror.file("{mode: delete, max: 50%, grace: 7d}") + "state: '${STATE}'\n";
    let plan = mirror.night(&file, &["--dry-run"]).ends(0);
    plan.is("app:old", Status::Kept, "it stays for 7 days of grace");
    let states = mirror.folder.path().join("state/prune");
    assert!(!states.exists(), "a dry run remembers nothing");
    mirror
        .night(&file, &[])
        .ends(0)
        .is("app:old", Status::Kept, "7 days of grace");
    let entries: Vec<_> = std::fs::read_dir(&states).unwrap().collect();
    assert_eq!(entries.len(), 1);
    let state = entries[0].as_ref().unwrap().path();
    let text = std::fs::read_to_string(&state).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let first = json["absent"]["old"].as_str().unwrap().to_string();
    // A second night does not begin anew.
    mirror.night(&file, &[]).ends(0);
    assert!(std::fs::read_to_string(&state).unwrap().contains(&first));
    deletes_nothing(&mirror);
    // Eight days later.
    json["absent"]["old"] = "2020-01-01T00:00:00.000Z".into();
    std::fs::write(&state, json.to_string()).unwrap();
    mirror
        .night(&file, &[])
        .ends(0)
        .is("app:old", Status::Pruned, "");
    mirror.night(&file, &[]).ends(0);
    assert!(!std::fs::read_to_string(&state).unwrap().contains("old"));
}

#[test]
fn a_tag_that_comes_back_has_its_whole_grace_again() {
    let mirror = Mirror::with(&["old"]);
    let file = mirror.file("{mode: delete, max: 50%, grace: 7d}") + "state: '${STATE}'\n";
    mirror.night(&file, &[]).ends(0);
    mirror.registry.add_image("source/app", "old", &[100], 10);
    mirror.night(&file, &[]).ends(0);
    let states = mirror.folder.path().join("state/prune");
    let state = std::fs::read_dir(states).unwrap().next().unwrap().unwrap();
    let text = std::fs::read_to_string(state.path()).unwrap();
    assert!(!text.contains("old"), "{text}");
}

#[test]
fn nothing_goes_by_a_state_that_cannot_be_read() {
    let mirror = Mirror::with(&["old"]);
    let file = mirror.file("{mode: delete, max: 50%, grace: 1s}") + "state: '${STATE}'\n";
    mirror.night(&file, &[]).ends(0);
    let states = mirror.folder.path().join("state/prune");
    let state = std::fs::read_dir(states).unwrap().next().unwrap().unwrap();
    let good = std::fs::read_to_string(state.path()).unwrap();
    let old = |text: &str| text.replace("\"202", "\"201");
    for bad in [
        "{".to_string(),
        old(&good).replace("\"version\": 1", "\"version\": 2"),
        old(&good).replace("copy/app", "copy/other"),
        old(&good).replace("\"old\"", "\"..\""),
    ] {
        assert_ne!(bad, good);
        std::fs::write(state.path(), &bad).unwrap();
        let night = mirror.night(&file, &[]).ends(3);
        night.is(
            "app",
            Status::Failed,
            "which remembers since when tags have been gone",
        );
        assert_eq!(std::fs::read_to_string(state.path()).unwrap(), bad);
    }
    deletes_nothing(&mirror);
    std::fs::write(state.path(), old(&good)).unwrap();
    mirror.night(&file, &[]).ends(0);
    assert_eq!(mirror.tags("copy/app"), AFTER);
}
