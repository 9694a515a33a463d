//! One repository, as a place to read from and to write to.

mod destination;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tracing::debug;

use super::download::{Remote, WentOn};
use super::end::{End, Head};
use super::upload::Session;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Manifest, Name, Repository, Tag, companion};
use crate::store::blob::Blob;
use crate::store::{Source, Store, locked};

/// A repository of a registry.
pub struct Registry {
    name: Repository,
    /// Where it is asked for tags: mirrors first, the place itself last.
    by_tag: Vec<End>,
    /// Where it is asked by digest.
    by_digest: Arc<Vec<End>>,
    /// Manifests that were read already.
    manifests: Mutex<BTreeMap<Digest, Manifest>>,
    /// Manifests of which only a HEAD is known, which may have told another size.
    heads: Mutex<BTreeSet<Digest>>,
    /// Uploads that mounts left open.
    sessions: Mutex<BTreeMap<Digest, Session>>,
    /// Blobs that it said it does not have.
    lacks: Mutex<BTreeSet<Digest>>,
    /// The registry does not know HEAD: manifests are read at once.
    has_no_heads: AtomicBool,
    /// Whether what a HEAD did not find was not there. Then it is believed from now on.
    has_true_heads: tokio::sync::Mutex<bool>,
    /// It said that it has what it does not have: what it says of blobs does not count any more.
    is_distrusted: AtomicBool,
}

/// How many manifests are kept in memory.
const KEPT: usize = 64;

impl Registry {
    pub(super) fn new(name: Repository, by_tag: Vec<End>, by_digest: Vec<End>) -> Self {
        Self {
            name,
            by_tag,
            by_digest: Arc::new(by_digest),
            manifests: Mutex::default(),
            heads: Mutex::default(),
            sessions: Mutex::default(),
            lacks: Mutex::default(),
            has_no_heads: AtomicBool::new(false),
            has_true_heads: tokio::sync::Mutex::default(),
            is_distrusted: AtomicBool::new(false),
        }
    }

    /// The place itself, which comes last.
    fn own(&self) -> Result<&End> {
        let nowhere = || Error::new(ErrorKind::NoPlace, "the repository is nowhere");
        self.by_digest.last().ok_or_else(nowhere)
    }

    /// Where tags are listed: at the place itself, because a mirror may know only those that somebody
    /// asked it for. At mirrors only where there is nothing else.
    fn listing(&self) -> &[End] {
        match self.by_tag.split_last() {
            Some((own, _)) if !own.is_mirror => std::slice::from_ref(own),
            _ => &self.by_tag,
        }
    }

    /// Asks one place after the other until one answers with something.
    async fn first<'e, T, F>(
        &self,
        ends: &'e [End],
        ask: impl Fn(&'e End) -> F,
    ) -> Result<Option<T>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        let mut last = Ok(None);
        for end in ends {
            last = ask(end).await;
            match &last {
                Ok(Some(_)) => break,
                Ok(None) => {}
                Err(error) => debug!(%error, mirror = end.is_mirror, "no answer"),
            }
        }
        last
    }

    /// What a tag or digest stands for, by HEAD where that tells it, else by GET.
    async fn look(&self, end: &End, reference: &str) -> Result<Option<Descriptor>> {
        let head = match self.has_no_heads.load(Ordering::Relaxed) {
            true => Head::Unknown,
            false => end.head(reference).await?,
        };
        match head {
            Head::Found(found) => {
                locked(&self.heads).insert(found.digest.clone());
                return Ok(Some(found));
            }
            // What only is written to may have been asked in vain; what is read from is asked once
            // more before anything is said to be missing (Q-14, F-25).
            Head::Missing if end.is_written() => return Ok(None),
            Head::Missing => {
                let mut is_true = self.has_true_heads.lock().await;
                if *is_true {
                    return Ok(None);
                }
                let got = self.got(end, reference).await?;
                *is_true = got.is_none();
                return Ok(got);
            }
            Head::Unknown => self.has_no_heads.store(true, Ordering::Relaxed),
            Head::Unclear => {}
        }
        self.got(end, reference).await
    }

    /// What a tag or digest stands for, by reading it.
    async fn got(&self, end: &End, reference: &str) -> Result<Option<Descriptor>> {
        let got = read(end, reference, None).await?;
        Ok(got.map(|manifest| self.keep(manifest).descriptor().clone()))
    }

    fn keep(&self, manifest: Manifest) -> Manifest {
        let mut kept = locked(&self.manifests);
        if kept.len() >= KEPT {
            kept.pop_first();
        }
        kept.insert(manifest.descriptor().digest.clone(), manifest.clone());
        manifest
    }

    fn unnamed(&self, name: &Name) -> Error {
        let what = format!("{self}: an image of a registry has a tag or a digest, not {name}");
        Error::new(ErrorKind::Invalid, what)
    }

    fn pinned(&self, tag: &Tag, wanted: &Digest, found: &Digest) -> Result<()> {
        if wanted == found {
            return Ok(());
        }
        let what = format!("{self}:{tag} is {found}, not {wanted}");
        Err(Error::new(ErrorKind::Invalid, what))
    }
}

/// Reads a manifest, and notes what that tells of the repository.
async fn read(
    end: &End,
    reference: &str,
    expected: Option<&Descriptor>,
) -> Result<Option<Manifest>> {
    let got = end.get(reference, expected).await?;
    if let Some(manifest) = &got {
        note(end, manifest);
    }
    Ok(got)
}

