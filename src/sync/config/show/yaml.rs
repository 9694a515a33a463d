//! Plain data as YAML for people: maps as blocks, lists of texts in a line.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes a document.
pub(in crate::sync::config) fn write(document: &Value) -> String {
    let mut out = String::new();
    match document {
        Value::Object(map) if !map.is_empty() => block(document, 0, &mut out),
        other => {
            out += &inline(other);
            out.push('\n');
        }
    }
    out
}

/// A map or a list of maps, each line indented.
fn block(value: &Value, indent: usize, out: &mut String) {
    let space = "  ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let _ = write!(out, "{space}{}:", text(key));
                below(value, indent, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                block(item, indent + 1, &mut inner);
                // The dash takes the place of the first line's indentation.
                let first = inner.get(2 * (indent + 1)..).unwrap_or_default();
                let _ = write!(out, "{space}- {first}");
            }
        }
        scalar => {
            let _ = writeln!(out, "{space}{}", inline(scalar));
        }
    }
}

/// What follows a key and its colon.
fn below(value: &Value, indent: usize, out: &mut String) {
    let is_list_of_maps = |items: &Vec<Value>| items.iter().any(Value::is_object);
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(value, indent + 1, out);
        }
        Value::Array(items) if is_list_of_maps(items) => {
            out.push('\n');
            block(value, indent + 1, out);
        }
        other => {
            let _ = writeln!(out, " {}", inline(other));
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        // JSON is YAML.
        other => other.to_string(),
    }
}

/// A text, quoted unless every reader of YAML takes it for a text anyway.
fn text(text: &str) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"_./@:+-".contains(&c);
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(fits)
        && !text.ends_with(':')
        && !words.contains(&text.to_ascii_lowercase().as_str());
    match is_plain || is_amount(text) {
        true => text.to_string(),
        false => Value::from(text).to_string(),
    }
}

/// A number with its unit: `10m`, `20%`, `40/s`. Numbers of other kinds begin otherwise.
fn is_amount(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_unit = |c: char| c.is_ascii_alphabetic() && !"exob".contains(c);
    unit.len() < text.len()
        && match unit.strip_suffix("/s").unwrap_or(unit) {
            "" => unit == "/s",
            "%" => true,
            unit => unit.chars().all(is_unit) && unit.len() <= 3,
        }
}
