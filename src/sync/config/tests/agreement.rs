//! The table of keys, the example, the schema and what the reader does say the same.

use serde_json::{Value, json};

use super::{Made, read};
use crate::sync::config::keys::{ENTRY, Key, Keys, Kind, ROOT};
use crate::sync::config::problem::Problems;
use crate::sync::config::schema;
use crate::sync::config::tree::{Node, Value as Tree, parse};

const EXAMPLE: &str = include_str!("../../../../sync.yaml.example");

/// All keys of the table, with the names of those they stand under.
fn all(kind: &Kind, above: &str, found: &mut Vec<(String, Key)>) {
    if let Some(list) = kind.list {
        all(list, above, found);
    }
    let Some(Keys::Fixed(keys) | Keys::Hosts(keys)) = kind.map else {
        return;
    };
    for key in keys.iter().filter(|key| !key.is_planned) {
        found.push((format!("{above}{}", key.name), *key));
        all(&key.kind, &format!("{above}{}.", key.name), found);
    }
}

#[test]
fn the_example_is_read() {
    let config = Made::default().file("sync.yaml", EXAMPLE).load().unwrap();
    assert_eq!(config.entries.len(), 4);
    // Its beginning is a file by itself.
    let beginning: Vec<&str> = EXAMPLE.lines().take(20).collect();
    let config = read(&beginning.join("\n")).unwrap();
    assert_eq!(config.entries.len(), 3);
}

/// Each key in a line of its own or in a map of a line, with a comment and the default that holds.
#[test]
fn the_example_has_every_key_and_its_default() {
    let mut keys = Vec::new();
    all(&ROOT, "", &mut keys);
    assert!(keys.len() > 50, "{}", keys.len());
    for (path, key) in &keys {
        // What `defaults` takes is what an entry takes.
        if path.starts_with("defaults.") {
            continue;
        }
        let written = format!("{}: ", key.name);
        let opened = format!("{}:", key.name);
        let mut lines = EXAMPLE.lines().filter(|line| {
            let code = line.strip_prefix("# ").unwrap_or(line);
            let words = code.trim_start().trim_start_matches("- ");
            words.starts_with(&written)
                || words.split_whitespace().next() == Some(&opened)
                || code.contains(&format!("{{{written}"))
                || code.contains(&format!(", {written}"))
        });
        match key.default {
            None => assert!(lines.next().is_some(), "{path} is missing"),
            Some(default) => {
                let said = format!("[default: {default}]");
                assert!(
                    lines.any(|line| line.ends_with(&said)),
                    "{path}: {said} is missing"
                );
            }
        }
    }
}

