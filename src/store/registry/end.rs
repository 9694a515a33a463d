//! One repository at one registry: the requests that the distribution specification has for it.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tracing::debug;

use super::auth::Scopes;
use super::headers::content::media_type;
use super::headers::{all, link};
use super::host::Host;
use super::policy;
use super::retry::{Op, Signal, Verdict, verdict};
use super::send::{Answer, Payload};
use super::trouble::Trouble;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, MANIFEST_LIMIT, Manifest, MediaKind, MediaType, Tag};

/// A repository at a registry.
#[derive(Clone)]
pub(super) struct End {
    pub(super) host: Arc<Host>,
    pub(super) path: String,
    pub(super) is_mirror: bool,
    pub(super) scopes: Scopes,
}

/// What we can read, said in full: Quay takes every type by its exact name, and others convert what
/// they believe we cannot read.
const ACCEPTED: [&str; 4] = [
    MediaType::OCI_INDEX,
    MediaType::OCI_MANIFEST,
    MediaType::DOCKER_INDEX,
    MediaType::DOCKER_MANIFEST,
];

/// The largest list of tags or referrers that is read, in bytes a page, and in pages (S-17, S-20).
const PAGE_LIMIT: u64 = 8 << 20;
const PAGES: usize = 10_000;

/// What a HEAD tells of a manifest.
#[derive(Debug)]
pub(super) enum Head {
    Found(Descriptor),
    Missing,
    /// It exists or not; the answer does not say what it is.
    Unclear,
}

impl End {
    pub(super) fn holds(&self, digest: &Digest) -> bool {
        self.host.learnt.holds(&self.path, digest)
    }

    pub(super) fn note(&self, digests: impl IntoIterator<Item = Digest>) {
        self.host.learnt.note(&self.path, digests);
    }

    /// What a manifest is, by its tag or digest, without reading it.
    pub(super) async fn head(&self, reference: &str) -> Result<Head, Trouble> {
        let path = format!("{}/manifests/{reference}", self.path);
        let head = self.host.repeat(Op::Read, || async {
            let mut call = self.host.call(Method::HEAD, &path, &self.scopes).await?;
            call.headers.insert(ACCEPT, accepted());
            let answer = self.host.send(&call).await?;
            match answer.status.as_u16() {
                200 => Ok(described(&answer)),
                404 => Ok(Head::Missing),
                // Some registries refuse HEAD, or refuse it for what is not there.
                403 | 405 | 400 => Ok(Head::Unclear),
                _ => Err(answer.into_trouble().await),
            }
        });
        head.await
    }

