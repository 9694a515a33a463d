//! What users see: help, results, progress, errors, exit codes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;
use std::process::Stdio;

use support::{Run, command, fixture, has_peer, image, tempdir};
use tempfile::TempDir;

/// A directory with `tiny.tar` and `several.tar` in it, so that no output holds a path.
fn desk() -> TempDir {
    let desk = tempdir();
    std::fs::copy(fixture("docker28/single.tar"), desk.path().join("tiny.tar")).unwrap();
    std::fs::copy(
        fixture("docker28/multiimage.tar"),
        desk.path().join("several.tar"),
    )
    .unwrap();
    desk
}

fn at(desk: &TempDir, args: &str) -> Run {
    Run::of(
        command()
            .current_dir(desk.path())
            .args(args.split_whitespace()),
    )
}

/// What was said, without how long it took.
fn said(run: &Run) -> String {
    let timeless = |line: &str| match line.split_once(" in ") {
        Some((before, after)) => match after.split_once(" s") {
            Some((seconds, rest)) if seconds.parse::<f64>().is_ok() => {
                format!("{before} in N s{rest}")
            }
            _ => line.to_string(),
        },
        None => line.to_string(),
    };
    let lines = |text: &str| text.lines().map(timeless).collect::<Vec<_>>().join("\n");
    format!(
        "exit {}\n--- stdout\n{}\n--- stderr\n{}",
        run.code.unwrap(),
        lines(&run.stdout),
        lines(&run.stderr)
    )
}

#[test]
fn help_says_all_that_is_needed() {
    let desk = desk();
    insta::assert_snapshot!("help", said(&at(&desk, "--help")));
    insta::assert_snapshot!("help-copy", said(&at(&desk, "copy --help")));
    assert_eq!(at(&desk, "").code, Some(64), "nothing asked is wrong usage");
    let fits = at(&desk, "--help").stdout.lines().count();
    assert!(fits <= 32, "{fits} lines do not fit one screen");
}

#[test]
fn a_plan_shows_what_would_be_done_and_why_and_does_nothing() {
    let desk = desk();
    insta::assert_snapshot!(
        "plan-fresh",
        said(&at(&desk, "plan docker-archive:tiny.tar oci:out:latest"))
    );
    assert!(!desk.path().join("out").exists());
    at(&desk, "docker-archive:tiny.tar oci:out:latest --quiet").ok();
    insta::assert_snapshot!(
        "plan-repeat",
        said(&at(&desk, "plan docker-archive:tiny.tar oci:out:latest"))
    );
    insta::assert_snapshot!(
        "plan-json",
        said(&at(
            &desk,
            "plan docker-archive:tiny.tar oci:out:new --format json"
        ))
    );
}

#[test]
fn a_copy_tells_each_blob_and_ends_with_one_line_and_the_digest() {
    let desk = desk();
    let first = at(&desk, "docker-archive:tiny.tar oci:out:latest");
    // Several blobs travel at once, so their lines come in any order.
    let mut lines: Vec<&str> = first.stderr.lines().collect();
    let last = lines.pop().unwrap().to_string();
    assert!(last.starts_with("copied 3 blobs ("), "{last}");
    lines.sort_unstable();
    insta::assert_snapshot!("copy-lines", lines.join("\n"));
    let digest = first.ok().stdout;
    assert_eq!(at(&desk, "digest oci:out:latest").ok().stdout, digest);
    insta::assert_snapshot!(
        "copy-repeat",
        said(&at(&desk, "copy docker-archive:tiny.tar oci:out:latest"))
    );
}

#[test]
fn quiet_says_only_the_digest() {
    let desk = desk();
    let run = at(&desk, "-q docker-archive:tiny.tar oci:out:latest").ok();
    assert_eq!(run.stderr, "");
    assert!(run.stdout.starts_with("sha256:") && run.stdout.lines().count() == 1);
}

#[test]
fn a_digestfile_holds_the_digest_and_nothing_else() {
    let desk = desk();
    let run = at(
        &desk,
        "docker-archive:tiny.tar oci:out:latest --digestfile d",
    )
    .ok();
    let file = std::fs::read_to_string(desk.path().join("d")).unwrap();
    assert_eq!(file, run.stdout.trim());
}

