//! Reading an OCI directory, and finding out what is in it. Blocking.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tracing::debug;

use super::index;
use super::ledger::{self, Change, Ledger};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{
    Algorithm, Body, Config, Descriptor, DiffId, Digest, MANIFEST_LIMIT, Manifest, Name,
};
use crate::store::blob::{Blob, FileRange};
use crate::store::files::{Folder, Found, Stamp};
use crate::store::{KnownLayer, Presence, WantedLayers, locked};

/// The directory of imgcopy's own files inside a layout.
pub(super) const OWN: &str = ".imgcopy";

/// An OCI directory, which may not be there yet.
pub(super) struct Layout {
    pub(super) path: PathBuf,
    /// The directory that holds the blobs, if that is another: below it as below `blobs`.
    shared: Option<PathBuf>,
    /// Whether blobs are read again even if the ledger knows them.
    pub(super) deep: bool,
    root: Mutex<Option<Arc<Folder>>>,
    ledger: Mutex<Option<Ledger>>,
}

impl Layout {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            shared: None,
            deep: false,
            root: Mutex::default(),
            ledger: Mutex::default(),
        }
    }

    /// The same layout with its blobs in a directory of their own.
    pub(super) fn share(&mut self, blobs: PathBuf) {
        self.shared = Some(blobs);
    }

    pub(super) fn shared(&self) -> Option<&Path> {
        self.shared.as_deref()
    }

    /// The open directory; `None` while it does not exist.
    pub(super) fn root(&self) -> Result<Option<Arc<Folder>>> {
        let mut root = locked(&self.root);
        if root.is_none() {
            *root = Folder::open(&self.path)?.map(Arc::new);
        }
        Ok(root.clone())
    }

    /// Whether `oci-layout` is there and of a version that imgcopy knows.
    pub(super) fn is_marked(&self) -> Result<bool> {
        let Some(root) = self.root()? else {
            return Ok(false);
        };
        let Some((text, _)) = root.read(index::MARKER, index::MARKER_LIMIT)? else {
            return Ok(false);
        };
        index::check_marker(&text).map(|()| true)
    }

    /// The entries of `index.json`: none if there is no such file.
    pub(super) fn entries(&self) -> Result<Vec<Descriptor>> {
        let Some(root) = self.root()? else {
            return Ok(Vec::new());
        };
        match root.read(index::FILE, index::LIMIT)? {
            Some((text, _)) => index::entries(&text),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        let read = |digest: &Digest| self.read(digest);
        index::resolve(&self.entries()?, name, &self.to_string(), read)
    }

    /// The bytes of a manifest, not checked yet.
    fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let Some(dir) = self.blobs(digest.algorithm())? else {
            return Ok(None);
        };
        let found = dir.read(digest.hex(), MANIFEST_LIMIT)?;
        Ok(found.map(|(bytes, _)| bytes))
    }

    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let bytes = match (self.read(&descriptor.digest)?, &descriptor.data) {
            (Some(bytes), _) => Bytes::from(bytes),
            (None, Some(data)) => data.clone(),
            (None, None) => return Err(self.missing(&descriptor.digest)),
        };
        Manifest::parse(bytes, descriptor)
            .attempting(|| format!("cannot read manifest {} of {self}", descriptor.digest))
    }

    pub(super) fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        match (self.find(&blob.digest)?, &blob.data) {
            (Found::File(file, stamp), _) => {
                index::check_size(blob, stamp.size)?;
                Ok(Blob::file(blob.clone(), FileRange::whole(file)?))
            }
            (Found::Other(is), _) => Err(Error::new(
                ErrorKind::Invalid,
                format!("{} is {is}", blob.digest),
            )),
            (Found::Nothing, Some(data)) => Ok(Blob::memory(blob.clone(), data.clone())),
            (Found::Nothing, None) => Err(self.missing(&blob.digest)),
        }
    }

    pub(super) fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        let (file, stamp) = match self.find(&blob.digest)? {
            Found::Nothing => return Ok(Presence::Absent),
            Found::Other(is) => return Ok(Presence::Damaged(format!("is {is}"))),
            Found::File(file, stamp) => (file, stamp),
        };
        if stamp.size != blob.size {
            let what = format!("has {} bytes, not {}", stamp.size, blob.size);
            return Ok(Presence::Damaged(what));
        }
        if !self.deep && self.with_ledger(|ledger| ledger.find(&blob.digest, stamp).is_some())? {
            return Ok(Presence::Recorded);
        }
        // What its media type promises is not in question here, only its bytes.
        let bare = Descriptor::new("".into(), blob.digest.clone(), blob.size);
        match Blob::file(bare, FileRange::whole(file)?).pour(&mut |_| Ok(())) {
            Ok(_) => {
                self.with_ledger(|ledger| ledger.note(&blob.digest, stamp, None))?;
                Ok(Presence::Checked)
            }
            Err(error) if error.is_bad_source() => Ok(Presence::Damaged("has other bytes".into())),
            Err(error) => Err(error),
        }
    }

    /// The layers that images of this directory say unpack to what is wanted: not checked yet.
    pub(super) fn candidates(
        &self,
        wanted: &WantedLayers<'_>,
    ) -> BTreeMap<DiffId, Vec<Descriptor>> {
        let mut found: BTreeMap<DiffId, Vec<Descriptor>> = BTreeMap::new();
        let mut entries = self.entries().unwrap_or_default();
        let near = wanted.near.map(crate::image::Tag::as_str);
        entries.sort_by_key(|entry| near.is_none() || entry.ref_name() != near);
        let mut seen = std::collections::BTreeSet::new();
        for entry in entries {
            let mut below = vec![entry];
            while let Some(descriptor) = below.pop() {
                if !seen.insert(descriptor.digest.clone()) {
                    continue;
                }
                // An image that cannot be read is of no use here; it may be somebody else's.
                match self.manifest(&descriptor) {
                    Ok(manifest) => {
                        below.extend_from_slice(manifest.children());
                        self.collect(&manifest, wanted, &mut found);
                    }
                    Err(error) => {
                        debug!(place = %self, digest = %descriptor.digest, %error, "passed over");
                    }
                }
            }
            if found.len() == wanted.diff_ids.len() {
                break;
            }
        }
        found
    }

    fn collect(
        &self,
        manifest: &Manifest,
        wanted: &WantedLayers<'_>,
        found: &mut BTreeMap<DiffId, Vec<Descriptor>>,
    ) {
        let Body::Image(image) = manifest.body() else {
            return;
        };
        let Some(Ok(config)) = image.is_container().then(|| self.config(&image.config)) else {
            return;
        };
        if config.diff_ids().len() != image.layers.len() {
            return;
        }
        for (diff_id, layer) in config.diff_ids().iter().zip(&image.layers) {
            let fits = wanted.diff_ids.contains(diff_id)
                && layer.media_type.compression() == Some(wanted.compression)
                && matches!(self.find(&layer.digest), Ok(Found::File(_, stamp)) if stamp.size == layer.size);
            if fits {
                found
                    .entry(diff_id.clone())
                    .or_default()
                    .push(layer.clone());
            }
        }
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Config> {
        Config::parse(&self.blob(descriptor)?.bytes_here(Config::LIMIT)?)
    }

    /// Whether a layer really unpacks to `diff_id`: known from before, or read now.
    pub(super) fn unpacks_to(
        &self,
        layer: &Descriptor,
        diff_id: &DiffId,
    ) -> Result<Option<KnownLayer>> {
        let Found::File(file, stamp) = self.find(&layer.digest)? else {
            return Ok(None);
        };
        let known = KnownLayer {
            diff_id: diff_id.clone(),
            layer: layer.clone(),
        };
        let recorded = self.with_ledger(|ledger| {
            let record = ledger.find(&layer.digest, stamp);
            record.is_some_and(|record| record.diff_id.as_ref() == Some(diff_id))
        })?;
        if recorded && !self.deep {
            return Ok(Some(known));
        }
        let blob = Blob::file(layer.clone(), FileRange::whole(file)?).unpacking_to(diff_id.clone());
        match blob.pour(&mut |_| Ok(())) {
            Ok(_) => {
                self.with_ledger(|ledger| ledger.note(&layer.digest, stamp, Some(diff_id)))?;
                Ok(Some(known))
            }
            Err(error) if error.is_bad_source() => {
                debug!(place = %self, layer = %layer.digest, %diff_id, "layer does not unpack to this");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes that a file is the blob it is called, because it was written so.
    pub(super) fn note(
        &self,
        digest: &Digest,
        stamp: Stamp,
        diff_id: Option<&DiffId>,
    ) -> Result<()> {
        self.with_ledger(|ledger| ledger.note(digest, stamp, diff_id))
    }

    /// Notes what a blob that is there unpacks to.
    pub(super) fn note_diff_id(&self, digest: &Digest, diff_id: Option<&DiffId>) -> Result<()> {
        match self.find(digest)? {
            Found::File(_, stamp) => self.note(digest, stamp, diff_id),
            _ => Ok(()),
        }
    }

    /// How the ledger has changed since the last time.
    pub(super) fn take_change(&self) -> Result<Change> {
        self.with_ledger(Ledger::take_change)
    }

    pub(super) fn find(&self, digest: &Digest) -> Result<Found> {
        match self.blobs(digest.algorithm())? {
            Some(dir) => dir.find(digest.hex()),
            None => Ok(Found::Nothing),
        }
    }

    fn blobs(&self, algorithm: Algorithm) -> Result<Option<Folder>> {
        let blobs = match (&self.shared, self.root()?) {
            (Some(shared), _) => Folder::open(shared)?,
            (None, Some(root)) => root.sub("blobs")?,
            (None, None) => None,
        };
        match blobs {
            Some(blobs) => blobs.sub(algorithm.as_str()),
            None => Ok(None),
        }
    }

    /// The directory of imgcopy's own files where the blobs are.
    fn own(&self) -> Result<Option<Folder>> {
        match (&self.shared, self.root()?) {
            (Some(shared), _) => match Folder::open(shared)? {
                Some(shared) => shared.sub(OWN),
                None => Ok(None),
            },
            (None, Some(root)) => root.sub(OWN),
            (None, None) => Ok(None),
        }
    }

    fn with_ledger<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> Result<T> {
        let mut ledger = locked(&self.ledger);
        if ledger.is_none() {
            let text = self
                .own()?
                .map(|own| own.read(ledger::FILE, ledger::LIMIT))
                .transpose();
            *ledger = Some(match text {
                Ok(text) => {
                    let text = text.flatten().map(|(text, _)| text).unwrap_or_default();
                    Ledger::parse(&String::from_utf8_lossy(&text))
                }
                Err(error) => {
                    debug!(place = %self, %error, "the ledger cannot be read");
                    Ledger::unreadable()
                }
            });
        }
        Ok(work(ledger.get_or_insert_default()))
    }

    fn missing(&self, digest: &Digest) -> Error {
        Error::new(ErrorKind::NotFound, format!("{self} has no {digest}"))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci:{}", self.path.display())
    }
}
