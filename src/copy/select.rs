//! Which images of an index are copied. A pure function: what it needs to know was read before.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, ImageManifest, Manifest, MediaKind, Platform};
use crate::inspect::{Pick, may_be_image, pick};

/// What the user wants of an image that may be an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    All,
    /// The image for one platform, without the index: what `skopeo copy --override-arch` makes.
    One(Platform),
    /// The index with the images for some platforms.
    Some {
        /// The platforms. Each must be there.
        platforms: Vec<Platform>,
        /// What becomes of the index.
        how: Subset,
    },
}

/// What becomes of an index of which not all images are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subset {
    /// It is written anew without the others, so its digest changes.
    Trim,
    /// It stays as it is and names images that are not there. Some registries refuse that.
    Sparse,
}

/// What there is to select from.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'o> {
    /// The image or index.
    pub root: &'o Manifest,
    /// The manifests below it, by digest, for which [`must_be_read`] holds. One that the source does
    /// not have is left away.
    pub below: &'o BTreeMap<Digest, Manifest>,
    /// The platforms that configs name, by the digest of the manifest: see [`Offer::unsaid`].
    pub platforms: &'o BTreeMap<Digest, Platform>,
}

/// What is copied.
#[derive(Debug, Clone)]
pub enum Selected {
    /// The root as it is, with all that it names.
    Whole,
    /// An image in the index, alone. The descriptor is the index's entry.
    One(Descriptor),
    /// Another index.
    Trimmed {
        /// The index without the entries that were left out.
        index: Manifest,
        /// Those entries.
        left_out: Vec<Descriptor>,
    },
    /// The root as it is, without some of what it names.
    Sparse {
        /// The entries of the root that are not copied. None has the digest of one that is.
        left_out: Vec<Descriptor>,
    },
}

/// Whether the manifest of an index's entry must be read before [`select`] can tell what it is for:
/// indexes, and what names no platform. Of other entries the index itself says enough.
pub fn must_be_read(entry: &Descriptor) -> bool {
    entry.media_type.kind() == MediaKind::Index || may_be_image(entry)
}

