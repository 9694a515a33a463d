//! Why a place does not take a manifest, where the copy knows better than the place says.

use super::Plan;
use crate::error::{Error, ErrorKind};
use crate::image::{Descriptor, Manifest};

/// What can be done where foreign layers are wanted.
const FOREIGN: &str = "cannot write the manifest while its foreign layers stay at their URLs; --allow-foreign-layers sends those that the source has";

/// What can be done where all images of an index are wanted.
const SPARSE: &str = "the index names images that are not copied, and the registry may want them all; --index trim leaves them out of the index";

/// The refusal of a manifest, with the reason that it most probably has.
pub(super) fn explained(error: Error, plan: &Plan, manifest: &Manifest) -> Error {
    let lacks = |piece: &Descriptor| plan.absent.iter().any(|it| it.digest == piece.digest);
    if manifest.blobs().any(lacks) {
        // Not every registry does without.
        return error.attempting(FOREIGN);
    }
    if !manifest.children().iter().any(lacks) {
        return error;
    }
    // It lacks what nobody sends: to begin anew would not help.
    match error.kind() {
        ErrorKind::Changed => error.of_kind(ErrorKind::Denied).attempting(SPARSE),
        ErrorKind::Denied | ErrorKind::Invalid => error.attempting(SPARSE),
        _ => error,
    }
}
