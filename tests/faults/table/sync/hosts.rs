//! Hosts and images that fail, and the others, which do not.

use std::time::Duration;

use super::night::Night;
use crate::FROM;
use crate::support::registry::{Action, Fault, Gate};
use crate::table::Phase::Sync;
use crate::table::local::together;
use crate::table::program::{Program, Ran};
use crate::table::{Cell, Left, arrives, cell, fails};

pub(super) fn cells() -> Vec<Cell> {
    vec![f96(), f98(), f99(), f100(), f101()]
}

/// The requests of an image of one layer.
const EACH: usize = 14;

fn f96() -> Cell {
    let failed = || fails(3, "mirror/app:3", 10 * EACH + 20).leaves(Left::Nothing);
    cell(
        "F-96",
        Sync,
        "one image of ten can never be read",
        "the nine others arrive; exit 3, and the report names it",
    )
    .play("a layer is gone", failed(), |program| {
        one_of_ten(program, Action::status(404))
    })
    .play("a layer is damaged", failed(), |program| {
        one_of_ten(program, Action::flip(20))
    })
}

fn one_of_ten(program: Program, action: Action) -> Ran {
    let night = Night::new(10, &[3000]);
    let digest = night.from.tag_of(FROM, "3").unwrap();
    let stored = night.from.manifest(FROM, &digest).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&stored.bytes).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let hits = night
        .from
        .fail(Fault::on("GET", layer).always().then(action));
    let mut ran = night.run(program);
    ran.met = hits.count() > 0;
    night.expect(&mut ran, 9);
    if program == Program::Imgcopy {
        let report = std::fs::read(night.home().join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let rows = report["rows"].as_array().unwrap().iter();
        let failed = rows.filter(|row| row["status"] == "failed");
        let failed: Vec<&str> = failed
            .filter_map(|row| row["destination"].as_str())
            .collect();
        if failed.len() != 1 || !failed[0].ends_with("mirror/app:3") {
            ran.odd.push(format!("the report names {failed:?}"));
        }
    }
    ran
}

fn f98() -> Cell {
    cell(
        "F-98",
        Sync,
        "a run is still on its way when the next one begins",
        "both end well, and everything is whole",
    )
    .play("of the same file", arrives(2 * 3 * EACH), |program| {
        let night = Night::new(3, &[3000]);
        let gate = Gate::closed();
        let layer = Fault::on("GET", "/blobs/").then(Action::Hold(gate.clone()));
        let held = night.from.fail(layer);
        let second = std::sync::Mutex::new(None);
        let first = night.run_while(program, |_| {
            held.wait(1);
            let home = night.home().join("second");
            std::fs::create_dir(&home).unwrap();
            let mut command = night.command(program);
            command.env("HOME", &home).env("TMPDIR", &home);
            let run = program.run(&mut command, |_| {});
            *second.lock().unwrap() = Some(Ran::of(run, night.left()));
            gate.open();
        });
        let second = second.into_inner().unwrap().unwrap();
        together(vec![
            ("the first".into(), first),
            ("the second".into(), second),
        ])
    })
}

fn f99() -> Cell {
    cell(
        "F-99",
        Sync,
        "a source is down when the run begins",
        "what is elsewhere arrives; the rest fails, or arrives if it comes up in time",
    )
    .play("it comes up", arrives(6 * EACH), |program| {
        let mut night = Night::new(3, &[3000]).and_from_another();
        night.ours = ["--retry-delay", "500ms"].map(str::to_string).into();
        night.from.down();
        let mut ran = night.run_while(program, |_| {
            std::thread::sleep(Duration::from_millis(300));
            night.from.up();
        });
        night.expect(&mut ran, 6);
        ran
    })
    .play(
        "it stays down",
        fails(3, "mirror/app:0", EACH).leaves(Left::Nothing),
        |program| {
            let night = Night::new(1, &[3000]).and_from_another();
            night.from.down();
            let mut ran = night.run(program);
            night.expect(&mut ran, 1);
            ran
        },
    )
    .play(
        "a destination that stays down",
        fails(3, "mirror/app:0", 2).leaves(Left::Nothing),
        |program| {
            let night = Night::new(1, &[3000]);
            night.to.down();
            night.run(program)
        },
    )
}

const TAGS: u64 = 1000;

fn f100() -> Cell {
    cell(
        "F-100",
        Sync,
        "a night of 1000 tags that have not changed, at a registry that allows 100 pulls",
        "done: no manifest is read, so there is nothing to be limited",
    )
    .play("1000 tags", arrives(2 * 1000), |program| {
        let night = Night::of_one_image(TAGS);
        let limit = Fault::on("GET", "/manifests/").nth(101).always();
        night
            .from
            .fail(limit.then(Action::too_many_requests(Some("1"))));
        let mut ran = night.run(program);
        let pulls = night.from.count("GET", "/manifests/");
        if pulls > 0 {
            ran.odd.push(format!("{pulls} pulls"));
        }
        ran
    })
}

fn f101() -> Cell {
    cell(
        "F-101",
        Sync,
        "one of four sources wants us to wait for an hour",
        "the others arrive at once; exit 4, and the rest is put off",
    )
    .play(
        "429",
        fails(4, "deferred", 10 * EACH).leaves(Left::Nothing),
        |program| {
            let night = Night::new(3, &[3000]);
            let night = night
                .and_from_another()
                .and_from_another()
                .and_from_another();
            let later = Fault::on("*", "/v2/team/").always();
            let later = later.then(Action::too_many_requests(Some("3600")));
            let hits = night.from.fail(later);
            let mut ran = night.run(program);
            ran.met = hits.count() > 0;
            night.expect(&mut ran, 9);
            let asked = night.from.log().len();
            if asked > 6 {
                ran.odd
                    .push(format!("the limited one is asked {asked} times"));
            }
            ran
        },
    )
}
