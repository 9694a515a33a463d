//! Copies by the library, impatient, between scripted registries; and what they asked.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use imgcopy::copy::{Job, Outcome, Silent, When, copy};
use imgcopy::error::{Error, Result};
use imgcopy::image::{Descriptor, Name, Reference, Repository};
use imgcopy::store::registry::{Options, Registries, Registry as Place};
use imgcopy::store::{Store as _, open_destination, open_source};

use crate::support::registry::{Logged, Server, digest};

pub const REPO: &str = "team/app";

/// Nobody, at the registries themselves, with times that fit a test.
pub fn options() -> Options {
    let mut options = Options::bare();
    options.retry.times = 3;
    options.retry.delay = Duration::from_millis(1);
    options.limits.answer = Duration::from_secs(10);
    options.limits.idle = Duration::from_secs(10);
    options.limits.commit = Duration::from_secs(10);
    options
}

pub fn registries() -> Registries {
    Registries::new(options())
}

pub fn repository(server: &Server, path: &str) -> Repository {
    format!("{}/{path}", server.host()).parse().unwrap()
}

/// `docker://HOST/PATH:TAG`
pub fn at(server: &Server, path: &str, tag: &str) -> String {
    format!("docker://{}/{path}:{tag}", server.host())
}

/// One copy of an image without what belongs to it, of which several may share what they learn.
pub async fn copy_by(registries: &Registries, from: &str, to: &str) -> Result<Outcome> {
    copy_with(registries, from, to, |_| {}).await
}

pub async fn copy_with(
    registries: &Registries,
    from: &str,
    to: &str,
    change: impl FnOnce(&mut Job<'_>),
) -> Result<Outcome> {
    let (from, to): (Reference, Reference) = (from.parse()?, to.parse()?);
    let source = open_source(&from, registries)?;
    let destination = open_destination(&to, registries, false)?;
    let mut job = Job::new(&*source, &*destination);
    job.name = from.name().clone();
    job.tags = to.name().tag().cloned().into_iter().collect();
    if let Name::Digest(digest) = to.name() {
        job.expected = Some(digest.clone());
    }
    job.companions.when = When::Never;
    change(&mut job);
    copy(&job, &Silent::new()).await
}

/// One copy that knows nothing of any other.
pub async fn copy_of(from: &str, to: &str) -> Result<Outcome> {
    copy_by(&registries(), from, to).await
}

pub async fn fails(from: &str, to: &str) -> Error {
    match copy_of(from, to).await {
        Ok(outcome) => panic!("it was copied as {}", outcome.digest),
        Err(error) => error,
    }
}

pub fn source(server: &Server) -> Place {
    registries().source(&repository(server, REPO)).unwrap()
}

pub fn destination(server: &Server) -> Place {
    registries().destination(&repository(server, REPO)).unwrap()
}

pub fn tag(name: &str) -> Name {
    Name::Tag(name.parse().unwrap())
}

/// What a tag stands for, by its digest.
pub async fn resolved(server: &Server, name: &str) -> Option<String> {
    let found: Option<Descriptor> = source(server).resolve(&tag(name)).await.unwrap();
    found.map(|found| found.digest.to_string())
}

/// `oci:PATH:TAG`
pub fn directory(path: &Path, tag: &str) -> String {
    format!("oci:{}:{tag}", path.display())
}

/// What a request is, in a word or two.
pub fn kind(request: &Logged) -> String {
    let path = &request.path;
    let asks = |name: &str| request.query.iter().any(|(key, _)| key == name);
    let what = match path.as_str() {
        "/v2/" | "/v2" => "ping",
        "/token" => "token",
        _ if path.ends_with("/tags/list") => "tags",
        _ if path.contains("/referrers/") => "referrers",
        _ if path.contains("/manifests/sha256:") => "manifest by digest",
        _ if path.contains("/manifests/") => "tag",
        _ if path.contains("/blobs/uploads/") && asks("mount") => "mount",
        _ if path.contains("/blobs/uploads/") => "upload",
        _ if path.contains("/blobs/") => "blob",
        _ => path,
    };
    format!("{} {what}", request.method)
}

/// How many requests of each kind a server got.
pub fn kinds(server: &Server) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for request in server.log() {
        *kinds.entry(kind(&request)).or_default() += 1;
    }
    kinds
}

/// Panics unless a server got exactly these requests, in any order.
#[track_caller]
pub fn asked(server: &Server, expected: &[(&str, usize)]) {
    let expected = expected
        .iter()
        .map(|(kind, count)| ((*kind).to_string(), *count));
    assert_eq!(kinds(server), expected.collect());
}

/// How many requests changed anything.
pub fn writes(server: &Server) -> usize {
    let log = server.log();
    let is_write = |request: &&Logged| !matches!(request.method.as_str(), "GET" | "HEAD");
    log.iter().filter(is_write).count()
}

pub fn sha256(bytes: &[u8]) -> String {
    digest("sha256", bytes)
}
