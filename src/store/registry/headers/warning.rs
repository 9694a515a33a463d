//! `Warning: 299 - "text"`: what a registry wants its users to read (Q-99; the distribution
//! specification, "Warnings").

use super::super::shown;
use super::lexer::Lexer;

/// More would flood the screen.
const MOST: usize = 8;

/// The texts of the warnings of an answer, each fit to be shown. Other codes than 299 are caches
/// talking about themselves and are left out, as the specification wants.
pub(crate) fn texts<S: AsRef<str>>(values: &[S]) -> Vec<String> {
    let mut found = Vec::new();
    for value in values {
        let mut lexer = Lexer::new(value.as_ref());
        while !lexer.is_done() && found.len() < MOST {
            found.extend(text(&mut lexer).filter(|text| !text.is_empty()));
        }
    }
    found
}

/// Reads one warning: `code SP agent SP text [SP date]`. It takes at least a character.
fn text(lexer: &mut Lexer<'_>) -> Option<String> {
    lexer.skip_separators();
    let code = lexer.take_while(|c| c.is_ascii_digit());
    lexer.skip_space();
    lexer.take_while(|c| !matches!(c, ' ' | '\t' | ',' | '"'));
    lexer.skip_space();
    let text = lexer.quoted();
    lexer.skip_space();
    lexer.quoted();
    // Whatever else stands in this one.
    lexer.take_while(|c| c != ',');
    text.filter(|_| code == "299")
        .map(|text| shown::text(text.trim()))
}
