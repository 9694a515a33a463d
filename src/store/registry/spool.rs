//! Blobs whose name is known only when they have been read: a registry wants the name first.

use std::io::{Seek as _, SeekFrom, Write as _};

use crate::error::{Attempt as _, Result};
use crate::store::blob::{Blob, FileRange};
use crate::store::blocking;

/// Compresses the blob into a file that has no name and goes away by itself.
///
/// # Errors
/// `NoSpace` if the directory for temporary files is full; otherwise what reading the blob gives.
pub(super) async fn spool(blob: Blob) -> Result<Blob> {
    blocking(move || {
        let what =
            || "cannot keep a compressed layer in the directory for temporary files (TMPDIR)";
        let mut file = tempfile::tempfile().attempting(what)?;
        let receipt = blob.pour(&mut |piece| file.write_all(piece).attempting(what))?;
        file.seek(SeekFrom::Start(0)).attempting(what)?;
        Ok(Blob::file(receipt.descriptor, FileRange::whole(file)?))
    })
    .await
}
