//! How a credentials file changes: logins come and go, everything else stays.

use std::collections::BTreeSet;

use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use super::credential::Credential;
use super::document::{Document, Form, Keeper};
use super::entry;
use super::scope::Scope;
use crate::error::Result;

/// What was taken out of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Removed {
    /// There was no entry.
    Nothing,
    /// An entry that held nothing.
    Mark,
    /// An entry with a credential, or one that cannot be read.
    Credential,
}

impl Removed {
    fn of(entry: &Value) -> Self {
        match entry::read(entry) {
            Ok(None) => Self::Mark,
            _ => Self::Credential,
        }
    }
}

impl Document {
    /// Whether somebody who reads the file learns a secret. What is malformed may hold one.
    pub(super) fn holds_secrets(&self) -> bool {
        let mut entries = self.auths().into_iter().flat_map(Map::values);
        entries.any(|entry| Removed::of(entry) == Removed::Credential)
    }

    /// The registries of this file whose credentials helpers may have.
    pub(super) fn in_helpers(&self) -> BTreeSet<Scope> {
        let keys = self.auths().into_iter().chain(self.object("credHelpers"));
        keys.flat_map(Map::keys)
            .filter_map(|key| Scope::from_key(key))
            .filter(Scope::is_whole_registry)
            .filter(|scope| !matches!(self.keeper(scope), Ok(Keeper::File)))
            .collect()
    }

    /// Keeps a credential. Where the scope stands under several keys, all get it: other programs
    /// look for other spellings of Docker Hub.
    pub(super) fn set(&mut self, scope: &Scope, credential: &Credential) {
        self.rewrite(scope, &entry::write(credential));
    }

    /// Leaves an empty entry for what a helper has, as Docker does: by it, a logout from everything
    /// knows what to ask the helper for. An old credential in the file goes.
    pub(super) fn mark(&mut self, scope: &Scope) {
        self.rewrite(scope, &Map::new());
    }

    /// Removes all entries of exactly this scope.
    pub(super) fn remove(&mut self, scope: &Scope) -> Removed {
        let mut removed = Removed::Nothing;
        let mut auths = self.auths().cloned().unwrap_or_default();
        auths.retain(|key, entry| {
            let goes = Scope::from_key(key).as_ref() == Some(scope);
            if goes {
                removed = removed.max(Removed::of(entry));
            }
            !goes
        });
        if removed != Removed::Nothing {
            self.set_auths(auths);
        }
        removed
    }

    /// Removes all entries but those of `kept`, which only lose what they hold. Returns the keys of
    /// those that held a credential.
    pub(super) fn remove_all(&mut self, kept: &BTreeSet<Scope>) -> Vec<String> {
        let mut auths = self.auths().cloned().unwrap_or_default();
        let mut removed = Vec::new();
        auths.retain(|key, entry| {
            if Removed::of(entry) == Removed::Credential {
                removed.push(key.clone());
            }
            Scope::from_key(key).is_some_and(|scope| kept.contains(&scope))
        });
        for entry in auths.values_mut() {
            *entry = Value::Object(without_credential(entry));
        }
        if self.auths().is_some() {
            self.set_auths(auths);
        }
        removed
    }

    /// The file's bytes, laid out as Docker and skopeo do.
    ///
    /// # Errors
    /// None that is known: what was parsed can be written.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let layout = PrettyFormatter::with_indent(b"\t");
        self.root
            .serialize(&mut Serializer::with_formatter(&mut bytes, layout))?;
        bytes.extend_from_slice(self.tail.as_bytes());
        Ok(bytes)
    }

    /// Gives every entry of the scope these fields in place of its credential; makes one if there
    /// is none.
    fn rewrite(&mut self, scope: &Scope, fields: &Map<String, Value>) {
        let mut auths = self.auths().cloned().unwrap_or_default();
        let known = |key: &str| Scope::from_key(key).as_ref() == Some(scope);
        if !auths.keys().any(|key| known(key)) {
            auths.insert(scope.to_string(), Value::Null);
        }
        for (_, entry) in auths.iter_mut().filter(|(key, _)| known(key)) {
            let mut whole = without_credential(entry);
            whole.extend(fields.clone());
            *entry = Value::Object(whole);
        }
        self.set_auths(auths);
    }

    fn set_auths(&mut self, auths: Map<String, Value>) {
        match self.form {
            Form::Wrapped => {
                self.root.insert("auths".to_string(), Value::Object(auths));
            }
            Form::Bare => self.root = auths,
        }
    }
}

/// The other fields of an entry.
fn without_credential(entry: &Value) -> Map<String, Value> {
    let mut fields = entry.as_object().cloned().unwrap_or_default();
    fields.retain(|field, _| !entry::FIELDS.contains(&field.as_str()));
    fields
}
