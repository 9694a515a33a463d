//! What the failures of an upload have in common.

use super::super::headers::errors::Code;
use super::super::retry::{Op, Signal};
use crate::error::Error;

/// Connections that break twice in a blob of this size may mean that its size is refused (F-64).
const LARGE: u64 = 1 << 20;

/// How often an upload failed in ways that may mean that the registry takes chunks only.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// The connection broke.
    broken: u32,
    /// The registry called the upload invalid.
    invalid: u32,
}

impl Tries {
    pub(super) fn count(&mut self, op: Op, signal: &Signal) {
        if op != Op::Open {
            self.broken += u32::from(*signal == Signal::Reset);
            self.invalid += u32::from(is_invalid(signal));
        }
    }

    /// Whether a blob of so many bytes had better go in chunks. An answer that says that it is too
    /// large is often lost, because the connection ends while the blob is still being sent (F-64).
    /// Some versions of Artifactory never take a PUT with bytes, and do not say so.
    pub(super) fn ask_for_chunks(&self, signal: &Signal, size: u64) -> bool {
        match signal {
            Signal::Reset => self.broken == 2 && size > LARGE,
            signal => self.invalid == 2 && is_invalid(signal),
        }
    }

    pub(super) fn explain(&self, error: Error) -> Error {
        match self.broken {
            0 | 1 => error,
            _ => error.attempting("the registry closed the connection during the upload: perhaps a limit of size, or a proxy"),
        }
    }
}

fn is_invalid(signal: &Signal) -> bool {
    let Signal::Status { status, errors, .. } = signal else {
        return false;
    };
    let mut codes = errors.iter().map(|error| &error.code);
    (400..500).contains(status) && codes.any(|code| *code == Code::BlobUploadInvalid)
}
