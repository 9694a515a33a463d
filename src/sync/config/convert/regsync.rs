//! Files of regsync (regclient).

use serde_json::{Value, json};

use super::out::{Out, Section, one_or_all, quoted, ranges};
use crate::sync::config::TagTemplate;
use crate::sync::config::cron::Cron;
use crate::sync::config::tree::{Mark, Node};
use crate::sync::config::units::{duration, whole};

/// Whether it is such a file; then all of it is in `out`.
pub(super) fn read(root: &Node, out: &mut Out) -> bool {
    let Some(entries) = root.get("sync") else {
        return false;
    };
    out.leave_others(root, "regsync", &["version", "creds", "defaults", "sync"]);
    for creds in root.get("creds").map(Node::items).unwrap_or_default() {
        registry(creds, out);
    }
    if let Some(node) = root.get("defaults") {
        defaults(node, out);
    }
    for entry in entries.items() {
        self::entry(entry, out);
    }
    true
}

fn registry(node: &Node, out: &mut Out) {
    let Some(host) = node.get("registry").and_then(Node::text) else {
        return out.leave(node.at, "credentials without a registry");
    };
    let known = [
        "registry",
        "user",
        "pass",
        "credHelper",
        "credExpire",
        "tls",
        "reqPerSec",
        "reqConcurrent",
        "repoAuth",
    ];
    out.leave_others(node, host, &known);
    for pair in node.pairs() {
        let text = pair.value.text().unwrap_or_default();
        match (pair.key.as_str(), text) {
            ("credHelper", helper) => {
                let name = helper.strip_prefix("docker-credential-").unwrap_or(helper);
                out.registry(pair.at, host, "auth", json!({ "helper": quoted(name) }));
            }
            ("tls", "disabled") => out.registry(pair.at, host, "tls", json!("off")),
            ("tls", "insecure") => out.registry(pair.at, host, "tls", json!("insecure")),
            ("reqPerSec", rate) => match whole(rate).filter(|it| *it > 0) {
                Some(rate) => out.registry(pair.at, host, "rate", json!(format!("{rate}/s"))),
                None => out.leave(pair.at, &format!("`reqPerSec: {rate}` of {host}")),
            },
            ("reqConcurrent", count) => match whole(count).filter(|it| *it > 0) {
                Some(count) => out.registry(pair.at, host, "parallel", json!(count)),
                None => out.leave(pair.at, &format!("`reqConcurrent: {count}` of {host}")),
            },
            _ => {}
        }
    }
    let (user, pass) = (node.get("user"), node.get("pass"));
    let value = |node: Option<&Node>| node.and_then(Node::text).and_then(interpolated);
    match (value(user), value(pass)) {
        (Some((user, _)), Some((pass, true))) => {
            out.registry(node.at, host, "auth", json!({ "user": user, "pass": pass }));
        }
        _ if user.is_some() || pass.is_some() => {
            let what = format!("the credentials of {host}: run `imgcopy login {host}`");
            out.leave(node.at, &what);
        }
        _ => {}
    }
}

/// A text with at most one template, `{{env "X"}}` or `{{file "x"}}`, as it is here; and whether it has
/// one. `None` for any other template.
fn interpolated(text: &str) -> Option<(String, bool)> {
    let Some(inner) = text.trim().strip_prefix("{{") else {
        return (!text.contains("{{")).then(|| (quoted(text), false));
    };
    let (name, argument) = inner.strip_suffix("}}")?.trim().split_once(' ')?;
    let argument = argument.trim().strip_prefix('"')?.strip_suffix('"')?;
    if argument.contains(['"', '{', '}', '$']) {
        return None;
    }
    match name {
        "env" => Some((format!("${{{argument}}}"), true)),
        "file" => Some((format!("${{file:{argument}}}"), true)),
        _ => None,
    }
}

fn defaults(node: &Node, out: &mut Out) {
    // How much is done at once is found out here, and signatures go along anyway.
    let known = [
        "parallel",
        "schedule",
        "ratelimit",
        "backup",
        "referrers",
        "digestTags",
        "fastCheck",
    ];
    out.leave_others(node, "`defaults`", &known);
    if let Some(schedule) = node.get("schedule") {
        self::schedule(schedule, out);
    }
    if let Some(limit) = node.get("ratelimit") {
        let text = |key: &str| limit.get(key).and_then(Node::text);
        let mut quota = Section::new();
        if let Some(keep) = text("min").and_then(whole) {
            quota.insert("keep".into(), keep.into());
        }
        if let Some(wait) = text("retry").filter(|it| duration(it).is_ok()) {
            quota.insert("wait".into(), wait.into());
        }
        out.registry(limit.at, "docker.io", "quota", quota.into());
    }
    let backup = backup(node, out);
    out.defaults
        .extend(backup.map(|it| ("backup".to_string(), it)));
}

fn schedule(node: &Node, out: &mut Out) {
    match node.text().filter(|it| it.parse::<Cron>().is_ok()) {
        Some(cron) => {
            out.schedule.insert("cron".into(), cron.into());
        }
        None => out.leave(node.at, "`schedule`"),
    }
}

