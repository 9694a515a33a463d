//! Whether what a run gave is what the table asks for.

use std::any::Any;
use std::collections::BTreeMap;

use super::program::{Program, Ran};
use super::scene::SECRETS;
use super::{Case, Left};

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As the table asks for.
    Good,
    /// What goes wrong was never met.
    NeverMet,
    /// Otherwise, and how.
    Bad(String),
    /// It cannot be asked for, and why.
    Cannot(&'static str),
}

/// What came of a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict(BTreeMap<usize, (&'static str, Outcome)>);

impl Verdict {
    /// Notes what came of a case, by its place in the row.
    pub(crate) fn add(&mut self, place: usize, case: &'static str, outcome: Outcome) {
        self.0.insert(place, (case, outcome));
    }

    /// What went wrong, case by case.
    #[allow(clippy::print_stderr)]
    pub(crate) fn failure(&self) -> Option<String> {
        let told = self.0.values().filter_map(|(case, outcome)| match outcome {
            Outcome::Good => None,
            Outcome::NeverMet => Some(format!("{case}: the fault never happened")),
            Outcome::Bad(why) => Some(format!("{case}: {why}")),
            Outcome::Cannot(why) if std::env::var_os("CI").is_none() => {
                eprintln!("left out: {case}, because {why}");
                None
            }
            Outcome::Cannot(why) => Some(format!("{case}: left out, {why}")),
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("\n  "))
    }

    /// How a peer did, in a few words.
    pub(crate) fn in_short(&self) -> String {
        let bad: Vec<String> = self.bad().collect();
        let outcomes = self.0.values();
        let asked = outcomes.filter(|(_, it)| !matches!(it, Outcome::Cannot(_)));
        match (asked.count(), bad.is_empty(), self.0.values().next()) {
            (0, _, Some((_, Outcome::Cannot(why)))) => format!("not asked: {why}"),
            (_, true, _) => "survives".to_string(),
            (_, false, _) => cut(&bad.join("; ")),
        }
    }

    fn bad(&self) -> impl Iterator<Item = String> {
        self.0.values().filter_map(|(case, outcome)| match outcome {
            Outcome::Bad(why) => {
                let first = why.lines().next().unwrap_or_default();
                Some(format!("{case}: {first}"))
            }
            _ => None,
        })
    }
}

/// What the table says to a run.
pub(super) fn judge(
    case: &Case,
    ran: Result<Ran, Box<dyn Any + Send>>,
    program: Program,
) -> Outcome {
    let ran = match ran {
        Ok(ran) => ran,
        Err(panic) => return Outcome::Bad(format!("the test panicked: {}", words_of(&*panic))),
    };
    if let Some(why) = ran.cannot {
        return Outcome::Cannot(why);
    }
    if program == Program::Skopeo && !ran.met {
        return Outcome::NeverMet;
    }
    let mut wrong = what_is_wrong(case, &ran);
    if program == Program::Imgcopy {
        wrong.extend(what_is_wrong_of_ours(case, &ran));
    }
    match (wrong.is_empty(), ran.met) {
        (true, true) => Outcome::Good,
        (true, false) => Outcome::NeverMet,
        (false, _) if program == Program::Imgcopy => {
            Outcome::Bad(format!("{}\n{}", wrong.join("; "), said(&ran.output)))
        }
        (false, _) => Outcome::Bad(wrong.join("; ")),
    }
}

/// What is shown of a failed run: every request only if one row alone is played.
fn said(output: &str) -> String {
    let all = std::env::var_os("FAULT").is_some();
    let shown = output
        .lines()
        .filter(|line| all || !line.contains(" TRACE "));
    shown.collect::<Vec<_>>().join("\n")
}

/// What nobody may do.
fn what_is_wrong(case: &Case, ran: &Ran) -> Vec<String> {
    let expected = &case.expected;
    let mut wrong = Vec::new();
    match ran.code {
        None => wrong.push("never ends".to_string()),
        Some(0) if expected.code != 0 => wrong.push("exit 0".to_string()),
        Some(code) if code != 0 && expected.code == 0 => wrong.push("fails".to_string()),
        Some(_) => {}
    }
    // Whoever was killed or failed where it need not has not brought the image; that was said.
    if ran.left != expected.left && wrong.is_empty() || matches!(ran.left, Left::Wrong(_)) {
        wrong.push(format!("leaves {:?}", ran.left));
    }
    let told = SECRETS
        .iter()
        .filter(|secret| ran.output.contains(**secret));
    wrong.extend(told.map(|secret| format!("says {secret}")));
    wrong.extend(ran.odd.iter().cloned());
    wrong
}

/// What we promise beyond that.
fn what_is_wrong_of_ours(case: &Case, ran: &Ran) -> Vec<String> {
    let expected = &case.expected;
    let mut wrong = Vec::new();
    if ran.code != Some(expected.code) {
        wrong.push(format!("exit {:?}, not {}", ran.code, expected.code));
    }
    if !ran.output.contains(expected.words) {
        wrong.push(format!("it does not say {:?}", expected.words));
    }
    if ran.left != expected.left {
        wrong.push(format!("leaves {:?}", ran.left));
    }
    if ran.requests > expected.requests {
        let (is, may) = (ran.requests, expected.requests);
        wrong.push(format!("{is} requests, not {may} at most"));
    }
    if ran.output.contains("panicked") {
        wrong.push("a panic".to_string());
    }
    wrong
}

/// What fits into a table.
fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(160).collect();
    if short.len() < text.len() {
        short.push_str(" ...");
    }
    short
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_default()
}
