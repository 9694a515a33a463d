//! One repository at one registry: the requests that the distribution specification has for it.

mod lists;
mod pulls;
mod writing;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};
use tracing::debug;

use super::answer::Answer;
use super::auth::Scopes;
use super::headers::content::{self, media_type};
use super::host::Host;
use super::retry::Op;
use super::send::Call;
use super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, MANIFEST_LIMIT, Manifest, MediaKind, MediaType};

/// A repository at a registry.
#[derive(Clone)]
pub(super) struct End {
    pub(super) host: Arc<Host>,
    pub(super) path: String,
    pub(super) is_mirror: bool,
    pub(super) scopes: Scopes,
    /// How many requests were made for this repository, wherever it was asked for.
    pub(super) asked: Arc<AtomicU64>,
}

/// What we can read, said in full: Quay takes every type by its exact name, and others convert what
/// they believe we cannot read.
const ACCEPTED: [&str; 4] = [
    MediaType::OCI_INDEX,
    MediaType::OCI_MANIFEST,
    MediaType::DOCKER_INDEX,
    MediaType::DOCKER_MANIFEST,
];

/// What a HEAD tells of a manifest.
#[derive(Debug)]
pub(super) enum Head {
    Found(Descriptor),
    Missing,
    /// It exists or not; the answer does not say what it is.
    Unclear,
    /// The registry does not know HEAD here, and need not be asked so again.
    Unknown,
}

/// What came as a manifest, and how it was called. Nothing is checked yet.
struct Got {
    /// Empty if the type says nothing.
    media_type: MediaType,
    digest: Option<Digest>,
    bytes: Bytes,
}

impl End {
    /// A request to an address below `/v2/`.
    pub(super) async fn call(&self, method: Method, path: &str) -> Result<Call> {
        let call = self.host.call(method, path, &self.scopes).await?;
        Ok(Call {
            asked: Arc::clone(&self.asked),
            ..call
        })
    }

    pub(super) fn holds(&self, digest: &Digest) -> bool {
        self.host.learnt.holds(&self.path, digest)
    }

    pub(super) fn note(&self, digests: impl IntoIterator<Item = Digest>) {
        self.host.learnt.note(&self.path, digests);
    }

    /// Whether it is here to be written to.
    pub(super) fn is_written(&self) -> bool {
        let own = self.scopes.list.first();
        own.is_some_and(|scope| scope.contains("push"))
    }

    /// Registries hide from strangers what there is.
    fn unseen(&self, trouble: Trouble) -> Trouble {
        match trouble.status() {
            Some(401 | 403) if !self.is_written() => Trouble {
                error: trouble
                    .error
                    .attempting("there is no such image, or no access to it"),
                ..trouble
            },
            _ => trouble,
        }
    }

    /// What a manifest is, by its tag or digest, without reading it.
    pub(super) async fn head(&self, reference: &str) -> Result<Head, Trouble> {
        let path = format!("{}/manifests/{reference}", self.path);
        let head = self.host.repeat(Op::Read, || async {
            let mut call = self.call(Method::HEAD, &path).await?;
            call.headers.insert(ACCEPT, accepted());
            let answer = self.host.send(&call).await?;
            match answer.status.as_u16() {
                200 => Ok(described(&answer, reference)),
                404 => Ok(Head::Missing),
                // Some registries refuse HEAD, or refuse it for what is not there.
                405 | 501 => Ok(Head::Unknown),
                403 | 400 => Ok(Head::Unclear),
                _ => Err(answer.into_trouble().await),
            }
        });
        head.await.map_err(|trouble| self.unseen(trouble))
    }

