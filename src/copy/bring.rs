//! Bringing one blob to the destination.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::debug;

use super::plan::{BlobAction, BlobStep};
use super::{Event, Job, Observer};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, Digest};
use crate::store::compress::Workers;

/// A blob that is there now.
pub(super) struct Arrived {
    pub(super) digest: Digest,
    /// What it is called at the destination.
    pub(super) stored: Descriptor,
    pub(super) how: How,
}

/// How a blob came to the destination.
pub(super) enum How {
    /// So many bytes of it were read.
    Travelled(u64),
    /// The registry took it from another of its repositories.
    Mounted,
}

/// One blob on its way.
pub(super) struct Bringing<'p> {
    pub(super) step: &'p BlobStep,
    pub(super) job: &'p Job<'p>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) workers: Option<Arc<Workers>>,
}

impl Bringing<'_> {
    pub(super) async fn bring(self) -> Result<Arrived> {
        let Self { step, job, .. } = &self;
        debug!(blob = %step.blob.digest, size = step.blob.size, action = ?step.action, "moving");
        self.observer.event(&Event::Started { blob: &step.blob });
        let digest = step.blob.digest.clone();
        let (stored, how) = match &step.action {
            BlobAction::Mount { from } if job.destination.mount(&step.blob, from).await? => {
                (step.blob.clone(), How::Mounted)
            }
            _ => self.travel().await?,
        };
        self.observer.event(&Event::Arrived {
            blob: &step.blob,
            stored: &stored,
        });
        Ok(Arrived {
            digest,
            stored,
            how,
        })
    }

    /// Sends the blob. Wrong bytes from a network are fetched once more, from the beginning.
    async fn travel(&self) -> Result<(Descriptor, How)> {
        let is_remote = self.job.source.repository().is_some();
        let sent = self.send().await;
        match sent {
            Err(error) if error.kind() == ErrorKind::Corrupt && is_remote => {
                debug!(blob = %self.step.blob.digest, %error, "fetching it again");
                self.send().await
            }
            sent => sent,
        }
    }

    async fn send(&self) -> Result<(Descriptor, How)> {
        let Self { step, job, .. } = self;
        let read = Arc::new(AtomicU64::new(0));
        let watch = {
            let (digest, observer) = (step.blob.digest.clone(), Arc::clone(&self.observer));
            let read = Arc::clone(&read);
            move |bytes| {
                read.fetch_add(bytes, Ordering::Relaxed);
                observer.event(&Event::Advanced {
                    blob: &digest,
                    bytes,
                });
            }
        };
        let blob = job.source.blob(&step.blob).await.map_err(Error::of_piece)?;
        let mut blob = blob
            .watched(Arc::new(watch))
            .called(step.blob.media_type.clone());
        if let (BlobAction::Recompress { to }, Some(workers)) = (&step.action, &self.workers) {
            let is_packed = step.blob.media_type.compression() != Some(Compression::None);
            if let Some(diff_id) = step.diff_id.as_ref().filter(|_| is_packed) {
                blob = blob.unpacking_to(diff_id.clone());
            }
            blob = blob.recompressed(*to, Arc::clone(workers))?;
        }
        let stored = job.destination.put_blob(blob).await?;
        Ok((stored, How::Travelled(read.load(Ordering::Relaxed))))
    }
}
