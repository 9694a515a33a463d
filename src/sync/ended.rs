//! What became of one image at one place.

use std::time::Duration;

use super::ask::Asked;
use super::decide::Decision;
use super::foresee::Foreseen;
use super::run::Way;
use crate::copy::Outcome;
use crate::error::{Error, ErrorKind};
use crate::image::Digest;

/// What becomes of one image at one place.
#[derive(Debug)]
pub(super) struct Ended {
    /// What was decided, if it came so far.
    pub(super) decision: Option<Decision>,
    /// What the tag stood for before.
    pub(super) before: Option<Digest>,
    /// What the image is called at its source, where that is known.
    pub(super) source: Option<Digest>,
    /// What was copied.
    pub(super) outcome: Option<Outcome>,
    /// What copying it would take, if nothing is to be changed.
    pub(super) foreseen: Option<Foreseen>,
    /// Why it failed.
    pub(super) error: Option<Error>,
    /// How many requests it took.
    pub(super) requests: u64,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// How often it was tried.
    pub(super) attempts: usize,
}

impl Ended {
    /// `elapsed`: since it was last waited for.
    pub(super) fn new(way: &Way<'_>, elapsed: Duration) -> Self {
        Self {
            decision: None,
            before: None,
            source: None,
            outcome: None,
            foreseen: None,
            error: None,
            requests: way.requests(),
            elapsed,
            attempts: 1,
        }
    }

    pub(super) fn note(&mut self, asked: &Asked) {
        self.decision = Some(asked.decision);
        self.before.clone_from(&asked.before);
        self.source.clone_from(&asked.source);
    }
}

/// Whether a failure may be over when everything else is done.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unreachable
            | ErrorKind::Io
            | ErrorKind::Changed
            | ErrorKind::Corrupt
            | ErrorKind::Incomplete
            | ErrorKind::Unauthorized
    )
}