    /// A manifest by its tag or digest. `None` if there is none. The digest of the bytes is
    /// computed; what the headers say of it is only compared (S-02, S-03).
    pub(super) async fn get(
        &self,
        reference: &str,
        expected: Option<&Descriptor>,
    ) -> Result<Option<Manifest>> {
        let Some(got) = self.fetch(reference, expected).await? else {
            return Ok(None);
        };
        let bytes = got.bytes.clone();
        match got.parsed(expected) {
            // A bad line spoils bytes once; a bad registry does it again (F-32).
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                debug!(%error, "reading the manifest again");
            }
            parsed => return parsed.map(Some),
        }
        // Or its header was wrong: then the registry knows these bytes by their own digest (S-03).
        if expected.is_none() {
            let own = Descriptor::of(MediaType::default(), &bytes);
            let named = self.fetch(&own.digest.to_string(), Some(&own)).await;
            if let Ok(Some(named)) = named
                && let Ok(manifest) = named.parsed(Some(&own))
            {
                return Ok(Some(manifest));
            }
        }
        match self.fetch(reference, expected).await? {
            Some(got) => got.parsed(expected).map(Some),
            None => Ok(None),
        }
    }

    async fn fetch(
        &self,
        reference: &str,
        expected: Option<&Descriptor>,
    ) -> Result<Option<Got>, Trouble> {
        let path = format!("{}/manifests/{reference}", self.path);
        let got = self.host.repeat(Op::Read, || async {
            let mut call = self.call(Method::GET, &path).await?;
            call.headers.insert(ACCEPT, accepted_also(expected));
            let pull = self.may_pull(&path).await?;
            let answer = self.host.send(&call).await?;
            drop(pull);
            if answer.status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let answer = answer.expect(&[200]).await?;
            self.host.gate.count(|traffic| traffic.pulls += 1);
            let media_type = type_of(&answer);
            let digest = answer.header("docker-content-digest");
            let digest = digest.and_then(content::digest);
            let bytes = answer.body(MANIFEST_LIMIT).await?;
            Ok(Some(Got {
                media_type,
                digest,
                bytes,
            }))
        });
        got.await.map_err(|trouble| self.unseen(trouble))
    }

    /// Whether the repository has a blob of this size.
    pub(super) async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Trouble> {
        let path = format!("{}/blobs/{}", self.path, blob.digest);
        let has = self.host.repeat(Op::Read, || async {
            let mut call = self.call(Method::HEAD, &path).await?;
            call.follow = false;
            let answer = self.host.send(&call).await?;
            match answer.status.as_u16() {
                200 => Ok(answer.length().is_none_or(|length| length == blob.size)),
                // To where it is kept, so it is kept. That place may refuse a HEAD (F-39).
                301 | 302 | 303 | 307 | 308 => Ok(true),
                404 | 405 | 403 | 400 => Ok(false),
                _ => Err(answer.into_trouble().await),
            }
        });
        has.await
    }
}

fn accepted() -> HeaderValue {
    HeaderValue::from_str(&ACCEPTED.join(", ")).unwrap_or(HeaderValue::from_static("*/*"))
}

/// The usual types, and the one that the manifest is said to be.
fn accepted_also(expected: Option<&Descriptor>) -> HeaderValue {
    let also = expected
        .map(|expected| expected.media_type.as_str())
        .filter(|it| !it.is_empty() && !ACCEPTED.contains(it));
    let all = ACCEPTED
        .into_iter()
        .chain(also)
        .collect::<Vec<_>>()
        .join(", ");
    HeaderValue::from_str(&all).unwrap_or(accepted())
}

/// The type of an answer; empty if it is one that says nothing.
fn type_of(answer: &Answer) -> MediaType {
    let said = answer
        .header("content-type")
        .and_then(media_type)
        .unwrap_or_default();
    match said {
        "application/octet-stream" | "binary/octet-stream" | "application/json" | "text/plain" => {
            MediaType::default()
        }
        other => other.into(),
    }
}

/// What was asked for by its digest is that, and needs no header.
fn described(answer: &Answer, reference: &str) -> Head {
    let said = answer.header("docker-content-digest");
    let digest = said.and_then(content::digest);
    let Some(digest) = digest.or_else(|| reference.parse().ok()) else {
        return Head::Unclear;
    };
    let size = answer.length().unwrap_or(0);
    Head::Found(Descriptor::new(type_of(answer), digest, size))
}

impl Got {
    /// The manifest that the bytes are, if they are what was asked for.
    fn parsed(self, expected: Option<&Descriptor>) -> Result<Manifest> {
        let Self {
            media_type: said,
            digest,
            bytes,
        } = self;
        let size = bytes.len() as u64;
        let Some(expected) = expected else {
            let named = match digest {
                Some(digest) => Descriptor::new(said, digest, size),
                None => Descriptor::of(said, &bytes),
            };
            return Manifest::parse(bytes, &named);
        };
        let both = !said.is_empty() && !expected.media_type.is_empty();
        if both && said != expected.media_type && said.kind() != MediaKind::Other {
            let what = format!(
                "it is given out as {said}, its descriptor says {}",
                expected.media_type
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let hint = match expected.media_type.is_empty() {
            true => said,
            false => expected.media_type.clone(),
        };
        // A HEAD may have told the size of another form of it; zero says nothing.
        let size = match expected.size {
            0 => size,
            told => told,
        };
        let named = Descriptor::new(hint, expected.digest.clone(), size);
        Manifest::parse(bytes, &named)
    }
}