/// What a repository gives out as a manifest it has with all that is in it.
fn note(end: &End, manifest: &Manifest) {
    let pieces = manifest.blobs().filter(|blob| !blob.may_live_elsewhere());
    let named = pieces
        .chain(manifest.children())
        .map(|piece| piece.digest.clone());
    end.note(named.chain([manifest.descriptor().digest.clone()]));
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docker://{}", self.name)
    }
}

#[async_trait]
impl Store for Registry {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        let what = || format!("cannot look up {name} in {self}");
        let (ends, reference) = match name {
            Name::Tag(tag) | Name::Pinned(tag, _) => (&self.by_tag, tag.to_string()),
            Name::Digest(digest) => (&*self.by_digest, digest.to_string()),
            Name::Sole | Name::At(_) => return Err(self.unnamed(name)),
        };
        let reference = &reference;
        let found = self.first(ends, |end| async move {
            let found = self.look(end, reference).await?;
            if let Some(found) = &found {
                end.note([found.digest.clone()]);
            }
            Ok(found)
        });
        let found = found.await.attempting(what)?;
        match (&found, name) {
            (Some(found), Name::Pinned(tag, wanted)) => self.pinned(tag, wanted, &found.digest)?,
            (Some(found), Name::Digest(wanted)) if found.digest != *wanted => {
                let what = format!("{self} gives out {} for {wanted}", found.digest);
                return Err(Error::new(ErrorKind::Corrupt, what));
            }
            _ => {}
        }
        Ok(found)
    }

    async fn names(&self) -> Result<Vec<Name>> {
        let listed = self.first(
            self.listing(),
            |end| async move { end.tags().await.map(Some) },
        );
        let tags = listed
            .await
            .attempting(|| format!("cannot list the tags of {self}"))?;
        Ok(tags
            .unwrap_or_default()
            .into_iter()
            .map(Name::Tag)
            .collect())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let digest = &descriptor.digest;
        if let Some(kept) = locked(&self.manifests).get(digest) {
            return Ok(kept.clone());
        }
        let mut expected = descriptor.clone();
        if locked(&self.heads).contains(digest) {
            expected.size = 0;
        }
        let expected = &expected;
        let got = self.first(&self.by_digest, |end| async move {
            read(end, &digest.to_string(), Some(expected)).await
        });
        let what = || format!("cannot read manifest {digest} of {self}");
        let missing = || {
            Error::new(
                ErrorKind::NotFound,
                format!("{self} has no manifest {digest}"),
            )
        };
        let got = got.await.attempting(what)?.ok_or_else(missing)?;
        Ok(self.keep(got))
    }

    async fn find(&self, name: &Name) -> Result<Option<Manifest>> {
        if let Name::Digest(digest) = name
            && let Some(kept) = locked(&self.manifests).get(digest)
        {
            return Ok(Some(kept.clone()));
        }
        let what = || format!("cannot read {name} of {self}");
        let (ends, reference, wanted) = match name {
            Name::Tag(tag) | Name::Pinned(tag, _) => (&self.by_tag, tag.to_string(), None),
            Name::Digest(digest) => {
                let wanted = Descriptor::new("".into(), digest.clone(), 0);
                (&*self.by_digest, digest.to_string(), Some(wanted))
            }
            Name::Sole | Name::At(_) => return Err(self.unnamed(name)),
        };
        let (reference, wanted) = (&reference, wanted.as_ref());
        let got = self.first(ends, |end| read(end, reference, wanted));
        let Some(got) = got.await.attempting(what)? else {
            return Ok(None);
        };
        if let Name::Pinned(tag, wanted) = name {
            self.pinned(tag, wanted, &got.descriptor().digest)?;
        }
        Ok(Some(self.keep(got)))
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let what = || format!("cannot list what refers to {subject} in {self}");
        let listed = self.first(&self.by_digest, |end| async move {
            if let Some(listed) = end.referrers(subject).await? {
                return Ok(Some(listed));
            }
            let tag = companion::referrers_tag(subject);
            let index = end.get(&tag, None).await?;
            // A mirror that lists nothing has an answer, too: it need not be asked elsewhere.
            let listed = index.map(|index| index.children().to_vec());
            Ok(Some(listed.unwrap_or_default()))
        });
        Ok(listed.await.attempting(what)?.unwrap_or_default())
    }

    fn repository(&self) -> Option<&Repository> {
        Some(&self.name)
    }

    fn requests(&self) -> u64 {
        let own = self.by_digest.last();
        own.map_or(0, |own| own.asked.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Source for Registry {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        // Foreign layers live at their URLs, which are never asked (S-30, Q-83).
        if blob.may_live_elsewhere() {
            let what = format!("{} lives at its URLs, not in {self}", blob.digest);
            return Err(Error::new(ErrorKind::NotFound, what));
        }
        // Content that its descriptor carries need not be asked for. It is checked when it is read.
        if let Some(data) = &blob.data {
            return Ok(Blob::memory(blob.clone(), data.clone()));
        }
        let remote = Remote {
            ends: Arc::clone(&self.by_digest),
            blob: blob.clone(),
            went_on: WentOn::default(),
        };
        Ok(Blob::content(blob.clone(), Arc::new(remote)))
    }
}
