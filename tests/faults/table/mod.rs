//! The fault matrix as one table: phase, fault, required outcome. Each row runs the command itself,
//! against registries that go wrong as the row says, and looks at the exit code, at what was said, at
//! how often the registries were asked, and at what the destination has in the end. Times are scaled: a
//! second here stands for a minute (`--timeout 1s` for the default of 60 s).
//!
//! `docs/FAULTS.md` is this table. `FAULTS=write cargo test --test faults table` writes it anew, with
//! skopeo run through the same scripts, wherever its command line allows.

mod judge;
mod local;
mod page;
mod powercut;
mod program;
mod scene;

mod archive;
mod chunks;
mod commit;
mod connect;
mod download;
mod elsewhere;
mod layout;
mod lists;
mod manifests;
mod presence;
mod secure;
mod sync;
mod tokens;
mod upload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use judge::Verdict;
use program::{Program, Ran};
use scene::Scene;

/// When it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Names, connections, TLS, proxies.
    Connect,
    Token,
    List,
    Manifest,
    /// Whether a blob is there, and mounts.
    Presence,
    Download,
    /// The POST that begins an upload.
    Begin,
    /// The body of an upload.
    Upload,
    /// The answer that completes an upload.
    Commit,
    /// The PUT of a manifest.
    Write,
    /// Reading an archive or a directory.
    Archive,
    /// Writing a directory.
    Layout,
    Sync,
}

impl Phase {
    fn letter(self) -> char {
        match self {
            Self::Connect => 'C',
            Self::Token => 'T',
            Self::List => 'L',
            Self::Manifest => 'M',
            Self::Presence => 'H',
            Self::Download => 'D',
            Self::Begin => 'U',
            Self::Upload => 'B',
            Self::Commit => 'X',
            Self::Write => 'W',
            Self::Archive => 'A',
            Self::Layout => 'O',
            Self::Sync => 'Y',
        }
    }
}

/// What the destination has in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Left {
    /// All of the image, under its tag.
    New,
    /// What it had before, whole.
    Old,
    /// No tag, and nothing wrong.
    Nothing,
    /// Something that must not be.
    Wrong(String),
}

/// What must come of a case.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    code: i32,
    /// What our error says, among other things.
    words: &'static str,
    left: Left,
    /// How often registries may be asked, in all.
    requests: usize,
}

/// The requests of a copy of one small layer from registry to registry where nothing goes wrong.
pub(crate) const PLAIN: usize = 14;

/// The image arrives, with so many requests at most.
pub(crate) fn arrives(requests: usize) -> Expected {
    Expected {
        code: 0,
        words: "",
        left: Left::New,
        requests,
    }
}

/// It fails with this exit code and these words; the old image stays.
pub(crate) fn fails(code: i32, words: &'static str, requests: usize) -> Expected {
    Expected {
        code,
        words,
        left: Left::Old,
        requests,
    }
}

impl Expected {
    pub(crate) fn leaves(mut self, left: Left) -> Self {
        self.left = left;
        self
    }
}

type Play = Box<dyn Fn(Program) -> Ran + Send + Sync>;

struct Case {
    name: &'static str,
    expected: Expected,
    play: Play,
}

/// A row of the table.
pub(crate) struct Cell {
    id: &'static str,
    phase: Phase,
    fault: &'static str,
    outcome: &'static str,
    cases: Vec<Case>,
}

pub(crate) fn cell(
    id: &'static str,
    phase: Phase,
    fault: &'static str,
    outcome: &'static str,
) -> Cell {
    Cell {
        id,
        phase,
        fault,
        outcome,
        cases: Vec::new(),
    }
}

impl Cell {
    /// A case in which one image is copied; the scene says between whom, and what goes wrong.
    pub(crate) fn case(
        self,
        name: &'static str,
        expected: Expected,
        set: impl Fn() -> Scene + Send + Sync + 'static,
    ) -> Self {
        self.play(name, expected, move |program| set().run(program))
    }

    /// A case that is played otherwise.
    pub(crate) fn play(
        mut self,
        name: &'static str,
        expected: Expected,
        play: impl Fn(Program) -> Ran + Send + Sync + 'static,
    ) -> Self {
        self.cases.push(Case {
            name,
            expected,
            play: Box::new(play),
        });
        self
    }

    /// The most requests that any of its cases may need.
    fn requests(&self) -> usize {
        let of = |case: &Case| case.expected.requests;
        self.cases.iter().map(of).max().unwrap_or_default()
    }
}

/// All rows, in the order of the catalogue.
fn table() -> Vec<Cell> {
    let mut table: Vec<Cell> = [
        connect::cells(),
        secure::cells(),
        tokens::cells(),
        lists::cells(),
        manifests::cells(),
        presence::cells(),
        download::cells(),
        elsewhere::cells(),
        upload::cells(),
        chunks::cells(),
        commit::cells(),
        archive::cells(),
        layout::cells(),
        sync::cells(),
    ]
    .into_iter()
    .flatten()
    .collect();
    // As numbers: F-100 comes behind F-99.
    table.sort_by_key(|cell| cell.id[2..].parse::<u32>().unwrap());
    table
}

/// How many cases are played at once: most of them wait for a clock.
const AT_ONCE: usize = 6;

/// Plays all cases of all rows; what came of each row, in order.
fn played(table: &[Cell], program: Program) -> Vec<Verdict> {
    let rows = table.iter().enumerate();
    let turns: Vec<(usize, usize, &Case)> = rows
        .flat_map(|(row, cell)| {
            (0..)
                .zip(&cell.cases)
                .map(move |(place, case)| (row, place, case))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(vec![Verdict::default(); table.len()]);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((row, place, case)) = turns.get(next.fetch_add(1, Ordering::SeqCst))
                {
                    let ran = catch_unwind(AssertUnwindSafe(|| (case.play)(program)));
                    let verdict = judge::judge(case, ran, program);
                    verdicts.lock().unwrap()[*row].add(*place, case.name, verdict);
                }
            });
        }
    });
    verdicts.into_inner().unwrap()
}

#[test]
fn every_row_of_the_table_has_its_outcome() {
    let only = std::env::var("FAULT").ok();
    let mut table = table();
    table.retain(|cell| only.as_deref().is_none_or(|only| only == cell.id));
    let ours = played(&table, Program::Imgcopy);
    let bad: Vec<String> = table
        .iter()
        .zip(&ours)
        .filter_map(|(cell, verdict)| Some(format!("{}: {}", cell.id, verdict.failure()?)))
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    match only {
        None => page::check(&table),
        Some(_) => page::tells_of_skopeo(&table),
    }
}
