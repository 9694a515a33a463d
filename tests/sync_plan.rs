//! `imgcopy plan sync.yaml`: what a night would do and cost, and that it does nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::registry::Registry;
use support::{Run, imgcopy};
use tempfile::TempDir;

/// A source, two destinations, and a file that says so.
struct Night {
    hub: Registry,
    one: Registry,
    two: Registry,
    home: TempDir,
}

/// Two layers of 3000 and 2000 bytes before they are packed, and a config.
const SIZES: [usize; 2] = [3000, 2000];

impl Night {
    /// `1` is at both destinations, `2` is another image at the first, `3` is nowhere.
    fn begin() -> Self {
        // Told by their addresses, and these have an order of their own.
        let mut three = [(); 3].map(|()| Registry::start());
        three.sort_by_key(|registry| registry.host());
        let [hub, one, two] = three;
        for (tag, seed) in [("1", 1), ("2", 2), ("3", 3)] {
            hub.add_image("team/app", tag, &SIZES, seed);
        }
        for to in [&one, &two] {
            to.add_image("mirror/app", "1", &SIZES, 1);
        }
        one.add_image("mirror/app", "2", &SIZES, 9);
        two.add_image("mirror/app", "2", &SIZES, 2);
        let home = support::tempdir();
        Self {
            hub,
            one,
            two,
            home,
        }
    }

    fn file(&self, more: &str) -> PathBuf {
        let hosts = [&self.hub, &self.one, &self.two].map(|it| it.host());
        let rules = hosts
            .each_ref()
            .map(|host| format!("'{host}': {{tls: off}}"))
            .join(", ");
        let [hub, one, two] = hosts;
        let file = self.home.path().join("sync.yaml");
        let text = format!(
            "version: 1\nregistries: {{{rules}}}\ndefaults: {{referrers: none}}\nimages:\n\
             - from: {hub}/team/app\n  tags: ['*']\n  to: [{one}/mirror/app, {two}/mirror/app]\n{more}"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Requests that change anything, everywhere.
    fn writes(&self) -> usize {
        let all = [&self.hub, &self.one, &self.two];
        let of = |it: &Registry, method| it.count(method, "/");
        let writes =
            |it: &&Registry| ["POST", "PUT", "PATCH", "DELETE"].map(|method| of(it, method));
        all.iter().flat_map(writes).sum()
    }

    /// The text without ports, paths and times.
    fn told(&self, text: &str) -> String {
        let mut told = text.to_string();
        let names = [
            (&self.hub, "hub.example"),
            (&self.one, "one.example"),
            (&self.two, "two.example"),
        ];
        for (registry, name) in names {
            // As wide as the address, so that columns stay.
            let host = registry.host();
            told = told
                .replace(&host, &format!("{name:<0$}", host.len()))
                .replace(&format!("{name:<0$}/", host.len()), &format!("{name}/"));
        }
        let lines = told
            .lines()
            .map(|line| match line.split_once(" counted pulls in ") {
                Some((before, _)) => format!("{before} counted pulls in TIME."),
                None => line.trim_end().to_string(),
            });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn plan(file: &Path, more: &[&str]) -> Run {
    let more = more.iter().map(OsStr::new);
    imgcopy(
        [OsStr::new("plan"), file.as_os_str()]
            .into_iter()
            .chain(more),
    )
}

fn json(file: &Path) -> Value {
    serde_json::from_str(&plan(file, &["--format", "json"]).ok().stdout).unwrap()
}

fn row<'r>(report: &'r Value, name: &str) -> &'r Value {
    let rows = report["rows"].as_array().unwrap();
    let is_it = |row: &&Value| {
        row["destination"].as_str().unwrap().ends_with(name)
            || row["destination"].as_str().unwrap().starts_with(name)
    };
    rows.iter().find(is_it).unwrap()
}

#[test]
fn a_plan_tells_each_change_what_it_costs_and_writes_nothing() {
    let night = Night::begin();
    let run = plan(&night.file(""), &[]).ok();
    insta::assert_snapshot!(night.told(&run.stdout));
    assert_eq!(run.stderr, "");
    assert_eq!(night.writes(), 0);
    let blobs = [&night.hub, &night.one, &night.two].map(|it| it.count("GET", "/blobs/"));
    assert_eq!(blobs, [0, 0, 0]);
}

#[test]
fn a_manifest_is_read_once_for_all_destinations() {
    let night = Night::begin();
    json(&night.file(""));
    // `2` for the one that has another, `3` for both.
    assert_eq!(night.hub.count("GET", "/manifests/"), 2);
}

#[test]
fn what_a_plan_foresees_is_what_a_run_does() {
    let night = Night::begin();
    let file = night.file("");
    let plan = json(&file);
    let args = [
        "sync".as_ref(),
        file.as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ];
    let run = imgcopy(args).ok().stdout;
    let run: Value = serde_json::from_str(&run).unwrap();
    for name in ["/mirror/app:2", "/mirror/app:3"] {
        assert_eq!(
            row(&plan, name)["sourceDigest"],
            row(&run, name)["after"],
            "{name}"
        );
    }
    let hosts = plan["forecast"].as_array().unwrap();
    assert_eq!(hosts.len(), 3);
    for (foreseen, done) in hosts.iter().zip(run["hosts"].as_array().unwrap()) {
        assert_eq!(foreseen["host"], done["host"]);
        assert_eq!(foreseen["pulls"], done["pulls"], "{foreseen} {done}");
        assert_eq!(foreseen["requests"], done["requests"], "{foreseen} {done}");
    }
}

#[test]
fn what_images_share_is_foreseen_once_for_each_registry() {
    let night = Night::begin();
    let (hub, one) = (night.hub.host(), night.one.host());
    night.hub.add_image("team/again", "3", &SIZES, 3);
    let more = format!("- {{from: '{hub}/team/again:3', to: '{one}/again/app'}}\n");
    let plan = json(&night.file(&more));
    let again = row(&plan, "/again/app:3");
    assert_eq!(again["bytes"], 0);
    assert_eq!(again["reason"], "no blob to move, 3 to mount");
    assert!(row(&plan, "/mirror/app:3")["bytes"].as_u64().unwrap() > 5000);
}

#[test]
fn an_image_that_cannot_be_read_is_told_before_the_night() {
    let night = Night::begin();
    let digest = night.hub.tag_of("team/app", "3").unwrap();
    night.hub.delete_manifest("team/app", &digest);
    let run = plan(&night.file(""), &["--format", "json"]);
    assert_eq!(run.code, Some(3));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(row(&report, "/mirror/app:3")["status"], "failed");
    assert_eq!(row(&report, "/mirror/app:2")["status"], "would-update");
}

#[test]
fn a_plan_into_places_of_this_machine_makes_none() {
    let night = Night::begin();
    let (hub, home) = (night.hub.host(), night.home.path().display().to_string());
    let more = format!(
        "- {{from: '{hub}/team/app', tags: ['1'], to: ['oci:{home}/dir', 'oci-archive:{home}/a.tar']}}\n"
    );
    let file = night.file(&more);
    let before = support::tree(night.home.path());
    let plan = json(&file);
    assert_eq!(support::tree(night.home.path()), before);
    let oci = row(&plan, "oci:");
    assert_eq!(oci["status"], "would-create", "{oci}");
    assert!(oci["bytes"].as_u64().unwrap() > 5000);
}
