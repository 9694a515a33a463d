//! OCI archives: an OCI image layout in one tar, as skopeo, podman, BuildKit and others write it, and
//! `docker save` since Docker 25. The rules are those of an OCI directory; what differs is only where
//! the files are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::outer;
use super::tar_index::TarIndex;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, MANIFEST_LIMIT, Manifest, Name};
use crate::store::blob::{Blob, FileRange};
use crate::store::oci_dir::index;
use crate::store::{Source, Store, blocking};

/// An archive, opened for reading.
pub struct OciArchive(Arc<Layout>);

/// What is in it.
struct Layout {
    path: PathBuf,
    tar: TarIndex,
    entries: Vec<Descriptor>,
}

impl OciArchive {
    /// Opens an archive: reads its headers and its list of images. `-` is stdin.
    ///
    /// # Errors
    /// `NoPlace` if there is no such file; `Invalid` if it is no OCI archive, is damaged, or holds
    /// what could be read in two ways; `Unsupported` if its layout is of an unknown version.
    pub fn open(path: &Path) -> Result<Self> {
        let mut tar = TarIndex::of(&outer::open(path)?)?;
        let marker = tar.read(index::MARKER, index::MARKER_LIMIT)?;
        let list = tar.read(index::FILE, index::LIMIT)?;
        let (Some(marker), Some(list)) = (&marker, &list) else {
            let is_saved = matches!(tar.file("manifest.json"), Ok(Some(_)));
            let what = match (is_saved, marker) {
                (true, _) => "it is an archive of docker save: write docker-archive:",
                (_, None) => "it has no oci-layout file: it is no OCI archive",
                (_, Some(_)) => "it has no index.json: it is no OCI archive, or not all of one",
            };
            return Err(Error::new(ErrorKind::Invalid, what));
        };
        tar.check()?;
        index::check_marker(marker)?;
        Ok(Self(Arc::new(Layout {
            path: path.to_path_buf(),
            entries: index::entries(list)?,
            tar,
        })))
    }
}

impl Layout {
    fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        let read = |digest: &Digest| self.tar.read(&path_of(digest), MANIFEST_LIMIT);
        index::resolve(&self.entries, name, &self.to_string(), read)
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let digest = &descriptor.digest;
        let bytes = match (
            self.tar.read(&path_of(digest), MANIFEST_LIMIT)?,
            &descriptor.data,
        ) {
            (Some(bytes), _) => Bytes::from(bytes),
            (None, Some(data)) => data.clone(),
            (None, None) => return Err(self.missing(digest)),
        };
        Manifest::parse(bytes, descriptor)
            .attempting(|| format!("cannot read manifest {digest} of {self}"))
    }

    fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        let found: Option<FileRange> = self.tar.file(&path_of(&blob.digest))?;
        match (found, &blob.data) {
            (Some(range), _) => {
                index::check_size(blob, range.len)?;
                Ok(Blob::file(blob.clone(), range))
            }
            (None, Some(data)) => Ok(Blob::memory(blob.clone(), data.clone())),
            (None, None) => Err(self.missing(&blob.digest)),
        }
    }

    fn missing(&self, digest: &Digest) -> Error {
        Error::new(ErrorKind::NotFound, format!("{self} has no {digest}"))
    }
}

/// Where a layout keeps a blob.
fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci-archive:{}", self.path.display())
    }
}

impl fmt::Display for OciArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Store for OciArchive {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        self.0.resolve(name)
    }

    async fn names(&self) -> Result<Vec<Name>> {
        Ok(index::names(&self.0.entries))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.0.manifest(descriptor)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let (layout, subject) = (Arc::clone(&self.0), subject.clone());
        blocking(move || {
            // What cannot be read refers to nothing.
            let manifests = layout.entries.iter();
            let manifests = manifests.filter_map(|entry| layout.manifest(entry).ok());
            Ok(index::referrers(manifests, &subject))
        })
        .await
    }
}

#[async_trait]
impl Source for OciArchive {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        let found = self.0.blob(blob);
        found.attempting(|| format!("cannot read a blob of {self}"))
    }
}
