//! Everything that an image consists of, found by following its manifests.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Config, Descriptor, Digest, Manifest, Name, Tag};
use crate::store::{Source, Store};

/// How deep indexes may nest, and how many manifests an image may have (S-21).
const DEPTH_LIMIT: usize = 8;
const NODE_LIMIT: usize = 4096;
/// How many bytes of manifests are kept in memory.
const BYTES_LIMIT: u64 = 64 << 20;

/// How many manifests are asked for at once.
const PARALLEL: usize = 8;

/// The manifests of an image.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Each manifest once, children before parents: the last one is the image itself.
    pub manifests: Vec<Manifest>,
    /// Manifests that were not read because somebody vouches for them and all below.
    pub kept: Vec<Descriptor>,
    /// Manifests that an index names and the place does not have: a sparse index.
    pub absent: Vec<Descriptor>,
}

/// What came of looking for a manifest below an index.
#[derive(Debug)]
pub enum Visit {
    /// It was read; what it names comes next.
    Read(Manifest),
    /// It need not be read, nor anything below it.
    Kept,
    /// It is not there.
    Absent,
}

/// The manifest of the image that a name stands for.
///
/// # Errors
/// `NotFound` if there is no such image; `Incomplete` if the place lacks its manifest; otherwise what
/// reading gives.
pub async fn root(source: &dyn Source, name: &Name) -> Result<Manifest> {
    let found = source.find(name).await?;
    found.ok_or_else(|| missing(source, name))
}

/// The digest that a name stands for. A registry is only asked for it; elsewhere the manifest must
/// be there, too.
///
/// # Errors
/// As [`root`].
pub async fn digest(source: &dyn Source, name: &Name) -> Result<Digest> {
    if source.repository().is_none() {
        return Ok(root(source, name).await?.descriptor().digest.clone());
    }
    let found = source.resolve(name).await?;
    Ok(found.ok_or_else(|| missing(source, name))?.digest)
}

/// The tags that stand for an image.
///
/// # Errors
/// Whatever listing and resolving them gives.
pub async fn tags_of(store: &dyn Store, image: &Digest) -> Result<Vec<Tag>> {
    let names = store.names().await?;
    let tags = names.iter().filter_map(|name| name.tag().cloned());
    let asked: Vec<_> = tags
        .map(|tag| {
            async move {
                let found = store.resolve(&Name::Tag(tag.clone())).await?;
                let is_it = found.is_some_and(|found| found.digest == *image);
                Ok::<_, Error>(is_it.then_some(tag))
            }
            .boxed()
        })
        .collect();
    let mut asked = stream::iter(asked).buffered(PARALLEL);
    let mut tags = Vec::new();
    while let Some(tag) = asked.next().await {
        tags.extend(tag?);
    }
    Ok(tags)
}

fn missing(source: &dyn Source, name: &Name) -> Error {
    let what = match name {
        Name::Sole => format!("{source} holds no image"),
        _ => format!("{source} has no image {name}"),
    };
    Error::new(ErrorKind::NotFound, what)
}

/// Reads the manifests below `root`, and takes it in, too.
///
/// # Errors
/// `Incomplete` if everything below an index is missing; `Invalid` if indexes nest too deep or are too
/// many; otherwise what reading gives.
pub async fn walk(source: &dyn Source, root: Manifest) -> Result<Graph> {
    let graph = walk_by(root, &|child| read(source, child).boxed()).await?;
    graph.check_not_hollow(source)?;
    Ok(graph)
}

impl Graph {
    /// An index is worth something only with one of the manifests that it names.
    ///
    /// # Errors
    /// `Incomplete` if it has none.
    pub(crate) fn check_not_hollow(&self, source: &dyn Source) -> Result<()> {
        match self.manifests.as_slice() {
            [root] if !root.children().is_empty() && self.kept.is_empty() => {
                let digest = &root.descriptor().digest;
                let what = format!("{source} has none of the manifests that index {digest} names");
                Err(Error::new(ErrorKind::Incomplete, what))
            }
            _ => Ok(()),
        }
    }
}

/// Reads a manifest at its source; one that is not there is absent.
///
/// # Errors
/// What reading gives.
pub async fn read(source: &dyn Source, manifest: Descriptor) -> Result<Visit> {
    match source.manifest(&manifest).await {
        Ok(manifest) => Ok(Visit::Read(manifest)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Visit::Absent),
        Err(error) => Err(error),
    }
}

/// Looks for each manifest below `root` once, several at a time.
type Look<'l> = &'l (dyn Fn(Descriptor) -> BoxFuture<'l, Result<Visit>> + Sync);

/// Goes through the manifests below `root` as `look` says, level by level.
///
/// # Errors
/// `Invalid` if indexes nest too deep or are too many; otherwise those of `look`.
pub async fn walk_by(root: Manifest, look: Look<'_>) -> Result<Graph> {
    let mut graph = Graph::default();
    let mut read = BTreeMap::new();
    let mut seen = BTreeSet::from([root.descriptor().digest.clone()]);
    let mut bytes = root.descriptor().size;
    let mut level = new_children(&root, &mut seen);
    for depth in 0.. {
        if level.is_empty() {
            break;
        }
        if depth >= DEPTH_LIMIT || seen.len() > NODE_LIMIT {
            return Err(too_much());
        }
        let looks: Vec<_> = level
            .into_iter()
            .map(|child| look(child.clone()).map(|visit| (child, visit)).boxed())
            .collect();
        let mut looks = stream::iter(looks).buffered(PARALLEL);
        let mut next = Vec::new();
        while let Some((child, visit)) = looks.next().await {
            match visit? {
                Visit::Kept => graph.kept.push(child),
                Visit::Absent => graph.absent.push(child),
                Visit::Read(manifest) => {
                    bytes += manifest.descriptor().size;
                    if bytes > BYTES_LIMIT {
                        return Err(too_much());
                    }
                    next.extend(new_children(&manifest, &mut seen));
                    read.insert(child.digest, manifest);
                }
            }
        }
        level = next;
    }
    put_in_order(root, &mut read, &mut graph.manifests);
    Ok(graph)
}

fn new_children(of: &Manifest, seen: &mut BTreeSet<Digest>) -> Vec<Descriptor> {
    let children = of.children().iter();
    children
        .filter(|child| seen.insert(child.digest.clone()))
        .cloned()
        .collect()
}

/// Children before parents. The depth is limited before this is called.
fn put_in_order(manifest: Manifest, read: &mut BTreeMap<Digest, Manifest>, to: &mut Vec<Manifest>) {
    for child in manifest.children() {
        if let Some(child) = read.remove(&child.digest) {
            put_in_order(child, read, to);
        }
    }
    to.push(manifest);
}

fn too_much() -> Error {
    let what = format!(
        "its indexes nest deeper than {DEPTH_LIMIT}, or have more than {NODE_LIMIT} manifests or \
         {} MiB of them",
        BYTES_LIMIT >> 20
    );
    Error::new(ErrorKind::Invalid, what)
}

/// Reads and checks a config.
///
/// # Errors
/// `Invalid` if it is no config; otherwise what reading gives.
pub async fn read_config(source: &dyn Source, config: &Descriptor) -> Result<Config> {
    let what = || format!("cannot read config {}", config.digest);
    let read = async {
        let blob = source.blob(config).await.map_err(Error::of_piece)?;
        Config::parse(&blob.bytes(Config::LIMIT).await?)
    };
    read.await.attempting(what)
}
