//! A repository as a place to write to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::super::end::End;
use super::super::fallback;
use super::super::retry::{Op, Verdict, verdict};
use super::super::trouble::Trouble;
use super::super::upload::{self, Mounted, Upload};
use super::{Registry, note};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Config, Descriptor, Manifest, MediaKind, Name, Repository, Tag};
use crate::store::blob::Blob;
use crate::store::{
    Destination, Intake, KnownLayer, Presence, Role, Source as _, Store as _, WantedLayers,
    blocking, locked,
};

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
            true => {
                let there = self.look(end, &blob.digest.to_string()).await?;
                there.is_some_and(|there| there.digest == blob.digest)
            }
            false if self.is_distrusted() => false,
            false => end.has_blob(blob).await?,
        };
        if !is_there {
            locked(&self.lacks).insert(blob.digest.clone());
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
            // An image that is damaged knows nothing, and is about to be replaced.
            let Ok(config) = read_config(self, &image.config).await else {
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
        let turn = turn(end, blob);
        let _turn = turn.lock().await;
        if end.holds(&blob.digest) {
            return Ok(true);
        }
        self.mounted(end, blob, from).await
    }

    fn intake(&self) -> Intake {
        Intake::Lasting
    }

    async fn put_blob(&self, blob: Blob) -> Result<Descriptor> {
        let end = self.own()?;
        let blob = match blob.is_recompressed() {
            true => blocking(move || blob.spooled()).await?,
            false => blob,
        };
        let descriptor = blob.descriptor().clone();
        let turn = turn(end, &descriptor);
        let _turn = turn.lock().await;
        if self.has_or_mounts(end, &descriptor).await? {
            return Ok(descriptor);
        }
        let session = locked(&self.sessions).remove(&descriptor.digest);
        let upload = Upload {
            end,
            blob,
            session,
            chunk: None,
        };
        let what = || format!("cannot write {} to {self}", descriptor.digest);
        upload.run().await.attempting(what)?;
        Ok(descriptor)
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()> {
        let end = self.own()?;
        let digest = &manifest.descriptor().digest;
        let tags: Vec<Option<&Tag>> = match role {
            Role::Child | Role::Root([]) => vec![None],
            Role::Root(tags) => tags.iter().map(Some).collect(),
        };
        for tag in tags {
            let what = || match tag {
                Some(tag) => format!("cannot write {self}:{tag}"),
                None => format!("cannot write manifest {digest} to {self}"),
            };
            match end.put(manifest, tag).await {
                Ok(()) => note(end, manifest),
                Err(trouble) => return Err(self.healed(trouble)).attempting(what),
            }
        }
        fallback::list(end, manifest).await
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

/// One blob travels to a registry once at a time, whichever repositories want it: the others can
/// mount it afterwards (R-19, P-19).
fn turn(end: &End, blob: &Descriptor) -> Arc<tokio::sync::Mutex<()>> {
    end.host.learnt.turn("", &blob.digest)
}

async fn read_config(from: &Registry, config: &Descriptor) -> Result<Config> {
    let blob = from.blob(config).await?;
    Config::parse(&blob.bytes(Config::LIMIT).await?)
}

impl Registry {
    fn is_distrusted(&self) -> bool {
        self.is_distrusted.load(Ordering::Relaxed)
    }

    /// Whether the blob need not travel. Whoever did not ask before asks now: that costs less than
    /// sending what is there.
    async fn has_or_mounts(&self, end: &End, blob: &Descriptor) -> Result<bool> {
        if end.holds(&blob.digest) {
            return Ok(true);
        }
        if self.is_distrusted() {
            return Ok(false);
        }
        if !locked(&self.lacks).contains(&blob.digest)
            && self.presence(blob).await? == Presence::Vouched
        {
            return Ok(true);
        }
        if locked(&self.sessions).contains_key(&blob.digest) {
            return Ok(false);
        }
        // Another image of this run may have brought it to this registry already (P-19).
        match end.host.learnt.elsewhere(&end.path, &blob.digest) {
            Some(other) => {
                let other = Repository::new(self.name.registry(), &other)?;
                self.mounted(end, blob, &other).await
            }
            None => Ok(false),
        }
    }

    /// Whether the registry took the blob from another repository. A session that it began instead
    /// is kept for the upload.
    async fn mounted(&self, end: &End, blob: &Descriptor, from: &Repository) -> Result<bool> {
        if self.is_distrusted() {
            return Ok(false);
        }
        match upload::mount(end, blob, from).await? {
            Mounted::Yes => Ok(true),
            Mounted::Opened(session) => {
                locked(&self.sessions).insert(blob.digest.clone(), session);
                Ok(false)
            }
            Mounted::No => Ok(false),
        }
    }

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