#[test]
fn progress_as_json_is_one_object_a_line_and_adds_up() {
    let desk = desk();
    let run = at(
        &desk,
        "docker-archive:tiny.tar oci:out:latest --progress json",
    )
    .ok();
    let lines: Vec<&str> = run.stderr.lines().collect();
    let (summary, events) = lines.split_last().unwrap();
    assert!(summary.starts_with("copied 3 blobs"));
    let events: Vec<serde_json::Value> = events
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!(
        (
            count("planned"),
            count("started"),
            count("arrived"),
            count("done")
        ),
        (1, 3, 3, 1)
    );
    let advanced: u64 = events
        .iter()
        .filter_map(|event| event["bytes"].as_u64())
        .sum();
    assert_eq!(events[0]["totals"]["bytes"], advanced);
}

#[test]
fn a_terminal_gets_bars_and_keeps_only_the_summary() {
    if !has_peer("script") {
        return;
    }
    let desk = desk();
    let layer: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    image(&[&layer], "big:1").write(desk.path(), "big.tar");
    let line = format!(
        "{} docker-archive:big.tar oci:out:latest",
        env!("CARGO_BIN_EXE_imgcopy")
    );
    let mut script = std::process::Command::new("script");
    script.env(support::NO_CACHE.0, support::NO_CACHE.1);
    let run = Run::of(script.current_dir(desk.path()).env("TERM", "xterm").args([
        "-qec",
        &line,
        "/dev/null",
    ]));
    assert!(
        run.stdout.contains("\u{1b}["),
        "bars move the cursor: {:?}",
        run.stdout
    );
    assert!(run.stdout.contains("copied 2 blobs"), "{:?}", run.stdout);
    assert!(run.stdout.contains("sha256:"));
}

#[test]
fn images_are_described_listed_and_verified() {
    let desk = desk();
    at(&desk, "docker-archive:tiny.tar oci:out:latest --quiet").ok();
    insta::assert_snapshot!("inspect", said(&at(&desk, "inspect oci:out:latest")));
    insta::assert_snapshot!(
        "inspect-archive",
        said(&at(&desk, "inspect docker-archive:several.tar:@3"))
    );
    insta::assert_snapshot!(
        "inspect-json",
        said(&at(&desk, "inspect oci:out:latest --format json"))
    );
    insta::assert_snapshot!("tags", said(&at(&desk, "tags docker-archive:several.tar")));
    insta::assert_snapshot!("tags-json", said(&at(&desk, "tags oci:out --format json")));
    insta::assert_snapshot!(
        "list-tags",
        said(&at(&desk, "list-tags docker-archive:several.tar"))
    );
    insta::assert_snapshot!("verify", said(&at(&desk, "verify oci:out:latest")));
    insta::assert_snapshot!(
        "verify-json",
        said(&at(&desk, "verify docker-archive:tiny.tar --format json"))
    );
}

#[test]
fn an_index_is_described_with_this_machines_image() {
    let layout = fixture("podman/oci-index");
    let desk = tempdir();
    std::os::unix::fs::symlink(layout, desk.path().join("index")).unwrap();
    let told = at(&desk, "inspect oci:index").ok().stdout;
    assert!(
        told.contains("image.index.v1+json") && told.contains("Image        linux/"),
        "{told}"
    );
    let config = at(&desk, "inspect oci:index --config").ok().stdout;
    assert!(config.contains("\"rootfs\""));
}

#[test]
fn raw_and_config_are_the_exact_bytes() {
    let desk = desk();
    at(&desk, "docker-archive:tiny.tar oci:out:latest --quiet").ok();
    let digest = at(&desk, "digest oci:out:latest").ok().stdout;
    let raw = at(&desk, "inspect oci:out:latest --raw").ok().stdout;
    assert_eq!(
        format!("sha256:{}\n", support::sha256(raw.as_bytes())),
        digest
    );
    let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
    let config = at(&desk, "inspect oci:out:latest --config").ok().stdout;
    assert_eq!(
        manifest["config"]["digest"],
        format!("sha256:{}", support::sha256(config.as_bytes()))
    );
    assert_eq!(
        at(&desk, "inspect docker-archive:tiny.tar --config")
            .ok()
            .stdout,
        config
    );
}

#[test]
fn verify_says_what_is_wrong() {
    let desk = desk();
    at(&desk, "docker-archive:tiny.tar oci:out:latest --quiet").ok();
    let raw = at(&desk, "inspect oci:out:latest --raw").stdout;
    let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
    let layer = |n: usize| {
        let digest = manifest["layers"][n]["digest"].as_str().unwrap();
        desk.path()
            .join("out/blobs/sha256")
            .join(digest.strip_prefix("sha256:").unwrap())
    };
    let mut bytes = std::fs::read(layer(0)).unwrap();
    bytes[40] ^= 1;
    std::fs::write(layer(0), bytes).unwrap();
    std::fs::remove_file(layer(1)).unwrap();
    insta::assert_snapshot!("verify-damaged", said(&at(&desk, "verify oci:out:latest")));
}

