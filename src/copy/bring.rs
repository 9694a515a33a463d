//! Bringing one blob to the destination.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::debug;

use super::plan::{BlobAction, BlobStep};
use super::{Event, Job, Observer};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, Digest};
use crate::store::blocking;
use crate::store::compress::{Coding, Workers};

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
    /// Another copy had just brought it.
    Shared,
}

/// What was done so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) moved: usize,
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) mounted: usize,
    pub(super) shared: usize,
    pub(super) manifests: usize,
}

impl Progress {
    pub(super) fn add(&mut self, more: &Self) {
        self.moved += more.moved;
        self.read += more.read;
        self.written += more.written;
        self.mounted += more.mounted;
        self.shared += more.shared;
        self.manifests += more.manifests;
    }

    pub(super) fn count(&mut self, stored: &Descriptor, how: &How) {
        match how {
            How::Travelled(bytes) => {
                self.moved += 1;
                self.read += bytes;
                self.written += stored.size;
            }
            How::Mounted => self.mounted += 1,
            How::Shared => self.shared += 1,
        }
    }
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
            BlobAction::Recall {
                stored, from, to, ..
            } if job.destination.mount(stored, from).await? => {
                self.note(*to, stored, How::Mounted).await
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
        let to = step.action.recompresses();
        if let (Some(to), Some(workers)) = (to, &self.workers) {
            let is_packed = step.blob.media_type.compression() != Some(Compression::None);
            if let Some(diff_id) = step.diff_id.as_ref().filter(|_| is_packed) {
                blob = blob.unpacking_to(diff_id.clone());
            }
            blob = blob.recompressed(to, Arc::clone(workers))?;
        }
        let stored = job.destination.put_blob(blob).await?;
        let how = match read.load(Ordering::Relaxed) {
            // Nothing of it was asked for.
            0 if stored.size > 0 && job.destination.repository().is_some() => How::Shared,
            bytes => How::Travelled(bytes),
        };
        Ok(match to {
            Some(to) => self.note(to, &stored, how).await,
            None => (stored, how),
        })
    }

    /// Remembers what the layer was compressed to. What cannot be remembered is no reason to fail.
    async fn note(&self, to: Coding, stored: &Descriptor, how: How) -> (Descriptor, How) {
        let Some(memory) = self.job.memory.clone() else {
            return (stored.clone(), how);
        };
        let own = std::iter::once(&self.step.blob.digest);
        let mut contents: Vec<Digest> = own.chain(&self.step.diff_id).cloned().collect();
        contents.dedup();
        if let How::Mounted = how {
            // No byte was seen: nothing is known but another place.
            let is_known = |content: &Digest| {
                let known = memory.find(content, to);
                known.is_some_and(|known| known.digest == stored.digest)
            };
            contents.retain(is_known);
        }
        let place = self.job.destination.repository().cloned();
        let made = stored.clone();
        let noted = blocking(move || memory.note(&contents, to, &made, place.as_ref())).await;
        if let Err(error) = noted {
            debug!(%error, "what a layer was compressed to is not remembered");
        }
        (stored.clone(), how)
    }
}
