//! From the parser's events to a tree.

use std::collections::{BTreeMap, HashMap};

use granit_parser::{Event, ScalarStyle, Tag};

use super::{DEPTH_LIMIT, Mark, NODE_LIMIT, Node, Pair, Scalar, Value};
use crate::sync::config::problem::Problems;

/// The file is not read on; why is among the problems.
#[derive(Debug)]
pub(super) struct GivenUp;

type Step = Result<(), GivenUp>;

pub(super) struct Builder<'p> {
    problems: &'p mut Problems,
    /// What is not closed yet, the innermost last.
    open: Vec<Open>,
    /// What has a name.
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

/// A collection that is being read.
struct Open {
    at: Mark,
    anchor: usize,
    content: Content,
    size: Size,
}

enum Content {
    List(Vec<Node>),
    Map {
        pairs: Vec<Pair>,
        /// A key whose value comes next. One without a text was no scalar.
        key: Option<(Mark, Option<Scalar>)>,
        merged: Vec<Pair>,
    },
}

struct Anchored {
    node: Node,
    size: Size,
}

/// What a node costs when it is put in once more.
#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    depth: usize,
}

impl Size {
    fn of_text(text: &str) -> Self {
        // Long texts cost as much as many nodes.
        let nodes = 1 + text.len() / 256;
        Self { nodes, depth: 0 }
    }
}

impl<'p> Builder<'p> {
    pub(super) fn new(problems: &'p mut Problems) -> Self {
        Self {
            problems,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            nodes: 0,
            documents: 0,
        }
    }

    pub(super) fn fail(&mut self, at: Mark, what: &str) -> GivenUp {
        self.problems.add(at, what);
        GivenUp
    }

    pub(super) fn finish(self) -> Option<Node> {
        if self.root.is_none() && self.documents == 0 {
            let what = "the file is empty: it needs `version: 1` and `images`";
            self.problems.add(Mark::START, what);
        }
        self.root
    }

    pub(super) fn event(&mut self, event: Event<'_>, at: Mark) -> Step {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.fail(at, "it is a second document: one file is one document"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_deref(), at);
                let is_null = style == ScalarStyle::Plain && matches!(&*text, "" | "~");
                let size = Size::of_text(&text);
                let text = text.into_owned();
                let value = Value::Scalar(Scalar { text, is_null });
                self.done(Node { at, value }, anchor, size)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), at);
                self.begin(at, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), at);
                let content = Content::Map {
                    pairs: Vec::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(at, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(id, at),
            Event::UnresolvedAlias(name) => {
                let name: String = name.escape_debug().take(60).collect();
                Err(self.fail(
                    at,
                    &format!("*{name} stands for nothing: no &{name} comes before it"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Tags change what a text is; here it is always a text.
    fn check_tag(&mut self, tag: Option<&Tag>, at: Mark) {
        if let Some(tag) = tag {
            let known = ["str", "map", "seq"];
            if !known.iter().any(|known| tag.is_yaml_core_schema_tag(known)) {
                let shown: String = tag.original().escape_debug().take(60).collect();
                self.problems
                    .add(at, format!("the YAML tag {shown} has no meaning here"));
            }
        }
    }

    fn begin(&mut self, at: Mark, anchor: usize, content: Content) -> Step {
        if self.open.len() >= DEPTH_LIMIT {
            return Err(self.fail(at, "it is nested too deep"));
        }
        let size = Size { nodes: 1, depth: 1 };
        self.open.push(Open {
            at,
            anchor,
            content,
            size,
        });
        Ok(())
    }

    fn end(&mut self) -> Step {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { pairs, merged, .. } => Value::Map(self.unique(pairs, merged)),
        };
        let node = Node { at: open.at, value };
        self.done(node, open.anchor, open.size)
    }

    fn alias(&mut self, id: usize, at: Mark) -> Step {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(self.fail(at, "it is an alias inside of what it stands for"));
        };
        let size = anchored.size;
        if self.nodes.saturating_add(size.nodes) > NODE_LIMIT {
            return Err(self.fail(at, "its aliases stand for too much"));
        }
        if self.open.len() + size.depth > DEPTH_LIMIT {
            return Err(self.fail(at, "it is nested too deep"));
        }
        let node = anchored.node.clone();
        self.done(node, 0, size)
    }

    /// Puts a finished node where it belongs.
    fn done(&mut self, node: Node, anchor: usize, size: Size) -> Step {
        self.nodes = self.nodes.saturating_add(size.nodes);
        if self.nodes > NODE_LIMIT {
            return Err(self.fail(node.at, "the file holds too much"));
        }
        if anchor > 0 {
            let node = node.clone();
            self.anchors.insert(anchor, Anchored { node, size });
            // It is kept besides.
            self.nodes = self.nodes.saturating_add(size.nodes);
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size.nodes = open.size.nodes.saturating_add(size.nodes);
        open.size.depth = open.size.depth.max(size.depth + 1);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { pairs, key, merged } => match key.take() {
                None => {
                    let text = match node.value {
                        Value::Scalar(text) => Some(text),
                        Value::List(_) | Value::Map(_) => None,
                    };
                    if text.is_none() {
                        self.problems.add(node.at, "a key must be a text");
                    }
                    *key = Some((node.at, text));
                }
                Some((_, None)) => {}
                Some((at, Some(text))) if text.text == "<<" => {
                    merge(node, merged, at, self.problems);
                }
                Some((at, Some(text))) => pairs.push(Pair {
                    at,
                    key: text.text,
                    value: node,
                }),
            },
        }
        Ok(())
    }

    /// Each key once, and what is merged where there is nothing else.
    fn unique(&mut self, pairs: Vec<Pair>, merged: Vec<Pair>) -> Vec<Pair> {
        let mut seen: BTreeMap<String, Mark> = BTreeMap::new();
        let mut kept = Vec::with_capacity(pairs.len());
        for pair in pairs {
            if let Some(first) = seen.get(&pair.key) {
                let shown: String = pair.key.escape_debug().take(60).collect();
                let what = format!(
                    "`{shown}` is given twice; the first is in line {}",
                    first.line
                );
                self.problems.add(pair.at, what);
                continue;
            }
            seen.insert(pair.key.clone(), pair.at);
            kept.push(pair);
        }
        for pair in merged {
            if !seen.contains_key(&pair.key) {
                seen.insert(pair.key.clone(), pair.at);
                kept.push(pair);
            }
        }
        kept
    }
}

/// `<<: *map` or `<<: [*first, *second]`: of equal keys the first map's counts.
fn merge(node: Node, merged: &mut Vec<Pair>, at: Mark, problems: &mut Problems) {
    match node.value {
        Value::Map(pairs) => merged.extend(pairs),
        Value::List(items) if items.iter().all(|it| matches!(it.value, Value::Map(_))) => {
            for item in items {
                merge(item, merged, at, problems);
            }
        }
        _ => problems.add(at, "`<<` must stand for a map, as in `<<: *base`"),
    }
}
