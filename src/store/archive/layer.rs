//! A layer of an archive of `docker save`: what its descriptor is, and what must be right about it.

use std::io::Read as _;

use super::docker::lacks;
use super::stream;
use super::tape::{Body, Fault, Gone};
use super::tar_index::TarIndex;
use crate::error::{Attempt as _, Error, ErrorKind, Result, foreign};
use crate::image::{Algorithm, Compression, Descriptor, DiffId, Digest, Hasher, MediaType};
use crate::store::blob::{FileRange, compare_diff_ids};

/// A layer as an image lists it.
pub(super) struct Layer {
    pub(super) descriptor: Descriptor,
    pub(super) body: Body,
    pub(super) diff_id: DiffId,
}

impl Layer {
    /// A plain layer is called by its DiffId. A compressed one is called by its digest: what its
    /// file's name says (checked when it is read), or else what its bytes say.
    pub(super) fn find(tar: &TarIndex, path: &str, diff_id: DiffId) -> Result<Self> {
        let shown = || format!("cannot read layer {}", foreign(path));
        let body = tar.file(path).attempting(shown)?;
        let body = body.ok_or_else(|| lacks(path))?;
        let range = match &body {
            Body::Here(range) => range,
            Body::Gone(gone) => {
                let descriptor = went(gone, path, &diff_id).attempting(shown)?;
                return Ok(Self {
                    descriptor,
                    body,
                    diff_id,
                });
            }
        };
        let compression = Compression::sniff(&range.first::<6>().attempting(shown)?);
        let digest = match compression {
            Compression::None => diff_id.clone(),
            _ => match claimed(path).filter(|claimed| *claimed != diff_id) {
                Some(claimed) => claimed,
                None => digest_of(range).attempting(shown)?,
            },
        };
        Ok(Self {
            descriptor: Descriptor::new(MediaType::oci_layer(compression), digest, range.len),
            body,
            diff_id,
        })
    }
}

/// A layer that went by, if it was what it should have been.
fn went(gone: &Gone, path: &str, diff_id: &DiffId) -> Result<Descriptor> {
    let passed = gone.as_ref().as_ref().map_err(Fault::error)?;
    let came = &passed.came;
    match &passed.diff_id {
        Some(found) if found.algorithm() == diff_id.algorithm() => {
            compare_diff_ids(diff_id, found)?;
        }
        _ => {
            let what = format!(
                "it went by without being compared with {diff_id}: read the archive from a file"
            );
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
    }
    let is_plain = came.media_type.compression() == Some(Compression::None);
    match claimed(path) {
        Some(claimed) if !is_plain && claimed != *diff_id && claimed != came.digest => {
            let what = format!("its bytes are {}", came.digest);
            Err(Error::new(ErrorKind::Corrupt, what))
        }
        _ => Ok(came.clone()),
    }
}

/// The digest that a file is called by. Docker knows no other algorithm.
pub(super) fn claimed(path: &str) -> Option<Digest> {
    stream::named(path).filter(|named| named.algorithm() == Algorithm::Sha256)
}

fn digest_of(range: &FileRange) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut reader = range.reader();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}
