//! Content that comes and goes piece by piece, without a thread of its own.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::checked::Check;
use super::{Blob, Watch};
use crate::error::{Error, ErrorKind, Result};

/// Content in pieces. The first error ends it.
pub type Pieces = BoxStream<'static, Result<Bytes>>;

/// Content that is fetched piece by piece, and can be fetched again.
pub trait Content: Send + Sync {
    /// Begins to fetch it from its first byte. What comes is not checked yet.
    fn open(&self) -> BoxFuture<'static, Result<Pieces>>;

    /// All of it came, and it was not what it should be: there may be another way to fetch it.
    fn found_wrong(&self) {}
}

/// How many pieces are ready at most before they are asked for.
const AHEAD: usize = 2;

/// Checks pieces in a task of its own, so that many blobs are hashed on many cores. The piece that
/// completes the content is held back until the end has been seen and found right (S-12).
pub(super) fn checked(content: Arc<dyn Content>, mut check: Check, watch: Option<Watch>) -> Pieces {
    from_task(move |to| async move {
        let mut pieces = content.open().await?;
        let mut last = None;
        let mut mislabelled = None;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if piece.is_empty() {
                continue;
            }
            match check.take(&piece) {
                // A page of some proxy, or a wrong media type: the digest will tell (F-55).
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    check.take(&piece)?;
                    mislabelled = Some(error);
                }
                taken => taken?,
            }
            if let Some(watch) = &watch {
                watch(piece.len() as u64);
            }
            match check.left() {
                0 => last = Some(piece),
                _ if mislabelled.is_some() => {}
                _ => send(&to, piece).await?,
            }
        }
        check.end().inspect_err(|_| content.found_wrong())?;
        if let Some(error) = mislabelled {
            return Err(error);
        }
        match last {
            Some(last) => send(&to, last).await,
            None => Ok(()),
        }
    })
}

/// Pours a blob in a thread, for files and for what is compressed on the way.
pub(super) fn poured(blob: Blob) -> Pieces {
    from_task(move |to| async move {
        let pour =
            move || blob.pour_pieces(&mut |piece| to.blocking_send(Ok(piece)).map_err(|_| gone()));
        crate::store::blocking(pour).await.map(|_| ())
    })
}

async fn send(to: &mpsc::Sender<Result<Bytes>>, piece: Bytes) -> Result<()> {
    to.send(Ok(piece)).await.map_err(|_| gone())
}

fn gone() -> Error {
    Error::new(ErrorKind::Interrupted, "nobody reads any more")
}

/// What a task sends; its error comes last. The task ends when the pieces are dropped.
fn from_task<F>(task: impl FnOnce(mpsc::Sender<Result<Bytes>>) -> F) -> Pieces
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (to, from) = mpsc::channel(AHEAD);
    let running = task(to.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = running.await {
            // Whoever does not read any more needs no error.
            let _ = to.send(Err(error)).await;
        }
    });
    // The set goes with the stream: dropping it ends the task.
    stream::unfold((from, tasks), |(mut from, tasks)| async {
        from.recv().await.map(|piece| (piece, (from, tasks)))
    })
    .boxed()
}

/// Reads pieces from a thread that may block. They are fetched by a task, so that the thread waits for
/// nothing of the runtime, which may end before it does.
pub(super) struct PieceReader {
    from: mpsc::Receiver<Result<Option<Bytes>>>,
    _task: JoinSet<()>,
}

impl PieceReader {
    pub(super) fn new(content: Arc<dyn Content>) -> Result<Self> {
        let no_runtime = |error| Error::new(ErrorKind::Io, format!("cannot wait: {error}"));
        let runtime = Handle::try_current().map_err(no_runtime)?;
        let (to, from) = mpsc::channel(AHEAD);
        let mut task = JoinSet::new();
        let fetch = async move {
            let ended = fetch(content, &to).await;
            // Whoever does not read any more needs no end.
            let _ = to.send(ended.map(|()| None)).await;
        };
        task.spawn_on(fetch, &runtime);
        Ok(Self { from, _task: task })
    }

    /// The next piece; an empty one is the end.
    pub(super) fn next(&mut self) -> Result<Bytes> {
        match self.from.blocking_recv() {
            Some(next) => Ok(next?.unwrap_or_default()),
            // The task was ended before the content was.
            None => Err(Error::new(ErrorKind::Interrupted, "interrupted")),
        }
    }
}

async fn fetch(content: Arc<dyn Content>, to: &mpsc::Sender<Result<Option<Bytes>>>) -> Result<()> {
    let mut pieces = content.open().await?;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if !piece.is_empty() {
            to.send(Ok(Some(piece))).await.map_err(|_| gone())?;
        }
    }
    Ok(())
}
