//! `deploy/systemd`: the units, their command lines, and what they forbid.

use std::process::Command;

use crate::scene::{IMAGES, Scene, read};
use crate::support::Run;

const PROGRAM: &str = "/usr/local/bin/imgcopy";

/// Keys and values of a section.
fn section(unit: &str, name: &str) -> Vec<(String, String)> {
    let text = read(&format!("deploy/systemd/{unit}"));
    let mut lines = text.lines();
    assert!(lines.any(|line| line == format!("[{name}]")), "{unit}");
    let own = lines.take_while(|line| !line.starts_with('['));
    let own = own.filter(|line| !line.is_empty() && !line.starts_with('#'));
    own.map(|line| line.split_once('=').unwrap())
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

fn value(unit: &str, key: &str) -> String {
    let found = section(unit, "Service").into_iter();
    let found = found
        .filter(|(name, _)| name == key)
        .map(|(_, value)| value);
    found.collect::<Vec<_>>().join(" ")
}

/// The command line in a scene: `%S` is where state is kept.
fn line(scene: &Scene, unit: &str) -> String {
    let state = scene.path().join("state");
    std::fs::create_dir_all(state.join("imgcopy")).unwrap();
    value(unit, "ExecStart")
        .replace(PROGRAM, env!("CARGO_BIN_EXE_imgcopy"))
        .replace("/etc/imgcopy", scene.path().to_str().unwrap())
        .replace("%S", state.to_str().unwrap())
}

#[test]
fn the_nightly_run_copies_and_leaves_its_reports() {
    let scene = Scene::new();
    scene.shell(&line(&scene, "imgcopy-sync.service"), &[]).ok();
    let report = scene.report("state/imgcopy/night.json");
    assert_eq!(report["totals"]["tags"]["new"], IMAGES);
    assert!(scene.path().join("state/imgcopy/night.html").exists());
}

/// It would run for ever: what is wrong with the file is told after the command line was understood.
#[test]
fn the_watching_one_is_understood() {
    let scene = Scene::new();
    std::fs::write(
        scene.path().join("sync.yaml"),
        "version: 1\nimages: [a b]\n",
    )
    .unwrap();
    let run = scene.shell(&line(&scene, "imgcopy-watch.service"), &[]);
    assert_eq!(run.code, Some(64), "{}", run.stderr);
    assert!(run.stderr.contains("sync.yaml:2:"), "{}", run.stderr);
}

#[test]
fn both_services_are_confined_alike() {
    let own = [
        "ExecStart",
        "ExecReload",
        "SuccessExitStatus",
        "TimeoutStartSec",
        "Type",
    ];
    let confined = |unit| {
        let all = section(unit, "Service").into_iter();
        let all = all.filter(|(key, _)| !own.contains(&&**key) && !key.starts_with("Restart"));
        all.collect::<Vec<_>>()
    };
    let sync = confined("imgcopy-sync.service");
    assert_eq!(sync, confined("imgcopy-watch.service"));
    for (key, expected) in [
        ("DynamicUser", "yes"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("StateDirectory", "imgcopy"),
        ("LoadCredential", "config.json:/etc/imgcopy/auth.json"),
        ("Environment", "DOCKER_CONFIG=%d"),
    ] {
        let wanted = (key.to_string(), expected.to_string());
        assert!(sync.contains(&wanted), "{key}");
    }
}

#[test]
fn the_timer_makes_up_for_a_night_that_was_missed() {
    let timer = section("imgcopy-sync.timer", "Timer");
    assert!(timer.contains(&("Persistent".into(), "yes".into())));
    let install = section("imgcopy-sync.timer", "Install");
    assert_eq!(install, [("WantedBy".into(), "timers.target".into())]);
}

/// systemd's own opinion, where it is. It warns of keys that it does not know.
#[test]
fn systemd_finds_nothing_wrong() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("left out: systemd-analyze is not installed");
        return;
    }
    let scene = Scene::new();
    for unit in [
        "imgcopy-sync.service",
        "imgcopy-sync.timer",
        "imgcopy-watch.service",
    ] {
        let text = read(&format!("deploy/systemd/{unit}"));
        let text = text.replace(PROGRAM, env!("CARGO_BIN_EXE_imgcopy"));
        std::fs::write(scene.path().join(unit), text).unwrap();
    }
    for unit in ["imgcopy-sync.timer", "imgcopy-watch.service"] {
        let mut verify = Command::new("systemd-analyze");
        verify
            .args(["verify", "--man=no"])
            .arg(scene.path().join(unit));
        let run = Run::of(&mut verify).ok();
        assert_eq!(run.stderr, "", "{unit}");
    }
}
