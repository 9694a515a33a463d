//! A refusal in one line, for people.

use reqwest::StatusCode;
use serde_json::Value;

use super::super::shown;
use super::content::media_type;
use super::errors;

/// How far into a page its title is looked for, in bytes.
const HEAD: usize = 8 << 10;

/// What a server said when it refused: `404 Not Found: MANIFEST_UNKNOWN: manifest unknown`. One line of
/// at most 512 characters, fit to be shown (S-46).
///
/// Of JSON only the fields are shown that hold words for people. Yet the answers of token servers
/// do not belong here: what they send may hold a token (S-40).
pub(crate) fn summary(status: u16, body: &[u8], content_type: Option<&str>) -> String {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let said = words(body, content_type);
    match (reason, said.trim()) {
        (None, "") => status.to_string(),
        (None, said) => shown::text(&format!("{status}: {said}")),
        (Some(reason), said) if said.is_empty() || said.eq_ignore_ascii_case(reason) => {
            format!("{status} {reason}")
        }
        (Some(reason), said) => shown::text(&format!("{status} {reason}: {said}")),
    }
}

/// What the body says, in whatever format it says it. It is not made fit to be shown yet.
fn words(body: &[u8], content_type: Option<&str>) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(body)
        && !value.is_number()
    {
        return words_of_json(&value);
    }
    // What is shown is cut far earlier; this is so that a large body costs nothing.
    let head = body.get(..HEAD).unwrap_or(body);
    let text = String::from_utf8_lossy(head);
    // The cut may have gone through a character.
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER).trim();
    let kind = content_type.and_then(media_type).unwrap_or("text/plain");
    if text.starts_with('<') {
        return words_of_markup(text);
    }
    let readable = kind
        .get(..5)
        .is_some_and(|top| top.eq_ignore_ascii_case("text/"));
    let broken = |c: char| c == '\0' || c == char::REPLACEMENT_CHARACTER;
    match text {
        "" => String::new(),
        _ if kind.to_ascii_lowercase().contains("json") => "its answer is no JSON".into(),
        _ if !readable || text.contains(broken) => format!("{} bytes of {kind}", body.len()),
        _ => text.to_string(),
    }
}

fn words_of_json(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_string();
    }
    let errors = errors::of(value);
    if !errors.is_empty() {
        let each: Vec<String> = errors.iter().map(ToString::to_string).collect();
        return each.join("; ");
    }
    // What those say that do not keep to the specification.
    let keys = ["message", "error_description", "error", "details", "detail"];
    let said = keys.into_iter().find_map(|key| value.get(key)?.as_str());
    said.unwrap_or_default().to_string()
}

/// The title of a page of HTML, or what an object store says in XML (F-53).
fn words_of_markup(text: &str) -> String {
    let parts = [
        element(text, "title"),
        element(text, "code"),
        element(text, "message"),
    ];
    let said: Vec<&str> = parts.into_iter().flatten().collect();
    match said.is_empty() {
        true => "a page without a title".to_string(),
        false => said.join(": "),
    }
}

/// The text of the first element of a name, in any case.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    // Lower case for ASCII alone, so that offsets stay.
    let lower = text.to_ascii_lowercase();
    let opened = lower.find(&format!("<{name}"))?;
    let start = opened + lower.get(opened..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find('<')?;
    let found = text.get(start..end)?.trim();
    (!found.is_empty()).then_some(found)
}
