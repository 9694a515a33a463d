//! The words of header values: RFC 9110, section 5.6. It only ever goes forward.

/// A header value that is being read.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(value: &'a str) -> Self {
        Self { rest: value }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// The next character, whatever it is.
    pub(super) fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// Takes the mark if it comes next, and says whether it did.
    pub(super) fn eat(&mut self, mark: char) -> bool {
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Optional white space.
    pub(super) fn skip_space(&mut self) {
        self.take_while(is_space);
    }

    /// What parts the members of a list; empty members do not count.
    pub(super) fn skip_separators(&mut self) {
        self.take_while(|c| is_space(c) || c == ',');
    }

    /// A token, as RFC 9110 section 5.6.2 has it.
    pub(super) fn token(&mut self) -> Option<&'a str> {
        let token = self.take_while(is_token);
        (!token.is_empty()).then_some(token)
    }

    /// A quoted string without its quotes and escapes. One that is not closed ends with the value.
    pub(super) fn quoted(&mut self) -> Option<String> {
        if !self.eat('"') {
            return None;
        }
        let mut text = String::new();
        while let Some(c) = self.bump() {
            match c {
                '"' => break,
                '\\' => text.extend(self.bump()),
                _ => text.push(c),
            }
        }
        Some(text)
    }

    /// The value of a parameter: quoted, or all up to white space or a mark in `ends`. That is
    /// more than a token may hold: servers write URLs without quotes.
    pub(super) fn value(&mut self, ends: &[char]) -> String {
        match self.quoted() {
            Some(text) => text,
            None => self
                .take_while(|c| !is_space(c) && !ends.contains(&c))
                .to_string(),
        }
    }

    /// Skips a token68 (RFC 9110 section 11.2), if one stands here alone: what `Negotiate` and the
    /// like carry in place of parameters.
    pub(super) fn skip_token68(&mut self) {
        let mut ahead = *self;
        ahead.take_while(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        ahead.take_while(|c| c == '=');
        ahead.skip_space();
        if matches!(ahead.peek(), None | Some(',')) {
            *self = ahead;
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
