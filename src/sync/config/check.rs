//! Whether a tree is what the table of keys says. All that is wrong is told, each thing once.

use super::interpolate::BROKEN;
use super::keys::{Key, Keys, Kind};
use super::pattern::HostPattern;
use super::problem::Problems;
use super::similar::did_you_mean;
use super::tree::{Node, Pair, Value};

/// Checks a value. `name` is that of the key it stands under.
pub(super) fn check(node: &Node, kind: &Kind, name: &str, problems: &mut Problems) {
    match &node.value {
        Value::Scalar(scalar) if scalar.text == BROKEN => {}
        Value::Scalar(scalar) if scalar.is_null => {
            let what = format!("`{name}` has no value: write one, or leave the key out");
            problems.add(node.at, what);
        }
        Value::Scalar(scalar) => match kind.word {
            Some(word) => {
                if let Err(why) = (word.check)(&scalar.text) {
                    problems.add(node.at, format!("`{name}`: {why}"));
                }
            }
            None => problems.add(node.at, wrong_form(name, kind)),
        },
        Value::List(items) => match kind.list {
            Some(kind) => items
                .iter()
                .for_each(|item| check(item, kind, name, problems)),
            None => problems.add(node.at, wrong_form(name, kind)),
        },
        Value::Map(pairs) => match kind.map {
            Some(Keys::Fixed(keys)) => fixed(node, pairs, keys, name, problems),
            Some(Keys::Hosts(keys)) => hosts(pairs, keys, problems),
            None => problems.add(node.at, wrong_form(name, kind)),
        },
    }
}

fn fixed(node: &Node, pairs: &[Pair], keys: &[Key], name: &str, problems: &mut Problems) {
    for pair in pairs.iter().filter(|pair| !pair.is_extension()) {
        match keys.iter().find(|key| key.name == pair.key) {
            None => problems.add(pair.at, unknown(&pair.key, keys)),
            Some(key) if key.is_planned => {
                problems.add(pair.at, format!("`{}` is not supported yet", key.name));
            }
            Some(key) => check(&pair.value, &key.kind, key.name, problems),
        }
    }
    for key in keys.iter().filter(|key| key.is_required) {
        // A key that is nearly this one was told of already.
        let is_typed = |pair: &Pair| {
            pair.key == key.name || did_you_mean(&pair.key, known(keys)) == Some(key.name)
        };
        if !pairs.iter().any(is_typed) {
            let what = match key.name {
                "version" => "the file needs `version: 1`".to_string(),
                missing => format!("`{name}` needs `{missing}`"),
            };
            problems.add(node.at, what);
        }
    }
}

fn hosts(pairs: &[Pair], keys: &[Key], problems: &mut Problems) {
    let mut seen: Vec<(HostPattern, usize)> = Vec::new();
    for pair in pairs.iter().filter(|pair| !pair.is_extension()) {
        let shown = shown(&pair.key);
        match pair.key.parse::<HostPattern>() {
            Err(why) => problems.add(pair.at, format!("\"{shown}\": {why}")),
            Ok(pattern) => match seen.iter().find(|(known, _)| *known == pattern) {
                Some((_, line)) => {
                    let what = format!("{pattern} is given twice; the first is in line {line}");
                    problems.add(pair.at, what);
                }
                None => seen.push((pattern, pair.at.line)),
            },
        }
        match &pair.value.value {
            Value::Map(inner) => fixed(&pair.value, inner, keys, &shown, problems),
            Value::Scalar(scalar) if scalar.text == BROKEN => {}
            _ => {
                let what = format!("`{shown}` must be a map, as in {{parallel: 8}}");
                problems.add(pair.value.at, what);
            }
        }
    }
}

/// The names of keys that can be used.
fn known(keys: &[Key]) -> impl Iterator<Item = &'static str> {
    keys.iter()
        .filter(|key| !key.is_planned)
        .map(|key| key.name)
}

fn unknown(key: &str, keys: &[Key]) -> String {
    let shown = shown(key);
    match did_you_mean(key, known(keys)) {
        Some(near) => format!("unknown key `{shown}`; did you mean `{near}`?"),
        None => {
            let all: Vec<&str> = known(keys).collect();
            format!("unknown key `{shown}`; known here are {}", all.join(", "))
        }
    }
}

fn wrong_form(name: &str, kind: &Kind) -> String {
    let forms = [
        kind.word.map(|_| "a text"),
        kind.list.map(|_| "a list"),
        kind.map.map(|_| "a map"),
    ];
    let forms: Vec<&str> = forms.into_iter().flatten().collect();
    format!("`{name}` must be {}", forms.join(" or "))
}

fn shown(text: &str) -> String {
    text.escape_debug().take(60).collect()
}
