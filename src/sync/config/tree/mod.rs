//! YAML as a tree of texts: plain scalars keep what was written (`3.10`, `1e3`, `no`), and everything
//! knows where it stands.
//!
//! Anchors, aliases and merge keys (`<<`) are resolved here. What they blow up to is counted, so a
//! small file cannot become a large tree.

mod build;
#[cfg(test)]
mod tests;

use granit_parser::{Event, Parser};

use super::problem::Problems;
use build::Builder;

/// The largest file, in bytes.
pub(super) const FILE_LIMIT: usize = 32 << 20;
/// How deep collections may be nested.
const DEPTH_LIMIT: usize = 32;
/// The most nodes of a tree: a large mirror has 50,000.
const NODE_LIMIT: usize = 1_000_000;

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Mark {
    pub(super) const START: Mark = Mark { line: 1, column: 1 };
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Pair>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Nothing was written, or `~`.
    pub(super) is_null: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) at: Mark,
    pub(super) key: String,
    pub(super) value: Node,
}

impl Pair {
    /// Whether it is for the file's writer alone: `x-` and anything but a host.
    pub(super) fn is_extension(&self) -> bool {
        self.key.starts_with("x-") && !self.key.contains(['.', ':', '*'])
    }
}

impl Node {
    /// The text of a scalar that says something.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if !scalar.is_null => Some(&scalar.text),
            _ => None,
        }
    }

    /// What a map has under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.pair(key)?.value)
    }

    /// What a map has under a key, with the key.
    pub(super) fn pair(&self, key: &str) -> Option<&Pair> {
        self.pairs().iter().find(|pair| pair.key == key)
    }

    /// What a map has; nothing for what is no map.
    pub(super) fn pairs(&self) -> &[Pair] {
        match &self.value {
            Value::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// The items of a list, or the one that stands for a list of one.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }
}

/// Reads a file. `None` if it is not YAML, or not a single document; the problems say why.
pub(super) fn parse(bytes: &[u8], problems: &mut Problems) -> Option<Node> {
    if bytes.len() > FILE_LIMIT {
        let what = format!("the file is larger than {} MiB", FILE_LIMIT >> 20);
        problems.add(Mark::START, what);
        return None;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        problems.add(Mark::START, "the file is not UTF-8");
        return None;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_LIMIT,
        block_nesting_limit: DEPTH_LIMIT,
        emit_unresolved_aliases: true,
        emit_comments: false,
    };
    let mut builder = Builder::new(problems);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let what = format!("it is not YAML: {}", error.kind());
                builder.fail(mark(error.marker()), &what);
                return None;
            }
        };
        let at = mark(&span.start);
        if matches!(event, Event::StreamEnd) {
            break;
        }
        builder.event(event, at).ok()?;
    }
    builder.finish()
}

fn mark(marker: &granit_parser::Marker) -> Mark {
    Mark {
        line: marker.line().max(1),
        column: marker.col().saturating_add(1),
    }
}
