//! What to do when a request fails: one table, as a pure function. [`Backoff`] says when, and how
//! often.
//!
//! A failure is a [`Signal`]. What it means depends on what was being done, the [`Op`], because some
//! requests can simply be repeated and others may have been carried out although no answer came.

mod backoff;

use std::time::Duration;

use super::headers::errors::{Code, RegistryError};

pub use backoff::RetryPolicy;
pub(crate) use backoff::{Backoff, Stop};

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    /// No connection came about: refused, unreachable, timed out.
    Connect,
    /// The name of the host could not be resolved.
    Dns {
        /// Whether the resolver itself failed (`EAI_AGAIN`), rather than said that there is no such name.
        temporary: bool,
    },
    /// The TLS handshake broke off.
    Tls,
    /// The TLS handshake ended with a refusal: certificate, name, version of the protocol.
    Certificate,
    /// The connection broke, or an HTTP/2 stream was reset.
    Reset,
    /// Nothing came, or nothing could be sent, for too long.
    Timeout,
    /// The body ended before its announced end.
    Truncated,
    /// The server answered that it will not.
    Status {
        /// The HTTP status.
        status: u16,
        /// What the body says, if anything.
        errors: Vec<RegistryError>,
        /// How long the server wants us to wait, from now on.
        retry_after: Option<Duration>,
    },
}

/// How long to wait before the one other try after "no such host", which some resolvers say when
/// they only just came up.
const NO_SUCH_HOST: Duration = Duration::from_secs(2);

impl Signal {
    /// The shortest time to wait before the host may be asked again.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Signal::Status { retry_after, .. } => *retry_after,
            Signal::Dns { temporary: false } => Some(NO_SUCH_HOST),
            _ => None,
        }
    }
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// GET or HEAD of a blob, a manifest or a list.
    Read,
    /// POST that begins an upload or mounts a blob. It can be repeated: an upload that nobody uses
    /// expires. A mount that is refused is no failure; the blob is uploaded then.
    Open,
    /// PATCH or PUT that carries bytes of a blob.
    Send,
    /// PUT that completes an upload and carries nothing. A PUT whose bytes have all gone out
    /// and whose answer never came is one too.
    Commit,
    /// PUT of a manifest.
    PutManifest,
    /// DELETE.
    Delete,
    /// The request for a token.
    Token,
}

/// What to do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Repeat the request.
    Retry,
    /// Repeat the request, but leave the host alone for so long. All of its requests should wait.
    After(Duration),
    /// Begin the upload anew, from its POST. If [`Signal::wait`] says a time, the host is to be
    /// left alone for it, as with `After`.
    RestartUpload,
    /// Read the blob anew from its source and from its first byte, whatever is being done with it; send a
    /// manifest once more.
    RestartBlob,
    /// Get a new token and repeat the request; one that carries a blob begins its upload anew.
    Reauthenticate,
    /// The destination has less than it said: ask again for all pieces of the manifest, send what
    /// is missing, and repeat the request.
    SelfHeal,
    /// Ask (HEAD) whether it was done, at no cost of a try. If so, all is well. Only if not, ask
    /// [`Backoff`], and begin the upload anew, or repeat the request for a manifest or a DELETE.
    LookUp,
    /// The tag may not be moved. All is well if it has this very image; otherwise it is [`Verdict::Fail`].
    Compare,
    /// Begin the upload anew, in chunks, and remember that for the host.
    Chunked,
    /// It will not get better.
    Fail,
}

/// The table R-01: what to do about a failure. It knows nothing of what happened before;
/// [`Backoff::next`] counts.
pub(crate) fn verdict(op: Op, signal: &Signal) -> Verdict {
    match signal {
        Signal::Certificate => Verdict::Fail,
        // Nothing was sent, so nothing was done.
        Signal::Connect | Signal::Dns { .. } | Signal::Tls => again(op, signal),
        Signal::Reset | Signal::Timeout | Signal::Truncated => match op {
            // The answer alone is missing, if anything.
            Op::Commit | Op::PutManifest | Op::Delete => Verdict::LookUp,
            Op::Read | Op::Open | Op::Send | Op::Token => again(op, signal),
        },
        Signal::Status { status, errors, .. } => by_status(op, signal, *status, errors),
    }
}

