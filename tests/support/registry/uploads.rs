//! Upload sessions, as distribution has them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::content::{is_digest, is_digest_of};
use super::message::{Request, Response, form};
use super::{Core, Locations, State};

/// An upload that is under way.
#[derive(Debug, Default)]
pub(super) struct Upload {
    repository: String,
    parts: Vec<Bytes>,
    length: usize,
    /// The length of the last PATCH, which a minimum is for once another follows.
    last_chunk: Option<usize>,
}

impl Upload {
    fn append(&mut self, bytes: &Bytes) {
        self.length += bytes.len();
        if !bytes.is_empty() {
            self.parts.push(bytes.clone());
        }
    }

    fn bytes(mut self) -> Bytes {
        match self.parts.len() {
            1 => self.parts.remove(0),
            _ => self.parts.concat().into(),
        }
    }
}

pub(super) type Uploads = BTreeMap<String, Upload>;

fn unknown() -> Response {
    Response::error(
        404,
        "BLOB_UPLOAD_UNKNOWN",
        "blob upload unknown to registry",
    )
}

/// What a Location carries besides the session, with characters that a client must not touch: an
/// escape in lower case, one that need not be, and a bare slash. It tells the offset, as the
/// `_state` of distribution does.
fn state(id: &str, length: usize) -> String {
    format!("_state=a%2b{id}%7E/{length}%3D%3D")
}

/// The offset in such a state, once it is decoded, if it is one of this session.
fn offset(id: &str, state: &str) -> Option<usize> {
    let rest = state.strip_prefix(&format!("a+{id}~/"))?;
    rest.strip_suffix("==")?.parse().ok()
}

impl Core {
    fn progress(&self, status: u16, id: &str, upload: &Upload) -> Response {
        let path = format!("/v2/{}/blobs/uploads/{id}", upload.repository);
        let location = match self.options.locations.is_stateful() {
            true => format!("{path}?{}", state(id, upload.length)),
            false => path,
        };
        let mut response = Response::new(status)
            .with("Location", location)
            .with("Range", format!("0-{}", upload.length.saturating_sub(1)))
            .with("Docker-Upload-UUID", id);
        if let Some(least) = self.options.chunk_min {
            response
                .headers
                .set("OCI-Chunk-Min-Length", least.to_string());
        }
        response
    }

    /// POST: a mount, a blob at once, or a new session.
    pub(super) fn start_upload(
        &self,
        state: &mut State,
        name: &str,
        request: &Request,
    ) -> Response {
        if !request.whole {
            return unknown();
        }
        let from = request
            .query("from")
            .and_then(|from| state.repositories.get(from));
        if let (Some(digest), Some(from), true) =
            (request.query("mount"), from, self.options.mounts)
            && let Some(bytes) = from.blobs.get(digest).cloned()
        {
            return stored(state, name, digest, bytes);
        }
        if let (Some(digest), true) = (request.query("digest"), self.options.single_post) {
            return match self.blob_problem(digest, &request.body) {
                Some(problem) => problem,
                None => stored(state, name, digest, request.body.clone()),
            };
        }
        state.next_upload += 1;
        let id = format!("upload-{}", state.next_upload);
        let upload = Upload {
            repository: name.to_string(),
            ..Upload::default()
        };
        let response = self.progress(202, &id, &upload);
        state.uploads.insert(id, upload);
        response
    }

    /// GET, PATCH, PUT and DELETE of a session.
    pub(super) fn upload(
        &self,
        held: &mut State,
        (name, id): (&str, &str),
        request: &Request,
    ) -> Response {
        let Some(upload) = held.uploads.get_mut(id).filter(|of| of.repository == name) else {
            return unknown();
        };
        let changes = matches!(request.method.as_str(), "PATCH" | "PUT");
        if changes && let Some(problem) = self.upload_problem(request, id, upload) {
            return problem;
        }
        match request.method.as_str() {
            "GET" => self.progress(204, id, upload),
            "DELETE" => {
                held.uploads.remove(id);
                Response::new(204).with("Docker-Upload-UUID", id)
            }
            "PATCH" => {
                upload.append(&request.body);
                upload.last_chunk = Some(request.body.len());
                self.progress(202, id, upload)
            }
            "PUT" => {
                upload.append(&request.body);
                self.commit(held, (name, id), request)
            }
            _ => Response::error(405, "UNSUPPORTED", "no such method"),
        }
    }

    /// Why a session does not take what comes.
    fn upload_problem(&self, request: &Request, id: &str, upload: &Upload) -> Option<Response> {
        let wrong_place = || Some(self.progress(416, id, upload));
        if self.options.locations.is_stateful() {
            let raw = request.raw_query();
            let raw = raw
                .split('&')
                .find(|pair| pair.starts_with("_state="))
                .unwrap_or_default();
            let given = form(raw).pop().unwrap_or_default().1;
            let is_touched =
                self.options.locations == Locations::Signed && raw != state(id, upload.length);
            match offset(id, &given) {
                Some(at) if at == upload.length && !is_touched => {}
                // It was good before: what came since is not in it.
                Some(at) if at < upload.length => return wrong_place(),
                _ => {
                    let message = "the state is not what was given out";
                    return Some(Response::error(400, "BLOB_UPLOAD_INVALID", message));
                }
            }
        }
        if let Some(range) = request.header("content-range") {
            let (first, last) = range.split_once('-').unwrap_or_default();
            let (first, last) = (first.parse::<usize>(), last.parse::<usize>());
            let (Ok(first), Ok(last)) = (first, last) else {
                return wrong_place();
            };
            if first != upload.length || last < first {
                return wrong_place();
            }
            if request.whole && last + 1 - first != request.body.len() {
                return Some(Response::error(
                    400,
                    "SIZE_INVALID",
                    "the range is not the body's",
                ));
            }
        }
        let is_more = !request.body.is_empty();
        let too_small = self.options.chunk_min.zip(upload.last_chunk);
        if is_more && too_small.is_some_and(|(least, last)| last < least) {
            return Some(Response::error(
                400,
                "SIZE_INVALID",
                "the chunk before was too small",
            ));
        }
        None
    }

    /// PUT: what came becomes a blob. A wrong digest ends the session.
    fn commit(&self, held: &mut State, (name, id): (&str, &str), request: &Request) -> Response {
        if !request.whole {
            return unknown();
        }
        let Some(digest) = request.query("digest").filter(|text| is_digest(text)) else {
            return Response::error(400, "DIGEST_INVALID", "no digest");
        };
        let Some(upload) = held.uploads.remove(id) else {
            return unknown();
        };
        let bytes = upload.bytes();
        match self.blob_problem(digest, &bytes) {
            Some(problem) => problem,
            None => stored(held, name, digest, bytes),
        }
    }

    fn blob_problem(&self, digest: &str, bytes: &[u8]) -> Option<Response> {
        let is_right = is_digest(digest) && (self.options.lax || is_digest_of(digest, bytes));
        let message = "provided digest did not match uploaded content";
        (!is_right).then(|| Response::error(400, "DIGEST_INVALID", message))
    }
}

fn stored(state: &mut State, name: &str, digest: &str, bytes: Bytes) -> Response {
    let repository = state.repositories.entry(name.to_string()).or_default();
    repository.blobs.insert(digest.to_string(), bytes);
    Response::new(201)
        .with("Location", format!("/v2/{name}/blobs/{digest}"))
        .with("Docker-Content-Digest", digest)
}