/// Selects from an image or index.
///
/// A single image is `Whole`, and so is an index that names nothing else than what is wanted.
/// `One` follows the rule of [`crate::inspect::choose`]. With `Some`, of each entry of the root:
///
/// - An image stays if it serves one of the platforms as well as any other does. So all Windows
///   versions stay where none was asked for, and of `arm` only the best variant.
/// - An index in the index stays whole if an image in it stays, and else goes whole.
/// - An attestation or other referrer goes with its image. A trimmed index also loses attestations
///   of what it never named.
/// - What is no image, or does not say what it is for anywhere, stays: it may belong to any.
///
/// # Errors
/// `NotFound` if a platform has no image, listing those that have; for a single image, if its
/// platform is known and none of those wanted. `Incomplete` if what fits is an index that was not
/// there to be read; `Invalid` if `Some` names no platform.
pub fn select(offer: &Offer<'_>, selection: &Selection) -> Result<Selected> {
    let wanted = match selection {
        Selection::All => return Ok(Selected::Whole),
        Selection::One(platform) => std::slice::from_ref(platform),
        Selection::Some { platforms, .. } => platforms,
    };
    if wanted.is_empty() {
        let what = "no platform was chosen: name one, as in linux/amd64";
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    if offer.root.as_image().is_some() {
        return offer.single_image(wanted);
    }
    match selection {
        Selection::Some { how, .. } => subset(offer, wanted, *how),
        Selection::One(platform) => {
            let found = offer.one(offer.root, platform, &mut BTreeSet::new())?;
            let found = found.ok_or_else(|| platform.not_among(offer.all_platforms()))?;
            Ok(Selected::One(found.clone()))
        }
        Selection::All => Ok(Selected::Whole),
    }
}

type Seen<'o> = BTreeSet<&'o Digest>;

impl<'o> Offer<'o> {
    /// The images whose platform only their config tells: the root, if it is one, and those below
    /// for which [`must_be_read`] held.
    pub fn unsaid(&self) -> impl Iterator<Item = &'o Manifest> {
        let root = std::iter::once(self.root);
        root.chain(self.below.values())
            .filter(|manifest| is_container(manifest))
    }

    /// The platform that a config names.
    fn configured(&self, manifest: &Digest) -> Option<&'o Platform> {
        let platform = self.platforms.get(manifest);
        platform.filter(|platform| !platform.is_empty())
    }

    fn single_image(&self, wanted: &[Platform]) -> Result<Selected> {
        let own = self.configured(&self.root.descriptor().digest);
        let Some(own) = own.filter(|own| !wanted.iter().any(|it| it.is_served_by(own))) else {
            return Ok(Selected::Whole);
        };
        let wanted: Vec<String> = wanted.iter().take(16).map(Platform::to_string).collect();
        let what = format!(
            "it is one image, for {own}, and not for {}",
            wanted.join(", ")
        );
        Err(Error::new(ErrorKind::NotFound, what))
    }

    /// The entry for one platform, in nested indexes, too.
    fn one(
        &self,
        index: &'o Manifest,
        wanted: &Platform,
        seen: &mut Seen<'o>,
    ) -> Result<Option<&'o Descriptor>> {
        let unsaid = match pick(index.children(), wanted) {
            Pick::Says(entry) => return self.says(entry, wanted, seen),
            Pick::Unsaid(entries) => entries,
        };
        for entry in unsaid {
            // One that the source does not have is not among them.
            let read = self.below.get(&entry.digest);
            let Some(read) = read.filter(|_| seen.insert(&entry.digest)) else {
                continue;
            };
            let found = match read.as_image() {
                Some(_) => self.may_serve(read, wanted).then_some(entry),
                None => self.one(read, wanted, seen)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Whether an image without a platform in its entry may be for this one.
    fn may_serve(&self, image: &Manifest, wanted: &Platform) -> bool {
        let own = self.configured(&image.descriptor().digest);
        is_container(image) && own.is_none_or(|own| wanted.is_served_by(own))
    }

    /// The image that an entry is, or the one in the index that it is.
    fn says(
        &self,
        entry: &'o Descriptor,
        wanted: &Platform,
        seen: &mut Seen<'o>,
    ) -> Result<Option<&'o Descriptor>> {
        match self.below.get(&entry.digest) {
            Some(read) if read.as_image().is_none() => match seen.insert(&entry.digest) {
                true => self.one(read, wanted, seen),
                false => Ok(None),
            },
            None if entry.media_type.kind() == MediaKind::Index => {
                let what = format!(
                    "the index names another one, {}, for {wanted}, and the source does not have it",
                    entry.digest
                );
                Err(Error::new(ErrorKind::Incomplete, what))
            }
            _ => Ok(Some(entry)),
        }
    }

    /// The platforms of the images that an entry is or holds; none if nobody says.
    fn platforms_in(&self, entry: &'o Descriptor, seen: &mut Seen<'o>) -> Vec<&'o Platform> {
        if let Some(said) = entry.said_platform() {
            return if said.is_unknown() {
                vec![]
            } else {
                vec![said]
            };
        }
        match self.below.get(&entry.digest).map(Manifest::children) {
            Some(children) if !children.is_empty() && seen.insert(&entry.digest) => children
                .iter()
                .flat_map(|child| self.platforms_in(child, seen))
                .collect(),
            _ => self.configured(&entry.digest).into_iter().collect(),
        }
    }

    fn all_platforms(&self) -> Vec<&'o Platform> {
        let entries = self.root.children().iter();
        let mut seen = BTreeSet::new();
        entries
            .flat_map(|entry| self.platforms_in(entry, &mut seen))
            .collect()
    }

    fn lists(&self, digest: &Digest) -> bool {
        let mut entries = self.root.children().iter();
        entries.any(|entry| entry.digest == *digest)
    }

    /// What an entry is about, if it is an attestation or another referrer.
    fn subject(&self, entry: &Descriptor) -> Option<Digest> {
        let read = self.below.get(&entry.digest).and_then(Manifest::as_image);
        let subject = read.and_then(|image| image.subject.as_ref());
        entry
            .attests()
            .or_else(|| subject.map(|subject| subject.digest.clone()))
    }
}

