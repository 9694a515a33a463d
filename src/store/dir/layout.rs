//! Reading a `dir:`, and finding out what is in it. Blocking.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, MANIFEST_LIMIT, Manifest, MediaKind, MediaType, Name};
use crate::store::blob::{Blob, FileRange};
use crate::store::files::{Folder, Found, Stamp};
use crate::store::{Presence, locked};

/// The file that marks a directory as such, and what it says.
pub(super) const MARKER: (&str, &str) = ("version", "Directory Transport Version: 1.1\n");

/// The file of the image's manifest or index.
pub(super) const ROOT: &str = "manifest.json";

/// The file of a manifest that an index names.
pub(super) fn child_file(digest: &Digest) -> String {
    format!("{}.{ROOT}", digest.hex())
}

/// Which form of the format a directory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 1.0, until February 2018: configs and layers are called `<hex>.tar`.
    Old,
    /// 1.1: they are called `<hex>`.
    Current,
}

/// A `dir:`, which may not be there yet.
pub(super) struct Layout {
    pub(super) path: PathBuf,
    root: Mutex<Option<Arc<Folder>>>,
    known: Mutex<Known>,
}

/// What this store has found out or written itself.
#[derive(Default)]
struct Known {
    /// Blobs that were right when their file looked like this.
    blobs: HashMap<Digest, Stamp>,
    /// Manifests that were right.
    manifests: BTreeSet<Digest>,
}

impl Layout {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            root: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// The open directory; `None` while it does not exist.
    pub(super) fn root(&self) -> Result<Option<Arc<Folder>>> {
        let mut root = locked(&self.root);
        if root.is_none() {
            *root = Folder::open(&self.path)?.map(Arc::new);
        }
        Ok(root.clone())
    }

    /// What its marker says; `None` if it has none.
    pub(super) fn version(&self) -> Result<Option<Version>> {
        match self.root()? {
            Some(root) => version(&root),
            None => Ok(None),
        }
    }

