//! `docs/sync.md` and the README's part on mirroring: their tables are what the program says of itself, their
//! files are read, and their commands run.

use std::collections::BTreeSet;

use imgcopy::sync::report::Status;
use serde_json::{Map, Value};

use crate::scene::{Scene, read};

fn schema() -> Value {
    let run = Scene::new().shell("imgcopy schema", &[]).ok();
    serde_json::from_str(&run.stdout).unwrap()
}

/// A schema and its alternatives.
fn forms(schema: &Value) -> impl Iterator<Item = &Value> {
    let others = schema["anyOf"].as_array().into_iter().flatten();
    std::iter::once(schema).chain(others)
}

/// Every map of keys in a schema, however deep.
fn maps<'s>(schema: &'s Value, found: &mut Vec<&'s Map<String, Value>>) {
    for form in forms(schema) {
        if let Some(keys) = form["properties"].as_object() {
            found.push(keys);
            keys.values().for_each(|key| maps(key, found));
        }
        for inner in [&form["items"], &form["additionalProperties"]] {
            if inner.is_object() {
                maps(inner, found);
            }
        }
    }
}

/// The row of a key as the table must have it.
fn row(key: &str, schema: &Value) -> String {
    let what = schema["description"].as_str().unwrap();
    let default = match &schema["default"] {
        Value::Null => String::new(),
        Value::String(text) => format!("`{text}` "),
        other => format!("`{other}` "),
    };
    format!("| `{key}` | {} | {default}|", what.replace('|', "\\|"))
}

#[test]
fn every_key_is_explained_as_the_schema_does() {
    let schema = schema();
    let mut found = Vec::new();
    maps(&schema, &mut found);
    let rows: BTreeSet<String> = (found.into_iter().flatten())
        .map(|(key, schema)| row(key, schema))
        .collect();
    assert!(rows.len() > 40, "{rows:?}");
    let text = read("docs/sync.md");
    let lacking: Vec<&String> = rows.iter().filter(|row| !text.contains(*row)).collect();
    assert!(lacking.is_empty(), "docs/sync.md lacks {lacking:#?}");
    // And no key that is not there any more.
    let mut lines = text.lines();
    while lines.any(|line| line == "| key | what | default |") {
        for line in lines
            .by_ref()
            .skip(1)
            .take_while(|line| line.starts_with('|'))
        {
            assert!(rows.contains(line), "the schema does not say: {line}");
        }
    }
}

#[test]
fn every_status_is_explained() {
    let text = read("docs/sync.md");
    for status in Status::ALL {
        assert!(text.contains(&format!("`{status}`")), "{status}");
    }
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let blocks = text.split(&begin).skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap().to_string());
    blocks.collect()
}

fn mirroring() -> String {
    let text = read("README.md");
    let part = text
        .split("\n## ")
        .find(|part| part.starts_with("Mirroring\n"));
    part.unwrap().to_string()
}

#[test]
fn every_file_is_one() {
    for text in [read("docs/sync.md"), mirroring()] {
        let files = blocks(&text, "yaml");
        assert!(!files.is_empty());
        for file in files {
            let scene = Scene::new();
            std::fs::write(scene.path().join("sync.yaml"), file).unwrap();
            scene.shell("imgcopy config sync.yaml --check", &[]).ok();
        }
    }
}

#[test]
fn every_command_runs() {
    for text in [read("docs/sync.md"), mirroring()] {
        let scene = Scene::new();
        let scripts = blocks(&text, "sh");
        assert!(!scripts.is_empty());
        for script in scripts {
            scene.shell(&script, &[]).ok();
        }
    }
}

/// What it says is not done is refused in words.
#[test]
fn what_is_not_done_says_so() {
    let scene = Scene::new();
    for (entry, rest) in [
        ("{from: a/b:1, to: 'r.example/x', verify: {}}", ""),
        ("{from: 'a/*:1', to: 'r.example/x'}", ""),
        ("{from: a/b:1, to: 'dir:x'}", ""),
        ("{from: a/b:1, to: 'docker-daemon:x'}", ""),
        (
            "{from: a/b:1, to: 'r.example/x'}",
            "registries: {r.example: {create: yes}}",
        ),
        (
            "{from: a/b:1, to: 'r.example/x'}",
            "registries: {r.example: {auth: ecr}}",
        ),
        (
            "{from: a/b:1, to: 'r.example/x'}",
            "registries: {r.example: {auth: gar}}",
        ),
        (
            "{from: a/b:1, to: 'r.example/x'}",
            "registries: {r.example: {auth: acr}}",
        ),
    ] {
        let file = format!("version: 1\n{rest}\nimages:\n- {entry}\n");
        std::fs::write(scene.path().join("sync.yaml"), &file).unwrap();
        let run = scene.shell("imgcopy config sync.yaml --check", &[]);
        assert_eq!(run.code, Some(64), "{file}");
        assert_eq!(
            run.stderr.matches("not supported yet").count(),
            1,
            "{}",
            run.stderr
        );
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (file, folder) in [("docs/sync.md", "docs"), ("README.md", "")] {
        let text = read(file);
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.starts_with("http"));
        for link in links {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            assert!(path.join(folder).join(link).exists(), "{file}: {link}");
        }
    }
}
