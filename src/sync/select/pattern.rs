//! Globs and regular expressions over tags: one engine, whose time grows with the length of the tag
//! and no faster (S-26), and which always looks at the whole tag.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::range::shown;

/// How long a pattern may be, in bytes. Tags have 128.
const LENGTH: usize = 1000;

/// How much memory a compiled pattern may take, in bytes. `(a{1000}){1000}` would take gigabytes.
const SIZE: usize = 256 << 10;

/// A compiled pattern, and what was written.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// A regular expression, written between slashes.
    pub(super) fn regex(text: &str) -> Result<Self, String> {
        let inner = text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
            .ok_or("a regular expression ends with a slash, as in /v\\d+/")?;
        if inner.is_empty() {
            return Err("the regular expression is empty".into());
        }
        // By itself first: `a)|(b` would be none, but lead out of the group that anchors it.
        compile(inner)?;
        Ok(Self {
            text: text.to_string(),
            regex: compile(&format!(r"\A(?:{inner})\z"))?,
        })
    }

    /// A glob: `*` for anything, `?` for one character, `[a-c]` for one of these, `[!a-c]` for one of
    /// the others.
    pub(super) fn glob(text: &str) -> Result<Self, String> {
        Ok(Self {
            text: text.to_string(),
            regex: compile(&format!(r"\A(?:{})\z", translated(text, "")?))?,
        })
    }

    /// A glob for whole references: `*` also stands for slashes and colons.
    ///
    /// # Errors
    /// A clause for people, if it is none.
    pub fn of_references(text: &str) -> Result<Self, String> {
        Ok(Self {
            text: text.to_string(),
            regex: compile(&format!(r"\A(?:{})\z", translated(text, "/:@+")?))?,
        })
    }

    /// Whether it fits the whole text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LENGTH {
        return Err(format!("it is longer than {LENGTH} characters"));
    }
    // Tags are ASCII, so `.` and `\d` need not know more.
    let built = RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(SIZE)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it takes too much memory: repeat less".to_string(),
        error => {
            // The parser draws the pattern and points at the place; the last line says what is wrong.
            let told = error.to_string();
            let last = told.lines().last().unwrap_or_default();
            let why = last.strip_prefix("error: ").unwrap_or(last);
            format!("it is no regular expression: {}", shown(why))
        }
    })
}

/// A glob as a regular expression; `also`: what it may hold besides the characters of tags.
fn translated(glob: &str, also: &str) -> Result<String, String> {
    let mut pattern = String::new();
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '[' => {
                let (set, rest) = chars
                    .as_str()
                    .split_once(']')
                    .ok_or("the [ has no ] behind it")?;
                pattern.push_str(&class(set)?);
                chars = rest.chars();
            }
            '{' | '}' => {
                return Err("alternatives in braces are not taken: write a list".into());
            }
            '.' => pattern.push_str(r"\."),
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') => pattern.push(c),
            '+' if also.contains('+') => pattern.push_str(r"\+"),
            c if also.contains(c) => pattern.push(c),
            c => {
                let c = c.escape_debug();
                return Err(format!(
                    "\"{c}\" cannot be in a tag, which has letters, digits and _ . -"
                ));
            }
        }
    }
    Ok(pattern)
}

fn class(set: &str) -> Result<String, String> {
    let (not, set) = match set.strip_prefix(['!', '^']) {
        Some(rest) => ("^", rest),
        None => ("", set),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    // Two of them would mean something else to the engine.
    match !set.is_empty() && set.chars().all(fits) && !set.contains("--") {
        true => Ok(format!("[{not}{set}]")),
        false => Err(format!(
            "\"[{}]\" holds something other than letters, digits and _ . -",
            shown(set)
        )),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}
