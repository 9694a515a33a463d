//! Writing into an OCI directory so that a kill at any instruction leaves the old image or the new
//! one (R-13 to R-15).
//!
//! A writer has a directory of its own inside `.imgcopy`, locked while it lives. Blobs are written
//! there, synced, and renamed into `blobs/`; `index.json` is replaced last, under one lock for all
//! writers. A directory of a writer that died is known by its lock being free, and swept.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::debug;

use super::layout::OWN;
use super::ledger::Change;
use super::lock::remove_tree;
use super::stage::Stage;
use super::{index, ledger};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Name, Tag};
use crate::store::files::{Folder, Found, Stamp, make_missing};

const MARKER: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
const BLOBS: &str = "blobs";

/// One writer at work.
pub(super) struct Session {
    stage: Stage,
    /// Where blobs are written, if that is a directory of its own: they are renamed inside it.
    shared: Option<Stage>,
    /// Whether the layout did not exist before.
    is_new: bool,
    /// The topmost directory that had to be made for it.
    made: Option<PathBuf>,
}

impl Session {
    /// Begins to write: makes what is missing of the layout, and sweeps what dead writers left. With
    /// `shared` the blobs lie there.
    pub(super) fn begin(path: &Path, shared: Option<&Path>) -> Result<Self> {
        // Only what is made for the layout is ever taken back.
        let shared = shared.map(|path| stage_in(path, |_| Ok(()))).transpose()?;
        let mut is_new = false;
        let is_shared = shared.is_some();
        let (stage, made) = stage_in(path, |stage| {
            is_new = mark(stage)?;
            if is_new && is_shared {
                // A layout has this directory, even if nothing lies in it.
                stage.root().make_sub(BLOBS, 0o777)?;
            }
            Ok(())
        })?;
        Ok(Self {
            stage,
            shared: shared.map(|(stage, _)| stage),
            is_new,
            made,
        })
    }

    /// Where blobs are written.
    fn home(&self) -> &Stage {
        self.shared.as_ref().unwrap_or(&self.stage)
    }

    /// The directory that holds one for each algorithm, if there is one.
    fn blobs(&self) -> Result<Option<Folder>> {
        match &self.shared {
            Some(shared) => Folder::open(shared.root().path()),
            None => self.stage.root().sub(BLOBS),
        }
    }

    /// A new file to write a blob into. It goes unless it is placed.
    pub(super) fn stage(self: &Arc<Self>) -> Result<Staged> {
        let (file, name) = self.home().create()?;
        Ok(Staged {
            file,
            name,
            session: Arc::clone(self),
            is_placed: false,
        })
    }

    /// Gives out an image: `index.json` names it from here on. `pieces` are the blobs and manifests
    /// that it needs, with their sizes; all of them must be there.
    pub(super) fn publish(
        &self,
        image: &Descriptor,
        tags: &[Tag],
        pieces: &[Descriptor],
    ) -> Result<()> {
        let _lock = self.stage.lock()?;
        for piece in pieces {
            self.check(piece)?;
        }
        self.sync_blobs()?;
        self.change_index(|text| index::with_image(text, image, tags))
    }

    /// Gives an image out no more.
    pub(super) fn withdraw(&self, name: &Name) -> Result<()> {
        let _lock = self.stage.lock()?;
        self.change_index(|text| index::without(text, name))
    }

    /// Replaces `index.json` in one step by what `change` makes of it; `None` leaves it.
    fn change_index(
        &self,
        change: impl Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>>,
    ) -> Result<()> {
        let root = self.stage.root();
        // Writers that know nothing of our lock are seen by the file having changed meanwhile.
        for _ in 0..100 {
            let before = root.read(index::FILE, index::LIMIT)?;
            let text = before.as_ref().map(|(text, _)| text.as_slice());
            let Some(text) = change(text)? else {
                return Ok(());
            };
            let staged = self.stage.write(&text)?;
            let now = match root.find(index::FILE)? {
                Found::File(_, stamp) => Some(stamp),
                _ => None,
            };
            if now == before.map(|(_, stamp)| stamp) {
                self.stage.rename(&staged, root, index::FILE)?;
                return root.sync();
            }
            debug!("index.json was changed by another program: merging again");
            self.stage.remove(&staged)?;
        }
        Err(Error::new(
            ErrorKind::Io,
            "index.json is being changed by another program all the time",
        ))
    }

