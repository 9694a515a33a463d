//! Mistakes in a sync.yaml, each told with its place.

use std::fmt::Write as _;

use crate::support::{Run, command, tempdir};

/// Files that are wrong in one way each. `src/sync/config/tests` has the whole of what may be wrong;
/// these are what people write most.
const FILES: [&str; 23] = [
    "",
    "version: 2\nimages: [{from: a:1, to: r.example/a}]",
    "images: [{from: a:1, to: r.example/a}]",
    "version: 1",
    "version: 1\nimages:\n- from: a:1\n\tto: r.example/a",
    "version: 1\nimages:\n- {from: a:1, to: r.example/a",
    "version: 1\nimages:\n- from: a:1\n   to: r.example/a",
    "version: 1\nimages: nginx",
    "version: 1\nimages: [{from: a:1}]",
    "version: 1\nimages: [{to: r.example/a}]",
    "version: 1\nimages: [{from: a, to: r.example/a}]",
    "version: 1\nimages: [{from: A:1, to: r.example/a}]",
    "version: 1\nimages: [{from: a:1, to: b}]",
    "version: 1\nimages: [{from: a:1, tags: [2], to: r.example/a}]",
    "version: 1\nimages: [{from: a, tags: '1.x', to: 'r.example/{tagg}'}]",
    "version: 1\nimages: [{from: a, tags: '>=x', to: r.example/a}]",
    "version: 1\nimages: [{from: a, tags: '/(/', to: r.example/a}]",
    "version: 1\nimages: [{from: a, tags: '[', to: r.example/a}]",
    "version: 1\nimages: [{from: a:1, to: r.example/a, platforms: [linux]}]",
    "version: 1\nimages: [{from: a:1, to: r.example/a, change: maybe}]",
    "version: 1\nschedule: {cron: '61 * * * *'}\nimages: [{from: a:1, to: r.example/a}]",
    "version: 1\nregistries: {r.example: {auth: {user: me}}}\nimages: [{from: a:1, to: r.example/a}]",
    "version: 1\nregistries: {r.example: {auth: {token: '${NO_SUCH_VARIABLE}'}, rate: 5}}\nimages: [{from: a:1, to: r.example/a}]",
];

#[test]
fn each_mistake_in_a_file_is_told_with_its_place() {
    let desk = tempdir();
    let mut told = String::new();
    for file in FILES {
        std::fs::write(desk.path().join("sync.yaml"), file).unwrap();
        let mut command = command();
        command.env_clear().current_dir(desk.path());
        let run = Run::of(command.args(["config", "sync.yaml"]));
        assert_eq!(run.code, Some(64), "{file}: {}", run.stderr);
        assert_eq!(run.stdout, "");
        let shown = file.replace('\t', "→");
        writeln!(told, "{shown}\n---\n{}\n", run.stderr).unwrap();
    }
    insta::assert_snapshot!(told);
}
