//! What must hold of credentials files, whatever stands in them.
#![allow(clippy::unwrap_used, reason = "a body fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Scope;
use super::credential::Credential;
use super::document::{Answer, Document, Form, Keeper};
use super::edit::Removed;
use crate::error::Error;
use crate::error::fuzzing::{harmless, shown};

/// Scopes that entries of the seeds are for.
const SCOPES: [&str; 5] = [
    "docker.io",
    "quay.io/team/tool",
    "quay.io",
    "registry.example:5000",
    "[::1]:5000/a",
];

/// Secrets that are shorter than this may be part of any message.
const SECRET: usize = 8;

/// Bytes as `auth.json` or `config.json`, and as Docker's old `.dockercfg`. No message tells what a
/// field holds (S-40); what is written is read again; a credential that was set is found, and is gone
/// when it was removed, while other scopes keep theirs (S-37).
///
/// # Panics
/// If not so.
pub fn auth_file(bytes: &[u8]) {
    for form in [Form::Wrapped, Form::Bare] {
        match Document::parse(bytes, form) {
            Ok(document) => {
                holds(&document);
                for scope in SCOPES {
                    edited(&document, &scope.parse().unwrap());
                }
            }
            Err(error) => tells_nothing(&error, bytes),
        }
    }
    if let Ok(key) = std::str::from_utf8(bytes) {
        if let Some(scope) = Scope::from_key(key) {
            harmless(&scope.to_string());
            assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
        }
        if let Err(error) = key.parse::<Scope>() {
            shown(&error);
        }
    }
}

/// Written and read again, it is the same.
fn holds(document: &Document) {
    let written = document.to_bytes().unwrap();
    let again = Document::parse(&written, document.form).unwrap();
    assert_eq!(again.root, document.root);
    assert_eq!(again.to_bytes().unwrap(), written);
    assert_eq!(again.in_helpers(), document.in_helpers());
    let mut empty = document.clone();
    empty.remove_all(&document.in_helpers());
    assert!(
        !empty.holds_secrets(),
        "a logout from everything leaves a secret"
    );
}

fn edited(document: &Document, scope: &Scope) {
    let written = document.to_bytes().unwrap();
    if let Err(error) = document.answer(scope) {
        tells_nothing(&error, &written);
    }
    let keeper = document.keeper(scope);
    if let Err(error) = &keeper {
        tells_nothing(error, &written);
    }
    let ours = Credential::basic("user", "pass:word").unwrap();
    let mut changed = document.clone();
    changed.set(scope, &ours);
    let changed = Document::parse(&changed.to_bytes().unwrap(), document.form).unwrap();
    match (keeper, changed.answer(scope)) {
        (Ok(Keeper::File), answer) => assert_eq!(answer.unwrap(), Answer::Holds(ours)),
        (_, Ok(Answer::Nothing)) => unreachable!("what was set is not there"),
        (_, Ok(_) | Err(_)) => {}
    }
    unrelated(document, &changed, scope);
    let mut removed = changed.clone();
    assert_eq!(removed.remove(scope), Removed::Credential);
    assert_eq!(removed.remove(scope), Removed::Nothing);
    unrelated(document, &removed, scope);
}

/// What one scope changed, another one that is not below it does not see.
fn unrelated(before: &Document, after: &Document, scope: &Scope) {
    for other in SCOPES {
        let other: Scope = other.parse().unwrap();
        if other.outward().any(|it| it == *scope) {
            continue;
        }
        match (before.answer(&other), after.answer(&other)) {
            (Ok(one), Ok(two)) => assert_eq!(one, two),
            (one, two) => assert_eq!(one.is_err(), two.is_err()),
        }
    }
}

/// An error that can be shown and holds no value of any field that may be secret.
fn tells_nothing(error: &Error, document: &[u8]) {
    shown(error);
    let told = error.in_one_line();
    let mut secrets = Vec::new();
    let mut keys = String::new();
    if let Ok(root) = serde_json::from_slice::<Value>(document) {
        collect(&root, "", &mut secrets, &mut keys);
    }
    for secret in secrets {
        // Keys are told, and names of helpers.
        let is_secret = secret.len() >= SECRET && !keys.contains(&secret);
        assert!(
            !(is_secret && told.contains(&secret)),
            "{told:?} tells a secret"
        );
    }
}

fn collect(value: &Value, key: &str, secrets: &mut Vec<String>, keys: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                keys.push_str(key);
                keys.push('\n');
                collect(below, key, secrets, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|it| collect(it, key, secrets, keys)),
        Value::String(text) if super::entry::FIELDS.contains(&key) => {
            let pair = STANDARD.decode(text).unwrap_or_default();
            let pair = String::from_utf8(pair).unwrap_or_default();
            let password = pair
                .split_once(':')
                .map(|(_, password)| password.to_string());
            secrets.extend(password);
            secrets.push(text.clone());
        }
        // The names of helpers are told.
        Value::String(text) => keys.push_str(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
