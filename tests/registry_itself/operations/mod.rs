//! Plain operations as one list, asked of the scripted registry and of Debian's docker-registry: what
//! the specification says of them is in the list, and all else is compared.

mod blobs;
mod differences;
mod lists;
mod manifests;
mod uploads;

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::{Method, Response};

use crate::client;
use crate::server::Server;
use crate::support::registry::Registry;
use differences::DIFFERENCES;

/// What is compared, besides the status, the code of an error and the body.
const HEADERS: &[&str] = &[
    "accept-ranges",
    "allow",
    "cache-control",
    "content-length",
    "content-range",
    "content-type",
    "docker-content-digest",
    "docker-distribution-api-version",
    "docker-upload-uuid",
    "etag",
    "link",
    "location",
    "oci-filters-applied",
    "oci-subject",
    "range",
];

/// One request, and what the specification has for an answer.
struct Operation {
    /// What it is for; together with the name of its story there is no other.
    name: &'static str,
    method: &'static str,
    /// Below `/v2/`; or `@` for the last `Location` of the story, and `@0` for its first one.
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    status: u16,
    /// The code of the error, where there is a body to say it.
    code: &'static str,
}

impl Operation {
    fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    fn gives(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn fails(mut self, status: u16, code: &'static str) -> Self {
        (self.status, self.code) = (status, code);
        self
    }
}

/// An operation that gives 200 unless something else is said.
fn ask(name: &'static str, method: &'static str, path: impl Into<String>) -> Operation {
    Operation {
        name,
        method,
        path: path.into(),
        headers: Vec::new(),
        body: Bytes::new(),
        status: 200,
        code: "",
    }
}

/// Operations that follow each other, in repositories of their own.
struct Story {
    name: &'static str,
    operations: Vec<Operation>,
}

fn story(name: &'static str, operations: Vec<Operation>) -> Story {
    Story { name, operations }
}

fn all() -> Vec<Story> {
    let mut all = uploads::stories();
    all.extend(blobs::stories());
    all.extend(manifests::stories());
    all.extend(lists::stories());
    all
}

/// What came of an operation: the status, the code of an error, headers, the body.
type Told = BTreeMap<&'static str, String>;

/// Everything that came, by the names of operations.
async fn told_by(host: &str) -> BTreeMap<String, Told> {
    let (client, mut all_told) = (client(), BTreeMap::new());
    for story in all() {
        let mut locations = Vec::new();
        for operation in &story.operations {
            let name = format!("{}: {}", story.name, operation.name);
            let url = url(host, &operation.path, &locations);
            let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
            let mut request = client.request(method, url).body(operation.body.clone());
            for (header, value) in &operation.headers {
                request = request.header(*header, value);
            }
            let response = request.send().await.unwrap();
            if let Some(location) = response.headers().get("location") {
                locations.push(location.to_str().unwrap().to_string());
            }
            let told = told(host, response).await;
            assert_eq!(all_told.insert(name.clone(), told), None, "twice: {name}");
        }
    }
    all_told
}

fn url(host: &str, path: &str, locations: &[String]) -> String {
    let (location, rest) = match (path.strip_prefix("@0"), path.strip_prefix('@')) {
        (Some(rest), _) => (&locations[0], rest),
        (None, Some(rest)) => (locations.last().unwrap(), rest),
        (None, None) => return format!("http://{host}/v2/{path}"),
    };
    let location = match location.starts_with('/') {
        true => format!("http://{host}{location}"),
        false => location.clone(),
    };
    match rest.strip_prefix('?') {
        Some(query) if location.contains('?') => format!("{location}&{query}"),
        _ => format!("{location}{rest}"),
    }
}

async fn told(host: &str, response: Response) -> Told {
    let mut told = Told::from([("status", response.status().as_u16().to_string())]);
    let uuid = response.headers().get("docker-upload-uuid").cloned();
    for header in HEADERS {
        if let Some(value) = response.headers().get(*header) {
            let mut value = value.to_str().unwrap().replace(host, "HOST");
            if let Some(uuid) = &uuid {
                value = value.replace(uuid.to_str().unwrap(), "ID");
            }
            if let Some((before, _)) = value.split_once("_state=") {
                value = format!("{before}_state=..");
            }
            told.insert(header, value);
        }
    }
    let is_error = !response.status().is_success();
    let is_json = told
        .get("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    if is_error || is_json {
        // Each has its own messages, and its own spaces in JSON.
        told.remove("content-length");
    }
    // docker-registry announces more than it sends with some errors.
    let body = response.bytes().await.unwrap_or_default();
    let mut document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(tags) = document
        .get_mut("tags")
        .and_then(|tags| tags.as_array_mut())
    {
        // docker-registry 2.8 has them as the file system has.
        tags.sort_by_key(ToString::to_string);
    }
    match document["errors"][0]["code"].as_str() {
        Some(code) if is_error => {
            told.insert("code", code.to_string());
        }
        _ => {
            let text = match document {
                serde_json::Value::Null => String::from_utf8_lossy(&body).into_owned(),
                document => document.to_string(),
            };
            told.insert("body", text.trim_end().chars().take(300).collect());
        }
    }
    told
}

/// Panics unless everything is as the list has it, but for differences that `is_known`.
#[track_caller]
fn assert_as_listed(all_told: &BTreeMap<String, Told>, is_known: impl Fn(&str, &str) -> bool) {
    let mut wrong = Vec::new();
    for story in all() {
        for operation in &story.operations {
            let name = format!("{}: {}", story.name, operation.name);
            let told = &all_told[&name];
            let status = operation.status.to_string();
            if told["status"] != status && !is_known(&name, "status") {
                wrong.push(format!("{name}: {} and not {status}", told["status"]));
            }
            let code = told.get("code").map_or("", String::as_str);
            if operation.code != code && operation.method != "HEAD" && !is_known(&name, "code") {
                wrong.push(format!("{name}: {code:?} and not {:?}", operation.code));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn plain_operations_give_what_the_specification_says() {
    let registry = Registry::start();
    assert_as_listed(&told_by(&registry.host()).await, |_, _| false);
    assert_eq!(registry.open_uploads(), uploads::LEFT_OPEN);
}

#[tokio::test]
async fn docker_registry_answers_alike_but_for_what_is_listed() {
    let Some(theirs) = Server::debian() else {
        return;
    };
    let theirs = told_by(theirs.host()).await;
    let registry = Registry::start();
    let ours = told_by(&registry.host()).await;
    let mut found = Vec::new();
    for (name, our) in &ours {
        let their = &theirs[name];
        let mut fields: Vec<&str> = our.keys().chain(their.keys()).copied().collect();
        fields.sort_unstable();
        fields.dedup();
        for field in fields {
            let value = |told: &Told| told.get(field).cloned().unwrap_or_default();
            if value(our) != value(their) {
                found.push((name.clone(), field, value(our), value(their)));
            }
        }
    }
    let is_known = |name: &str, field: &str| DIFFERENCES.iter().any(|known| known.is(name, field));
    let unknown: Vec<String> = found
        .iter()
        .filter(|(name, field, ..)| !is_known(name, field))
        .map(|(name, field, our, their)| format!("{name}: {field}: {our:?}, theirs {their:?}"))
        .collect();
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert_as_listed(&theirs, is_known);
    for known in DIFFERENCES {
        for field in known.fields() {
            let is_there = found
                .iter()
                .any(|(name, of, ..)| *of == field && known.is(name, field));
            assert!(is_there, "no longer so: {field} of {known:?}");
        }
    }
}
