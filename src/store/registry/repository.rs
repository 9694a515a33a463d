//! One repository, as a place to read from and to write to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tracing::debug;

use super::download::Remote;
use super::end::{End, Head};
use super::fallback;
use super::retry::{Op, Verdict, verdict};
use super::spool;
use super::trouble::Trouble;
use super::upload::{self, Mounted, Session, Upload};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Config, Descriptor, Digest, Manifest, MediaKind, Name, Repository, Tag};
use crate::store::blob::Blob;
use crate::store::{Destination, KnownLayer, Presence, Role, Source, Store, WantedLayers, locked};

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
            is_distrusted: AtomicBool::new(false),
        }
    }

    /// The place itself, which comes last.
    fn own(&self) -> Result<&End> {
        let nowhere = || Error::new(ErrorKind::NoPlace, "the repository is nowhere");
        self.by_digest.last().ok_or_else(nowhere)
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
        match end.head(reference).await? {
            Head::Found(found) => {
                locked(&self.heads).insert(found.digest.clone());
                Ok(Some(found))
            }
            // What only is written to may have been asked in vain; what is read from is asked twice
            // before it is said to be missing (Q-14, F-25).
            Head::Missing if self.is_written() => Ok(None),
            Head::Missing | Head::Unclear => {
                let got = end.get(reference, None).await?;
                Ok(got.map(|manifest| self.keep(manifest).descriptor().clone()))
            }
        }
    }

    fn is_written(&self) -> bool {
        let scopes = self
            .by_digest
            .last()
            .and_then(|end| end.scopes.list.first());
        scopes.is_some_and(|scope| scope.contains("push"))
    }

    fn keep(&self, manifest: Manifest) -> Manifest {
        let mut kept = locked(&self.manifests);
        if kept.len() >= KEPT {
            kept.pop_first();
        }
        kept.insert(manifest.descriptor().digest.clone(), manifest.clone());
        manifest
    }

    /// What a repository gives out as a manifest it has with all that is in it.
    fn note(&self, end: &End, manifest: &Manifest) {
        let pieces = manifest.blobs().filter(|blob| !blob.may_live_elsewhere());
        let named = pieces
            .chain(manifest.children())
            .map(|piece| piece.digest.clone());
        end.note(named.chain([manifest.descriptor().digest.clone()]));
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
            &self.by_tag,
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
            let got = end.get(&digest.to_string(), Some(expected)).await?;
            if let Some(manifest) = &got {
                self.note(end, manifest);
            }
            Ok(got)
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
        let got = self.first(ends, |end| async move {
            let got = end.get(reference, wanted).await?;
            if let Some(manifest) = &got {
                self.note(end, manifest);
            }
            Ok(got)
        });
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
        let end = self.own()?;
        if let Some(listed) = end.referrers(subject).await.attempting(what)? {
            return Ok(listed);
        }
        let tag = super::referrers::fallback_tag(subject);
        match end.get(&tag, None).await.attempting(what)? {
            Some(index) => Ok(index.children().to_vec()),
            None => Ok(Vec::new()),
        }
    }

    fn repository(&self) -> Option<&Repository> {
        Some(&self.name)
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
        let remote = Remote {
            ends: Arc::clone(&self.by_digest),
            blob: blob.clone(),
        };
        Ok(Blob::content(blob.clone(), Arc::new(remote)))
    }
}

