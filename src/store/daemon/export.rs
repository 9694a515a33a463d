//! What an engine exports, on its way.

use std::io::{self, Read, Write as _};

use bytes::{Buf as _, Bytes};
use reqwest::Response;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use super::answers::broken;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::store::blob::FileRange;
use crate::store::blocking;

/// How many pieces wait to be read.
const WAITING: usize = 8;
/// How much of an export is written at a time, in bytes.
const PIECE: usize = 1 << 20;

/// An archive that an engine has begun to send.
pub(super) struct Export(pub(super) Response);

impl Export {
    /// All of it, in a temporary file without a name.
    pub(super) async fn kept(self) -> Result<FileRange> {
        let mut answer = self.0;
        let what = || {
            let place = std::env::temp_dir();
            format!(
                "cannot keep it in a temporary file in {} (TMPDIR says where)",
                place.display()
            )
        };
        let mut file = tempfile::tempfile().attempting(what)?;
        let mut buffer = Vec::with_capacity(2 * PIECE);
        loop {
            let piece = answer.chunk().await.map_err(broken)?;
            buffer.extend_from_slice(piece.as_deref().unwrap_or_default());
            if buffer.len() < PIECE && piece.is_some() {
                continue;
            }
            (file, buffer) = blocking(move || {
                file.write_all(&buffer)?;
                buffer.clear();
                Ok((file, buffer))
            })
            .await
            .attempting(what)?;
            if piece.is_none() {
                return FileRange::whole(file);
            }
        }
    }

    /// Reads it while it comes, from a thread that may block.
    pub(super) fn reader(self) -> ExportReader {
        let (to, from) = channel(WAITING);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let ended = send(self.0, &to).await;
            // Whoever does not read any more needs no end.
            let _ = to.send(ended.map(|()| None)).await;
        });
        ExportReader {
            from,
            rest: Bytes::new(),
            is_done: false,
            _task: task,
        }
    }
}

async fn send(mut answer: Response, to: &Sender<Result<Option<Bytes>>>) -> Result<()> {
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        let gone = |_| Error::new(ErrorKind::Interrupted, "nobody reads any more");
        to.send(Ok(Some(piece))).await.map_err(gone)?;
    }
    Ok(())
}

/// An export that is being read.
pub(super) struct ExportReader {
    from: Receiver<Result<Option<Bytes>>>,
    rest: Bytes,
    is_done: bool,
    _task: JoinSet<()>,
}

impl Read for ExportReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.is_done {
            match self.from.blocking_recv() {
                Some(Ok(Some(piece))) => self.rest = piece,
                Some(Ok(None)) => self.is_done = true,
                Some(Err(error)) => return Err(error.into()),
                // The task was ended before the export was.
                None => return Err(Error::new(ErrorKind::Interrupted, "interrupted").into()),
            }
        }
        let n = buffer.len().min(self.rest.len());
        if let Some(part) = buffer.get_mut(..n) {
            self.rest.copy_to_slice(part);
        }
        Ok(n)
    }
}
