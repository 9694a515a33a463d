//! From a checked tree to what it means. What is wrong with single texts was told by the check, so
//! here it is left out in silence; what contradicts itself is told here.

use std::str::FromStr;

use crate::store::registry::credentials::Secret;

use super::origin::mirror;
use super::problem::Problems;
use super::tree::{Node, Value};
use super::types::{
    Auth, Metrics, Notify, Occasion, Prune, PruneMode, RegistryRule, Schedule, Tls,
};
use super::units;
use crate::store::registry::{Quota, Share};

/// What a text stands for, if it stands for something.
pub(super) fn parsed<T: FromStr>(node: Option<&Node>) -> Option<T> {
    node?.text()?.parse().ok()
}

/// What the texts of a list, or a single text, stand for.
pub(super) fn all<T: FromStr>(node: Option<&Node>) -> Vec<T> {
    texts(node).filter_map(|text| text.parse().ok()).collect()
}

/// The texts of a list, or a single text.
pub(super) fn texts(node: Option<&Node>) -> impl Iterator<Item = &str> {
    node.into_iter()
        .flat_map(Node::items)
        .filter_map(Node::text)
}

pub(super) fn duration(node: Option<&Node>) -> Option<std::time::Duration> {
    units::duration(node?.text()?).ok()
}

/// Which of some words stands there.
pub(super) fn chosen<T: Copy>(node: Option<&Node>, words: &[(&str, T)]) -> Option<T> {
    let text = node?.text()?;
    let chosen = words.iter().find(|(word, _)| *word == text)?;
    Some(chosen.1)
}

pub(super) const TLS: [(&str, Tls); 3] = [
    ("on", Tls::On),
    ("insecure", Tls::Insecure),
    ("off", Tls::Off),
];
pub(super) const PRUNE: [(&str, PruneMode); 3] = [
    ("off", PruneMode::Off),
    ("report", PruneMode::Report),
    ("delete", PruneMode::Delete),
];
pub(super) const OCCASIONS: [(&str, Occasion); 3] = [
    ("failure", Occasion::Failure),
    ("change", Occasion::Change),
    ("always", Occasion::Always),
];

pub(super) fn registries(node: Option<&Node>, problems: &mut Problems) -> Vec<RegistryRule> {
    let pairs = node.map(Node::pairs).unwrap_or_default();
    let pairs = pairs.iter().filter(|pair| !pair.is_extension());
    let rules = pairs.filter_map(|pair| {
        let rule = &pair.value;
        let quota = rule.get("quota").map(|quota| Quota {
            keep: parsed(quota.get("keep")).unwrap_or(Share::Percent(0)),
            wait: duration(quota.get("wait")).unwrap_or_default(),
        });
        Some(RegistryRule {
            at: problems.position(pair.at),
            pattern: pair.key.parse().ok()?,
            auth: rule.get("auth").and_then(|node| auth(node, problems)),
            ca: parsed(rule.get("ca")),
            tls: chosen(rule.get("tls"), &TLS),
            mirror: texts(rule.get("mirror"))
                .filter_map(|text| mirror(text).ok())
                .collect(),
            parallel: parsed(rule.get("parallel")),
            rate: parsed(rule.get("rate")),
            bandwidth: parsed(rule.get("bandwidth")),
            quota,
        })
    });
    rules.collect()
}

fn auth(node: &Node, problems: &mut Problems) -> Option<Auth> {
    if let Value::Scalar(_) = node.value {
        return (node.text() == Some("none")).then_some(Auth::None);
    }
    let said: Vec<&str> = node.pairs().iter().map(|pair| pair.key.as_str()).collect();
    let has = |key| said.contains(&key);
    let basic = has("user") || has("pass");
    let ways = [basic, has("token"), has("helper")];
    let text = |key| node.get(key).and_then(Node::text).map(str::to_string);
    if ways.iter().filter(|said| **said).count() != 1 || has("user") != has("pass") {
        let what = "`auth` must be one of {user, pass}, {token}, {helper}, and none";
        problems.add(node.at, what);
        return None;
    }
    let auth = match (text("token"), text("helper")) {
        (Some(token), _) => Auth::Token(Secret::new(token)),
        (_, Some(helper)) => Auth::Helper(helper),
        _ => Auth::Basic {
            user: text("user")?,
            pass: Secret::new(text("pass")?),
        },
    };
    if let Auth::Basic { user, .. } = &auth
        && (user.is_empty() || user.contains(':'))
    {
        problems.add(node.at, "`user` must be a name without a colon");
    }
    Some(auth)
}

pub(super) fn prune(node: Option<&Node>, has_state: bool, problems: &mut Problems) -> Prune {
    let get = |key| node.and_then(|node| node.get(key));
    if let Some(grace) = get("grace").filter(|_| !has_state) {
        let what = "`grace` needs `state`, which remembers since when a tag has been gone";
        problems.add(grace.at, what);
    }
    Prune {
        mode: chosen(get("mode"), &PRUNE).unwrap_or(PruneMode::Off),
        max: parsed(get("max")).unwrap_or(Share::Percent(10)),
        grace: duration(get("grace")),
        keep: all(get("keep")),
    }
}

pub(super) fn schedule(node: Option<&Node>) -> Option<Schedule> {
    let node = node?;
    Some(Schedule {
        cron: parsed(node.get("cron"))?,
        zone: parsed(node.get("zone")).unwrap_or_else(|| "UTC".to_string()),
        jitter: duration(node.get("jitter")).unwrap_or_default(),
        deadline: duration(node.get("deadline")),
    })
}

pub(super) fn notify(node: Option<&Node>) -> Vec<Notify> {
    let items = node.map(Node::items).unwrap_or_default();
    let told = items.iter().filter_map(|item| {
        let mut when: Vec<Occasion> = Vec::new();
        for item in item.get("when").into_iter().flat_map(Node::items) {
            when.extend(chosen(Some(item), &OCCASIONS));
        }
        if when.is_empty() {
            when.push(Occasion::Failure);
        }
        Some(Notify {
            webhook: Secret::new(item.get("webhook")?.text()?),
            when,
        })
    });
    told.collect()
}

pub(super) fn metrics(node: Option<&Node>) -> Metrics {
    Metrics {
        textfile: parsed(node.and_then(|node| node.get("textfile"))),
    }
}
