//! `imgcopy config` and `imgcopy schema`, as users see them. What files mean is tested beside the code.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::process::Command;

fn imgcopy() -> Command {
    Command::new(env!("CARGO_BIN_EXE_imgcopy"))
}

const FIXTURES: &str = "tests/fixtures/sync";

/// Standard output, standard error and the exit code.
fn run(args: &[&str]) -> (String, String, Option<i32>) {
    let output = imgcopy().args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

#[test]
fn the_example_is_valid() {
    let (out, told, code) = run(&["config", "sync.yaml.example"]);
    assert_eq!((told.as_str(), code), ("", Some(0)));
    assert!(out.starts_with("version: 1\n"), "{out}");
    assert!(out.contains("from: docker.io/library/alpine\n"), "{out}");
    let silent = (String::new(), String::new(), Some(0));
    assert_eq!(run(&["config", "--check", "sync.yaml.example"]), silent);
}

#[test]
fn json_is_for_programs() {
    let (out, _, code) = run(&["config", "sync.yaml.example", "--format", "json"]);
    assert_eq!(code, Some(0));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["images"][0]["tags"][0], "3.20");
    assert_eq!(document["registries"]["docker.io"]["auth"]["pass"], "***");
}

#[test]
fn a_bad_file_says_all_and_exits_with_64() {
    let file = format!("{FIXTURES}/bad.yaml");
    let expected = std::fs::read_to_string(format!("{FIXTURES}/bad.txt")).unwrap();
    for args in [vec!["config", &file], vec!["config", "--check", &file]] {
        let (out, told, code) = run(&args);
        assert_eq!((out.as_str(), code), ("", Some(64)), "{told}");
        assert_eq!(told, expected);
    }
    let (_, told, code) = run(&["config", "nowhere/sync.yaml"]);
    assert_eq!(code, Some(64));
    assert!(
        told.starts_with("nowhere/sync.yaml:1:1: cannot read the file: "),
        "{told}"
    );
}

#[test]
fn files_are_included_from_beside_the_file() {
    let (out, told, code) = run(&[
        "config",
        &format!("{FIXTURES}/main.yaml"),
        "--format",
        "json",
    ]);
    assert_eq!((told.as_str(), code), ("", Some(0)));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let images = document["images"].as_array().unwrap();
    let to: Vec<&str> = images
        .iter()
        .map(|it| it["to"][0].as_str().unwrap())
        .collect();
    assert_eq!(
        to,
        ["r.corp/{repo}", "r.corp/team-a/{name}", "r.corp/{repo}"]
    );
}

/// The environment and files of this process.
#[test]
fn secrets_come_from_outside_and_are_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let secret = write("secret", "hunter2\n");
    let text = format!(
        "version: 1\nregistries: {{r.corp: {{auth: {{user: \"${{SYNC_TEST_USER}}\", pass: \"${{file:{secret}}}\"}}}}}}\n\
         images: [{{from: \"a:${{SYNC_TEST_TAG:-1}}\", to: r.corp/a}}]\n"
    );
    let file = write("sync.yaml", &text);
    let with = |user: Option<&str>| {
        let mut command = imgcopy();
        command.args(["config", &file]).env_remove("SYNC_TEST_USER");
        if let Some(user) = user {
            command.env("SYNC_TEST_USER", user);
        }
        command.output().unwrap()
    };
    let shown = with(Some("the-user"));
    let out = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(0));
    assert!(out.contains("tags: [\"1\"]"), "{out}");
    assert!(
        !out.contains("hunter2") && !out.contains("the-user"),
        "{out}"
    );
    let bad = with(None);
    let told = String::from_utf8(bad.stderr).unwrap();
    assert_eq!(bad.status.code(), Some(64));
    assert!(
        told.contains(":2:36: SYNC_TEST_USER is not set; use ${SYNC_TEST_USER:-default}"),
        "{told}"
    );
}

#[test]
fn the_schema_is_json_that_knows_the_keys() {
    let (out, told, code) = run(&["schema"]);
    assert_eq!((told.as_str(), code), ("", Some(0)));
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let keys = schema["properties"].as_object().unwrap();
    let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
    let expected = [
        "version",
        "registries",
        "defaults",
        "images",
        "include",
        "prune",
        "state",
        "schedule",
        "notify",
        "metrics",
    ];
    assert_eq!(keys, expected);
    assert_eq!(
        schema["properties"]["defaults"]["properties"]["change"]["default"],
        "update"
    );
}

#[test]
fn s24_a_file_that_blows_up_is_refused_by_whatever_reads_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sync.yaml").display().to_string();
    // Nine lines, each of which stands for nine of the line before; one long text many times; and
    // brackets without end.
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..10 {
        let nine = vec![format!("*a{}", n - 1); 9].join(", ");
        writeln!(laughs, "a{n}: &a{n} [{nine}]").unwrap();
    }
    let many = vec!["*a"; 60_000].join(", ");
    let square = format!("a: &a {}\nb: [{many}]\n", "x".repeat(100_000));
    let deep = "[".repeat(100_000);
    let commands: [&[&str]; 4] = [
        &["config", "--check", &file],
        &["sync", &file],
        &["config", "--from", "skopeo", &file],
        &["config", "--from", "dregsy", &file],
    ];
    for bomb in [&laughs, &square, &deep] {
        std::fs::write(&file, bomb).unwrap();
        for args in commands {
            let (out, told, code) = run(args);
            assert!(matches!(code, Some(1 | 64)), "{args:?}: {code:?} {told}");
            assert!(out.is_empty() && told.len() < 3000, "{args:?}: {told}");
        }
    }
}
