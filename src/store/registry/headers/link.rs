//! `Link`: where the next page of a list is. RFC 8288, section 3.

use super::lexer::Lexer;

/// The target of the first link with the relation `next`, as it was written: it is not resolved
/// and not trusted (S-36). It may be empty, which means this very page.
///
/// A target without angle brackets is taken too, since overlooking a link would make a list shorter.
pub(crate) fn next<S: AsRef<str>>(values: &[S]) -> Option<&str> {
    values.iter().find_map(|value| next_in(value.as_ref()))
}

fn next_in(value: &str) -> Option<&str> {
    let mut lexer = Lexer::new(value);
    loop {
        lexer.skip_separators();
        if lexer.is_done() {
            return None;
        }
        let target = target(&mut lexer);
        if is_next(&mut lexer) && target.is_some() {
            return target;
        }
        // Whatever else stands in this link.
        lexer.take_while(|c| c != ',');
    }
}

fn target<'a>(lexer: &mut Lexer<'a>) -> Option<&'a str> {
    if lexer.eat('<') {
        let target = lexer.take_while(|c| c != '>');
        return lexer.eat('>').then_some(target.trim());
    }
    let bare = lexer.take_while(|c| !matches!(c, ';' | ',')).trim();
    (!bare.is_empty()).then_some(bare)
}

/// Reads the parameters of a link. The first `rel` counts, and may hold several relations.
fn is_next(lexer: &mut Lexer<'_>) -> bool {
    let mut relations: Option<String> = None;
    loop {
        lexer.skip_space();
        if !lexer.eat(';') {
            break;
        }
        lexer.skip_space();
        let Some(name) = lexer.token() else {
            continue;
        };
        lexer.skip_space();
        if !lexer.eat('=') {
            continue;
        }
        lexer.skip_space();
        let value = lexer.value(&[';', ',']);
        if name.eq_ignore_ascii_case("rel") {
            relations.get_or_insert(value);
        }
    }
    let relations = relations.unwrap_or_default();
    let mut each = relations.split_ascii_whitespace();
    each.any(|relation| relation.eq_ignore_ascii_case("next"))
}
