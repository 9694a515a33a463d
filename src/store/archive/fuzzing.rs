//! What must hold of archives, whatever bytes they are.
#![allow(clippy::unwrap_used, reason = "a body fails by panicking")]

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use async_trait::async_trait;
use tar::Header;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::stream;
use super::tape::{Body, FileTape};
use super::tar_index::TarIndex;
use super::tar_walk::{BLOCK, Entries};
use super::{DockerArchive, OciArchive};
use crate::error::Result;
use crate::error::fuzzing::{harmless, shown};
use crate::image::{Descriptor, Digest, Name};
use crate::store::blob::{FileRange, Passed, Passing};
use crate::store::{Source, Taker, blocking};

/// How much of one archive is looked at: files, images, and pieces of an image.
const MOST: usize = 32;

/// The most that is read of one blob, in bytes.
const BLOB: u64 = 1 << 20;

thread_local! {
    /// Made once, for speed.
    static SCENE: (TempDir, Runtime) = (
        tempfile::tempdir().unwrap(),
        Builder::new_current_thread().build().unwrap(),
    );
}

/// Bytes as a file that should be an archive. As a tar, it holds the same whether it is read in place or
/// while it passes; as what `docker save` writes or as an OCI layout, compressed or not, it gives out
/// only content that its names stand for, or says in a line that can be shown what is wrong.
///
/// # Panics
/// If not so.
pub fn archive(bytes: &[u8]) {
    SCENE.with(|(directory, runtime)| {
        let path = directory.path().join("archive");
        fs::write(&path, bytes).unwrap();
        runtime.block_on(async {
            same_in_a_stream(bytes, directory.path()).await;
            match DockerArchive::open(&path) {
                Ok(archive) => whole(&archive).await,
                Err(error) => shown(&error),
            }
            match OciArchive::open(&path) {
                Ok(archive) => whole(&archive).await,
                Err(error) => shown(&error),
            }
        });
    });
}

/// The same bytes with the checksums of all that could be tar headers put right, so that changes in a
/// header get past the first look.
pub fn with_checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        if block.get(257..262) == Some(b"ustar") {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}

/// Takes layers and keeps nothing.
struct Nobody;

#[async_trait]
impl Taker for Nobody {
    async fn take(&self, layer: Passing) -> Result<Passed> {
        blocking(move || layer.pour(&mut |_| Ok(()))).await
    }
}

async fn same_in_a_stream(bytes: &[u8], directory: &Path) {
    let mut file = tempfile::tempfile_in(directory).unwrap();
    file.write_all(bytes).unwrap();
    let range = FileRange::whole(file).unwrap();
    let in_place = TarIndex::of(&range);
    let passing = stream::walk(Cursor::new(bytes.to_vec()), &Nobody).await;
    let (mut in_place, mut passing) = match (in_place, passing) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(one), Err(other)) => {
            shown(&one);
            shown(&other);
            assert_eq!(one.kind(), other.kind(), "{one} and {other}");
            return;
        }
        (one, other) => unreachable!("in place {one:?}, in a stream {other:?}"),
    };
    let told = |index: &mut TarIndex| index.check().err().map(|error| error.to_string());
    let told = (told(&mut in_place), told(&mut passing));
    assert_eq!(told.0, told.1);
    harmless(&told.0.unwrap_or_default());
    for entry in Entries::of(FileTape::of(&range)).take(MOST) {
        let name = entry.unwrap().name;
        assert_eq!(
            content(&in_place, &name),
            content(&passing, &name),
            "{name:?}"
        );
    }
    assert!(bytes.len() as u64 >= BLOCK, "a tar has a block at least");
}

/// The size and digest of what a name leads to; or the reason why it leads nowhere.
fn content(index: &TarIndex, name: &str) -> std::result::Result<Option<(u64, Digest)>, String> {
    let found = index.file(name).map_err(|error| {
        shown(&error);
        error.to_string()
    })?;
    Ok(found.map(|body| match &body {
        Body::Here(range) => {
            let mut bytes = Vec::new();
            range.reader().read_to_end(&mut bytes).unwrap();
            (body.len(), Digest::of(&bytes))
        }
        Body::Gone(gone) => {
            let came = &gone.as_ref().as_ref().unwrap().came;
            // A file may be called by another algorithm, which then is used.
            (body.len(), came.digest.clone())
        }
    }))
}

/// Reads all that an archive gives out.
async fn whole(archive: &dyn Source) {
    let mut names = archive.names().await.unwrap_or_default();
    names.truncate(MOST);
    names.push(Name::Sole);
    for name in names {
        harmless(&name.to_string());
        match archive.resolve(&name).await {
            Ok(Some(root)) => image(archive, root).await,
            Ok(None) => {}
            Err(error) => shown(&error),
        }
    }
}

async fn image(archive: &dyn Source, root: Descriptor) {
    let mut left = vec![root];
    for _ in 0..MOST {
        let Some(next) = left.pop() else {
            return;
        };
        let manifest = match archive.manifest(&next).await {
            Ok(manifest) => manifest,
            Err(error) => {
                shown(&error);
                continue;
            }
        };
        assert_eq!(manifest.descriptor().digest, next.digest);
        left.extend(manifest.children().iter().take(MOST).cloned());
        for piece in manifest.blobs().take(MOST) {
            let blob = match archive.blob(piece).await {
                Ok(blob) => blob.bytes(BLOB).await,
                Err(error) => Err(error),
            };
            match blob {
                Ok(bytes) => {
                    assert_eq!(bytes.len() as u64, piece.size);
                    assert_eq!(Digest::by(piece.digest.algorithm(), &bytes), piece.digest);
                }
                Err(error) => shown(&error),
            }
        }
    }
}