#[async_trait]
impl Destination for Registry {
    async fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        let end = self.own()?;
        if end.holds(&blob.digest) {
            return Ok(Presence::Vouched);
        }
        let is_manifest = matches!(
            blob.media_type.kind(),
            MediaKind::Index | MediaKind::Manifest
        );
        let is_there = match is_manifest {
            true => matches!(
                end.head(&blob.digest.to_string()).await?,
                Head::Found(there) if there.digest == blob.digest
            ),
            false if self.is_distrusted.load(Ordering::Relaxed) => false,
            false => end.has_blob(blob).await?,
        };
        if !is_there {
            return Ok(Presence::Absent);
        }
        end.note([blob.digest.clone()]);
        Ok(Presence::Vouched)
    }

    async fn known_layers(&self, wanted: &WantedLayers<'_>) -> Result<Vec<KnownLayer>> {
        let Some(near) = wanted.near else {
            return Ok(Vec::new());
        };
        let Some(there) = self.resolve(&Name::Tag(near.clone())).await? else {
            return Ok(Vec::new());
        };
        let mut known = Vec::new();
        let mut below = vec![self.manifest(&there).await?];
        while let Some(manifest) = below.pop() {
            for child in manifest
                .children()
                .iter()
                .filter(|child| child.platform.is_some())
            {
                below.extend(self.manifest(child).await);
            }
            let Some(image) = manifest.as_image().filter(|image| image.is_container()) else {
                continue;
            };
            let config = self.blob(&image.config).await?.bytes(Config::LIMIT).await?;
            let Ok(config) = Config::parse(&config) else {
                continue;
            };
            let pairs = config.diff_ids().iter().zip(&image.layers);
            let fits = pairs.filter(|(diff_id, layer)| {
                wanted.diff_ids.contains(*diff_id)
                    && layer.media_type.compression() == Some(wanted.compression)
            });
            known.extend(fits.map(|(diff_id, layer)| KnownLayer {
                diff_id: diff_id.clone(),
                layer: layer.clone(),
            }));
        }
        Ok(known)
    }

    async fn mount(&self, blob: &Descriptor, from: &Repository) -> Result<bool> {
        let end = self.own()?;
        if end.holds(&blob.digest) {
            return Ok(true);
        }
        if self.is_distrusted.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let turn = end.host.learnt.turn(&end.path, &blob.digest);
        let _turn = turn.lock().await;
        match upload::mount(end, blob, from).await? {
            Mounted::Yes => Ok(true),
            Mounted::Opened(session) => {
                locked(&self.sessions).insert(blob.digest.clone(), session);
                Ok(false)
            }
            Mounted::No => Ok(false),
        }
    }

    async fn put_blob(&self, blob: Blob) -> Result<Descriptor> {
        let end = self.own()?;
        let blob = match blob.is_recompressed() {
            true => {
                let known = spool::spool(blob).await?;
                if self.presence(known.descriptor()).await? == Presence::Vouched {
                    return Ok(known.descriptor().clone());
                }
                known
            }
            false => blob,
        };
        let descriptor = blob.descriptor().clone();
        let what = || format!("cannot write {} to {self}", descriptor.digest);
        let turn = end.host.learnt.turn(&end.path, &descriptor.digest);
        let _turn = turn.lock().await;
        if end.holds(&descriptor.digest) {
            return Ok(descriptor);
        }
        let mut session = locked(&self.sessions).remove(&descriptor.digest);
        // Another image of this run may have brought it to this registry already (P-19).
        let elsewhere = end.host.learnt.elsewhere(&end.path, &descriptor.digest);
        let trusted = !self.is_distrusted.load(Ordering::Relaxed);
        if let Some(other) = elsewhere.filter(|_| session.is_none() && trusted) {
            let other = Repository::new(self.name.registry(), &other)?;
            match upload::mount(end, &descriptor, &other).await? {
                Mounted::Yes => return Ok(descriptor),
                Mounted::Opened(open) => session = Some(open),
                Mounted::No => {}
            }
        }
        let upload = Upload { end, blob, session };
        upload.run().await.attempting(what)?;
        Ok(descriptor)
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()> {
        let end = self.own()?;
        let digest = &manifest.descriptor().digest;
        let tags: Vec<Option<&Tag>> = match role {
            Role::Child => vec![None],
            Role::Root([]) => vec![None],
            Role::Root(tags) => tags.iter().map(Some).collect(),
        };
        for tag in tags {
            let what = || match tag {
                Some(tag) => format!("cannot write {self}:{tag}"),
                None => format!("cannot write manifest {digest} to {self}"),
            };
            match end.put(manifest, tag).await {
                Ok(()) => {
                    self.note(end, manifest);
                    fallback::list(end, manifest).await?;
                }
                Err(trouble) => return Err(self.healed(trouble)).attempting(what),
            }
        }
        Ok(())
    }

    async fn delete(&self, name: &Name) -> Result<()> {
        let reference = match name {
            Name::Tag(tag) => tag.to_string(),
            Name::Digest(digest) | Name::Pinned(_, digest) => digest.to_string(),
            Name::Sole | Name::At(_) => return Err(self.unnamed(name)),
        };
        let end = self.own()?;
        let deleted = end.delete(&reference).await;
        deleted.attempting(|| format!("cannot delete {name} from {self}"))
    }
}

impl Registry {
    /// If the registry lacks pieces that it said it had, what it says does not count from now on, and
    /// a new survey will send them again; but only once (F-66, F-37).
    fn healed(&self, trouble: Trouble) -> Error {
        let heals = trouble
            .signal
            .as_ref()
            .is_some_and(|signal| verdict(Op::PutManifest, signal) == Verdict::SelfHeal);
        if !heals {
            return trouble.error;
        }
        if let Ok(end) = self.own() {
            end.host.learnt.forget(&end.path);
        }
        match self.is_distrusted.swap(true, Ordering::Relaxed) {
            true => trouble.error.of_kind(ErrorKind::Io),
            false => trouble.error.of_kind(ErrorKind::Changed),
        }
    }
}
