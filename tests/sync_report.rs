//! Reports of `sync`: what the command makes of them, and the page in a real browser.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use imgcopy::image::Digest;
use imgcopy::sync::report::{Entry, HostLine, Report, Row, Run, Saved, Shard, Status};
use support::{Run as Ran, imgcopy, tempdir};

/// What would show if a page ran it, or took it for more than text.
const HOSTILE: &str = "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'\
                       </script></style><b id=bold>\"'&amp;\u{202e}\u{1b}[2J";

fn row(name: &str, status: Status) -> Row {
    let mut row = Row::new(
        format!("docker://hub/{name}"),
        format!("docker://corp/{name}"),
        status,
    );
    row.reason = Some("because".into());
    row
}

fn part(index: u32, rows: Vec<Row>) -> Report {
    let mut run = Run::begin(Some("sync.yaml".into()));
    run.shards = vec![Shard { of: 2, index }];
    Report::new(run, Saved::default(), vec![], rows)
}

fn merge<S: AsRef<std::ffi::OsStr>>(reports: &[S], more: &[&str]) -> Ran {
    let args = ["report", "merge"].iter().map(std::ffi::OsStr::new);
    let reports = reports.iter().map(AsRef::as_ref);
    imgcopy(
        args.chain(reports)
            .chain(more.iter().map(std::ffi::OsStr::new)),
    )
}

#[test]
fn reports_of_shards_are_merged_into_every_form() {
    let folder = tempdir();
    let at = |name: &str| folder.path().join(name);
    let (one, other, all) = (at("0.json"), at("1.json"), at("all.json"));
    part(0, vec![row("a", Status::New), row("b", Status::Same)])
        .write(&one)
        .unwrap();
    part(1, vec![row("c", Status::Deferred)])
        .write(&other)
        .unwrap();
    let (page, xml) = (at("all.html"), at("all.xml"));
    let outputs = [&page, &xml, &all].map(|path| path.to_str().unwrap());
    let more: Vec<&str> = outputs.iter().flat_map(|path| ["-o", path]).collect();
    let merged = merge(&[&one, &other], &more);
    // Put off, so a later run goes on.
    assert_eq!(merged.code, Some(4), "{}", merged.stderr);
    assert_eq!(merged.stdout, "");
    let last = merged.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("1 new, 1 same, 1 deferred; 0 B in "),
        "{last}"
    );
    assert!(
        std::fs::read_to_string(page)
            .unwrap()
            .contains("docker://corp/c")
    );
    assert!(
        std::fs::read_to_string(xml)
            .unwrap()
            .contains("tests=\"3\"")
    );
    let read = Report::parse(&std::fs::read(&all).unwrap()).unwrap();
    assert_eq!(read.totals.rows(), 3);
    // The same goes to stdout. One shard alone lacks the others.
    assert_eq!(merge(&[&one, &other], &[]).stdout, read.to_json());
    let alone = merge(&[&one], &[]);
    assert_eq!(alone.code, Some(3));
    assert!(
        alone.stderr.contains("no report of shard 1/2"),
        "{}",
        alone.stderr
    );
}

#[test]
fn a_shard_without_a_report_is_a_failure() {
    let folder = tempdir();
    let paths = [0, 2].map(|index| {
        let path = folder.path().join(format!("{index}.json"));
        let mut report = part(index, vec![row(&index.to_string(), Status::Same)]);
        report.run.shards[0].of = 3;
        report.write(&path).unwrap();
        path
    });
    let merged = merge(&paths, &[]);
    assert_eq!(merged.code, Some(3));
    assert!(
        merged.stderr.contains("no report of shard 1/3"),
        "{}",
        merged.stderr
    );
}

