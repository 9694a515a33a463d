//! Which image of an index is meant. One rule for everything that needs a single image.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

use super::read_config;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Manifest, MediaKind, Platform};
use crate::store::Source;

/// How deep indexes may nest, and how many manifests are read to find an image (S-21).
const DEPTH_LIMIT: usize = 8;
const NODE_LIMIT: usize = 4096;

/// What the entries of one index say to somebody who asks for a platform.
#[derive(Debug)]
pub(crate) enum Pick<'e> {
    /// This one says that it is for the platform, and no other says that it is closer.
    Says(&'e Descriptor),
    /// None says so. These do not say what they are for, and may be or hold an image for it.
    Unsaid(Vec<&'e Descriptor>),
}

/// Picks among the entries of one index. What an entry says comes before what must be read to be
/// known, as containers/image does it: reading costs a request for each.
pub(crate) fn pick<'e>(entries: &'e [Descriptor], wanted: &Platform) -> Pick<'e> {
    let said = entries
        .iter()
        .filter(|entry| leads_to_manifest(entry))
        .filter_map(|entry| Some((entry.said_platform()?, entry)));
    match wanted.best(said) {
        Some(entry) => Pick::Says(entry),
        None => Pick::Unsaid(entries.iter().filter(|entry| may_be_image(entry)).collect()),
    }
}

/// an index may list blobs, too.
fn leads_to_manifest(entry: &Descriptor) -> bool {
    let kind = entry.media_type.kind();
    entry.media_type.is_empty() || matches!(kind, MediaKind::Index | MediaKind::Manifest)
}

/// Whether an entry may be or hold an image, although it names no platform.
pub(crate) fn may_be_image(entry: &Descriptor) -> bool {
    leads_to_manifest(entry)
        && entry.said_platform().is_none()
        && entry.artifact_type.is_none()
        && entry.attests().is_none()
}

/// The manifest of the image that `root` has for `platform`: of an index the best entry, in nested
/// indexes, too. An image is its own only choice, whatever it is for, as skopeo has it.
///
/// Entries that name a platform are asked first; only if none fits are the others read, and of their
/// images the first is taken whose config names a platform that fits or none at all.
///
/// # Errors
/// `NotFound`, listing the platforms there are, if none fits; `Incomplete` if the one that fits is
/// not at the place; `Invalid` if indexes nest too deep or are too many; otherwise what reading gives.
pub async fn choose(source: &dyn Source, root: Manifest, platform: &Platform) -> Result<Manifest> {
    if root.as_image().is_some() {
        return Ok(root);
    }
    let mut search = Search {
        source,
        wanted: platform,
        offered: Vec::new(),
        seen: BTreeSet::from([root.descriptor().digest.clone()]),
    };
    let found = search.below(root, 0).await?;
    found.ok_or_else(|| platform.not_among(&search.offered))
}

struct Search<'s> {
    source: &'s dyn Source,
    wanted: &'s Platform,
    /// What was found that does not fit.
    offered: Vec<Platform>,
    seen: BTreeSet<Digest>,
}

impl Search<'_> {
    /// The image in an index.
    fn below(&mut self, index: Manifest, depth: usize) -> BoxFuture<'_, Result<Option<Manifest>>> {
        Box::pin(async move {
            let entries = index.children();
            let said = entries.iter().filter_map(Descriptor::said_platform);
            self.offered.extend(said.cloned());
            match pick(entries, self.wanted) {
                Pick::Says(entry) => self.says(entry, depth).await,
                Pick::Unsaid(entries) => self.first_of(&entries, depth).await,
            }
        })
    }

    async fn says(&mut self, entry: &Descriptor, depth: usize) -> Result<Option<Manifest>> {
        let found = self.read(entry).await?;
        let found = found.ok_or_else(|| self.absent(entry))?;
        self.image_in(found, depth).await
    }

    async fn first_of(
        &mut self,
        entries: &[&Descriptor],
        depth: usize,
    ) -> Result<Option<Manifest>> {
        for entry in entries {
            let found = self.unsaid(entry, depth).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// What is found is the image, or an index with it.
    async fn image_in(&mut self, found: Manifest, depth: usize) -> Result<Option<Manifest>> {
        match found.as_image() {
            Some(_) => Ok(Some(found)),
            None if depth >= DEPTH_LIMIT => Err(too_much()),
            None => self.below(found, depth + 1).await,
        }
    }

    /// The image that an entry without a platform is or holds, if that fits.
    async fn unsaid(&mut self, entry: &Descriptor, depth: usize) -> Result<Option<Manifest>> {
        // An index may name one manifest many times.
        if !self.seen.insert(entry.digest.clone()) {
            return Ok(None);
        }
        if self.seen.len() > NODE_LIMIT {
            return Err(too_much());
        }
        // A sparse index names what is not there.
        let Some(found) = self.read(entry).await? else {
            return Ok(None);
        };
        let Some(image) = found.as_image() else {
            return self.image_in(found, depth).await;
        };
        if !image.is_container() {
            return Ok(None);
        }
        let own = read_config(self.source, &image.config).await?.platform;
        if own.is_empty() || self.wanted.is_served_by(&own) {
            return Ok(Some(found));
        }
        self.offered.push(own);
        Ok(None)
    }

    async fn read(&self, entry: &Descriptor) -> Result<Option<Manifest>> {
        match self.source.manifest(entry).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).attempting(|| format!("cannot read {}", entry.digest)),
        }
    }

    fn absent(&self, entry: &Descriptor) -> Error {
        let what = format!(
            "the index names {} for {}, but {} does not have it",
            entry.digest, self.wanted, self.source
        );
        Error::new(ErrorKind::Incomplete, what)
    }
}

fn too_much() -> Error {
    let what = format!(
        "its indexes nest deeper than {DEPTH_LIMIT}, or hold more than {NODE_LIMIT} manifests \
         without a platform"
    );
    Error::new(ErrorKind::Invalid, what)
}
