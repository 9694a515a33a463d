//! An engine to read from: what it exports is read as an archive of `docker save`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::access::Access;
use super::engine::Engine;
use super::export::Export;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Manifest, Name};
use crate::store::archive::DockerArchive;
use crate::store::blob::{Blob, Passed};
use crate::store::{Promise, Source, Store, Taker};

/// The images of a Docker engine, to read from. An image is exported when its manifest or a blob of it
/// is asked for, once, and as a whole: the engine gives it out in no other way. A copy has it exported
/// while its layers pass; whatever else asks for one keeps the export in a temporary file.
pub struct Daemon {
    engine: Engine,
    exported: Mutex<BTreeMap<Name, Arc<DockerArchive>>>,
}

impl Daemon {
    /// The engine that is reached so. It is not asked anything yet.
    ///
    /// # Errors
    /// `Invalid` if its certificates are no good.
    pub fn new(access: &Access) -> Result<Self> {
        Ok(Self {
            engine: Engine::new(access)?,
            exported: Mutex::default(),
        })
    }

    /// The archive of an image; `None` if there is none of this name.
    async fn archive(&self, name: &Name) -> Result<Option<Arc<DockerArchive>>> {
        let Some(path) = path(name)? else {
            return Ok(None);
        };
        let mut exported = self.exported.lock().await;
        if let Some(archive) = exported.get(name) {
            return Ok(Some(Arc::clone(archive)));
        }
        let Some(export) = self.export(&path).await? else {
            return Ok(None);
        };
        let kept = export.kept().await.attempting(|| cannot_read(&path))?;
        let archive = DockerArchive::in_file(place(&path), &kept);
        let archive = Arc::new(archive.attempting(|| cannot_read(&path))?);
        exported.insert(name.clone(), Arc::clone(&archive));
        Ok(Some(archive))
    }

    /// Has an image exported; `None` if there is none of this name.
    async fn export(&self, path: &str) -> Result<Option<Export>> {
        match self.engine.export(path).await {
            // An older engine answers 500 to this, and 404 to a question for the same image.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error)
                if self
                    .engine
                    .image_id(path)
                    .await
                    .is_ok_and(|id| id.is_none()) =>
            {
                tracing::debug!(%error, "no such image");
                Ok(None)
            }
            export => export.map(Some),
        }
    }

    async fn archives(&self) -> Vec<Arc<DockerArchive>> {
        self.exported
            .lock()
            .await
            .values()
            .map(Arc::clone)
            .collect()
    }
}

fn place(path: &str) -> String {
    format!("docker-daemon:{path}")
}

fn cannot_read(path: &str) -> String {
    format!("cannot read the export of {path}")
}

/// What an engine calls an image; `None` if nothing there can have this name.
pub(super) fn path(name: &Name) -> Result<Option<String>> {
    Ok(match name {
        Name::Tag(tag) => Some(tag.to_string()),
        Name::Digest(digest) => Some(digest.to_string()),
        Name::Pinned(..) | Name::At(_) => None,
        Name::Sole => {
            let what = "an engine has many images: write docker-daemon:NAME:TAG or docker-daemon:sha256:ID";
            return Err(Error::new(ErrorKind::Ambiguous, what));
        }
    })
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("docker-daemon:")
    }
}

#[async_trait]
impl Store for Daemon {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        match self.archive(name).await? {
            Some(archive) => archive.resolve(&Name::Sole).await,
            None => Ok(None),
        }
    }

    async fn names(&self) -> Result<Vec<Name>> {
        let names = self.engine.names().await?;
        names
            .iter()
            .map(|name| name.parse().map(Name::Tag))
            .collect()
    }

    async fn image_id(&self, name: &Name) -> Result<Option<Digest>> {
        match path(name)? {
            Some(path) => self.engine.image_id(&path).await,
            None => Ok(None),
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        for archive in self.archives().await {
            match archive.manifest(descriptor).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                found => return found,
            }
        }
        Err(missing(&descriptor.digest))
    }
}

#[async_trait]
impl Source for Daemon {
    fn promise(&self) -> Promise {
        Promise::ImageId
    }

    fn is_stream(&self) -> bool {
        let exported = self.exported.try_lock();
        exported.is_ok_and(|exported| exported.is_empty())
    }

    fn is_single(&self) -> bool {
        true
    }

    async fn pass(&self, name: &Name, taker: &dyn Taker) -> Result<()> {
        let Some(path) = path(name)? else {
            return Ok(());
        };
        let mut exported = self.exported.lock().await;
        if exported.contains_key(name) {
            return Ok(());
        }
        let Some(export) = self.export(&path).await? else {
            return Ok(());
        };
        let archive = DockerArchive::in_stream(place(&path), export.reader(), taker);
        let archive = archive.await.attempting(|| cannot_read(&path))?;
        exported.insert(name.clone(), Arc::new(archive));
        Ok(())
    }

    async fn passed(&self) -> Vec<Passed> {
        let mut passed = Vec::new();
        for archive in self.archives().await {
            passed.extend(archive.passed().await);
        }
        passed
    }

    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        for archive in self.archives().await {
            match archive.blob(blob).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                found => return found,
            }
        }
        Err(missing(&blob.digest))
    }
}

fn missing(digest: &Digest) -> Error {
    let what = format!("what the engine exported holds no {digest}");
    Error::new(ErrorKind::NotFound, what)
}
