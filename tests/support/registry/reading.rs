//! Blobs and manifests as they are given and deleted.

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
            .with("Content-Type", "application/octet-stream")
            .with("Docker-Content-Digest", digest)
            .with("ETag", etag.as_str())
            .with("Accept-Ranges", "bytes")
    };
    let is_other = |name: &str| request.header(name).is_some_and(|value| value != etag);
    if is_other("if-match") {
        return response(412);
    }
    let range = match is_other("if-range") {
        true => None,
        false => request.header("range"),
    };
    let size = bytes.len();
    let mut answer = match range.and_then(|text| asked_range(text, size)) {
        None => {
            let mut whole = response(200);
            whole.body = bytes.clone();
            whole
        }
        Some((first, last)) if first < size && first <= last => {
            let range = format!("bytes {first}-{last}/{size}");
            let mut part = response(206).with("Content-Range", range);
            part.body = bytes.slice(first..=last);
            part
        }
        Some(_) => response(416).with("Content-Range", format!("bytes */{size}")),
    };
    answer.headers.set("Cache-Control", "max-age=31536000");
    answer
}

/// First and last byte of a single range (RFC 9110, 14.1.2). Anything else is not a range, and the
/// whole is given.
fn asked_range(text: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.saturating_sub(1);
    match (first.parse(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => Some((first, last.min(end))),
        (Ok(first), Err(_)) if last.is_empty() => Some((first, end)),
        (Err(_), Ok(count)) if first.is_empty() => match count {
            0 => Some((size, end)),
            count => Some((size.saturating_sub(count), end)),
        },
        _ => None,
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
