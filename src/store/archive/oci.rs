//! OCI archives: an OCI image layout in one tar, as skopeo, podman, BuildKit and others write it, and
//! `docker save` since Docker 25. The rules are those of an OCI directory; what differs is only where
//! the files are.

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

use super::source::Opened;
use super::tape::{Body, Fault, Gone, went_by};
use super::tar_index::TarIndex;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, Digest, MANIFEST_LIMIT, Manifest, Name};
use crate::store::blob::{Blob, Passed};
use crate::store::oci_dir::index;
use crate::store::{Source, Store, Taker, blocking};

/// An archive, opened for reading.
pub struct OciArchive(Opened<Layout>);

/// What is in it.
struct Layout {
    place: String,
    tar: TarIndex,
    entries: Vec<Descriptor>,
}

impl OciArchive {
    /// Opens an archive: reads its headers and its list of images. `-` is stdin. What comes through a
    /// pipe is read when somebody asks for something.
    ///
    /// # Errors
    /// `NoPlace` if there is no such file; `Invalid` if it is no OCI archive, is damaged, or holds
    /// what could be read in two ways; `Unsupported` if its layout is of an unknown version.
    pub fn open(path: &Path) -> Result<Self> {
        let place = format!("oci-archive:{}", path.display());
        Opened::open(place, path, Layout::read).map(Self)
    }
}

impl Layout {
    fn read(place: &str, mut tar: TarIndex) -> Result<Self> {
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
        Ok(Layout {
            place: place.to_string(),
            entries: index::entries(list)?,
            tar,
        })
    }

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
        let manifest = Manifest::parse(bytes, descriptor)
            .attempting(|| format!("cannot read manifest {digest} of {self}"))?;
        for blob in manifest.blobs() {
            if let Some(Body::Gone(gone)) = self.tar.file(&path_of(&blob.digest))? {
                check(&gone, blob)
                    .attempting(|| format!("cannot read {} of {self}", blob.digest))?;
            }
        }
        Ok(manifest)
    }

    fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        let found = self.tar.file(&path_of(&blob.digest))?;
        match (found, &blob.data) {
            (Some(Body::Gone(_)), _) => Err(went_by(&blob.digest)),
            (Some(Body::Here(range)), _) => {
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

/// Compares what went by with what a manifest says of it. Its media type is looked at as it would be when
/// it is read.
fn check(gone: &Gone, blob: &Descriptor) -> Result<()> {
    let passed = gone.as_ref().as_ref().map_err(Fault::error)?;
    index::check_size(blob, passed.came.size)?;
    if passed.came.digest != blob.digest {
        let what = format!("its bytes are {}", passed.came.digest);
        return Err(Error::new(ErrorKind::Corrupt, what));
    }
    let found = passed.came.media_type.compression();
    match blob.media_type.compression() {
        Some(promised) if promised != Compression::None && found != Some(promised) => {
            let what = format!("its media type says {promised}, its bytes are not");
            Err(Error::new(ErrorKind::Invalid, what))
        }
        _ => Ok(()),
    }
}

/// Where a layout keeps a blob.
fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Display for OciArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.place())
    }
}

#[async_trait]
impl Store for OciArchive {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        self.0.get().await?.resolve(name)
    }

    async fn names(&self) -> Result<Vec<Name>> {
        Ok(index::names(&self.0.get().await?.entries))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.0.get().await?.manifest(descriptor)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let (layout, subject) = (self.0.get().await?, subject.clone());
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
    fn is_stream(&self) -> bool {
        self.0.is_stream()
    }

    async fn pass(&self, _: &Name, taker: &dyn Taker) -> Result<()> {
        self.0.pass(taker).await
    }

    async fn passed(&self) -> Vec<Passed> {
        self.0
            .now()
            .map_or_else(Vec::new, |layout| layout.tar.passed())
    }

    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        let found = self.0.get().await?.blob(blob);
        found.attempting(|| format!("cannot read a blob of {self}"))
    }
}
