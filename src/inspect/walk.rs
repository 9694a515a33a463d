//! Everything that an image consists of, found by following its manifests.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Config, Descriptor, Digest, Manifest, Name};
use crate::store::Source;

/// How deep indexes may nest, and how many manifests an image may have (S-21).
const DEPTH_LIMIT: usize = 8;
const NODE_LIMIT: usize = 4096;
/// How many bytes of manifests are kept in memory.
const BYTES_LIMIT: u64 = 64 << 20;

/// The manifests of an image.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Each manifest once, children before parents: the last one is the image itself.
    pub manifests: Vec<Manifest>,
    /// Manifests that an index names and the place does not have: a sparse index.
    pub absent: Vec<Descriptor>,
}

/// The manifest of the image that a name stands for.
///
/// # Errors
/// `NotFound` if there is no such image; `Incomplete` if the place lacks its manifest; otherwise what
/// reading gives.
pub async fn root(source: &dyn Source, name: &Name) -> Result<Manifest> {
    let missing = || {
        let what = match name {
            Name::Sole => format!("{source} holds no image"),
            _ => format!("{source} has no image {name}"),
        };
        Error::new(ErrorKind::NotFound, what)
    };
    let descriptor = source.resolve(name).await?.ok_or_else(missing)?;
    source.manifest(&descriptor).await.map_err(Error::of_piece)
}

/// Reads the manifests below `root`, and takes it in, too.
///
/// # Errors
/// `Incomplete` if everything below an index is missing; `Invalid` if indexes nest too deep or are too
/// many; otherwise what reading gives.
pub async fn walk(source: &dyn Source, root: Manifest) -> Result<Graph> {
    let mut walk = Walk {
        source,
        graph: Graph::default(),
        seen: BTreeSet::new(),
        bytes: 0,
    };
    let digest = root.descriptor().digest.clone();
    let has_children = !root.children().is_empty();
    walk.take(root, 0).await?;
    if has_children && walk.graph.manifests.len() == 1 {
        let what = format!("{source} has none of the manifests that index {digest} names");
        return Err(Error::new(ErrorKind::Incomplete, what));
    }
    Ok(walk.graph)
}

struct Walk<'s> {
    source: &'s dyn Source,
    graph: Graph,
    seen: BTreeSet<Digest>,
    bytes: u64,
}

impl Walk<'_> {
    fn take(&mut self, manifest: Manifest, depth: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.bytes += manifest.descriptor().size;
            let is_too_much =
                depth > DEPTH_LIMIT || self.seen.len() >= NODE_LIMIT || self.bytes > BYTES_LIMIT;
            if is_too_much {
                let what = format!(
                    "its indexes nest deeper than {DEPTH_LIMIT}, or have more than {NODE_LIMIT} \
                     manifests or {} MiB of them",
                    BYTES_LIMIT >> 20
                );
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            self.seen.insert(manifest.descriptor().digest.clone());
            for child in manifest.children() {
                if self.seen.contains(&child.digest) {
                    continue;
                }
                match self.source.manifest(child).await {
                    Ok(child) => self.take(child, depth + 1).await?,
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        self.seen.insert(child.digest.clone());
                        self.graph.absent.push(child.clone());
                    }
                    Err(error) => return Err(error),
                }
            }
            self.graph.manifests.push(manifest);
            Ok(())
        })
    }
}

/// Reads and checks a config.
///
/// # Errors
/// `Invalid` if it is no config; otherwise what reading gives.
pub async fn read_config(source: &dyn Source, config: &Descriptor) -> Result<Config> {
    let what = || format!("cannot read config {}", config.digest);
    let blob = source.blob(config).await.map_err(Error::of_piece);
    let bytes = blob.and_then(|blob| blob.bytes(Config::LIMIT));
    Config::parse(&bytes.attempting(what)?).attempting(what)
}
