//! Since when tags have been absent: a small file for each repository. One that cannot be read is an
//! error, so that nothing is pruned.

use std::collections::BTreeMap;
use std::io::{ErrorKind as Io, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Digest, Tag};

use super::super::report::Moment;

/// Since when tags have been absent at their sources.
pub(super) type Absent = BTreeMap<Tag, Moment>;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    /// Whose it is, for people, and against files that were renamed.
    place: String,
    absent: BTreeMap<String, Moment>,
}

/// Reads what is remembered of a place. What never was is empty.
///
/// # Errors
/// `Invalid` if it is damaged or another place's; `Unsupported` for a version that is not known; `Io`
/// and its kin if it cannot be read.
pub(super) fn read(folder: &Path, place: &str) -> Result<Absent> {
    let path = path(folder, place);
    let what = || {
        format!(
            "cannot read {}, which remembers since when tags have been gone; without the file that begins anew",
            path.display()
        )
    };
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == Io::NotFound => return Ok(Absent::new()),
        read => read.attempting(what)?,
    };
    let document: Document = serde_json::from_slice(&bytes).attempting(what)?;
    if document.version != VERSION {
        let told = format!("it is of version {}", document.version);
        return Err(Error::new(ErrorKind::Unsupported, told)).attempting(what);
    }
    if document.place != place {
        let other: String = document.place.escape_debug().take(200).collect();
        let told = format!("it is about {other}");
        return Err(Error::new(ErrorKind::Invalid, told)).attempting(what);
    }
    let absent = document.absent.into_iter();
    absent
        .map(|(tag, since)| Ok((tag.parse::<Tag>().attempting(what)?, since)))
        .collect()
}

/// Writes it in one step.
///
/// # Errors
/// Whatever writing gives.
pub(super) fn write(folder: &Path, place: &str, absent: Absent) -> Result<()> {
    let path = path(folder, place);
    let what = || format!("cannot write {}", path.display());
    let document = Document {
        version: VERSION,
        place: place.to_string(),
        absent: (absent.into_iter())
            .map(|(tag, since)| (tag.to_string(), since))
            .collect(),
    };
    let json = serde_json::to_vec_pretty(&document).attempting(what)?;
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).attempting(what)?;
    let mut new = tempfile::NamedTempFile::new_in(parent).attempting(what)?;
    new.write_all(&json).attempting(what)?;
    new.as_file().sync_all().attempting(what)?;
    new.persist(&path)
        .map_err(|error| error.error)
        .attempting(what)?;
    Ok(())
}

/// A name that any file system takes, whatever the place is called.
pub(super) fn path(folder: &Path, place: &str) -> PathBuf {
    let hash: String = Digest::of(place.as_bytes())
        .hex()
        .chars()
        .take(32)
        .collect();
    folder.join("prune").join(format!("{hash}.json"))
}