    /// A manifest by its tag or digest. `None` if there is none. The digest of the bytes is
    /// computed; what the headers say of it is only compared (Q-40, S-02, S-03).
    pub(super) async fn get(
        &self,
        reference: &str,
        expected: Option<&Descriptor>,
    ) -> Result<Option<Manifest>> {
        let first = self.get_once(reference, expected).await;
        match first {
            // A bad line spoils bytes once; a bad registry does it again (F-32).
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                debug!(%error, "reading the manifest again");
                self.get_once(reference, expected).await
            }
            first => first,
        }
    }

    async fn get_once(
        &self,
        reference: &str,
        expected: Option<&Descriptor>,
    ) -> Result<Option<Manifest>> {
        let path = format!("{}/manifests/{reference}", self.path);
        let got = self.host.repeat(Op::Read, || async {
            let mut call = self.host.call(Method::GET, &path, &self.scopes).await?;
            call.headers.insert(ACCEPT, accepted_also(expected));
            let answer = self.host.send(&call).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let answer = answer.expect(&[200]).await?;
            let said = type_of(&answer);
            let digest: Option<Digest> = answer
                .header("docker-content-digest")
                .and_then(|it| it.parse().ok());
            Ok(Some((said, digest, answer.body(MANIFEST_LIMIT).await?)))
        });
        let Some((said, digest, bytes)) = got.await? else {
            return Ok(None);
        };
        parsed(bytes, &said, digest.as_ref(), expected).map(Some)
    }

    /// Whether the repository has a blob of this size.
    pub(super) async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Trouble> {
        let path = format!("{}/blobs/{}", self.path, blob.digest);
        let has = self.host.repeat(Op::Read, || async {
            let mut call = self.host.call(Method::HEAD, &path, &self.scopes).await?;
            call.follow = false;
            let answer = self.host.send(&call).await?;
            match answer.status.as_u16() {
                200 => {
                    let length = answer
                        .header("content-length")
                        .and_then(|it| it.parse().ok());
                    Ok(length.is_none_or(|length: u64| length == blob.size))
                }
                // To where it is kept, so it is kept. That place may refuse a HEAD (F-39).
                301 | 302 | 303 | 307 | 308 => Ok(true),
                404 | 405 | 403 | 400 => Ok(false),
                _ => Err(answer.into_trouble().await),
            }
        });
        has.await
    }

    /// Writes a manifest under a tag, or under its digest. Lost answers are looked up.
    pub(super) async fn put(&self, manifest: &Manifest, tag: Option<&Tag>) -> Result<(), Trouble> {
        let digest = &manifest.descriptor().digest;
        let reference = tag.map_or(digest.to_string(), Tag::to_string);
        let path = format!("{}/manifests/{reference}", self.path);
        let mut backoff = super::retry::Backoff::new(&self.host.options.retry);
        loop {
            let trouble = match self.put_once(&path, manifest).await {
                Ok(()) => break,
                Err(trouble) => trouble,
            };
            let Some(signal) = trouble.signal.clone() else {
                return Err(trouble);
            };
            let verdict = verdict(Op::PutManifest, &signal);
            debug!(error = %trouble.error, ?verdict, "a manifest was not taken");
            match verdict {
                Verdict::LookUp | Verdict::Compare
                    if self.stands_for(&reference, digest).await? =>
                {
                    break;
                }
                Verdict::Compare => {
                    let what = format!(
                        "the tag {reference} stands for another image, and may not be moved"
                    );
                    return Err(trouble.error.attempting(what).into());
                }
                Verdict::Retry | Verdict::After(_) | Verdict::LookUp => {}
                _ => return Err(trouble),
            }
            match backoff.next(&signal, &verdict) {
                Ok(pause) => self.host.rest(&signal, pause).await,
                Err(stop) => return Err(trouble.stopped(&stop)),
            }
        }
        self.note([digest.clone()]);
        Ok(())
    }

    async fn put_once(&self, path: &str, manifest: &Manifest) -> Result<(), Trouble> {
        let descriptor = manifest.descriptor();
        let mut call = self.host.call(Method::PUT, path, &self.scopes).await?;
        let media_type = HeaderValue::from_str(descriptor.media_type.as_str());
        let unsendable = |_| Error::new(ErrorKind::Invalid, "its media type cannot be sent");
        call.headers
            .insert(CONTENT_TYPE, media_type.map_err(unsendable)?);
        call.body = Payload::Bytes(manifest.bytes().clone());
        call.patience = self.host.options.limits.commit;
        let answer = self.host.send(&call).await?;
        if !answer.status.is_success() {
            return Err(answer.into_trouble().await);
        }
        // A registry that rewrote it has another image now (F-84).
        let stored = answer
            .header("docker-content-digest")
            .and_then(|it| it.parse::<Digest>().ok());
        match stored {
            Some(stored)
                if stored.algorithm() == descriptor.digest.algorithm()
                    && stored != descriptor.digest =>
            {
                let what = format!(
                    "the registry made {stored} of manifest {}",
                    descriptor.digest
                );
                Err(Error::new(ErrorKind::Corrupt, what).into())
            }
            _ => Ok(()),
        }
    }

    async fn stands_for(&self, reference: &str, digest: &Digest) -> Result<bool, Trouble> {
        Ok(match self.head(reference).await? {
            Head::Found(there) => there.digest == *digest,
            Head::Missing => false,
            Head::Unclear => {
                let there = self.get(reference, None).await?;
                there.is_some_and(|there| there.descriptor().digest == *digest)
            }
        })
    }

    /// Every tag, in the registry's order. What is no tag is left out.
    pub(super) async fn tags(&self) -> Result<Vec<Tag>> {
        let mut tags: Vec<Tag> = Vec::new();
        let mut known = std::collections::BTreeSet::new();
        let path = format!("{}/tags/list?n=1000", self.path);
        self.pages(&path, ACCEPT_JSON, &mut |page| {
            let list = page
                .get("tags")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let before = tags.len();
            for tag in list
                .filter_map(Value::as_str)
                .filter_map(|tag| tag.parse::<Tag>().ok())
            {
                if tag.check_for_registry().is_ok() && known.insert(tag.clone()) {
                    tags.push(tag);
                }
            }
            Ok(tags.len() > before)
        })
        .await?;
        Ok(tags)
    }

    /// What refers to a manifest, by the API (distribution specification, "Listing Referrers").
    /// `None` if the registry has none: only an index counts as an answer.
    pub(super) async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>> {
        let path = format!("{}/referrers/{subject}", self.path);
        let mut found: Vec<Descriptor> = Vec::new();
        let mut is_index = true;
        let mut take = |page: &Value| {
            let Some(list) = page.get("manifests").and_then(Value::as_array) else {
                is_index = false;
                return Ok(false);
            };
            let before = found.len();
            for entry in list {
                let entry: Descriptor = serde_json::from_value(entry.clone())?;
                if !found.iter().any(|known| known.digest == entry.digest) {
                    found.push(entry);
                }
            }
            Ok(found.len() > before)
        };
        let none = [ErrorKind::NotFound, ErrorKind::Denied, ErrorKind::Invalid];
        match self.pages(&path, MediaType::OCI_INDEX, &mut take).await {
            Ok(()) => Ok(is_index.then_some(found)),
            Err(error) if none.contains(&error.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads page after page. `take` says whether a page brought anything new; a page that did
    /// not, or one that was there before, ends it (S-20).
    async fn pages(
        &self,
        path: &str,
        accept: &'static str,
        take: &mut (dyn FnMut(&Value) -> Result<bool> + Send),
    ) -> Result<()> {
        let first = self.host.call(Method::GET, path, &self.scopes).await?;
        let mut next = Some(first.url);
        let mut seen = std::collections::BTreeSet::new();
        while let Some(url) = next.take() {
            if !seen.insert(url.to_string()) || seen.len() > PAGES {
                let what = "its pages lead in a circle, or there are too many";
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            let (link, body) = self.page(&url, accept).await?;
            let page: Value = serde_json::from_slice(&body).attempting(|| "the list is no JSON")?;
            let has_news = take(&page)?;
            if let Some(link) = link.filter(|_| has_news) {
                next = Some(policy::next_page(&url, &link)?);
            }
        }
        Ok(())
    }

    async fn page(
        &self,
        url: &reqwest::Url,
        accept: &'static str,
    ) -> Result<(Option<String>, Bytes)> {
        let page = self.host.repeat(Op::Read, || async {
            let mut call = self.host.call(Method::GET, "", &self.scopes).await?;
            call.url = url.clone();
            call.headers
                .insert(ACCEPT, HeaderValue::from_static(accept));
            let answer = self.host.send(&call).await?.expect(&[200]).await?;
            let links = all(&answer.headers, "link");
            let link = link::next(&links).map(str::to_string);
            let body = answer.body(PAGE_LIMIT).await?;
            // A page that was cut short must not pass for a shorter list (F-21).
            match serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
                Err(error) if error.is_eof() => {
                    let what = Error::new(ErrorKind::Io, "the list ends early");
                    Err(Trouble::new(Signal::Truncated, what))
                }
                _ => Ok((link, body)),
            }
        });
        Ok(page.await?)
    }

    /// Deletes a manifest by its digest, under all of its tags, or a tag.
    pub(super) async fn delete(&self, reference: &str) -> Result<()> {
        let path = format!("{}/manifests/{reference}", self.path);
        let deleted = self.host.repeat(Op::Delete, || async {
            let call = self.host.call(Method::DELETE, &path, &self.scopes).await?;
            self.host
                .send(&call)
                .await?
                .expect(&[200, 202, 204])
                .await?;
            Ok(())
        });
        match deleted.await {
            Err(trouble) if matches!(trouble.status(), Some(405 | 400)) => {
                let what = "the registry does not let anybody delete: its operator must allow it";
                Err(Error::new(ErrorKind::Unsupported, trouble.error.to_string()).attempting(what))
            }
            deleted => Ok(deleted?),
        }
    }
}

const ACCEPT_JSON: &str = "application/json";

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
        "application/octet-stream" | "application/json" | "text/plain" => MediaType::default(),
        other => other.into(),
    }
}

