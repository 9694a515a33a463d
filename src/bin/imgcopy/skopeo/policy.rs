//! Trust policies (containers-policy.json(5)): which images may be copied at all.
//!
//! `insecureAcceptAnything` and `reject` are understood. What demands a signature is an error that names
//! it, because imgcopy checks none: nothing is copied that the policy wants checked.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use imgcopy::image::{Name, Reference};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::copy::system;
use super::options::Global;
use super::place::shown;
use super::told::Fatal;

/// What must hold of images, by what they are.
#[derive(Debug, Deserialize)]
struct Document {
    default: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    transports: Unique<Unique<Vec<Map<String, Value>>>>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// A map in which no key stands twice: whoever reads the first could be misled by the second.
#[derive(Debug)]
struct Unique<T>(BTreeMap<String, T>);

impl<T> Default for Unique<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Entries(PhantomData)).map(Self)
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, T>()? {
            let told = format!("Duplicate key \"{key}\"");
            if entries.insert(key, value).is_some() {
                return Err(A::Error::custom(told));
            }
        }
        Ok(entries)
    }
}

/// What must hold of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Accept,
    Reject,
    /// Some signature, by this word of the policy.
    Signature(String),
}

/// A policy that was understood.
#[derive(Debug)]
pub(super) struct Policy {
    default: Vec<Requirement>,
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

/// The words that demand signatures.
const SIGNATURES: [&str; 3] = ["signedBy", "signedBaseLayer", "sigstoreSigned"];

/// The policy that is to be obeyed.
///
/// # Errors
/// If there is none, or if it cannot be understood.
pub(super) fn load(global: &Global) -> Result<Policy, Fatal> {
    if global.insecure_policy {
        return Ok(Policy {
            default: vec![Requirement::Accept],
            transports: BTreeMap::new(),
        });
    }
    let place = match &global.policy {
        Some(given) => given.clone(),
        None => file(|name| std::env::var_os(name).map(PathBuf::from)),
    };
    let wrong = |why: String| Fatal::new(format!("Error loading trust policy: {why}"));
    let text = std::fs::read(&place);
    let text =
        text.map_err(|error| wrong(format!("open {}: {}", place.display(), system(&error))))?;
    parse(&text).map_err(|why| {
        let place = place.display();
        wrong(format!("invalid policy in \"{place}\": {why}"))
    })
}

/// Where the policy is without a word: the user's own, or that of the machine.
fn file(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let given = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
    if let Some(path) = given("CONTAINERS_POLICY_JSON") {
        return path;
    }
    let home = given("XDG_CONFIG_HOME").or_else(|| Some(given("HOME")?.join(".config")));
    let own = home.map(|home| home.join("containers/policy.json"));
    let machine = PathBuf::from("/etc/containers/policy.json");
    let vendor = PathBuf::from("/usr/share/containers/policy.json");
    // One that cannot be looked at is not passed over: it may forbid something.
    let is_missing = |path: &Path| {
        let looked = path.symlink_metadata();
        looked.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    match own.filter(|own| !is_missing(own)) {
        Some(own) => own,
        None if is_missing(&machine) && !is_missing(&vendor) => vendor,
        None => machine,
    }
}

fn parse(text: &[u8]) -> Result<Policy, String> {
    let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if let Some((key, _)) = document.others.first_key_value() {
        return Err(format!("Unknown key \"{key}\""));
    }
    let default = document.default.ok_or("Default policy is missing")?;
    let scopes = |scopes: Unique<Vec<Map<String, Value>>>| {
        let read = |(scope, wanted): (String, Vec<_>)| Ok((scope, requirements(&wanted)?));
        scopes
            .0
            .into_iter()
            .map(read)
            .collect::<Result<_, String>>()
    };
    let transports = document.transports.0.into_iter();
    Ok(Policy {
        default: requirements(&default)?,
        transports: transports
            .map(|(transport, known)| Ok((transport, scopes(known)?)))
            .collect::<Result<_, String>>()?,
    })
}

fn requirements(wanted: &[Map<String, Value>]) -> Result<Vec<Requirement>, String> {
    if wanted.is_empty() {
        return Err("List of verification policy requirements must not be empty".to_string());
    }
    wanted.iter().map(requirement).collect()
}

fn requirement(wanted: &Map<String, Value>) -> Result<Requirement, String> {
    let kind = wanted.get("type").and_then(Value::as_str);
    let kind = kind.unwrap_or_default();
    let requirement = match kind {
        "insecureAcceptAnything" => Requirement::Accept,
        "reject" => Requirement::Reject,
        signature if SIGNATURES.contains(&signature) => {
            return Ok(Requirement::Signature(signature.to_string()));
        }
        other => return Err(format!("Unknown policy requirement type \"{other}\"")),
    };
    match wanted.keys().find(|key| *key != "type") {
        Some(key) => Err(format!("Unknown key \"{key}\"")),
        None => Ok(requirement),
    }
}

impl Policy {
    /// Whether an image may be copied from there.
    ///
    /// # Errors
    /// If it may not, or if that would have to be checked.
    pub(super) fn check(&self, source: &Reference) -> Result<(), Fatal> {
        let rejected = |why: String| Err(Fatal::new(format!("Source image rejected: {why}")));
        let scopes = scopes(source);
        let wanted = self.wanted(transport(source), &scopes);
        if wanted.contains(&Requirement::Reject) {
            let shown = shown(source);
            return rejected(format!("Running image {shown} is rejected by policy."));
        }
        let signature = wanted.iter().find_map(|wanted| match wanted {
            Requirement::Signature(kind) => Some(kind),
            _ => None,
        });
        match signature {
            Some(kind) => rejected(format!(
                "A signature was required ({kind}), and imgcopy checks no signatures"
            )),
            None => Ok(()),
        }
    }

    /// What the narrowest scope says that is named.
    fn wanted(&self, transport: &str, scopes: &[String]) -> &[Requirement] {
        let Some(known) = self.transports.get(transport) else {
            return &self.default;
        };
        let named = scopes.iter().find_map(|scope| known.get(scope));
        named.or_else(|| known.get("")).unwrap_or(&self.default)
    }
}

fn transport(source: &Reference) -> &'static str {
    match source {
        Reference::Docker { .. } => "docker",
        Reference::DockerDaemon { .. } => "docker-daemon",
        Reference::OciDir { .. } => "oci",
        Reference::OciArchive { .. } => "oci-archive",
        Reference::Dir { .. } => "dir",
        Reference::DockerArchive { .. } => "docker-archive",
    }
}

/// The scopes that an image is in, the narrowest first.
fn scopes(source: &Reference) -> Vec<String> {
    match source {
        Reference::Docker { repository, name } => {
            let whole = repository.to_string();
            let mut scopes = vec![match name {
                Name::Digest(digest) => format!("{whole}@{digest}"),
                other => format!("{whole}:{other}"),
            }];
            scopes.extend(outward(&whole, '/'));
            // Above a host, the domains that it is in.
            let host = repository.registry();
            let mut domain = host;
            while let Some((_, parent)) = domain.split_once('.') {
                scopes.push(format!("*.{parent}"));
                domain = parent;
            }
            scopes
        }
        Reference::OciDir { path, name } | Reference::OciArchive { path, name } => {
            let place = resolved(path);
            let image = match name {
                Name::Sole => String::new(),
                other => other.to_string(),
            };
            let mut scopes = vec![format!("{place}:{image}")];
            scopes.extend(outward(&place, '/'));
            scopes
        }
        Reference::Dir { path } => outward(&resolved(path), '/').collect(),
        // Archives of Docker have no scopes but the transport's own.
        Reference::DockerArchive { .. } | Reference::DockerDaemon { .. } => Vec::new(),
    }
}

/// A text, and each part of it that ends before a separator; nothing empty.
fn outward(whole: &str, separator: char) -> impl Iterator<Item = String> {
    let up = move |inner: &String| {
        let (outer, _) = inner.rsplit_once(separator)?;
        (!outer.is_empty()).then(|| outer.to_string())
    };
    std::iter::successors(Some(whole.to_string()), up)
}

/// A path without links: policies name places, not ways to them.
fn resolved(path: &Path) -> String {
    let whole = path.canonicalize();
    let whole = whole.or_else(|_| std::path::absolute(path));
    let whole = whole.unwrap_or_else(|_| path.to_path_buf());
    whole.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(policy: &str, source: &str) -> String {
        let policy = match parse(policy.as_bytes()) {
            Ok(policy) => policy,
            Err(why) => return why,
        };
        match policy.check(&source.parse().unwrap()) {
            Ok(()) => "accepted".to_string(),
            Err(fatal) => format!("{fatal:?}"),
        }
    }

    #[test]
    fn the_narrowest_scope_decides() {
        let policy = r#"{"default": [{"type": "reject"}], "transports": {
            "docker": {
                "": [{"type": "sigstoreSigned", "keyPath": "/k"}],
                "h.example/team": [{"type": "insecureAcceptAnything"}],
                "h.example/team/secret": [{"type": "reject"}],
                "h.example/team/secret:open": [{"type": "insecureAcceptAnything"}],
                "*.corp.example": [{"type": "insecureAcceptAnything"}]
            },
            "dir": {"/no": [{"type": "insecureAcceptAnything"}]}
        }}"#;
        for (source, says_it) in [
            ("docker://h.example/team/app:1", "accepted"),
            ("docker://h.example/team/secret:1", "rejected by policy"),
            ("docker://h.example/team/secret:open", "accepted"),
            ("docker://h.example/teams/app:1", "sigstoreSigned"),
            ("docker://a.b.corp.example/x:1", "accepted"),
            ("docker://corp.example/x:1", "sigstoreSigned"),
            ("dir:/no/where/there", "accepted"),
            ("dir:/nowhere", "rejected by policy"),
            ("docker-archive:x.tar", "rejected by policy"),
        ] {
            let said = says(policy, source);
            assert!(said.contains(says_it), "{source}: {said}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_policy() {
        for (policy, why) in [
            ("{}", "Default policy is missing"),
            (r#"{"default": []}"#, "must not be empty"),
            (r#"{"default": [{"type": "x"}]}"#, "type \"x\""),
            (r#"{"default": [{}]}"#, "type \"\""),
            (
                r#"{"default": [{"type": "reject", "x": 1}]}"#,
                "Unknown key",
            ),
            (
                r#"{"default": [{"type": "reject"}], "x": 1}"#,
                "Unknown key",
            ),
            (
                r#"{"default": [{"type": "reject"}], "default": [{"type": "insecureAcceptAnything"}]}"#,
                "duplicate",
            ),
            (
                r#"{"default": [{"type": "reject"}], "transports": {"dir": {"": [{"type": "reject"}], "": [{"type": "insecureAcceptAnything"}]}}}"#,
                "Duplicate key",
            ),
        ] {
            let said = says(policy, "dir:x");
            assert!(said.contains(why), "{policy}: {said}");
        }
    }
}
