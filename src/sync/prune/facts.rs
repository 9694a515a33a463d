//! What tags stand for, and what must stay because something else needs it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};

use crate::error::{ErrorKind, Result};
use crate::image::{Descriptor, Digest, MediaKind, Name, Tag};
use crate::store::Destination;

use super::decide::Stays;

/// How many questions are asked at once.
const PARALLEL: usize = 16;
/// How deep indexes are followed: nobody nests more than two.
const DEPTH: usize = 8;

/// What is known of the images of one place.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What the tags stand for that may go.
    pub(super) due: BTreeMap<Tag, Image>,
    /// What must not be deleted, and the tag that needs it.
    pub(super) protected: BTreeMap<Digest, Needed>,
}

/// An image whose tags may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) digest: Digest,
    /// The images below it, if it is an index.
    pub(super) below: Vec<Digest>,
    /// The image that it refers to.
    pub(super) subject: Option<Digest>,
}

/// Who needs an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needed {
    /// The tag stands for it.
    By(Tag),
    /// The tag stands for an index that it is in.
    Below(Tag),
}

/// Tags that go together, because they stand for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) digest: Digest,
    pub(super) tags: Vec<Tag>,
    /// The images below it.
    pub(super) below: Vec<Digest>,
}

/// Looks at what all tags of a place stand for.
///
/// # Errors
/// Whatever asking gives: what is not known for certain must not be deleted.
pub(super) async fn facts(store: &dyn Destination, tags: &[&Tag], due: &[Tag]) -> Result<Facts> {
    let due: BTreeSet<&Tag> = due.iter().collect();
    let asked: Vec<_> = tags.iter().map(|tag| of_tag(store, tag)).collect();
    let mut asked = stream::iter(asked).buffer_unordered(PARALLEL);
    let mut facts = Facts::default();
    let mut kept = Vec::new();
    while let Some(found) = asked.next().await {
        let Some((tag, found)) = found? else { continue };
        match due.contains(tag) {
            true => {
                facts.due.insert(tag.clone(), image(store, found).await?);
            }
            false => kept.push((tag.clone(), found)),
        }
    }
    for (tag, found) in kept {
        for digest in below(store, found.clone()).await? {
            let needed = facts.protected.entry(digest);
            needed.or_insert_with(|| Needed::Below(tag.clone()));
        }
        facts.protected.insert(found.digest, Needed::By(tag));
    }
    Ok(facts)
}

/// An image that may go. One that is damaged or of a kind that nobody reads any more needs nothing.
async fn image(store: &dyn Destination, found: Descriptor) -> Result<Image> {
    let digest = found.digest.clone();
    let (below, subject) = match store.manifest(&found).await {
        Ok(manifest) => {
            let subject = manifest.as_referrer().map(|(subject, _)| subject);
            let subject = subject.map(|subject| subject.digest.clone());
            (below(store, found).await?, subject)
        }
        Err(error) if error.is_bad_source() || error.kind() == ErrorKind::NotFound => {
            (Vec::new(), None)
        }
        Err(error) => return Err(error),
    };
    Ok(Image {
        digest,
        below,
        subject,
    })
}

async fn of_tag<'t>(
    store: &dyn Destination,
    tag: &'t Tag,
) -> Result<Option<(&'t Tag, Descriptor)>> {
    let found = store.resolve(&Name::Tag(tag.clone())).await?;
    Ok(found.map(|found| (tag, found)))
}

/// Everything below an index. A part that is not there has nothing below it.
async fn below(store: &dyn Destination, root: Descriptor) -> Result<Vec<Digest>> {
    let mut found = Vec::new();
    let mut level = vec![root];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for index in level.iter().filter(|it| may_be_index(it)) {
            let children = match store.manifest(index).await {
                Ok(manifest) => manifest.children().to_vec(),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.extend(children.iter().map(|child| child.digest.clone()));
            next.extend(children);
        }
        if next.is_empty() {
            break;
        }
        level = next;
    }
    Ok(found)
}

/// A type that is not known may be anything.
fn may_be_index(descriptor: &Descriptor) -> bool {
    let kind = descriptor.media_type.kind();
    !matches!(kind, MediaKind::Manifest | MediaKind::Schema1)
}

impl Facts {
    /// Parts what may go from what must stay. `is_exact`: deleting a tag never deletes what it stands
    /// for, so that nothing else is harmed.
    pub(super) fn part(&self, due: &[Tag], is_exact: bool) -> (Vec<Group>, Vec<(Tag, Stays)>) {
        let mut groups: BTreeMap<&Digest, Group> = BTreeMap::new();
        let mut stays = Vec::new();
        for tag in due {
            // One that is gone meanwhile is gone.
            let Some(image) = self.due.get(tag) else {
                continue;
            };
            match self.needed(image).filter(|_| !is_exact) {
                Some(why) => stays.push((tag.clone(), why)),
                None => {
                    let new = || Group {
                        digest: image.digest.clone(),
                        tags: Vec::new(),
                        below: image.below.clone(),
                    };
                    let group = groups.entry(&image.digest).or_insert_with(new);
                    group.tags.push(tag.clone());
                }
            }
        }
        (groups.into_values().collect(), stays)
    }

    fn needed(&self, image: &Image) -> Option<Stays> {
        match self.protected.get(&image.digest) {
            Some(Needed::By(tag)) => return Some(Stays::Shared(tag.clone())),
            Some(Needed::Below(tag)) => return Some(Stays::PartOf(tag.clone())),
            None => {}
        }
        match self.protected.get(image.subject.as_ref()?)? {
            Needed::By(tag) | Needed::Below(tag) => Some(Stays::Belongs(tag.clone())),
        }
    }
}
