//! Files of dregsy: tasks, each from one registry to another, with mappings of repositories.

use serde_json::{Value, json};

use super::out::{Out, Section, anywhere, one_or_all, ranges};
use crate::sync::config::tree::{Mark, Node};
use crate::sync::config::units::whole;

/// Whether it is such a file; then all of it is in `out`.
pub(super) fn read(root: &Node, out: &mut Out) -> bool {
    let Some(tasks) = root.get("tasks") else {
        return false;
    };
    out.leave_others(root, "dregsy", &["relay", "tasks", "skopeo", "docker"]);
    for task in tasks.items() {
        self::task(task, out);
    }
    true
}

fn task(task: &Node, out: &mut Out) {
    out.leave_others(
        task,
        "the task",
        &[
            "name", "verbose", "source", "target", "mappings", "interval",
        ],
    );
    if let Some(pair) = task.pair("interval") {
        let what = "`interval`: `schedule` with a cron expression is for `imgcopy watch`";
        out.leave(pair.at, what);
    }
    let host = |side: &str| task.get(side)?.get("registry")?.text();
    let (Some(source), Some(target)) = (host("source"), host("target")) else {
        return out.leave(
            task.at,
            "a task without the registries of its source and target",
        );
    };
    for (side, host) in [("source", source), ("target", target)] {
        for pair in task.get(side).map(Node::pairs).unwrap_or_default() {
            let is_on = pair.value.text() == Some("true");
            match pair.key.as_str() {
                "skip-tls-verify" if is_on => {
                    out.registry(pair.at, host, "tls", json!("insecure"));
                }
                "registry" | "skip-tls-verify" => {}
                "auth" => out.leave(
                    pair.at,
                    &format!("the credentials of {host}: run `imgcopy login {host}`"),
                ),
                "auth-refresh" => out.leave(
                    pair.at,
                    &format!("`auth-refresh` of {host}: a credential helper renews what ends"),
                ),
                key => out.leave(pair.at, &format!("`{key}` of {host}")),
            }
        }
    }
    for mapping in task.get("mappings").map(Node::items).unwrap_or_default() {
        self::mapping(source, target, mapping, out);
    }
}

fn mapping(source: &str, target: &str, node: &Node, out: &mut Out) {
    out.leave_others(node, "the mapping", &["from", "to", "tags", "platform"]);
    let text = |key: &str| node.get(key).and_then(Node::text);
    let from = text("from").unwrap_or_default();
    let to = text("to").unwrap_or(from);
    if from.is_empty() || from.starts_with("regex:") || to.starts_with("regex:") {
        let what = format!("the mapping of {from}: repositories are named one by one here");
        return out.leave(node.at, &what);
    }
    let mut rest = Section::new();
    let Some(tags) = tags(node, out) else {
        return out.leave(node.at, &format!("{from}: none of its tags can be said"));
    };
    rest.insert("tags".into(), tags);
    match text("platform") {
        None | Some("all") => {}
        Some(platform) => {
            rest.insert("platforms".into(), json!([platform]));
        }
    }
    let at = |host: &str, path: &str| format!("{host}/{}", path.trim_start_matches('/'));
    out.image(node.at, &at(source, from), &at(target, to), rest);
}

/// `None` if what it chooses cannot be said: that must not become everything.
fn tags(mapping: &Node, out: &mut Out) -> Option<Value> {
    let (mut include, mut exclude, mut latest) = (Vec::new(), Vec::new(), None);
    let items = mapping.get("tags").map(Node::items).unwrap_or_default();
    let texts: Vec<(Mark, &str)> = (items.iter())
        .filter_map(|it| Some((it.at, it.text()?)))
        .collect();
    let mut chooses = false;
    for (at, text) in texts {
        let (kind, rest) = match text.split_once(':') {
            Some((kind @ ("semver" | "regex" | "keep"), rest)) => (kind, rest.trim()),
            _ => ("", text),
        };
        let excludes = kind == "keep" || kind == "regex" && rest.starts_with('!');
        chooses |= !excludes;
        match (kind, rest.strip_prefix('!')) {
            ("semver", _) => {
                for range in ranges(rest) {
                    include.extend(out.selector(at, &range));
                }
            }
            ("regex", Some(other)) => exclude.extend(out.selector(at, &anywhere(other))),
            ("regex", None) => include.extend(out.selector(at, &anywhere(rest))),
            ("keep", _) => {
                let words = rest.strip_prefix("latest");
                let count = words.and_then(|it| whole(it.trim())).filter(|it| *it > 0);
                if count.is_none() {
                    out.leave(at, text);
                }
                latest = count.or(latest);
            }
            _ => include.extend(out.selector(at, rest)),
        }
    }
    match (include.is_empty(), chooses) {
        (true, true) => return None,
        (true, false) => include.push(json!("*")),
        (false, _) => {}
    }
    if exclude.is_empty() && latest.is_none() {
        return Some(one_or_all(include));
    }
    let mut map = Section::new();
    map.insert("include".into(), one_or_all(include));
    if !exclude.is_empty() {
        map.insert("exclude".into(), one_or_all(exclude));
    }
    if let Some(latest) = latest {
        map.insert("latest".into(), latest.into());
    }
    Some(map.into())
}
