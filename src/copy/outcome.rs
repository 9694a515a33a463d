//! What was done, in numbers.

use std::time::Duration;

use serde::Serialize;

use crate::error::Result;
use crate::image::Digest;

/// What was done.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The digest of the manifest or index at the destination.
    pub digest: Digest,
    /// The digest at the source, if the index was written anew without some of its images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trimmed_from: Option<Digest>,
    /// The digest at the source, if the manifest was converted into another format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converted_from: Option<Digest>,
    /// Why it was converted, if that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converted_because: Option<String>,
    /// How many blobs travelled.
    pub moved: usize,
    /// How many bytes of them were read at the source.
    pub bytes_read: u64,
    /// How many bytes were written at the destination.
    pub bytes_written: u64,
    /// How many blobs were there already.
    pub kept: usize,
    /// How many bytes those have.
    pub bytes_kept: u64,
    /// How many blobs a registry took from another of its repositories.
    pub mounted: usize,
    /// How many blobs another copy of the same run had just brought there.
    #[serde(skip_serializing_if = "is_none")]
    pub shared: usize,
    /// How many manifests and indexes were written or got a new name.
    pub manifests: usize,
    /// How many pieces the source names and does not have (a sparse index, foreign layers).
    pub absent: usize,
    /// How many referrers and signatures went with the image.
    pub companions: usize,
    /// How many did not, because the image that they belong to changed on its way.
    pub left_behind: usize,
    /// How many did not, because the destination has no place for them.
    pub no_place: usize,
    /// Why nobody can tell what belongs to the image, although the image itself was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub companions_unknown: Option<String>,
    /// How long it took, the survey not counted.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}
