//! `WWW-Authenticate`: how a registry wants to be asked. RFC 9110 section 11.6.1, RFC 7617 (Basic),
//! RFC 6750 (Bearer), and the token part of the distribution specification.

use super::lexer::Lexer;

/// No honest server has more; what comes after them is not read.
const MOST: usize = 32;

/// One way to authenticate that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with each request.
    Basic {
        /// What the server calls the place; empty if it does not say.
        realm: String,
    },
    /// A token, from the server that `realm` names.
    Bearer {
        /// Where tokens are to be had, as it was written. Empty if it is missing.
        realm: String,
        /// For which service.
        service: Option<String>,
        /// What the token must allow, such as `repository:a/b:pull`.
        scope: Vec<String>,
        /// Why the token that was sent did not do: `invalid_token`, `insufficient_scope`.
        error: Option<String>,
    },
    /// A scheme that imgcopy does not speak, by its name.
    Other(String),
}

/// The challenges of all `WWW-Authenticate` headers of an answer, in their order. What is no
/// challenge is left out.
pub(crate) fn parse<S: AsRef<str>>(values: &[S]) -> Vec<Challenge> {
    let offers = values.iter().flat_map(|value| offers(value.as_ref()));
    offers.take(MOST).map(Offer::into_challenge).collect()
}

/// The challenge to answer: Bearer before Basic, as registries that offer both mean it. A
/// Bearer without a realm cannot be answered.
pub(crate) fn choose(challenges: &[Challenge]) -> Option<&Challenge> {
    let bearer = |challenge: &&Challenge| matches!(challenge, Challenge::Bearer { realm, .. } if !realm.is_empty());
    let basic = |challenge: &&Challenge| matches!(challenge, Challenge::Basic { .. });
    let mut all = challenges.iter();
    all.clone().find(bearer).or_else(|| all.find(basic))
}

/// A challenge as it was written.
struct Offer<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

/// Commas part both challenges and parameters, so a word is a scheme if no `=` follows it.
fn offers(value: &str) -> Vec<Offer<'_>> {
    let mut lexer = Lexer::new(value);
    let mut found: Vec<Offer<'_>> = Vec::new();
    while found.len() <= MOST {
        lexer.skip_separators();
        if lexer.is_done() {
            break;
        }
        let Some(word) = lexer.token() else {
            if lexer.quoted().is_none() {
                lexer.bump();
            }
            continue;
        };
        lexer.skip_space();
        if lexer.eat('=') {
            lexer.skip_space();
            let value = lexer.value(&[',']);
            if let Some(offer) = found.last_mut() {
                offer.parameters.push((word, value));
            }
        } else {
            found.push(Offer {
                scheme: word,
                parameters: Vec::new(),
            });
            lexer.skip_token68();
        }
    }
    found
}

impl Offer<'_> {
    fn into_challenge(self) -> Challenge {
        if self.scheme.eq_ignore_ascii_case("basic") {
            return Challenge::Basic {
                realm: self.first("realm").unwrap_or_default(),
            };
        }
        if self.scheme.eq_ignore_ascii_case("bearer") {
            let scopes = self.each("scope").flat_map(str::split_ascii_whitespace);
            return Challenge::Bearer {
                realm: self.first("realm").unwrap_or_default(),
                service: self.first("service"),
                scope: scopes.map(String::from).collect(),
                error: self.first("error"),
            };
        }
        Challenge::Other(self.scheme.to_string())
    }

    fn each(&self, wanted: &str) -> impl Iterator<Item = &str> {
        let named = move |(name, _): &&(&str, String)| name.eq_ignore_ascii_case(wanted);
        let found = self.parameters.iter().filter(named);
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter may stand once only; the first one counts.
    fn first(&self, wanted: &str) -> Option<String> {
        self.each(wanted).next().map(String::from)
    }
}
