//! What is written, piece by piece.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Converted;
use crate::image::Reference;
use crate::sync::config::show::yaml;
use crate::sync::config::tree::{Mark, Node};
use crate::sync::config::{HostPattern, Template};
use crate::sync::select::Selector;

/// A map of the file that is made.
pub(super) type Section = Map<String, Value>;

/// The file that is made.
#[derive(Default)]
pub(super) struct Out {
    pub(super) registries: Section,
    pub(super) defaults: Section,
    pub(super) schedule: Section,
    pub(super) images: Vec<Value>,
    left: Vec<String>,
}

impl Out {
    /// Notes what could not be translated.
    pub(super) fn leave(&mut self, at: Mark, what: &str) {
        // One line, or a comment would end and something else begin (S-47).
        let what = what.escape_debug().to_string().replace("\\'", "'");
        let what: String = what.replace("\\\"", "\"").chars().take(300).collect();
        self.left.push(format!("line {}: {}", at.line, what));
    }

    /// Notes every key that is not among these.
    pub(super) fn leave_others(&mut self, map: &Node, of: &str, known: &[&str]) {
        for pair in map.pairs() {
            if !known.contains(&pair.key.as_str()) && !pair.is_extension() {
                self.leave(pair.at, &format!("`{}` of {of}", pair.key));
            }
        }
    }

    /// Says something about a registry.
    pub(super) fn registry(&mut self, at: Mark, host: &str, key: &str, value: Value) {
        if host.parse::<HostPattern>().is_err() {
            return self.leave(at, &format!("what is said about the registry {host}"));
        }
        let section = self
            .registries
            .entry(host)
            .or_insert_with(|| Section::new().into());
        if let Value::Object(section) = section {
            section.insert(key.to_string(), value);
        }
    }

    /// Adds an entry, unless its source or destination cannot be read here.
    pub(super) fn image(&mut self, at: Mark, from: &str, to: &str, mut rest: Section) {
        let is_source = format!("docker://{from}").parse::<Reference>().is_ok();
        if !is_source || to.parse::<Template>().is_err() {
            return self.leave(at, &format!("the copy of {from} to {to}"));
        }
        let mut entry = Section::new();
        entry.insert("from".into(), quoted(from).into());
        if let Some(tags) = rest.shift_remove("tags") {
            entry.insert("tags".into(), tags);
        }
        entry.insert("to".into(), quoted(to).into());
        entry.extend(rest);
        self.images.push(entry.into());
    }

    /// The same where the destination is that of `defaults`.
    pub(super) fn of_defaults(&mut self, at: Mark, from: &str, rest: Section) {
        let to = self.defaults.get("to").and_then(Value::as_str);
        let to = to.unwrap_or_default().to_string();
        let before = self.images.len();
        self.image(at, from, &to, rest);
        if let Some(Value::Object(entry)) = self.images.get_mut(before) {
            entry.shift_remove("to");
        }
    }

    /// A selector, or `None` and a note if it is none here.
    pub(super) fn selector(&mut self, at: Mark, text: &str) -> Option<Value> {
        match text.parse::<Selector>() {
            Ok(_) => Some(quoted(text).into()),
            Err(why) => {
                self.leave(at, &why);
                None
            }
        }
    }

    pub(super) fn finish(self) -> Converted {
        let mut text = String::new();
        for left in &self.left {
            let _ = writeln!(text, "# not translated: {left}");
        }
        let mut root = Section::new();
        root.insert("version".into(), 1.into());
        for (key, section) in [
            ("registries", self.registries),
            ("defaults", self.defaults),
            ("schedule", self.schedule),
        ] {
            if !section.is_empty() {
                root.insert(key.into(), section.into());
            }
        }
        root.insert("images".into(), self.images.into());
        text += &yaml::write(&root.into());
        Converted {
            text,
            left: self.left,
        }
    }
}

/// A text in which nothing stands for anything else: `$` begins a variable here.
pub(super) fn quoted(text: &str) -> String {
    text.replace('$', "$$")
}

/// Ranges as they are written here: no space after an operator, no comma, each alternative by itself.
pub(super) fn ranges(text: &str) -> Vec<String> {
    let one = |range: &str| {
        let mut written = String::new();
        for word in range.replace(',', " ").split_whitespace() {
            let glued = written.is_empty() || written.ends_with(['>', '<', '=', '^', '~', '!']);
            if !glued {
                written.push(' ');
            }
            written += word;
        }
        match written.starts_with(|c: char| c.is_ascii_digit()) {
            true => format!("={written}"),
            false => written,
        }
    };
    text.split("||").map(one).collect()
}

/// A regular expression that other tools let match anywhere; here it must fit from end to end.
pub(super) fn anywhere(regex: &str) -> String {
    let inner = regex.strip_prefix('^').and_then(|it| it.strip_suffix('$'));
    match inner.filter(|it| !it.contains('|') && !it.ends_with('\\')) {
        Some(inner) => format!("/{inner}/"),
        None => format!("/.*(?:{regex}).*/"),
    }
}

/// The one, or all as a list.
pub(super) fn one_or_all(mut values: Vec<Value>) -> Value {
    match values.len() {
        1 => values.remove(0),
        _ => values.into(),
    }
}