/// To write a default is to write nothing.
#[test]
fn the_defaults_of_the_table_hold() {
    let entry = |lines: &str| {
        let text = format!(
            "version: 1\nimages:\n- from: a\n  to: r.corp/a\n  tags: {{include: '1'}}\n  platforms: linux/amd64\n{lines}"
        );
        read(&text).unwrap().to_yaml()
    };
    let Some(Keys::Fixed(keys)) = ENTRY.map else {
        panic!()
    };
    let mut tried = 0;
    for key in keys.iter().filter(|key| key.name != "platforms") {
        if let Some(default) = key.default {
            assert_eq!(
                entry(&format!("  {}: {default}\n", key.name)),
                entry(""),
                "{}",
                key.name
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 5);
    let whole = |lines: &str| {
        let text = format!("version: 1\nimages: [{{from: a:1, to: r.corp/a}}]\n{lines}");
        read(&text).unwrap().to_yaml()
    };
    assert_eq!(whole("prune: {mode: off, max: 10%, keep: []}"), whole(""));
    assert_eq!(
        whole("schedule: {cron: 0 2 * * *, zone: UTC, jitter: 0s}"),
        whole("schedule: {cron: 0 2 * * *}")
    );
    let quota = |inner| whole(&format!("registries: {{r.corp: {{quota: {{{inner}}}}}}}"));
    assert_eq!(quota("keep: 0%, wait: 0s"), quota(""));
}

/// What is printed can be read, and means the same.
#[test]
fn what_a_file_means_is_a_file() {
    let config = Made::default().file("sync.yaml", EXAMPLE).load().unwrap();
    let hidden = ["user: \"***\"", "pass: \"***\"", "token: \"***\""];
    let mut yaml = config.to_yaml();
    assert!(hidden.iter().all(|line| yaml.contains(line)), "{yaml}");
    yaml = yaml.replace("webhook: \"***\"", "webhook: https://chat.example/hook");
    let again = read(&yaml).unwrap().document();
    let mut first = config.document();
    assert_eq!(
        without_places(&mut first.clone()),
        without_places(&mut again.clone())
    );
    // And as JSON.
    first["notify"][0]["webhook"] = json!("https://chat.example/hook");
    let again = read(&first.to_string()).unwrap().document();
    assert_eq!(
        without_places(&mut config.document()),
        without_places(&mut again.clone())
    );
}

fn without_places(document: &mut Value) -> Value {
    for entry in document["images"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("x-at");
    }
    document.take()
}

/// A file as an editor reads it. Only what looks like a whole number is one.
fn as_json(node: &Node) -> Value {
    match &node.value {
        Tree::Scalar(scalar) => match scalar.text.parse::<u32>() {
            Ok(number) => json!(number),
            Err(_) if scalar.is_null => Value::Null,
            Err(_) => json!(scalar.text),
        },
        Tree::List(items) => items.iter().map(as_json).collect(),
        Tree::Map(pairs) => {
            let pairs = pairs.iter();
            pairs
                .map(|pair| (pair.key.clone(), as_json(&pair.value)))
                .collect()
        }
    }
}

fn fits(text: &str) -> bool {
    let mut problems = Problems::new("f".into());
    let node = parse(text.as_bytes(), &mut problems).unwrap();
    obeys(&as_json(&node), &schema())
}

/// JSON Schema, as far as ours goes.
fn obeys(value: &Value, schema: &Value) -> bool {
    let Value::Object(rules) = schema else {
        return schema == &json!(true);
    };
    rules.iter().all(|(rule, wanted)| match rule.as_str() {
        "type" => match wanted {
            Value::Array(types) => types.iter().any(|wanted| is_of(value, wanted)),
            wanted => is_of(value, wanted),
        },
        "const" => value == wanted,
        "enum" => wanted.as_array().unwrap().contains(value),
        "anyOf" => wanted
            .as_array()
            .unwrap()
            .iter()
            .any(|schema| obeys(value, schema)),
        "minimum" => value.as_u64() >= wanted.as_u64(),
        "pattern" => {
            let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|it| obeys(it, wanted))),
        "required" => {
            let names = wanted.as_array().unwrap();
            value.as_object().is_none_or(|map| {
                names
                    .iter()
                    .all(|it| map.contains_key(it.as_str().unwrap()))
            })
        }
        "additionalProperties" => value.as_object().is_none_or(|map| {
            let known = &schema["properties"];
            let mut others = map
                .iter()
                .filter(|(key, _)| known[key.as_str()].is_null() && !key.starts_with("x-"));
            others.all(|(_, value)| obeys(value, wanted))
        }),
        "properties" => value.as_object().is_none_or(|map| {
            map.iter()
                .all(|(key, value)| wanted[key].is_null() || obeys(value, &wanted[key]))
        }),
        "$schema" | "title" | "description" | "default" | "patternProperties" => true,
        other => panic!("the test does not know {other}"),
    })
}

fn is_of(value: &Value, wanted: &Value) -> bool {
    match wanted.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" | "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the test does not know {other}"),
    }
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    assert!(fits(EXAMPLE));
    let entry = |lines: &str| format!("version: 1\nimages: [{{from: a:1, to: r.corp/a, {lines}}}]");
    for (lines, is_right) in [
        ("change: keep", true),
        ("change: kept", false),
        ("chagne: keep", false),
        ("x-mine: [1, {a: b}]", true),
        ("platforms: all", true),
        ("platforms: [linux/amd64]", true),
        ("platforms: {a: b}", false),
        ("immutable: [3, '*']", true),
        ("referrers: [a]", false),
        ("referrers: [application/x]", true),
        ("backup: off", true),
    ] {
        let text = entry(lines);
        assert_eq!(fits(&text), is_right, "schema: {lines}");
        let read = read(&text);
        assert_eq!(read.is_ok(), is_right, "reader: {lines} {:?}", read.err());
    }
    let whole = |lines: &str| format!("version: 1\nimages: [{{from: a:1, to: r.corp/a}}]\n{lines}");
    for (lines, is_right) in [
        (
            "registries: {r.corp: {tls: off, parallel: 3, rate: 40/s}}",
            true,
        ),
        ("registries: {r.corp: {tls: maybe}}", false),
        ("registries: {r.corp: {parallel: 0}}", false),
        ("registries: {r.corp: {rate: 40}}", false),
        (
            "registries: {r.corp: {bandwidth: 1MiB/s, quota: {keep: 5, wait: 1h30m}}}",
            true,
        ),
        ("registries: {r.corp: {auth: none}}", true),
        ("registries: {r.corp: {auth: {usr: x, pass: y}}}", false),
        ("prune: {mode: report, max: 5%}", true),
        ("prune: {mode: yes}", false),
        ("schedule: {zone: UTC}", false),
        ("notify: [{webhook: 'https://x', when: failure}]", true),
        ("notify: [{webhook: 'https://x', when: sometimes}]", false),
        ("hooks: []", false),
    ] {
        let text = whole(lines);
        assert_eq!(fits(&text), is_right, "schema: {lines}");
        let read = read(&text);
        assert_eq!(read.is_ok(), is_right, "reader: {lines} {:?}", read.err());
    }
    for text in ["version: 2\nimages: []", "images: []", "version: 1"] {
        assert!(!fits(text) && read(text).is_err(), "{text}");
    }
    assert!(fits(
        "version: 1\nimages: [{from: a:1, to: r.corp/a, change: '${HOW}'}]"
    ));
}
