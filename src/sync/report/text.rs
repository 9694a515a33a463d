//! Text from outside, made harmless; and numbers for people.

use std::time::Duration;

/// How much of a text is shown, in characters. Registries may send pages.
const LENGTH: usize = 2000;

/// The text with what a terminal, a log or a page could obey, or what cannot be seen, written out
/// (S-46, S-47): control characters, directions of writing, what no document may hold. One line.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().take(LENGTH) {
        match is_harmless(c) {
            true => plain.push(c),
            false => plain.extend(c.escape_default()),
        }
    }
    if text.chars().nth(LENGTH).is_some() {
        plain.push('…');
    }
    plain
}

fn is_harmless(c: char) -> bool {
    let unseen = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    // The last two of each plane are no characters, and XML takes none of them.
    let is_none = u32::from(c) & 0xfffe == 0xfffe;
    !c.is_control() && !unseen && !is_none
}

/// The text for XML and HTML, between tags and in quoted attributes.
pub(super) fn markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A size in units of 1000, as registries show them: `31.2 MB`.
pub(super) fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut shown = String::new();
    for unit in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        tenths /= 1000;
        shown = format!("{}.{} {unit}", tenths / 10, tenths % 10);
        if tenths < 10_000 {
            break;
        }
    }
    shown
}

/// A span for people: `40 ms`, `2.4 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.subsec_millis()),
        1..60 => format!("{}.{} s", seconds, span.subsec_millis() / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A count and what is counted, in the plural unless it is one.
pub(super) fn count(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
