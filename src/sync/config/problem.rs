//! What is wrong with a file: all of it, not only the first.

use std::fmt;
use std::path::PathBuf;

use crate::store::registry::credentials::Secret;

use super::Position;
use super::tree::Mark;

/// How many problems are told of one file: after so many the file is something else.
const LIMIT: usize = 100;

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub at: Position,
    /// What, and what to do about it: one clause without a final stop.
    pub text: String,
}

impl fmt::Display for Problem {
    /// `sync.yaml:14:5: unknown key …`, as compilers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

/// What is collected about one file while it is read.
#[derive(Debug)]
pub(super) struct Problems {
    file: PathBuf,
    found: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            found: Vec::new(),
        }
    }

    /// A place in this file.
    pub(super) fn position(&self, mark: Mark) -> Position {
        Position {
            file: self.file.clone(),
            line: mark.line,
            column: mark.column,
        }
    }

    /// Adds one. The same is told once: what `defaults` or an anchor say is read many times.
    pub(super) fn add(&mut self, mark: Mark, text: impl Into<String>) {
        let problem = Problem {
            at: self.position(mark),
            text: text.into(),
        };
        if self.found.len() < LIMIT && !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All, in the order in which they were found.
    pub(super) fn into_found(self) -> Vec<Problem> {
        self.found
    }
}

/// Leaves out of a text what came from secret files.
pub(super) fn masked(text: &str, hidden: &[Secret]) -> String {
    let mut shown = text.to_string();
    for secret in hidden.iter().filter(|it| !it.reveal().is_empty()) {
        shown = shown.replace(secret.reveal(), MASK);
    }
    shown
}

/// What is shown in place of a secret.
pub(super) const MASK: &str = "***";
