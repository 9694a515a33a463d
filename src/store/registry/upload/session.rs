//! Where an upload goes: sessions of the registry, and mounts that make one needless.

use reqwest::{Method, Url};
use tracing::debug;

use super::super::answer::Answer;
use super::super::end::End;
use super::super::headers::errors::Code;
use super::super::headers::limits::chunk_min_length;
use super::super::policy::{self, Origin, UploadTo};
use super::super::retry::{Op, Signal};
use super::super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Algorithm, Descriptor, Repository};

/// Where the next request of an upload goes.
#[derive(Debug, Clone)]
pub(in crate::store::registry) struct Session {
    pub(super) url: Url,
    pub(super) to_registry: bool,
    /// How large chunks must be at least, in bytes, but for the last one.
    pub(super) least: Option<u64>,
}

/// Begins an upload.
pub(super) async fn open(end: &End, blob: &Descriptor) -> Result<Session, Trouble> {
    let query = match blob.digest.algorithm() {
        Algorithm::Sha256 => String::new(),
        // If it is not the usual one, the registry must know beforehand.
        other @ Algorithm::Sha512 => format!("?digest-algorithm={}", other.as_str()),
    };
    let path = format!("{}/blobs/uploads/{query}", end.path);
    let opened = end.host.repeat(Op::Open, || async {
        let call = end.call(Method::POST, &path).await?;
        end.host.send(&call).await?.expect(&[202, 200, 201]).await
    });
    let answer = opened.await.map_err(not_opened)?;
    Ok(next(end, &answer, None).await?)
}

/// An upload that could not be begun. It was tried often enough, so no signal is left.
fn not_opened(trouble: Trouble) -> Trouble {
    let nowhere = match &trouble.signal {
        // Some registries make a repository at the first upload, and others never (F-62).
        Some(Signal::Status {
            status: 404,
            errors,
            ..
        }) => errors.is_empty() || errors.iter().any(|error| error.code == Code::NameUnknown),
        _ => false,
    };
    let error = match nowhere {
        true => {
            let what = "the repository does not exist, and this registry makes none by itself: create it there first";
            trouble.error.of_kind(ErrorKind::Denied).attempting(what)
        }
        false => trouble.error,
    };
    Trouble {
        signal: None,
        error,
    }
}

/// Where an answer says that the upload goes on. What it does not say anew stays as it was `before`.
pub(super) async fn next(end: &End, answer: &Answer, before: Option<&Session>) -> Result<Session> {
    let missing = || {
        Error::new(
            ErrorKind::Io,
            "the registry does not say where the upload goes on (Location)",
        )
    };
    let header = answer.header("location").ok_or_else(missing)?;
    let url = policy::location(&answer.url, header)?;
    let origin = end.host.origin().await?;
    let from = Origin::of(&answer.url).unwrap_or(origin.clone());
    let to = policy::may_upload_to(&from, &url, end.host.is_private().await?)?;
    Ok(Session {
        url,
        to_registry: to == UploadTo::SameOrigin && from == origin,
        least: answer
            .header("oci-chunk-min-length")
            .and_then(chunk_min_length)
            .or(before.and_then(|before| before.least)),
    })
}

/// What came of asking for a blob of another repository.
pub(in crate::store::registry) enum Mounted {
    Yes,
    /// No, but an upload was begun instead, which the blob can use.
    Opened(Session),
    No,
}

/// Asks the registry to take a blob from another of its repositories. Whatever it answers other
/// than 201 and 202 means that the blob must travel (Q-42, F-41).
pub(in crate::store::registry) async fn mount(
    end: &End,
    blob: &Descriptor,
    from: &Repository,
) -> Result<Mounted> {
    let path = format!(
        "{}/blobs/uploads/?mount={}&from={}",
        end.path,
        blob.digest,
        from.path()
    );
    let scopes = end.scopes.clone().reading(from.path());
    let mounted = end.host.repeat(Op::Open, || async {
        let mut call = end.call(Method::POST, &path).await?;
        call.scopes = scopes.clone();
        end.host.send(&call).await?.expect(&[201, 202]).await
    });
    match mounted.await {
        Ok(answer) if answer.status.as_u16() == 201 => {
            end.note([blob.digest.clone()]);
            Ok(Mounted::Yes)
        }
        Ok(answer) => Ok(next(end, &answer, None)
            .await
            .map_or(Mounted::No, Mounted::Opened)),
        Err(trouble) => {
            debug!(error = %trouble.error, %from, "not mounted");
            Ok(Mounted::No)
        }
    }
}
