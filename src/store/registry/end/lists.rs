//! Lists that come in pages: of tags, and of what refers to a manifest.

use std::collections::BTreeSet;

use bytes::Bytes;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use super::super::headers::{all, link};
use super::super::policy;
use super::super::retry::{Op, Signal};
use super::super::trouble::Trouble;
use super::{End, type_of};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, MediaType, Tag};

/// The largest page and the largest list, in bytes, and the most pages (S-17, S-20). Three million
/// tags fit.
const PAGE_LIMIT: u64 = 8 << 20;
const LIST_LIMIT: u64 = 64 << 20;
const PAGES: usize = 10_000;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const INDEX: HeaderValue = HeaderValue::from_static(MediaType::OCI_INDEX);

/// A part of a list, and where the next one is.
struct Page {
    url: Url,
    media_type: MediaType,
    body: Bytes,
    next: Option<String>,
}

/// Which pages were read, and how many bytes they were.
#[derive(Default)]
struct Read {
    pages: BTreeSet<String>,
    bytes: u64,
}

impl End {
    /// Every tag, in the registry's order. What is no tag is left out.
    pub(in super::super) async fn tags(&self) -> Result<Vec<Tag>> {
        let mut tags = Vec::new();
        let mut known = BTreeSet::new();
        let mut read = Read::default();
        let path = format!("{}/tags/list?n=1000", self.path);
        let mut url = Some(self.call(Method::GET, &path).await?.url);
        while let Some(this) = url.take() {
            let page = self.page(&this, &JSON).await?;
            let list = page.list("tags")?;
            let before = known.len();
            for text in list.iter().filter_map(Value::as_str) {
                let tag = text.parse::<Tag>().ok();
                let is_new = known.insert(text.to_string());
                tags.extend(tag.filter(|tag| is_new && tag.check_for_registry().is_ok()));
            }
            url = read.after(&page, known.len() > before)?;
        }
        Ok(tags)
    }

    /// What refers to a manifest, by the API (distribution specification, "Listing Referrers").
    /// `None` if the registry has none. Only an index counts as an answer: others redirect to pages
    /// for people, or know no such endpoint.
    pub(in super::super) async fn referrers(
        &self,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>> {
        let path = format!("{}/referrers/{subject}", self.path);
        let first = self.call(Method::GET, &path).await?.url;
        let first = match self.page(&first, &INDEX).await {
            Err(trouble) if trouble.status().is_some_and(is_no) => return Ok(None),
            first => first?,
        };
        if !first.is_index() {
            return Ok(None);
        }
        let mut found: Vec<Descriptor> = Vec::new();
        let mut known = BTreeSet::new();
        let mut read = Read::default();
        let mut page = first;
        loop {
            let before = found.len();
            for entry in page.list("manifests")? {
                let entry: Descriptor = serde_json::from_value(entry)?;
                if known.insert(entry.digest.clone()) {
                    found.push(entry);
                }
            }
            match read.after(&page, found.len() > before)? {
                Some(url) => page = self.page(&url, &INDEX).await?,
                None => return Ok(Some(found)),
            }
        }
    }

    async fn page(&self, url: &Url, accept: &HeaderValue) -> Result<Page, Trouble> {
        let page = self.host.repeat(Op::Read, || async {
            let mut call = self.call(Method::GET, "").await?;
            call.url = url.clone();
            call.follow = *accept != INDEX;
            call.headers.insert(ACCEPT, accept.clone());
            let answer = self.host.send(&call).await?.expect(&[200]).await?;
            let links = all(&answer.headers, "link");
            let next = link::next(&links).map(str::to_string);
            let media_type = type_of(&answer);
            let body = answer.body(PAGE_LIMIT).await?;
            // A page that was cut short must not pass for a shorter list (F-21). An empty answer
            // about referrers is no index.
            let may_be_cut = *accept == JSON || !body.is_empty();
            match serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
                Err(error) if error.is_eof() && may_be_cut => {
                    let what = Error::new(ErrorKind::Io, "the list ends early");
                    Err(Trouble::new(Signal::Truncated, what))
                }
                _ => Ok(Page {
                    url: url.clone(),
                    media_type,
                    body,
                    next,
                }),
            }
        });
        page.await
    }
}

/// Whether a status says that there is no such endpoint, and not that something is wrong.
fn is_no(status: u16) -> bool {
    matches!(status, 300..=399 | 400 | 403..=407 | 410 | 415 | 501)
}

impl Page {
    /// The entries of the list. A registry without any may write `null`, or nothing.
    fn list(&self, key: &str) -> Result<Vec<Value>> {
        let page: Value =
            serde_json::from_slice(&self.body).attempting(|| "cannot read the list")?;
        let list = page.get(key).and_then(Value::as_array);
        Ok(list.cloned().unwrap_or_default())
    }

    /// Whether it is an index: by its type, or by its own word if the type says nothing.
    fn is_index(&self) -> bool {
        let of_body = || {
            let page: Option<Value> = serde_json::from_slice(&self.body).ok();
            page.is_some_and(|page| {
                page.get("mediaType")
                    .is_some_and(|it| it == MediaType::OCI_INDEX)
            })
        };
        match self.media_type.as_str() {
            "" => of_body(),
            said => said == MediaType::OCI_INDEX,
        }
    }
}

impl Read {
    /// The page after this one. A list that leads in a circle is not a shorter list (S-20).
    fn after(&mut self, page: &Page, has_news: bool) -> Result<Option<Url>> {
        self.pages.insert(page.url.to_string());
        self.bytes += page.body.len() as u64;
        let Some(link) = &page.next else {
            return Ok(None);
        };
        let next = policy::next_page(&page.url, link)?;
        if !has_news || self.pages.contains(next.as_str()) || self.pages.len() >= PAGES {
            let what = "its pages bring nothing new and do not end, or there are too many";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        if self.bytes > LIST_LIMIT {
            let what = format!("the list is over the limit of {LIST_LIMIT} bytes");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Some(next))
    }
}