fn described(answer: &Answer) -> Head {
    let digest = answer
        .header("docker-content-digest")
        .and_then(|it| it.parse().ok());
    let Some(digest) = digest else {
        return Head::Unclear;
    };
    let size = answer
        .header("content-length")
        .and_then(|it| it.parse().ok());
    Head::Found(Descriptor::new(type_of(answer), digest, size.unwrap_or(0)))
}

/// The manifest that the bytes are, if they are what was asked for.
fn parsed(
    bytes: Bytes,
    said: &MediaType,
    digest: Option<&Digest>,
    expected: Option<&Descriptor>,
) -> Result<Manifest> {
    let size = bytes.len() as u64;
    let Some(expected) = expected else {
        let named = match digest {
            Some(digest) => Descriptor::new(said.clone(), digest.clone(), size),
            None => Descriptor::of(said.clone(), &bytes),
        };
        return Manifest::parse(bytes, &named);
    };
    let both = !said.is_empty() && !expected.media_type.is_empty();
    if both && *said != expected.media_type && said.kind() != MediaKind::Other {
        let what = format!(
            "it is given out as {said}, its descriptor says {}",
            expected.media_type
        );
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    let hint = match expected.media_type.is_empty() {
        true => said,
        false => &expected.media_type,
    };
    // A HEAD may have told the size of another form of it; zero says nothing.
    let size = match expected.size {
        0 => size,
        told => told,
    };
    Manifest::parse(
        bytes,
        &Descriptor::new(hint.clone(), expected.digest.clone(), size),
    )
}