/// Repeats what can be repeated. The bytes of a blob are gone once they were sent.
fn again(op: Op, signal: &Signal) -> Verdict {
    match (op, signal.wait()) {
        (Op::Send, _) => Verdict::RestartUpload,
        (_, Some(wait)) => Verdict::After(wait),
        (_, None) => Verdict::Retry,
    }
}

fn by_status(op: Op, signal: &Signal, status: u16, errors: &[RegistryError]) -> Verdict {
    let says = |code: Code| errors.iter().any(|error| error.code == code);
    match status {
        // Registries that limit by another status say so by the code.
        400 | 403 if says(Code::TooManyRequests) => again(op, signal),
        // A token server that refuses means the credentials.
        401 if op == Op::Token => Verdict::Fail,
        401 => Verdict::Reauthenticate,
        // A gateway lost the answer, or its patience: a large layer takes storage a while to store.
        499 | 502 | 504 | 520..=524 => match op {
            Op::Send | Op::Commit | Op::PutManifest | Op::Delete => Verdict::LookUp,
            Op::Read | Op::Open | Op::Token => again(op, signal),
        },
        // It may have been stored all the same: only the answer failed (F-77, F-80).
        500 if matches!(op, Op::Commit | Op::PutManifest) => Verdict::LookUp,
        // Not implemented; wrong version; misconfigured; no space; a loop; and the like.
        501 | 505..=511 => Verdict::Fail,
        408 | 425 | 429 | 500..=599 => again(op, signal),
        _ => match op {
            Op::Read if status == 416 => Verdict::RestartBlob,
            // A small blob has gone out before the refusal comes.
            Op::Send | Op::Commit if status == 413 => Verdict::Chunked,
            Op::Send | Op::Commit => of_upload(status, errors),
            Op::PutManifest => of_manifest(status, errors),
            Op::Read | Op::Open | Op::Delete | Op::Token => Verdict::Fail,
        },
    }
}

/// Refusals of an upload.
fn of_upload(status: u16, errors: &[RegistryError]) -> Verdict {
    let says = |code: Code| errors.iter().any(|error| error.code == code);
    // Nexus, where nothing may be replaced, calls that an invalid upload.
    let settled = errors
        .iter()
        .any(|error| error.message.contains("does not allow updating"));
    match status {
        400 if says(Code::DigestInvalid) || says(Code::SizeInvalid) => Verdict::RestartBlob,
        400 if says(Code::BlobUploadInvalid) && !settled => Verdict::LookUp,
        // The upload is gone, and perhaps because it was completed before.
        400 if says(Code::BlobUploadUnknown) || says(Code::RangeInvalid) => Verdict::LookUp,
        404 if !says(Code::NameUnknown) => Verdict::LookUp,
        416 => Verdict::LookUp,
        _ => Verdict::Fail,
    }
}

/// Refusals of a manifest.
fn of_manifest(status: u16, errors: &[RegistryError]) -> Verdict {
    let says = |code: Code| errors.iter().any(|error| error.code == code);
    let words = |text: &str| {
        let mut messages = errors
            .iter()
            .map(|error| error.message.to_ascii_lowercase());
        messages.any(|message| message.contains(text))
    };
    // A piece is missing: a blob, or a manifest that an index names. Nexus has words alone.
    let missing = [
        Code::ManifestBlobUnknown,
        Code::BlobUnknown,
        Code::ManifestUnknown,
    ];
    if matches!(status, 400 | 404) && (missing.into_iter().any(says) || words("blob unknown")) {
        return Verdict::SelfHeal;
    }
    // Something changed it on its way, if the registry is right: it is sent once more.
    if status == 400 && says(Code::DigestInvalid) {
        return Verdict::RestartBlob;
    }
    // A tag that may not be moved is where it should be, if the image is the same.
    let fixed = [
        Code::TagImmutable,
        Code::TagAlreadyExists,
        Code::Precondition,
    ];
    if matches!(status, 400 | 409 | 412) && (fixed.into_iter().any(says) || words("immutable")) {
        return Verdict::Compare;
    }
    Verdict::Fail
}

#[cfg(test)]
mod tests;
