//! Writing manifests, and deleting them.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tracing::debug;

use super::super::headers::errors::Code;
use super::super::retry::{Backoff, Op, Signal, Verdict, verdict};
use super::super::send::Payload;
use super::super::trouble::Trouble;
use super::{End, Head};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Algorithm, Digest, Manifest, MediaType, Tag};

impl End {
    /// Writes a manifest under a tag, or under its digest. Lost answers are looked up.
    pub(in super::super) async fn put(
        &self,
        manifest: &Manifest,
        tag: Option<&Tag>,
    ) -> Result<(), Trouble> {
        let digest = &manifest.descriptor().digest;
        let reference = tag.map_or(digest.to_string(), Tag::to_string);
        let path = format!("{}/manifests/{reference}", self.path);
        let mut backoff = Backoff::new(&self.host.options.retry);
        loop {
            let trouble = match self.put_once(&path, manifest).await {
                Ok(()) => break,
                Err(trouble) => trouble,
            };
            let Some(signal) = trouble.signal.clone() else {
                return Err(trouble);
            };
            let verdict = verdict(Op::PutManifest, &signal);
            debug!(error = %trouble.error, ?verdict, "a manifest was not taken");
            match verdict {
                Verdict::LookUp | Verdict::Compare
                    if self.stands_for(&reference, digest).await? =>
                {
                    break;
                }
                Verdict::Compare => {
                    let what = format!(
                        "the tag {reference} stands for another image, and may not be moved"
                    );
                    return Err(trouble.error.attempting(what).into());
                }
                Verdict::Retry | Verdict::After(_) | Verdict::LookUp | Verdict::RestartBlob => {}
                _ => return Err(explained(trouble, manifest)),
            }
            match backoff.next(&signal, &verdict) {
                Ok(pause) => self.host.rest(&signal, pause).await,
                Err(stop) => return Err(explained(trouble, manifest).stopped(&stop)),
            }
        }
        self.note([digest.clone()]);
        Ok(())
    }

    async fn put_once(&self, path: &str, manifest: &Manifest) -> Result<(), Trouble> {
        let descriptor = manifest.descriptor();
        let mut call = self.call(Method::PUT, path).await?;
        let media_type = HeaderValue::from_str(descriptor.media_type.as_str());
        let unsendable = |_| Error::new(ErrorKind::Invalid, "its media type cannot be sent");
        call.headers
            .insert(CONTENT_TYPE, media_type.map_err(unsendable)?);
        call.body = Payload::Bytes(manifest.bytes().clone());
        call.patience = self.host.options.limits.commit;
        let answer = self.host.send(&call).await?;
        if !answer.status.is_success() {
            return Err(answer.into_trouble().await);
        }
        // A registry that rewrote it has another image now (F-84).
        match answer.stored_as(&descriptor.digest) {
            Some(stored) => {
                let what = format!(
                    "the registry made {stored} of manifest {}",
                    descriptor.digest
                );
                Err(Error::new(ErrorKind::Io, what).into())
            }
            None => Ok(()),
        }
    }

    async fn stands_for(&self, reference: &str, digest: &Digest) -> Result<bool, Trouble> {
        Ok(match self.head(reference).await? {
            Head::Found(there) => there.digest == *digest,
            Head::Missing => false,
            Head::Unclear | Head::Unknown => {
                let there = self.get(reference, None).await?;
                there.is_some_and(|there| there.descriptor().digest == *digest)
            }
        })
    }

    /// Deletes a manifest by its digest, under all of its tags, or a tag.
    pub(in super::super) async fn delete(&self, reference: &str) -> Result<()> {
        let path = format!("{}/manifests/{reference}", self.path);
        let deleted = self.host.repeat(Op::Delete, || async {
            let call = self.call(Method::DELETE, &path).await?;
            self.host
                .send(&call)
                .await?
                .expect(&[200, 202, 204])
                .await?;
            Ok(())
        });
        match deleted.await {
            Err(trouble) if matches!(trouble.status(), Some(405 | 400)) => {
                let what = "the registry does not let anybody delete: its operator must allow it";
                Err(Error::new(ErrorKind::Unsupported, trouble.error.to_string()).attempting(what))
            }
            deleted => Ok(deleted?),
        }
    }
}

/// What a refusal means where the registry does not say it well. The manifest is never changed to
/// please a registry unless that is asked for: it would be another image (S-13).
fn explained(trouble: Trouble, manifest: &Manifest) -> Trouble {
    let Some(Signal::Status { status, errors, .. }) = &trouble.signal else {
        return trouble;
    };
    let says = |code: Code| errors.iter().any(|error| error.code == code);
    let descriptor = manifest.descriptor();
    let is_docker = matches!(
        descriptor.media_type.as_str(),
        MediaType::DOCKER_MANIFEST | MediaType::DOCKER_INDEX
    );
    let (kind, other) = match is_docker {
        true => ("Docker's", "oci"),
        false => ("OCI", "v2s2"),
    };
    let advice = format!(
        "its settings must allow them, or --format {other} converts the image, which changes its digest"
    );
    let own = trouble.error.kind();
    let (error_kind, what) = match status {
        // zot without `compat: ["docker2s2"]`, registries that are older than OCI.
        415 => (
            ErrorKind::RefusedType,
            format!("the registry does not take {kind} manifests: {advice}"),
        ),
        400 if says(Code::ManifestInvalid) || says(Code::Unsupported) => (
            ErrorKind::RefusedType,
            format!("perhaps the registry does not take {kind} manifests: {advice}"),
        ),
        413 => (
            own,
            format!(
                "the manifest is too large for the registry: {} bytes",
                descriptor.size
            ),
        ),
        // Distribution takes blobs by SHA-512, and no manifests.
        400 if descriptor.digest.algorithm() != Algorithm::Sha256 && says(Code::DigestInvalid) => {
            let what = format!(
                "perhaps the registry does not take manifests that are named by {}",
                descriptor.digest.algorithm().as_str()
            );
            (own, what)
        }
        _ => return trouble,
    };
    Trouble {
        error: trouble.error.attempting(what).of_kind(error_kind),
        ..trouble
    }
}