fn is_container(manifest: &Manifest) -> bool {
    let image = manifest.as_image();
    image.is_some_and(ImageManifest::is_container)
}

fn subset(offer: &Offer<'_>, wanted: &[Platform], how: Subset) -> Result<Selected> {
    let choice = Choice::of(offer, wanted, how)?;
    let (staying, mut left_out): (Vec<_>, Vec<_>) = offer
        .root
        .children()
        .iter()
        .cloned()
        .partition(|entry| choice.keeps(entry));
    if how == Subset::Sparse {
        let staying: BTreeSet<_> = staying.iter().map(|entry| &entry.digest).collect();
        left_out.retain(|entry| !staying.contains(&entry.digest));
    }
    if left_out.is_empty() {
        return Ok(Selected::Whole);
    }
    Ok(match how {
        Subset::Sparse => Selected::Sparse { left_out },
        Subset::Trim => Selected::Trimmed {
            index: offer.root.with_entries(&|entry| choice.keeps(entry))?,
            left_out,
        },
    })
}

/// Which entries of an index stay.
struct Choice<'c> {
    offer: &'c Offer<'c>,
    how: Subset,
    /// Each wanted platform, and the best that is there for it.
    wanted: Vec<(&'c Platform, &'c Platform)>,
    /// Whether each of the entries stays of which it is known what they are for.
    images: BTreeMap<&'c Digest, bool>,
}

impl<'c> Choice<'c> {
    fn of(offer: &'c Offer<'c>, wanted: &'c [Platform], how: Subset) -> Result<Self> {
        let offered = offer.all_platforms();
        let best = |wanted: &'c Platform| {
            let best = wanted.best(offered.iter().map(|offered| (*offered, *offered)));
            let best = best.ok_or_else(|| wanted.not_among(offered.iter().copied()));
            best.map(|best| (wanted, best))
        };
        let mut choice = Self {
            offer,
            how,
            wanted: wanted.iter().map(best).collect::<Result<_>>()?,
            images: BTreeMap::new(),
        };
        for entry in offer.root.children() {
            if let Some(stays) = choice.serves(entry) {
                *choice.images.entry(&entry.digest).or_default() |= stays;
            }
        }
        Ok(choice)
    }

    /// Whether an entry is or holds what serves best; `None` if nobody says what it is for.
    fn serves(&self, entry: &'c Descriptor) -> Option<bool> {
        let platforms = self.offer.platforms_in(entry, &mut BTreeSet::new());
        let is_best = |platform: &Platform| {
            let mut wanted = self.wanted.iter();
            wanted.any(|(wanted, best)| {
                let fit = wanted.fit(platform);
                fit.is_some() && fit == wanted.fit(best)
            })
        };
        let serves = platforms.iter().any(|platform| is_best(platform));
        (!platforms.is_empty()).then_some(serves)
    }

    fn keeps(&self, entry: &Descriptor) -> bool {
        if let Some(serves) = self.serves(entry) {
            return serves;
        }
        let Some(subject) = self.offer.subject(entry) else {
            return true;
        };
        if let Some(stays) = self.images.get(&subject) {
            return *stays;
        }
        let is_orphan = entry.attests().is_some() && !self.offer.lists(&subject);
        !is_orphan || self.how == Subset::Sparse
    }
}

#[cfg(test)]
mod tests;
