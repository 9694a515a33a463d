//! Files of `skopeo sync --src yaml`: registries, and under each of them repositories and their tags.
//! Its destination stands on its command line.

use serde_json::{Value, json};

use super::out::{Out, Section, anywhere, one_or_all, ranges};
use crate::sync::config::tree::{Mark, Node};

const SECTIONS: [&str; 3] = ["images", "images-by-tag-regex", "images-by-semver"];
const KNOWN: [&str; 5] = [
    "images",
    "images-by-tag-regex",
    "images-by-semver",
    "credentials",
    "tls-verify",
];

/// Whether it is such a file; then all of it is in `out`.
pub(super) fn read(root: &Node, out: &mut Out) -> bool {
    let has = |host: &Node| SECTIONS.iter().any(|key| host.get(key).is_some());
    if !root.pairs().iter().any(|pair| has(&pair.value)) {
        return false;
    }
    out.leave(
        Mark::START,
        "the destination, which is on skopeo's command line: write it in `defaults.to`, with {name} \
         in place of {registry}/{repo} if that has no --scoped",
    );
    out.defaults
        .insert("to".into(), json!("registry.example/{registry}/{repo}"));
    for pair in root.pairs() {
        registry(&pair.key, &pair.value, out);
    }
    true
}

fn registry(host: &str, node: &Node, out: &mut Out) {
    out.leave_others(node, host, &KNOWN);
    if let Some(pair) = node.pair("credentials") {
        let what = format!("the credentials of {host}: run `imgcopy login {host}`");
        out.leave(pair.at, &what);
    }
    if let Some(pair) = node.pair("tls-verify")
        && pair.value.text() == Some("false")
    {
        out.registry(pair.at, host, "tls", json!("insecure"));
    }
    // A repository may stand in several sections.
    let mut repositories: Vec<(Mark, &str, Vec<Value>)> = Vec::new();
    for section in SECTIONS {
        for pair in node.get(section).map(Node::pairs).unwrap_or_default() {
            let found = tags(section, &pair.value, out);
            match repositories
                .iter_mut()
                .find(|(_, name, _)| *name == pair.key)
            {
                Some((_, _, tags)) => tags.extend(found),
                None => repositories.push((pair.at, &pair.key, found)),
            }
        }
    }
    for (at, name, tags) in repositories {
        if tags.is_empty() {
            continue;
        }
        let mut rest = Section::new();
        rest.insert("tags".into(), one_or_all(tags));
        out.of_defaults(at, &format!("{host}/{name}"), rest);
    }
}

fn tags(section: &str, node: &Node, out: &mut Out) -> Vec<Value> {
    let texts = node
        .items()
        .iter()
        .filter_map(|it| Some((it.at, it.text()?)));
    let texts: Vec<_> = texts.collect();
    let mut found = Vec::new();
    // An empty list means all tags there.
    if section == "images" && texts.is_empty() {
        found.push(json!("*"));
    }
    for (at, text) in texts {
        match section {
            "images" if text.contains(':') => {
                out.leave(at, &format!("{text}, which has no tag to be written under"));
            }
            "images" => found.extend(out.selector(at, text)),
            "images-by-tag-regex" => found.extend(out.selector(at, &anywhere(text))),
            _ => {
                for range in ranges(text) {
                    found.extend(out.selector(at, &range));
                }
            }
        }
    }
    found
}