#[test]
fn what_cannot_be_merged_is_said_with_its_file() {
    let folder = tempdir();
    let good = folder.path().join("good.json");
    part(0, vec![]).write(&good).unwrap();
    let bad = folder.path().join("bad.json");
    for (content, why) in [
        ("{", "no report of imgcopy"),
        (r#"{"version": 99}"#, "it is a report of version 99"),
    ] {
        std::fs::write(&bad, content).unwrap();
        let failed = merge(&[&good, &bad], &[]).fails(1);
        assert!(
            failed.stderr.contains("bad.json") && failed.stderr.contains(why),
            "{}",
            failed.stderr
        );
    }
    let failed = merge(&[&folder.path().join("none.json")], &[]);
    assert!(failed.stderr.contains("none.json"), "{}", failed.stderr);
    // Before anything is read.
    let wrong = merge(&[&bad], &["-o", "out.pdf"]).fails(64);
    assert!(
        wrong.stderr.contains(".json, .xml (JUnit), .html or .prom"),
        "{}",
        wrong.stderr
    );
}

/// A browser without a screen. In CI there must be one; elsewhere the test says what it leaves out.
fn browser() -> Option<&'static str> {
    let known = ["chromium-headless-shell", "chromium", "google-chrome"];
    let is_there = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let found = known.iter().find(is_there).copied();
    if found.is_none() {
        support::has_peer("chromium-headless-shell");
    }
    found
}

/// The page as the browser has it after it was loaded and all scripts ran.
fn loaded(browser: &str, page: &Path, more: &[&str]) -> String {
    let home = tempdir();
    let mut command = Command::new(browser);
    command
        .env("HOME", home.path())
        .args(["--headless", "--no-sandbox", "--disable-gpu"]);
    command.arg(format!("--user-data-dir={}", home.path().display()));
    command
        .args(more)
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()));
    Ran::of(&mut command).ok().stdout
}

#[test]
fn s46_a_browser_shows_the_page_and_takes_nothing_from_outside_for_more_than_text() {
    let Some(browser) = browser() else { return };
    let folder = tempdir();
    let mut failed = row(HOSTILE, Status::Failed);
    failed.reason = Some(HOSTILE.into());
    failed.advice = Some(HOSTILE.into());
    failed.entry = Some(Entry {
        file: HOSTILE.into(),
        line: 3,
        column: 7,
    });
    let mut updated = row("updated", Status::Updated);
    updated.before = Some(Digest::of(b"before"));
    updated.after = Some(Digest::of(b"after"));
    (updated.bytes, updated.took) = (5_000_000, Duration::from_secs(90));
    let host = HostLine {
        host: HOSTILE.into(),
        bytes_read: 5_000_000,
        ..HostLine::default()
    };
    let mut run = Run::begin(Some(HOSTILE.into()));
    run.problems = vec![HOSTILE.into()];
    let rows = vec![failed, updated, row("same", Status::Same)];
    let report = Report::new(run, Saved::default(), vec![host], rows);
    let page = folder.path().join("report.html");
    report.write(&page).unwrap();

    let dom = loaded(browser, &page, &[]);
    // The browser reads the elements that were written: none is repaired, moved or added.
    let count = |text: &str, element: &str| text.matches(&format!("<{element}")).count();
    let written = report.to_html();
    for element in [
        "table", "tr", "td", "th", "tbody", "div", "p", "h2", "li", "code", "details", "meter",
    ] {
        let both = (count(&dom, element), count(&written, element));
        assert!(both.0 == both.1 && both.0 > 0, "{element}: {both:?}\n{dom}");
    }
    assert_eq!(
        (count(&dom, "img"), count(&dom, "script"), count(&dom, "b ")),
        (0, 0, 0),
        "{dom}"
    );
    assert!(!dom.contains("<title>stolen"), "{dom}");
    for text in [
        "What failed, and why",
        "What changed",
        "Registries",
        "The longest copies",
        "1 min 30 s",
    ] {
        assert!(dom.contains(text), "{text}\n{dom}");
    }
    // Even a script that stood in the page would not run: the page forbids it.
    let broken = written.replacen("<h1>", "<script>document.title='stolen'</script><h1>", 1);
    std::fs::write(&page, broken).unwrap();
    assert!(!loaded(browser, &page, &[]).contains("<title>stolen"));
    // But the browser would run scripts: the test can fail.
    std::fs::write(
        &page,
        "<title>x</title><script>document.title='stolen'</script>",
    )
    .unwrap();
    assert!(loaded(browser, &page, &[]).contains("<title>stolen"));
}
