//! What happens during a copy, told to whoever wants to know.

use std::sync::Arc;

use super::{Outcome, Plan};
use crate::image::{Descriptor, Digest};

/// Something that happened. Sizes are in bytes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It is decided what will be done.
    Planned(&'a Plan),
    /// A blob is on its way.
    Started {
        /// The blob at its source.
        blob: &'a Descriptor,
    },
    /// More of a blob was read.
    Advanced {
        /// The blob at its source.
        blob: &'a Digest,
        /// How many bytes of it since the last time.
        bytes: u64,
    },
    /// A blob is at the destination.
    Arrived {
        /// The blob at its source.
        blob: &'a Descriptor,
        /// What it is called at the destination.
        stored: &'a Descriptor,
    },
    /// Everything is done.
    Done(&'a Outcome),
}

/// Whoever wants to know. Events come from several threads.
pub trait Observer: Send + Sync {
    /// Something happened. Must not take long: the copy waits.
    fn event(&self, event: &Event<'_>);
}

/// An observer who does not care.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Silent {
    /// As it is passed to a copy.
    #[expect(clippy::new_ret_no_self, reason = "a copy takes any observer")]
    pub fn new() -> Arc<dyn Observer> {
        Arc::new(Self)
    }
}

impl Observer for Silent {
    fn event(&self, _: &Event<'_>) {}
}
