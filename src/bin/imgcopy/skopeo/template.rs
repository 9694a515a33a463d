//! The part of Go's templates (text/template) that is typed after `--format`: fields, `json` and `join`
//! of them, and `range` over a list. Anything else is refused by name.

use serde_json::{Map, Value};

use super::document::go_json_line;
use super::told::Fatal;

/// A template that was read.
enum Part<'t> {
    Text(&'t str),
    Field(Vec<&'t str>),
    Json(Vec<&'t str>),
    Join(Vec<&'t str>, String),
    Range(Vec<&'t str>, Vec<Part<'t>>),
}

/// How deep ranges may nest.
const DEPTH: usize = 8;

/// A template filled in. `\n` and `\t` are what they stand for, as in newer versions.
pub(super) fn filled(template: &str, data: &Value) -> Result<String, Fatal> {
    let template = template.replace("\\n", "\n").replace("\\t", "\t");
    let mut rest = template.as_str();
    let parts = parts(&mut rest, 0)?;
    let mut out = String::new();
    write(&parts, data, &mut out)?;
    Ok(out)
}

/// The same data by the names that Go's types have for its fields.
pub(super) fn renamed(data: Value, names: &[(&str, &str)]) -> Value {
    match data {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| {
                    let name = names.iter().find(|(json, _)| *json == key);
                    let name = name.map_or(key.clone(), |(_, go)| (*go).to_string());
                    // What stands in labels and annotations are not fields.
                    match is_map(&name) {
                        true => (name, value),
                        false => (name, renamed(value, names)),
                    }
                })
                .collect(),
        ),
        Value::Array(list) => list.into_iter().map(|it| renamed(it, names)).collect(),
        other => other,
    }
}

fn is_map(field: &str) -> bool {
    matches!(field, "Labels" | "Annotations" | "ExposedPorts" | "Volumes")
}

fn refused(what: &str) -> Fatal {
    let what: String = what.escape_debug().take(100).collect();
    Fatal::no_option(
        &format!("\"{{{{{what}}}}}\" in --format"),
        "fields, json, join and range are, as in {{.Digest}}",
    )
}

/// The parts up to the end, or in a range up to its `end`.
fn parts<'t>(rest: &mut &'t str, depth: usize) -> Result<Vec<Part<'t>>, Fatal> {
    let mut parts = Vec::new();
    loop {
        let Some((text, after)) = rest.split_once("{{") else {
            if depth > 0 {
                return Err(Fatal::new("template: skopeo inspect:1: unexpected EOF"));
            }
            parts.push(Part::Text(rest));
            return Ok(parts);
        };
        parts.push(Part::Text(text));
        let Some((action, after)) = after.split_once("}}") else {
            return Err(Fatal::new("template: skopeo inspect:1: unclosed action"));
        };
        *rest = after;
        let words: Vec<&str> = action.split_whitespace().collect();
        parts.push(match words.as_slice() {
            ["end"] if depth > 0 => return Ok(parts),
            ["range", field] if depth < DEPTH => {
                Part::Range(path(field)?, self::parts(rest, depth + 1)?)
            }
            ["json", field] => Part::Json(path(field)?),
            ["join", field, ..] => {
                let (_, by) = action.split_once('"').ok_or_else(|| refused(action))?;
                let by = by
                    .strip_suffix('"')
                    .or_else(|| by.trim_end().strip_suffix('"'));
                Part::Join(path(field)?, by.ok_or_else(|| refused(action))?.to_string())
            }
            [field] => Part::Field(path(field)?),
            _ => return Err(refused(action)),
        });
    }
}

/// `.` or `.Name` or `.Name.Other`.
fn path(text: &str) -> Result<Vec<&str>, Fatal> {
    let inside = text.strip_prefix('.').ok_or_else(|| refused(text))?;
    if inside.is_empty() {
        return Ok(Vec::new());
    }
    let words: Vec<&str> = inside.split('.').collect();
    let is_word = |word: &&str| {
        let fits = |c: char| c.is_alphanumeric() || c == '_';
        !word.is_empty() && word.chars().all(fits)
    };
    match words.iter().all(is_word) {
        true => Ok(words),
        false => Err(refused(text)),
    }
}

