//! `${VAR}` and its relatives, in texts that YAML has read already: a value cannot change the document
//! that it is put into.

use std::path::Path;

use crate::store::registry::credentials::Secret;

use super::load::Surroundings;
use super::problem::Problems;
use super::similar::did_you_mean;
use super::tree::{Mark, Node, Value};

/// The largest secret, in bytes.
const SECRET_LIMIT: usize = 64 << 10;

/// Replaces `${VAR}`, `${VAR:-text}`, `${VAR:?message}`, `${file:PATH}` and `$$` in all values, but not in
/// what `x-` keys hold. A `$` before anything else stands for itself, as in regular expressions.
pub(super) struct Interpolator<'a> {
    pub(super) around: &'a dyn Surroundings,
    pub(super) problems: &'a mut Problems,
    /// What came from files.
    pub(super) hidden: &'a mut Vec<Secret>,
}

impl Interpolator<'_> {
    pub(super) fn node(&mut self, node: &mut Node) {
        let at = node.at;
        match &mut node.value {
            Value::Scalar(scalar) if scalar.text.contains('$') => {
                match self.text(&scalar.text) {
                    Ok(text) => scalar.text = text,
                    Err(what) => {
                        self.problems.add(at, what);
                        // Nothing more is said about it.
                        scalar.is_null = true;
                        scalar.text = BROKEN.to_string();
                    }
                }
            }
            Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Value::Map(pairs) => {
                for pair in pairs.iter_mut().filter(|pair| !pair.is_extension()) {
                    self.key(pair.at, &mut pair.key);
                    self.node(&mut pair.value);
                }
            }
        }
    }

    /// Keys may be hosts, which variables name.
    fn key(&mut self, at: Mark, key: &mut String) {
        if key.contains("${") {
            match self.text(key) {
                Ok(text) => *key = text,
                Err(what) => {
                    self.problems.add(at, what);
                    *key = "x-broken".to_string();
                }
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<String, String> {
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            whole += before;
            if let Some(after) = after.strip_prefix('$') {
                whole.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let (inside, after) = after
                    .split_once('}')
                    .ok_or("a ${ is not closed; write $$ for a dollar sign")?;
                whole += &self.value(inside)?;
                rest = after;
            } else {
                whole.push('$');
                rest = after;
            }
        }
        whole += rest;
        Ok(whole)
    }

    fn value(&mut self, inside: &str) -> Result<String, String> {
        if let Some(path) = inside.strip_prefix("file:") {
            return self.file(path);
        }
        if inside.contains("${") {
            return Err("a ${…} cannot hold another one".into());
        }
        let (name, otherwise) = match inside.split_once(':') {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (inside, None),
        };
        check_name(name, inside)?;
        let value = self.around.variable(name);
        // As in shells, with a colon empty is the same as unset.
        let said = value.clone().filter(|value| !value.is_empty());
        match otherwise.map(|text| (text.get(..1), text.get(1..))) {
            None => value.ok_or_else(|| {
                format!("{name} is not set; use ${{{name}:-default}} to permit that")
            }),
            Some((Some("-"), Some(default))) => Ok(said.unwrap_or_else(|| default.to_string())),
            Some((Some("?"), Some(message))) => said.ok_or_else(|| {
                let message: String = message.escape_debug().take(200).collect();
                match message.is_empty() {
                    true => format!("{name} is not set"),
                    false => format!("{name} is not set: {message}"),
                }
            }),
            Some(_) if did_you_mean(name, ["file"]).is_some() => Err(format!(
                "{name}: is not understood; did you mean ${{file:PATH}}?"
            )),
            Some(_) => Err(format!(
                "after {name}: in ${{…}} must come - and a default, or ? and a message"
            )),
        }
    }

    fn file(&mut self, path: &str) -> Result<String, String> {
        let shown: String = path.escape_debug().take(200).collect();
        if path.is_empty() {
            return Err("${file:} names no file".into());
        }
        let read = self.around.read(Path::new(path));
        let bytes = read.map_err(|error| {
            let why = crate::error::Error::from(error);
            format!("cannot read {shown}: {why}")
        })?;
        if bytes.len() > SECRET_LIMIT {
            return Err(format!("{shown} is larger than {} KiB", SECRET_LIMIT >> 10));
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(format!("{shown} is not UTF-8"));
        };
        // One newline: it is the editor's, and a second one somebody wanted.
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text).to_string();
        let secret = Secret::new(text.clone());
        if !self.hidden.contains(&secret) {
            self.hidden.push(secret);
        }
        Ok(text)
    }
}

/// What stands for a text that could not be made. It is [null](super::tree::Scalar::is_null), and yet
/// was written.
pub(super) const BROKEN: &str = "\0broken";

fn check_name(name: &str, inside: &str) -> Result<(), String> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let begins = name.bytes().next().is_some_and(|c| !c.is_ascii_digit());
    if begins && name.bytes().all(fits) {
        return Ok(());
    }
    let shown: String = inside.escape_debug().take(60).collect();
    let advice = match inside.contains(['-', '?']) {
        true => "; a default is written ${VAR:-text}, a message ${VAR:?text}",
        false => ": a variable's name is letters, digits and _",
    };
    Err(format!("${{{shown}}} is not understood{advice}"))
}