    fn check(&self, piece: &Descriptor) -> Result<()> {
        let missing = || {
            let what = format!(
                "{} has vanished from {}",
                piece.digest,
                self.home().root().path().display()
            );
            Error::new(ErrorKind::Changed, what)
        };
        let dir = self.blobs()?.ok_or_else(missing)?;
        let dir = dir
            .sub(piece.digest.algorithm().as_str())?
            .ok_or_else(missing)?;
        match dir.find(piece.digest.hex())? {
            Found::File(_, stamp) if stamp.size == piece.size => Ok(()),
            _ => Err(missing()),
        }
    }

    fn sync_blobs(&self) -> Result<()> {
        let Some(blobs) = self.blobs()? else {
            return Ok(());
        };
        for (name, is_dir) in blobs.list()? {
            if is_dir
                && name != OWN
                && let Some(dir) = blobs.sub(&name)?
            {
                dir.sync()?;
            }
        }
        blobs.sync()?;
        self.stage.root().sync()
    }

    /// Brings the ledger up to date.
    pub(super) fn record(&self, change: Change) -> Result<()> {
        let home = self.home();
        let _lock = home.lock()?;
        match change {
            Change::None => Ok(()),
            Change::Rewrite(text) => home.replace(home.own(), ledger::FILE, text.as_bytes()),
            Change::Append(lines) => match home.own().append(ledger::FILE)? {
                // A line that a crash cut short must not spoil the next one.
                Some(mut file) => file
                    .write_all(format!("\n{lines}").as_bytes())
                    .attempting(|| "cannot add to the ledger"),
                None => Ok(()),
            },
        }
    }

    /// Takes a layout back that this session made, unless something is in use in it already. Shared
    /// blobs stay: they are whole, and others may have begun to use them.
    pub(super) fn discard(&self) -> Result<()> {
        let _lock = self.stage.lock()?;
        let root = self.stage.root();
        let is_used = !matches!(root.find(index::FILE)?, Found::Nothing);
        if !self.is_new || is_used || self.stage.others_are_alive()? {
            return Ok(());
        }
        remove_tree(root, BLOBS)?;
        root.remove(MARKER.0)?;
        remove_tree(root, OWN)?;
        self.remove_made();
        Ok(())
    }

    /// Removes the directories that were made for the layout, while they are empty.
    fn remove_made(&self) {
        let Some(topmost) = &self.made else {
            return;
        };
        for directory in self.stage.root().path().ancestors() {
            let removed = std::fs::remove_dir(directory).is_ok();
            if !removed || directory == topmost {
                return;
            }
        }
    }
}

/// Begins to write into a directory that need not exist yet, and does `first` before any other writer
/// does anything. Gives the topmost directory that had to be made, too.
fn stage_in(
    path: &Path,
    first: impl FnOnce(&Stage) -> Result<()>,
) -> Result<(Stage, Option<PathBuf>)> {
    let made = make_missing(path)?;
    for _ in 0..100 {
        // Another writer may take the whole directory back until we have the lock.
        let Some(root) = Folder::open(path)? else {
            make_missing(path)?;
            continue;
        };
        if let Some((stage, lock)) = Stage::begin(root)? {
            first(&stage)?;
            drop(lock);
            return Ok((stage, made));
        }
    }
    let what = format!("{} is made and removed again and again", path.display());
    Err(Error::new(ErrorKind::Io, what))
}

/// Makes a directory a layout, and tells whether it was none.
fn mark(stage: &Stage) -> Result<bool> {
    let (name, text) = MARKER;
    let is_new = matches!(stage.root().find(name)?, Found::Nothing);
    if is_new {
        stage.replace(stage.root(), name, text)?;
    }
    Ok(is_new)
}

/// A blob that is being written.
pub(super) struct Staged {
    pub(super) file: File,
    name: String,
    session: Arc<Session>,
    is_placed: bool,
}

impl Staged {
    /// Makes the content durable and gives it its final name.
    pub(super) fn place(mut self, digest: &Digest) -> Result<Stamp> {
        self.file
            .sync_data()
            .attempting(|| format!("cannot sync {digest}"))?;
        let home = self.session.home();
        let algorithm = digest.algorithm().as_str();
        let made = match &self.session.shared {
            Some(shared) => shared.root().make_sub(algorithm, 0o777)?,
            None => match home.root().make_sub(BLOBS, 0o777)? {
                Some((blobs, _)) => blobs.make_sub(algorithm, 0o777)?,
                None => None,
            },
        };
        let (dir, _) = made.ok_or_else(|| home.gone())?;
        home.rename_over(&self.name, &dir, digest.hex())?;
        self.is_placed = true;
        Stamp::now(&self.file)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = self.session.home().remove(&self.name);
        }
    }
}
