//! Blobs and manifests as they are given and deleted.

use bytes::Bytes;

use super::content::{DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, Repository, is_digest};
use super::message::{Request, Response};

pub(super) fn manifest_unknown(message: &str) -> Response {
    Response::error(404, "MANIFEST_UNKNOWN", message)
}

pub(super) fn blob_unknown() -> Response {
    Response::error(404, "BLOB_UNKNOWN", "blob unknown to registry")
}

pub(super) fn get_blob(of: &Repository, digest: &str, request: &Request) -> Response {
    let Some(bytes) = of.blobs.get(digest) else {
        return blob_unknown();
    };
    let etag = format!("\"{digest}\"");
    let response = |status| {
        Response::new(status)
            .with("Docker-Content-Digest", digest)
            .with("ETag", etag.as_str())
            .with("Cache-Control", "max-age=31536000")
    };
    let with_bytes = |status, bytes: Bytes| {
        let response = response(status).with("Accept-Ranges", "bytes");
        response.body("application/octet-stream", bytes)
    };
    let is_other = |name: &str| request.header(name).is_some_and(|value| value != etag);
    if is_other("if-match") {
        return response(412).with("Content-Type", "application/octet-stream");
    }
    if request.header("if-none-match") == Some(&etag) {
        return response(304);
    }
    let range = match is_other("if-range") {
        true => None,
        false => request.header("range"),
    };
    let size = bytes.len();
    match range.map_or(Asked::Whole, |text| Asked::of(text, size)) {
        Asked::Whole => with_bytes(200, bytes.clone()),
        Asked::Part(first, last) => {
            let range = format!("bytes {first}-{last}/{size}");
            with_bytes(206, bytes.slice(first..=last)).with("Content-Range", range)
        }
        Asked::Nothing => response(416)
            .with("Content-Range", format!("bytes */{size}"))
            .with("Content-Type", "text/plain; charset=utf-8"),
    }
}

/// What a `Range` asks for (RFC 9110, 14.1.2 and 14.2).
enum Asked {
    /// It is of another unit, or several ranges.
    Whole,
    /// First and last byte.
    Part(usize, usize),
    /// It makes no sense, or there is nothing of it.
    Nothing,
}

impl Asked {
    fn of(text: &str, size: usize) -> Self {
        let Some(range) = text.strip_prefix("bytes=").filter(|set| !set.contains(',')) else {
            return Self::Whole;
        };
        let (first, last) = range.split_once('-').unwrap_or_default();
        let end = size.saturating_sub(1);
        let (first, last) = match (first.parse(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first, last.min(end)),
            (Ok(first), Err(_)) if last.is_empty() => (first, end),
            (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), end),
            _ => return Self::Nothing,
        };
        match first < size && first <= last {
            true => Self::Part(first, last),
            false => Self::Nothing,
        }
    }
}

fn accepts(request: &Request, media_type: &str) -> bool {
    let mut accepted = request
        .headers
        .all("accept")
        .flat_map(|value| value.split(','));
    accepted.any(|value| value.split(';').next().unwrap_or_default().trim() == media_type)
}

/// Types must be in `Accept` by name; a Docker list that is not, asked for by tag, becomes its image
/// for amd64.
pub(super) fn get_manifest(of: &Repository, reference: &str, request: &Request) -> Response {
    let Some(mut digest) = of.resolve(reference) else {
        return manifest_unknown("manifest unknown");
    };
    let Some(mut stored) = of.manifests.get(&digest) else {
        return manifest_unknown("manifest unknown");
    };
    let is_accepted = accepts(request, &stored.media_type);
    if !is_accepted && [OCI_MANIFEST, OCI_INDEX].contains(&stored.media_type.as_str()) {
        return manifest_unknown("found, but the accept header does not support its type");
    }
    if !is_accepted && stored.media_type == DOCKER_LIST && !is_digest(reference) {
        let document = stored.json();
        let children = document["manifests"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut ours = children
            .iter()
            .filter(|child| child["platform"]["architecture"] == "amd64");
        let child = ours.find_map(|child| child["digest"].as_str());
        match child.and_then(|child| of.manifests.get_key_value(child)) {
            Some((name, child)) => (digest, stored) = (name.clone(), child),
            None => return manifest_unknown("no image for amd64"),
        }
    }
    let etag = format!("\"{digest}\"");
    let is_same = request.header("if-none-match") == Some(&etag);
    let response = Response::new(if is_same { 304 } else { 200 })
        .with("Docker-Content-Digest", digest)
        .with("ETag", etag);
    match is_same {
        true => response,
        false => response.body(&stored.media_type, stored.bytes.clone()),
    }
}

pub(super) fn delete_manifest(of: &mut Repository, reference: &str) -> Response {
    let is_gone = match is_digest(reference) {
        true => {
            of.tags.retain(|_, digest| digest != reference);
            of.manifests.remove(reference).is_some()
        }
        false => of.tags.remove(reference).is_some(),
    };
    match is_gone {
        true => Response::new(202),
        false => manifest_unknown("manifest unknown"),
    }
}
