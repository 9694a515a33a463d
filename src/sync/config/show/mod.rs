//! What a file means, written as a file: with every default, every name in full, and no secret.

pub(super) mod yaml;

use serde_json::{Map, Value, json};

use crate::copy::Subset;
use crate::sync::select::{Selector, Tags};

use super::problem::{MASK, masked};
use super::read::{OCCASIONS, PRUNE, TLS};
use super::types::{Auth, Change, Config, Entry, From, Prune, Referrers, RegistryRule};
use super::units::shown;
use crate::store::registry::Mirror;

impl Config {
    /// What it means, as the document that says all of it. It is a `sync.yaml` itself, but for its
    /// secrets, which are `***`: all of `auth` and `notify`, and what came from `${file:…}`.
    pub fn document(&self) -> Value {
        let mut root = Map::new();
        root.insert("version".into(), json!(self.version));
        let rules = self
            .registries
            .iter()
            .map(|it| (it.pattern.to_string(), rule(it)));
        put(&mut root, "registries", rules.collect::<Map<_, _>>());
        let images: Vec<Value> = self.entries.iter().map(entry).collect();
        root.insert("images".into(), images.into());
        root.insert("prune".into(), prune(&self.prune));
        put_some(
            &mut root,
            "state",
            self.state.as_ref().map(|it| it.display()),
        );
        if let Some(schedule) = &self.schedule {
            let mut map = Map::new();
            put_some(&mut map, "cron", Some(&schedule.cron));
            put_some(&mut map, "zone", Some(&schedule.zone));
            put_some(&mut map, "jitter", Some(shown(schedule.jitter)));
            put_some(&mut map, "deadline", schedule.deadline.map(shown));
            put(&mut root, "schedule", map);
        }
        let notify = self.notify.iter().map(|notify| {
            let when: Vec<&str> = notify.when.iter().map(|it| word(&OCCASIONS, it)).collect();
            json!({"webhook": MASK, "when": when})
        });
        let notify: Vec<Value> = notify.collect();
        if !notify.is_empty() {
            root.insert("notify".into(), notify.into());
        }
        let mut metrics = Map::new();
        let textfile = self.metrics.textfile.as_ref();
        put_some(&mut metrics, "textfile", textfile.map(|it| it.display()));
        put(&mut root, "metrics", metrics);
        let mut document = Value::Object(root);
        self.mask(&mut document);
        document
    }

    /// The same as YAML.
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.document())
    }

    fn mask(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = masked(text, &self.hidden),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask(item)),
            Value::Object(map) => map.values_mut().for_each(|value| self.mask(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Puts in what is not empty.
fn put(map: &mut Map<String, Value>, key: &str, inner: Map<String, Value>) {
    if !inner.is_empty() {
        map.insert(key.into(), inner.into());
    }
}

fn put_some(map: &mut Map<String, Value>, key: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        map.insert(key.into(), value.to_string().into());
    }
}

fn put_list(
    map: &mut Map<String, Value>,
    key: &str,
    items: impl IntoIterator<Item = impl ToString>,
) {
    let items: Vec<Value> = items.into_iter().map(|it| it.to_string().into()).collect();
    if !items.is_empty() {
        map.insert(key.into(), items.into());
    }
}

/// The word for one of a few things.
fn word<T: PartialEq>(words: &[(&'static str, T)], meant: &T) -> &'static str {
    let found = words.iter().find(|(_, one)| one == meant);
    found.map_or("", |(word, _)| *word)
}

fn rule(rule: &RegistryRule) -> Value {
    let mut map = Map::new();
    let auth = rule.auth.as_ref().map(|auth| match auth {
        Auth::None => json!("none"),
        Auth::Basic { .. } => json!({"user": MASK, "pass": MASK}),
        Auth::Token(_) => json!({"token": MASK}),
        Auth::Helper(helper) => json!({"helper": helper}),
    });
    if let Some(auth) = auth {
        map.insert("auth".into(), auth);
    }
    put_some(&mut map, "ca", rule.ca.as_ref().map(|it| it.display()));
    put_some(&mut map, "tls", rule.tls.map(|tls| word(&TLS, &tls)));
    let mirror = rule
        .mirror
        .iter()
        .map(|Mirror { registry, prefix }| match prefix.as_str() {
            "" => registry.clone(),
            prefix => format!("{registry}/{prefix}"),
        });
    put_list(&mut map, "mirror", mirror);
    if let Some(parallel) = rule.parallel {
        map.insert("parallel".into(), json!(parallel.get()));
    }
    put_some(&mut map, "rate", rule.rate);
    put_some(&mut map, "bandwidth", rule.bandwidth);
    if let Some(quota) = &rule.quota {
        let quota = json!({"keep": quota.keep.to_string(), "wait": shown(quota.wait)});
        map.insert("quota".into(), quota);
    }
    map.into()
}

fn entry(entry: &Entry) -> Value {
    let mut map = Map::new();
    put_some(&mut map, "x-at", Some(&entry.at));
    put_some(
        &mut map,
        "from",
        Some(match &entry.from {
            From::Registry(repository) => repository.to_string(),
            From::Local(reference) => reference.to_string(),
        }),
    );
    if !entry.from.is_single() {
        map.insert("tags".into(), tags(&entry.tags));
    }
    put_list(&mut map, "to", &entry.to);
    match entry.platforms.is_empty() {
        true => put_some(&mut map, "platforms", Some("all")),
        false => {
            put_list(&mut map, "platforms", &entry.platforms);
            let index = match entry.index {
                Subset::Trim => "trim",
                Subset::Sparse => "sparse",
            };
            put_some(&mut map, "index", Some(index));
        }
    }
    match &entry.referrers {
        Referrers::All => put_some(&mut map, "referrers", Some("all")),
        Referrers::None => put_some(&mut map, "referrers", Some("none")),
        Referrers::Types(types) => put_list(&mut map, "referrers", types),
    }
    put_some(
        &mut map,
        "change",
        Some(match entry.change {
            Change::Update => "update",
            Change::Keep => "keep",
            Change::Fail => "fail",
        }),
    );
    put_list(&mut map, "immutable", &entry.immutable);
    put_some(&mut map, "backup", entry.backup.as_ref());
    map.into()
}

/// A list, if a list says it all.
fn tags(tags: &Tags) -> Value {
    let plain = Tags {
        include: tags.include.clone(),
        ..Tags::default()
    };
    let texts = |selectors: &[Selector]| -> Vec<String> {
        selectors.iter().map(Selector::to_string).collect()
    };
    if *tags == plain {
        return texts(&tags.include).into();
    }
    let mut map = Map::new();
    put_list(&mut map, "include", &tags.include);
    put_list(&mut map, "suffix", &tags.suffix);
    put_list(&mut map, "exclude", &tags.exclude);
    put_some(&mut map, "newer", tags.newer.map(shown));
    map.insert("sort".into(), json!(tags.sort));
    if let Some(latest) = tags.latest {
        map.insert("latest".into(), json!(latest.get()));
    }
    if let Some(per) = tags.per {
        map.insert("per".into(), json!(per));
    }
    put_list(&mut map, "also", &tags.also);
    map.insert("min".into(), json!(tags.min));
    map.into()
}

fn prune(prune: &Prune) -> Value {
    let mut map = Map::new();
    put_some(&mut map, "mode", Some(word(&PRUNE, &prune.mode)));
    put_some(&mut map, "max", Some(prune.max));
    put_some(&mut map, "grace", prune.grace.map(shown));
    put_list(&mut map, "keep", &prune.keep);
    map.into()
}