    pub(super) fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        let bytes = match name {
            Name::Sole | Name::At(0) => self.root_bytes()?,
            Name::At(_) => None,
            Name::Digest(digest) => {
                let bytes = self.manifest_bytes(digest)?;
                // What is something else by now has lost its name.
                return Ok(bytes
                    .filter(|bytes| is(digest, bytes))
                    .map(|bytes| named(&bytes, digest.clone())));
            }
            Name::Tag(_) | Name::Pinned(..) => return Err(no_names()),
        };
        Ok(bytes.map(|bytes| named(&bytes, Digest::of(&bytes))))
    }

    /// The exact bytes of the image's manifest; `None` if there is no image.
    pub(super) fn root_bytes(&self) -> Result<Option<Bytes>> {
        let Some(root) = self.root()? else {
            return Ok(None);
        };
        root.content(ROOT, MANIFEST_LIMIT)
    }

    /// The bytes of the file that a child of an index has; `None` if there is none.
    pub(super) fn child_bytes(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let Some(root) = self.root()? else {
            return Ok(None);
        };
        let bytes = root.content(&child_file(digest), MANIFEST_LIMIT)?;
        Ok(bytes)
    }

    /// What should be this manifest: the image's own if it is it, else the file of a child. Not
    /// checked.
    fn manifest_bytes(&self, digest: &Digest) -> Result<Option<Bytes>> {
        match self.root_bytes()? {
            Some(bytes) if is(digest, &bytes) => Ok(Some(bytes)),
            _ => self.child_bytes(digest),
        }
    }

    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let stored = self.manifest_bytes(&descriptor.digest)?;
        let bytes = stored.or_else(|| descriptor.data.clone());
        let bytes = bytes.ok_or_else(|| self.missing(&descriptor.digest))?;
        Manifest::parse(bytes, descriptor)
            .attempting(|| format!("cannot read manifest {} of {self}", descriptor.digest))
    }

    pub(super) fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        match (self.find(&blob.digest)?, &blob.data) {
            (Found::File(file, stamp), _) if stamp.size == blob.size => {
                Ok(Blob::file(blob.clone(), FileRange::whole(file)?))
            }
            (Found::File(_, stamp), _) => {
                let (digest, has) = (&blob.digest, stamp.size);
                let what = format!("{digest} has {has} bytes, not {}", blob.size);
                Err(Error::new(ErrorKind::Corrupt, what))
            }
            (Found::Other(is), _) => {
                let what = format!("{} is {is}", blob.digest);
                Err(Error::new(ErrorKind::Invalid, what))
            }
            (Found::Nothing, Some(data)) => Ok(Blob::memory(blob.clone(), data.clone())),
            (Found::Nothing, None) => Err(self.missing(&blob.digest)),
        }
    }

    /// The file of a config or layer.
    pub(super) fn find(&self, digest: &Digest) -> Result<Found> {
        let Some(root) = self.root()? else {
            return Ok(Found::Nothing);
        };
        match root.find(digest.hex())? {
            Found::Nothing if version(&root)? == Some(Version::Old) => {
                root.find(&format!("{}.tar", digest.hex()))
            }
            found => Ok(found),
        }
    }

    pub(super) fn presence(&self, piece: &Descriptor) -> Result<Presence> {
        match piece.media_type.kind() {
            MediaKind::Index | MediaKind::Manifest | MediaKind::Schema1 => {
                self.presence_of_manifest(piece)
            }
            // An index need not say what its entries are.
            _ if piece.media_type.is_empty() => match self.presence_of_blob(piece)? {
                Presence::Absent => self.presence_of_manifest(piece),
                found => Ok(found),
            },
            _ => self.presence_of_blob(piece),
        }
    }

    fn presence_of_manifest(&self, piece: &Descriptor) -> Result<Presence> {
        let bytes = match self.manifest_bytes(&piece.digest) {
            Ok(bytes) => bytes,
            Err(error) if error.is_bad_source() => {
                return Ok(Presence::Damaged("is no regular file, or too large".into()));
            }
            Err(error) => return Err(error),
        };
        Ok(match bytes {
            None => Presence::Absent,
            Some(bytes) if bytes.len() as u64 == piece.size && is(&piece.digest, &bytes) => {
                self.note_manifest(&piece.digest);
                Presence::Checked
            }
            Some(_) => Presence::Damaged("has other bytes".into()),
        })
    }

    fn presence_of_blob(&self, blob: &Descriptor) -> Result<Presence> {
        let (file, stamp) = match self.find(&blob.digest)? {
            Found::Nothing => return Ok(Presence::Absent),
            Found::Other(is) => return Ok(Presence::Damaged(format!("is {is}"))),
            Found::File(file, stamp) => (file, stamp),
        };
        if stamp.size != blob.size {
            let what = format!("has {} bytes, not {}", stamp.size, blob.size);
            return Ok(Presence::Damaged(what));
        }
        if locked(&self.known).blobs.get(&blob.digest) == Some(&stamp) {
            return Ok(Presence::Recorded);
        }
        // What its media type promises is not in question here, only its bytes.
        let bare = Descriptor::new(MediaType::default(), blob.digest.clone(), blob.size);
        match Blob::file(bare, FileRange::whole(file)?).pour(&mut |_| Ok(())) {
            Ok(_) => {
                self.note_blob(&blob.digest, stamp);
                Ok(Presence::Checked)
            }
            Err(error) if error.is_bad_source() => Ok(Presence::Damaged("has other bytes".into())),
            Err(error) => Err(error),
        }
    }

    /// Notes that a file was found to be the blob that it is called, or was written so.
    pub(super) fn note_blob(&self, digest: &Digest, stamp: Stamp) {
        locked(&self.known).blobs.insert(digest.clone(), stamp);
    }

    /// Notes that a manifest was found, or was written.
    pub(super) fn note_manifest(&self, digest: &Digest) {
        locked(&self.known).manifests.insert(digest.clone());
    }

    /// Whether the manifest was there when somebody asked.
    pub(super) fn knew_manifest(&self, digest: &Digest) -> bool {
        locked(&self.known).manifests.contains(digest)
    }

    fn missing(&self, digest: &Digest) -> Error {
        Error::new(ErrorKind::NotFound, format!("{self} has no {digest}"))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dir:{}", self.path.display())
    }
}

/// What the marker of a directory says; `None` if it has none.
pub(super) fn version(root: &Folder) -> Result<Option<Version>> {
    let Some(text) = root.content(MARKER.0, 1 << 10)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_end();
    match text.strip_prefix("Directory Transport Version: ") {
        Some("1.1") => Ok(Some(Version::Current)),
        Some("1.0") => Ok(Some(Version::Old)),
        Some(other) => {
            let other: String = other.escape_debug().take(100).collect();
            let what = format!("its version is {other}; imgcopy knows 1.0 and 1.1");
            Err(Error::new(ErrorKind::Unsupported, what))
        }
        None => {
            let text: String = text.escape_debug().take(100).collect();
            let what = format!("it is no dir: of skopeo's, its version file says \"{text}\"");
            Err(Error::new(ErrorKind::Invalid, what))
        }
    }
}

/// Whether these are the bytes that a digest names.
pub(super) fn is(digest: &Digest, bytes: &[u8]) -> bool {
    Digest::by(digest.algorithm(), bytes) == *digest
}

/// What a manifest is called. One that cannot be read has no type; reading it says why.
fn named(bytes: &Bytes, digest: Digest) -> Descriptor {
    let bare = Descriptor::new(MediaType::default(), digest, bytes.len() as u64);
    let read = Manifest::parse(bytes.clone(), &bare);
    read.map_or(bare, |manifest| manifest.descriptor().clone())
}

pub(super) fn no_names() -> Error {
    let what = "a dir: holds one image and gives it no name: what follows dir: is a path";
    Error::new(ErrorKind::Unsupported, what)
}
