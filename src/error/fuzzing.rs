//! What must hold of every text that is shown, whatever it was made from (S-46, S-47).

use super::Error;

/// More than any message of ours has, in characters. Who sends us something cannot make a message long.
const LONGEST: usize = 4096;

/// Fails if a text could move the cursor, end the line, or turn the direction of writing.
///
/// # Panics
/// If it could.
pub(crate) fn harmless(text: &str) {
    let turns = |c: char| {
        matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        ) || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    let bad = text.chars().find(|c| c.is_control() || turns(*c));
    assert!(bad.is_none(), "{bad:?} is shown in {text:?}");
}

/// Fails if an error could not be shown as it is, or is longer than anybody reads.
///
/// # Panics
/// If so.
pub(crate) fn shown(error: &Error) {
    let told = error.in_one_line();
    harmless(&told);
    let length = told.chars().count();
    assert!(length <= LONGEST, "a message has {length} characters");
}
