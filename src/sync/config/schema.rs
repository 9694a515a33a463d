//! The JSON Schema of `sync.yaml` for editors, made from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{Key, Keys, Kind, ROOT};
use super::words::{Shape, Word};

/// The schema, as JSON Schema draft 2020-12. What an editor cannot know (whether a range is one) it
/// leaves open.
pub fn schema() -> Value {
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sync.yaml of imgcopy",
    });
    let mut schema = kind(&ROOT);
    if let (Value::Object(schema), Value::Object(head)) = (&mut schema, head) {
        let rest = std::mem::replace(schema, head);
        schema.extend(rest);
        let one = json!([{"required": ["images"]}, {"required": ["include"]}]);
        schema.insert("anyOf".into(), one);
    }
    schema
}

fn kind(of: &Kind) -> Value {
    let mut forms = Vec::new();
    if let Some(of) = of.word {
        forms.push(word(of));
    }
    if let Some(item) = of.list {
        forms.push(json!({"type": "array", "items": kind(item)}));
    }
    match of.map {
        Some(Keys::Fixed(keys)) => forms.push(map(keys)),
        Some(Keys::Hosts(keys)) => {
            forms.push(json!({"type": "object", "additionalProperties": map(keys)}));
        }
        None => {}
    }
    match forms.as_slice() {
        [single] => single.clone(),
        _ => json!({"anyOf": forms}),
    }
}

fn map(keys: &[Key]) -> Value {
    let usable = || keys.iter().filter(|key| !key.is_planned);
    let properties: Map<String, Value> = usable().map(property).collect();
    let required = usable().filter(|key| key.is_required);
    let required: Vec<&str> = required.map(|key| key.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "patternProperties": {"^x-": true},
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> (String, Value) {
    let mut schema = kind(&key.kind);
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".into(), key.doc.into());
        if let Some(default) = key.default {
            let default = serde_json::from_str(default).unwrap_or_else(|_| default.into());
            schema.insert("default".into(), default);
        }
    }
    (key.name.to_string(), schema)
}

/// Editors read `3.10` as a number and `no` as a truth value; here all are texts.
fn word(word: &Word) -> Value {
    let interpolated = json!({"type": "string", "pattern": r"\$\{"});
    match word.shape {
        Shape::Text => json!({"type": ["string", "number", "boolean"]}),
        Shape::Choice(["1"]) => json!({"const": 1}),
        Shape::Choice(words) => json!({"anyOf": [{"enum": words}, interpolated]}),
        Shape::Suggestion(words) => {
            json!({"anyOf": [{"enum": words}, {"type": ["string", "number", "boolean"]}]})
        }
        Shape::Count(least) => {
            json!({"anyOf": [{"type": "integer", "minimum": least}, interpolated]})
        }
        Shape::Pattern(pattern) => json!({
            "type": "string",
            "anyOf": [{"pattern": pattern}, {"pattern": r"\$\{"}],
        }),
        Shape::Share => json!({
            "type": ["string", "integer"],
            "anyOf": [{"pattern": "^[0-9]+%?$"}, {"pattern": r"\$\{"}],
        }),
    }
}
