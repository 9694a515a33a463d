//! A credentials file as data, and what it says of a scope. How it changes is in `edit`.

use serde_json::{Map, Value};

use super::credential::Credential;
use super::helper::HelperName;
use super::scope::Scope;
use super::{entry, shown};
use crate::error::{Attempt as _, Error, ErrorKind, Result};

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Entries below `auths`: `auth.json`, `config.json`.
    Wrapped,
    /// Entries at the top: Docker's old `~/.dockercfg`.
    Bare,
}

/// What a file says of a scope.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing: the next file is asked.
    Nothing,
    /// It holds the credential.
    Holds(Credential),
    /// `credHelpers` names the program that has it.
    Ask(HelperName),
    /// `credsStore` names the program that has everything.
    AskStore(HelperName),
}

/// Where a file wants a credential to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    File,
    Helper(HelperName),
}

/// A credentials file, parsed. What is not about credentials is kept as it is.
#[derive(Clone)]
pub(super) struct Document {
    pub(super) root: Map<String, Value>,
    pub(super) form: Form,
    /// What followed the last brace, for a file whose bytes should not change without need.
    pub(super) tail: &'static str,
}

impl Document {
    /// Parses a file. An empty one holds nothing.
    ///
    /// # Errors
    /// `Invalid` if it is no JSON, or `auths` or `credHelpers` is no object. Entries are looked at
    /// when they are asked for: a malformed one does not spoil the others.
    pub(super) fn parse(bytes: &[u8], form: Form) -> Result<Self> {
        let invalid = |what: String| Error::new(ErrorKind::Invalid, what);
        let root = match bytes.trim_ascii().is_empty() {
            true => Map::new(),
            // Parsed as any value, so that no message tells what is in it.
            false => match serde_json::from_slice(bytes) {
                Ok(Value::Object(root)) => root,
                Ok(_) => return Err(invalid("it is no JSON object".to_string())),
                Err(error) => return Err(invalid(format!("it is no JSON: {error}"))),
            },
        };
        if form == Form::Wrapped {
            for name in ["auths", "credHelpers"] {
                if !matches!(root.get(name), None | Some(Value::Null | Value::Object(_))) {
                    return Err(invalid(format!("\"{name}\" is no object")));
                }
            }
        }
        let tail = if bytes.ends_with(b"\n") { "\n" } else { "" };
        Ok(Self { root, form, tail })
    }

    /// What the file says of a scope: a helper for the registry before all else, as
    /// containers-auth.json(5) has it; then the most specific entry; then the helper for everything.
    ///
    /// # Errors
    /// `Invalid` if what it says of this scope is malformed.
    pub(super) fn answer(&self, scope: &Scope) -> Result<Answer> {
        let named = self.named_helper(scope)?;
        if let Some(Keeper::Helper(name)) = named {
            return Ok(Answer::Ask(name));
        }
        for outer in scope.outward() {
            for (key, value) in self.auths().into_iter().flat_map(|it| fitting(it, &outer)) {
                let held = entry::read(value)
                    .attempting(|| format!("the entry \"{}\" is malformed", shown(key)))?;
                if let Some(credential) = held {
                    return Ok(Answer::Holds(credential));
                }
            }
        }
        match named {
            Some(_) => Ok(Answer::Nothing),
            None => Ok(self.store()?.map_or(Answer::Nothing, Answer::AskStore)),
        }
    }

    /// Where a new credential goes. Helpers know registries only, not parts of them.
    ///
    /// # Errors
    /// `Invalid` if a helper's name is; `Unsupported` for a part of a registry whose credentials a
    /// helper has: it would never be found again.
    pub(super) fn keeper(&self, scope: &Scope) -> Result<Keeper> {
        match (self.named_helper(scope)?, scope.is_whole_registry()) {
            (Some(Keeper::Helper(name)), false) => {
                let what = format!(
                    "{name} has the credentials of {}, and cannot hold one for a part of it",
                    scope.registry()
                );
                Err(Error::new(ErrorKind::Unsupported, what))
            }
            (Some(keeper), _) => Ok(keeper),
            (None, true) => Ok(self.store()?.map_or(Keeper::File, Keeper::Helper)),
            (None, false) => Ok(Keeper::File),
        }
    }

    /// What `credHelpers` says of the registry. An empty name means the file itself, as in Docker.
    fn named_helper(&self, scope: &Scope) -> Result<Option<Keeper>> {
        let helpers = self.object("credHelpers");
        let found = helpers.and_then(|it| fitting(it, &scope.whole_registry()).next());
        let Some((key, value)) = found else {
            return Ok(None);
        };
        let what = || format!("the helper for \"{}\" cannot be used", shown(key));
        match value {
            Value::String(name) if name.is_empty() => Ok(Some(Keeper::File)),
            Value::String(name) => {
                let name = name.parse().attempting(what)?;
                Ok(Some(Keeper::Helper(name)))
            }
            _ => Err(Error::new(ErrorKind::Invalid, "its name is not text").attempting(what())),
        }
    }

    /// The helper for everything.
    fn store(&self) -> Result<Option<HelperName>> {
        let name = match self.form {
            Form::Wrapped => self.root.get("credsStore"),
            Form::Bare => None,
        };
        let what = || "\"credsStore\" cannot be used";
        match name {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(name)) if name.is_empty() => Ok(None),
            Some(Value::String(name)) => name.parse().map(Some).attempting(what),
            Some(_) => Err(Error::new(ErrorKind::Invalid, "it is not text").attempting(what())),
        }
    }

    /// The entries, by key.
    pub(super) fn auths(&self) -> Option<&Map<String, Value>> {
        match self.form {
            Form::Wrapped => self.object("auths"),
            Form::Bare => Some(&self.root),
        }
    }

    /// An object beside the entries.
    pub(super) fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        match self.form {
            Form::Wrapped => self.root.get(name).and_then(Value::as_object),
            Form::Bare => None,
        }
    }
}

/// What a map has for exactly this scope: first under the key as we would write it, then in the
/// file's order.
fn fitting<'a>(
    map: &'a Map<String, Value>,
    scope: &Scope,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let scope = scope.clone();
    let plain = scope.to_string();
    let others = map.iter().filter({
        let plain = plain.clone();
        move |(key, _)| **key != plain && Scope::from_key(key).as_ref() == Some(&scope)
    });
    map.get_key_value(&plain).into_iter().chain(others)
}
