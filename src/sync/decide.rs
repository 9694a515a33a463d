//! What becomes of one tag at one destination. A pure function of what both places say.

use crate::image::Digest;

use super::config::Change;

/// What is known of a tag at a destination and of the image that is to have it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// What the tag stands for at the destination; `None` if there is no such tag.
    pub there: Option<&'k Digest>,
    /// What the image will be called there; `None` if only reading it can tell.
    pub wanted: Option<&'k Digest>,
    /// Whether the tag never changes.
    pub is_immutable: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the tag stands for the image.
    Same,
    /// Nothing: the tag is there, and was said never to change.
    Immutable,
    /// Nothing: the tag stands for something else, and is to keep it.
    Keep,
    /// The tag stands for something else, and that is a failure.
    Drift,
    /// The tag is made.
    New,
    /// The tag moves.
    Update,
    /// The image must be read to tell.
    Read,
}

impl Decision {
    /// Whether something is copied.
    pub fn copies(self) -> bool {
        matches!(self, Decision::New | Decision::Update)
    }
}

/// Decides.
pub fn decide(known: &Known<'_>, change: Change) -> Decision {
    let Some(there) = known.there else {
        return Decision::New;
    };
    match (known.is_immutable, change, known.wanted) {
        (true, ..) => Decision::Immutable,
        (_, Change::Keep, _) => Decision::Keep,
        (_, _, Some(wanted)) if wanted == there => Decision::Same,
        (_, _, None) => Decision::Read,
        (_, Change::Fail, Some(_)) => Decision::Drift,
        (_, Change::Update, Some(_)) => Decision::Update,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Change::{Fail, Keep, Update};

    #[test]
    fn a_tag_is_decided_by_what_both_places_say() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let (a, b) = (Some(&a), Some(&b));
        for (there, wanted, is_immutable, change, decision) in [
            (None, a, false, Update, Decision::New),
            (None, None, true, Keep, Decision::New),
            (None, a, false, Fail, Decision::New),
            (a, a, false, Update, Decision::Same),
            (a, a, false, Fail, Decision::Same),
            (a, b, false, Update, Decision::Update),
            (a, b, false, Fail, Decision::Drift),
            (a, b, false, Keep, Decision::Keep),
            (a, None, false, Keep, Decision::Keep),
            (a, None, false, Update, Decision::Read),
            (a, None, false, Fail, Decision::Read),
            (a, b, true, Update, Decision::Immutable),
            (a, None, true, Fail, Decision::Immutable),
        ] {
            let known = Known {
                there,
                wanted,
                is_immutable,
            };
            assert_eq!(decide(&known, change), decision, "{known:?} {change:?}");
        }
    }
}