fn write(parts: &[Part<'_>], data: &Value, out: &mut String) -> Result<(), Fatal> {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Field(path) => {
                let name = path.last().copied().unwrap_or_default();
                out.push_str(&shown(name, found(data, path)?)?);
            }
            Part::Json(path) => out.push_str(&go_json_line(found(data, path)?)?),
            Part::Join(path, by) => {
                let list = found(data, path)?.as_array().into_iter().flatten();
                let shown: Result<Vec<String>, Fatal> = list.map(|it| shown("", it)).collect();
                out.push_str(&shown?.join(by));
            }
            Part::Range(path, inside) => {
                for item in found(data, path)?.as_array().into_iter().flatten() {
                    write(inside, item, out)?;
                }
            }
        }
    }
    Ok(())
}

fn found<'d>(data: &'d Value, path: &[&str]) -> Result<&'d Value, Fatal> {
    let mut at = data;
    let mut in_map = false;
    for name in path {
        at = match at.get(*name) {
            Some(inner) => inner,
            // A map without a key has nothing under it.
            None if in_map => return Ok(&Value::Null),
            None => {
                return Err(Fatal::new(format!(
                    "template: skopeo inspect:1: executing \"skopeo inspect\" at <.{}>: can't evaluate field {name}",
                    path.join(".")
                )));
            }
        };
        in_map = is_map(name);
    }
    Ok(at)
}

/// A value as Go prints it (`%v`).
fn shown(name: &str, value: &Value) -> Result<String, Fatal> {
    Ok(match value {
        Value::String(time) if name == "Created" => printed_time(time),
        Value::String(text) => text.clone(),
        Value::Null if matches!(name, "Env" | "Layers" | "RepoTags") => "[]".to_string(),
        Value::Null if is_map(name) => "map[]".to_string(),
        Value::Null if name == "Created" => "<nil>".to_string(),
        Value::Null => "<no value>".to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Array(list) => {
            let list: Result<Vec<String>, Fatal> = list.iter().map(|it| shown("", it)).collect();
            format!("[{}]", list?.join(" "))
        }
        Value::Object(map) if is_map(name) => printed_map(map)?,
        Value::Object(_) => {
            return Err(refused(&format!("a struct as a whole: .{name}")));
        }
    })
}

fn printed_map(map: &Map<String, Value>) -> Result<String, Fatal> {
    let mut entries = Vec::new();
    for (key, value) in map {
        entries.push(format!("{key}:{}", shown("", value)?));
    }
    entries.sort();
    Ok(format!("map[{}]", entries.join(" ")))
}

/// Go's `time.Time.String`.
fn printed_time(time: &str) -> String {
    let Some((date, clock)) = time.split_once('T') else {
        return time.to_string();
    };
    if let Some(clock) = clock.strip_suffix('Z') {
        return format!("{date} {clock} +0000 UTC");
    }
    let zone = clock.rfind(['+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone);
    let zone = zone.replace(':', "");
    format!("{date} {clock} {zone} {zone}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fill(template: &str) -> String {
        let data = json!({
            "Name": "h.example/x", "RepoTags": ["b", "a"], "Created": "2024-01-02T03:04:05.5Z",
            "Labels": {"b": "<2>", "a": "1"}, "Env": null,
            "LayersData": [{"Digest": "d1", "Size": 5}, {"Digest": "d2", "Size": 6}],
        });
        filled(template, &data).unwrap_or_else(|fatal| format!("{fatal:?}"))
    }

    #[test]
    fn templates_are_filled() {
        for (template, text) in [
            ("{{.Name}}", "h.example/x"),
            ("a {{ .Name }}\\n{{.RepoTags}}", "a h.example/x\n[b a]"),
            ("{{.Created}}", "2024-01-02 03:04:05.5 +0000 UTC"),
            ("{{.Labels}} {{.Labels.a}}", "map[a:1 b:<2>] 1"),
            ("{{.Labels.no}}{{.Env}}", "<no value>[]"),
            ("{{json .Labels}}", r#"{"b":"\u003c2\u003e","a":"1"}"#),
            ("{{join .RepoTags \", \"}}", "b, a"),
            (
                "{{range .LayersData}}{{.Digest}}={{.Size}};{{end}}.",
                "d1=5;d2=6;.",
            ),
        ] {
            assert_eq!(fill(template), text, "{template}");
        }
    }

    #[test]
    fn other_templates_are_refused_by_name() {
        for (template, told) in [
            ("{{.Nope}}", "can't evaluate field Nope"),
            ("{{if .Name}}x{{end}}", "if .Name"),
            ("{{.Name", "unclosed"),
            ("{{range .RepoTags}}x", "EOF"),
            ("{{.LayersData}}", "struct"),
            ("{{index .RepoTags 0}}", "index"),
        ] {
            assert!(fill(template).contains(told), "{template}");
        }
    }
}