fn backup(node: &Node, out: &mut Out) -> Option<Value> {
    let node = node.get("backup")?;
    let mut written = String::new();
    let mut rest = node.text()?;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, after) = after.split_once("}}").unwrap_or((after, ""));
        written += before;
        written += match inner.trim() {
            ".Ref.Tag" => "{tag}",
            time if time.contains("time.Now") => "{date}",
            // No tag has these, so the whole is none.
            _ => "{{",
        };
        rest = after;
    }
    written += rest;
    if written.parse::<TagTemplate>().is_ok() {
        return Some(written.into());
    }
    out.leave(node.at, "`backup`: here it is a tag of {tag} and {date}");
    None
}

fn entry(node: &Node, out: &mut Out) {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let (Some(source), Some(target)) = (text("source"), text("target")) else {
        return out.leave(node.at, "an entry without source and target");
    };
    let known = [
        "source",
        "target",
        "type",
        "tags",
        "tagSets",
        "platform",
        "platforms",
        "backup",
        "referrers",
        "digestTags",
        "fastCheck",
        "schedule",
    ];
    out.leave_others(node, source, &known);
    if let Some(pair) = node.pair("schedule") {
        out.leave(
            pair.at,
            &format!("`schedule` of {source}: there is one for the whole file"),
        );
    }
    let kind = text("type").unwrap_or_default();
    if !matches!(kind, "image" | "repository") || source.contains("://") || target.contains("://") {
        let what = format!("{source} to {target} of type {kind}: name its repositories one by one");
        return out.leave(node.at, &what);
    }
    let mut rest = Section::new();
    if let Some(platform) = text("platform") {
        rest.insert("platforms".into(), json!([platform]));
    } else if let Some(list) = node.get("platforms") {
        let list: Vec<&str> = list.items().iter().filter_map(Node::text).collect();
        rest.insert("platforms".into(), json!(list));
        rest.insert("index".into(), json!("sparse"));
    }
    let backup = backup(node, out);
    rest.extend(backup.map(|it| ("backup".to_string(), it)));
    match kind {
        "image" => image(node.at, (source, target), rest, out),
        _ => match tags(node, out) {
            Some(tags) => {
                rest.insert("tags".into(), tags);
                out.image(node.at, source, target, rest);
            }
            None => out.leave(node.at, &format!("{source}: none of its tags can be said")),
        },
    }
}

/// One image. Without a tag, it is `latest`.
fn image(at: Mark, (source, target): (&str, &str), mut rest: Section, out: &mut Out) {
    let tagged = |text: &str| match text.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => text.to_string(),
        _ => format!("{text}:latest"),
    };
    let target = tagged(target);
    match source.split_once('@') {
        Some((name, digest)) => {
            let pinned = tagged(name);
            let (repository, tag) = pinned.rsplit_once(':').unwrap_or((name, "latest"));
            let Some(pin) = out.selector(at, &format!("{tag}@{digest}")) else {
                return;
            };
            rest.insert("tags".into(), pin);
            out.image(at, repository, &target, rest);
        }
        None => out.image(at, &tagged(source), &target, rest),
    }
}

/// `None` if what it chooses cannot be said: that must not become everything.
fn tags(entry: &Node, out: &mut Out) -> Option<Value> {
    let sets = entry.get("tagSets").map(Node::items).unwrap_or_default();
    let sets: Vec<&Node> = entry.get("tags").into_iter().chain(sets).collect();
    let (mut include, mut exclude) = (Vec::new(), Vec::new());
    for set in &sets {
        out.leave_others(set, "`tags`", &["allow", "deny", "semverRange"]);
        let texts = |key: &str| -> Vec<(Mark, String)> {
            let items = set.get(key).map(Node::items).unwrap_or_default().iter();
            let texts = items.filter_map(|it| Some((it.at, it.text()?.to_string())));
            texts.collect()
        };
        for (at, regex) in texts("allow") {
            include.extend(out.selector(at, &plain_or_regex(&regex)));
        }
        for (at, range) in texts("semverRange") {
            for range in ranges(&range) {
                include.extend(out.selector(at, &range));
            }
        }
        let denied = texts("deny");
        if let (Some((at, _)), true) = (denied.first(), sets.len() > 1) {
            out.leave(
                *at,
                "`deny` of one of several sets: here it holds for all of them",
            );
        }
        for (at, regex) in denied {
            exclude.extend(out.selector(at, &plain_or_regex(&regex)));
        }
    }
    let chooses = |set: &&Node| set.get("allow").is_some() || set.get("semverRange").is_some();
    match (include.is_empty(), sets.iter().any(chooses)) {
        (true, true) => return None,
        (true, false) => include.push(json!("*")),
        (false, _) => {}
    }
    Some(match exclude.is_empty() {
        true => one_or_all(include),
        false => json!({"include": one_or_all(include), "exclude": one_or_all(exclude)}),
    })
}

/// Its expressions fit from end to end, as here.
fn plain_or_regex(regex: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match regex.chars().all(is_plain) && !regex.is_empty() {
        true => regex.to_string(),
        false => format!("/{regex}/"),
    }
}
