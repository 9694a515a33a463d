//! An archive that may still be on its way: a pipe is read when somebody asks for something, either
//! once while it comes, or, where that will not do, as a whole that is kept in a temporary file.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::outer::{self, Outer};
use super::tar_index::TarIndex;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::store::{Taker, blocking, locked};

/// What an archive holds, once it is known.
pub(super) struct Opened<T> {
    /// What users know it by.
    place: String,
    /// Makes what it holds from where its files are.
    read: fn(&str, TarIndex) -> Result<T>,
    pipe: Mutex<Option<File>>,
    held: OnceCell<Arc<T>>,
}

impl<T: Send + Sync + 'static> Opened<T> {
    /// Opens an archive. A file is read now, and a pipe later.
    pub(super) fn open(
        place: String,
        path: &Path,
        read: fn(&str, TarIndex) -> Result<T>,
    ) -> Result<Self> {
        match outer::open(path)? {
            Outer::File(range) => {
                let held = read(&place, TarIndex::of(&range)?)?;
                Ok(Self::of(place, read, held))
            }
            Outer::Pipe(pipe) => Ok(Self {
                place,
                read,
                pipe: Mutex::new(Some(pipe)),
                held: OnceCell::new(),
            }),
        }
    }

    /// An archive that was read already.
    pub(super) fn of(place: String, read: fn(&str, TarIndex) -> Result<T>, held: T) -> Self {
        Self {
            place,
            read,
            pipe: Mutex::default(),
            held: OnceCell::new_with(Some(Arc::new(held))),
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether it comes through a pipe of which nothing was read yet.
    pub(super) fn is_stream(&self) -> bool {
        locked(&self.pipe).is_some()
    }

    /// What it holds. A pipe is kept, and needs the room for it.
    pub(super) async fn get(&self) -> Result<Arc<T>> {
        let keep = async {
            let pipe = self.pipe()?;
            let (place, read) = (self.place.clone(), self.read);
            let held = blocking(move || read(&place, TarIndex::of(&outer::kept_from(pipe)?)?));
            held.await.map(Arc::new).attempting(|| self.what())
        };
        self.held.get_or_try_init(|| keep).await.map(Arc::clone)
    }

    /// What it holds, if it was read.
    pub(super) fn now(&self) -> Option<&Arc<T>> {
        self.held.get()
    }

    /// Reads a pipe once, while it comes.
    pub(super) async fn pass(&self, taker: &dyn Taker) -> Result<()> {
        if !self.is_stream() {
            return Ok(());
        }
        let pass = async {
            let pipe = self.pipe()?;
            let (from, compression) = blocking(move || outer::in_pipe(pipe)).await?;
            let (place, read) = (self.place.clone(), self.read);
            let tar = super::stream::walk(from, taker);
            let tar = tar.await.attempting(|| match compression {
                crate::image::Compression::None => {
                    "cannot read what comes through the pipe".to_string()
                }
                _ => format!("cannot unpack what comes through the pipe ({compression})"),
            })?;
            blocking(move || read(&place, tar)).await.map(Arc::new)
        };
        let pass = async { pass.await.attempting(|| self.what()) };
        self.held.get_or_try_init(|| pass).await?;
        Ok(())
    }

    fn what(&self) -> String {
        format!("cannot open {}", self.place)
    }

    fn pipe(&self) -> Result<File> {
        let gone = || {
            let what = "it came through a pipe and was read already: nothing of it is left";
            Error::new(ErrorKind::Io, what)
        };
        locked(&self.pipe).take().ok_or_else(gone)
    }
}
