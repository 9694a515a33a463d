//! What nothing in an OCI directory refers to, and taking it away.

use std::collections::BTreeSet;

use tracing::debug;

use super::layout::{Layout, OWN};
use super::lock::{Lock, is_dead, stages, sweep};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Algorithm, Digest};
use crate::store::files::{Folder, Found};

/// A blob that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// What it is called.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

/// Finds what nothing refers to, and with `remove` takes it away. Nobody may be writing meanwhile: what
/// a writer has brought already is named by nothing yet.
pub(super) fn collect(layout: &Layout, remove: bool) -> Result<Vec<Garbage>> {
    let Some(root) = layout.root()? else {
        return Ok(Vec::new());
    };
    let own = match remove {
        true => root.make_sub(OWN, 0o777)?.map(|(own, _)| own),
        false => root.sub(OWN)?,
    };
    // New writers wait for the lock.
    let _lock = match &own {
        Some(own) if remove => {
            let lock = Lock::take(own)?;
            sweep(own)?;
            check_alone(own)?;
            lock
        }
        Some(own) => {
            check_alone(own)?;
            None
        }
        None => None,
    };
    let garbage = unnamed(layout, &root)?;
    if remove {
        let blobs = root.sub("blobs")?;
        for Garbage { digest, .. } in &garbage {
            let of = |blobs: &Folder| blobs.sub(digest.algorithm().as_str());
            if let Some(dir) = blobs.as_ref().map(of).transpose()?.flatten() {
                debug!(%digest, "removing what nothing refers to");
                dir.remove(digest.hex())?;
            }
        }
    }
    Ok(garbage)
}

fn check_alone(own: &Folder) -> Result<()> {
    for stage in stages(own)? {
        if !is_dead(own, &stage)? {
            let what =
                "somebody is writing to it, and what they bring is named last: try again later";
            return Err(Error::new(ErrorKind::Changed, what));
        }
    }
    Ok(())
}

fn unnamed(layout: &Layout, root: &Folder) -> Result<Vec<Garbage>> {
    let named = named(layout)?;
    let mut garbage = Vec::new();
    let Some(blobs) = root.sub("blobs")? else {
        return Ok(garbage);
    };
    for algorithm in Algorithm::ALL {
        let Some(dir) = blobs.sub(algorithm.as_str())? else {
            continue;
        };
        for (name, _) in dir.list()? {
            // What is not called like a blob is not ours to judge.
            let Ok(digest) = Digest::from_parts(algorithm, &name) else {
                continue;
            };
            if let (false, Found::File(_, stamp)) = (named.contains(&digest), dir.find(&name)?) {
                let size = stamp.size;
                garbage.push(Garbage { digest, size });
            }
        }
    }
    garbage.sort_by(|one, other| one.digest.cmp(&other.digest));
    Ok(garbage)
}

/// Everything that the index leads to, subjects of referrers too. A manifest that cannot be read might
/// name anything, so nothing is garbage then.
fn named(layout: &Layout) -> Result<BTreeSet<Digest>> {
    let mut named = BTreeSet::new();
    let mut below = layout.entries()?;
    while let Some(piece) = below.pop() {
        if !named.insert(piece.digest.clone()) {
            continue;
        }
        match layout.manifest(&piece) {
            Ok(manifest) => {
                below.extend(manifest.children().to_vec());
                let image = manifest.as_image();
                below.extend(image.and_then(|image| image.subject.clone()));
                named.extend(manifest.blobs().map(|blob| blob.digest.clone()));
            }
            // An index may name images that are not here.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let what = format!("cannot tell what manifest {} refers to", piece.digest);
                return Err(error).attempting(|| what);
            }
        }
    }
    Ok(named)
}
