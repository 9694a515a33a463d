//! The table as a page of the documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::judge::Verdict;
use super::program::Program;
use super::{Cell, played};
use crate::support::Run;

const HEAD: &str = "# Faults

What goes wrong on the way, and what comes of it: the fault matrix that the tests play. Written by
`FAULTS=write cargo test --test faults table`; `cargo test` plays our side of it every time, and compares.
Each row is one or more runs of the command against registries that go wrong as the row says. Looked at are
the exit code, the words, the number of requests (the column says how many there may be at most, in all),
the destination (no moved tag, no wrong blob, no file left over), and that no password is told. A minute of
limits is a second here.

Phases: C connection, T token, L list of tags, M manifest, H presence of blobs and mounts, D download, U begin
of an upload, B its body, X its completion, W manifest written, A archive read, O directory written, Y sync.

";

/// Panics unless the page says what the table says. With `FAULTS=write` it is written instead, skopeo too.
pub(super) fn check(table: &[Cell]) {
    if is_asked_for() {
        let skopeo = played(table, Program::Skopeo);
        let told: BTreeMap<&str, String> = table
            .iter()
            .zip(&skopeo)
            .map(|(cell, verdict)| (cell.id, verdict.in_short()))
            .collect();
        std::fs::write(path(), page(table, &version(), &told, &summary(&skopeo))).unwrap();
        return;
    }
    let is = std::fs::read_to_string(path()).unwrap_or_default();
    for cell in table {
        let row = row(cell);
        assert!(
            is.contains(&row),
            "docs/FAULTS.md lacks {row}; write it anew: FAULTS=write cargo test --test faults table"
        );
    }
}

fn is_asked_for() -> bool {
    std::env::var("FAULTS").is_ok_and(|what| what == "write")
}

/// Tells how skopeo does, where the page is not written because one row alone is played.
#[allow(clippy::print_stderr)]
pub(super) fn tells_of_skopeo(table: &[Cell]) {
    if is_asked_for() {
        for (cell, verdict) in table.iter().zip(played(table, Program::Skopeo)) {
            eprintln!("{}: {}", cell.id, verdict.in_short());
        }
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FAULTS.md")
}

fn page(table: &[Cell], version: &str, told: &BTreeMap<&str, String>, summary: &str) -> String {
    let mut text = format!("{HEAD}{summary}\n\n");
    writeln!(
        text,
        "| id | phase | fault | outcome | requests | imgcopy | {version} |"
    )
    .unwrap();
    writeln!(text, "|---|---|---|---|---|---|---|").unwrap();
    for cell in table {
        let skopeo = told.get(cell.id).map(String::as_str).unwrap_or_default();
        writeln!(
            text,
            "{} holds | {} |",
            row(cell),
            skopeo.replace('|', "\\|")
        )
        .unwrap();
    }
    text
}

/// What is said of a row, whoever plays it.
fn row(cell: &Cell) -> String {
    let (id, phase) = (cell.id, cell.phase.letter());
    // Where the library is asked and not the command, other things are counted.
    let requests = match cell.requests() {
        0 => "-".to_string(),
        most => most.to_string(),
    };
    format!(
        "| {id} | {phase} | {} | {} | {requests} |",
        cell.fault, cell.outcome
    )
}

fn summary(skopeo: &[Verdict]) -> String {
    let short: Vec<String> = skopeo.iter().map(Verdict::in_short).collect();
    let count = |begin: &str| short.iter().filter(|it| it.starts_with(begin)).count();
    let (all, asked) = (short.len(), short.len() - count("not asked"));
    format!(
        "All {all} rows hold for imgcopy. {asked} of them can be asked of skopeo's command line (`--retry-times 4`); \
         it survives {}.",
        count("survives")
    )
}

fn version() -> String {
    let run = Run::of(std::process::Command::new("skopeo").arg("--version"));
    run.ok().stdout.trim().replace("skopeo version", "skopeo")
}