#[test]
fn each_mistake_gets_one_error_that_says_what_to_do() {
    let desk = desk();
    std::fs::create_dir(desk.path().join("photos")).unwrap();
    std::fs::write(desk.path().join("photos/cat.jpg"), "meow").unwrap();
    at(&desk, "docker-archive:tiny.tar oci:out:latest --quiet").ok();
    let table = [
        ("no-such-file", "docker-archive:missing.tar oci:new:latest"),
        ("no-such-directory", "oci:missing:latest oci:new:latest"),
        ("no-such-image", "oci:out:other oci:new:latest"),
        (
            "no-such-image-in-archive",
            "docker-archive:several.tar:corpus/tiny:other oci:new:latest",
        ),
        (
            "no-such-position",
            "docker-archive:several.tar:@9 oci:new:latest",
        ),
        (
            "several-images",
            "docker-archive:several.tar oci:new:latest",
        ),
        (
            "directory-for-archive",
            "docker-archive:photos oci:new:latest",
        ),
        ("no-layout", "oci:photos oci:new:latest"),
        ("not-empty", "docker-archive:tiny.tar oci:photos:latest"),
        (
            "digest-as-destination",
            "docker-archive:tiny.tar oci:new:@0",
        ),
        (
            "file-as-destination",
            "docker-archive:tiny.tar oci:tiny.tar:latest",
        ),
        (
            "no-archive-of-images",
            "docker-archive:photos/cat.jpg oci:new:latest",
        ),
        (
            "level-out-of-range",
            "docker-archive:tiny.tar oci:new:latest --compression-level 13",
        ),
        ("no-transport", "copy tiny.tar oci:new:latest"),
        ("docker-name", "copy busybox oci:new:latest"),
        ("no-destination", "docker-archive:tiny.tar"),
        ("unknown-verb", "inspekt oci:out:latest"),
        ("bad-name", "docker-archive:tiny.tar oci:new:a*b"),
    ];
    for (name, args) in table {
        let run = at(&desk, args);
        insta::assert_snapshot!(format!("error-{name}"), said(&run));
        assert_eq!(run.stderr.matches("error:").count(), 1, "{}", run.stderr);
        assert!(!desk.path().join("new").exists(), "{name} left something");
    }
}

#[test]
fn f105_a_reader_who_goes_away_is_no_panic() {
    let desk = desk();
    for verb in [
        "inspect docker-archive:tiny.tar",
        "tags docker-archive:several.tar",
        "--help",
    ] {
        let mut child = command()
            .current_dir(desk.path())
            .args(verb.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = Run::from(child.wait_with_output().unwrap());
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[test]
fn text_from_images_cannot_drive_the_terminal() {
    let desk = tempdir();
    let config = r#"{"architecture":"\u001b[31m","os":"li\nnux","created":"\u0007","config":{"Env":["A=\u001b]0;x\u0007"],"Labels":{"\u001b":"\u001b"}},"history":[{"created_by":"\u001b[2J"}],"rootfs":{"diff_ids":[]}}"#;
    let list = r#"[{"Config":"c.json","RepoTags":null,"Layers":null}]"#;
    support::Archive::new()
        .file("c.json", config.as_bytes())
        .file("manifest.json", list.as_bytes())
        .write(desk.path(), "x.tar");
    let told = at(&desk, "inspect docker-archive:x.tar").ok().stdout;
    assert!(
        !told.contains('\u{1b}') && !told.contains('\u{7}'),
        "{told:?}"
    );
}

#[test]
fn two_references_are_a_copy_and_options_may_come_first() {
    let desk = desk();
    at(
        &desk,
        "--compression zstd --quiet docker-archive:tiny.tar oci:a:latest",
    )
    .ok();
    at(
        &desk,
        "copy docker-archive:tiny.tar oci:b:latest --compression zstd",
    )
    .ok();
    let debug = at(&desk, "--debug docker-archive:tiny.tar oci:c:latest").ok();
    assert!(debug.stderr.contains("surveyed"), "{}", debug.stderr);
    at(&desk, "--debug inspect oci:c:latest").ok();
    let digest = |path: &Path| std::fs::read_to_string(path.join("index.json")).unwrap();
    assert_eq!(
        digest(&desk.path().join("a")),
        digest(&desk.path().join("b"))
    );
}
