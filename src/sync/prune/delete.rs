//! Deleting the tags of an image, and then what belonged to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Digest, Name, Tag, companion};
use crate::store::Destination;

use super::facts::{Group, Needed};

/// How many referrers are followed (S-21).
const LIMIT: usize = 1000;

/// What became of an image.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    /// Why something that belonged to it is still there.
    pub(super) left: Option<String>,
}

/// Deletes tags that stand for one image which nothing else needs; what refers to it goes last.
///
/// # Errors
/// If a tag is still there.
pub(super) async fn group(
    store: &dyn Destination,
    group: &Group,
    companions: &[&Tag],
    protected: &BTreeMap<Digest, Needed>,
) -> Result<Deleted> {
    let is_needed = |digest: &Digest| protected.contains_key(digest);
    // Under another name the image lives on, with all that belongs to it.
    let gone: Vec<&Digest> = match is_needed(&group.digest) {
        true => Vec::new(),
        false => {
            let below = group.below.iter().filter(|digest| !is_needed(digest));
            std::iter::once(&group.digest).chain(below).collect()
        }
    };
    // Some registries forget what refers to an image together with the image.
    let (referrers, mut left) = referrers(store, &gone).await;
    for tag in &group.tags {
        let image = Some(&group.digest).filter(|digest| !is_needed(digest));
        let deleted = one(store, tag, image).await;
        deleted.attempting(|| format!("cannot delete {tag}"))?;
    }
    for digest in referrers.iter().filter(|digest| !is_needed(digest)) {
        let deleted = store.delete(&Name::Digest(digest.clone())).await;
        note(&mut left, deleted);
    }
    for tag in belonging(companions, &gone, &referrers) {
        let name = Name::Tag(tag.clone());
        let deleted = match store.resolve(&name).await {
            Ok(Some(found)) => {
                let image = Some(&found.digest).filter(|digest| !is_needed(digest));
                one(store, tag, image).await
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        note(&mut left, deleted);
    }
    Ok(Deleted { left })
}

/// Deletes a tag; where that cannot be, the image, if nothing else needs it. Harbor makes the second
/// of the first by itself, so whoever calls has looked already.
async fn one(store: &dyn Destination, tag: &Tag, image: Option<&Digest>) -> Result<()> {
    let name = Name::Tag(tag.clone());
    let refused = match store.delete(&name).await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    if !matches!(refused.kind(), ErrorKind::Unsupported | ErrorKind::NotFound) {
        return Err(refused);
    }
    // It went with another tag of its image, or somebody else was faster.
    let now = match store.resolve(&name).await? {
        Some(now) => now.digest,
        None => return Ok(()),
    };
    match image {
        Some(image) if *image == now => store.delete(&Name::Digest(now)).await,
        Some(_) => {
            let told = "somebody moved it meanwhile";
            Err(Error::new(ErrorKind::Changed, told))
        }
        None => Err(refused),
    }
}

/// Everything that refers to images, and to that in turn. What cannot be listed is told.
async fn referrers(store: &dyn Destination, subjects: &[&Digest]) -> (Vec<Digest>, Option<String>) {
    let mut found: Vec<Digest> = Vec::new();
    let mut known: BTreeSet<Digest> = subjects.iter().copied().cloned().collect();
    let mut open: Vec<Digest> = subjects.iter().copied().cloned().collect();
    let mut left = None;
    while let Some(subject) = open.pop() {
        let listed = match store.referrers(&subject).await {
            Ok(listed) => listed,
            Err(error) => {
                left = Some(error.root_cause());
                continue;
            }
        };
        for referrer in listed {
            if known.len() < LIMIT && known.insert(referrer.digest.clone()) {
                open.push(referrer.digest.clone());
                found.push(referrer.digest);
            }
        }
    }
    (found, left)
}

/// The tags that are made of the digests of images.
fn belonging<'t>(companions: &[&'t Tag], gone: &[&Digest], more: &[Digest]) -> Vec<&'t Tag> {
    let stems = gone.iter().copied().chain(more);
    let stems: BTreeSet<String> = stems.map(companion::referrers_tag).collect();
    let belongs = |tag: &&&Tag| {
        let text = tag.as_str();
        let own = text.rsplit_once(':').map_or(text, |(_, own)| own);
        let stem = own.split_once('.').map_or(own, |(stem, _)| stem);
        stems.contains(stem)
    };
    companions.iter().filter(belongs).copied().collect()
}

/// The first failure is told; what is gone already is no failure.
fn note(left: &mut Option<String>, deleted: Result<()>) {
    match deleted {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            left.get_or_insert_with(|| error.root_cause());
        }
        _ => {}
    }
}
