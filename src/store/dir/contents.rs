//! What an image consists of in a `dir:`: which files are its own, and which of them nobody needs
//! when another image takes its place.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::layout::{child_file, is};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, MANIFEST_LIMIT, Manifest};
use crate::store::files::Folder;

/// Where a manifest is that an index names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file of its own.
    File,
    /// It is the image that the directory holds now.
    Root,
    /// Not in this directory: nobody asked for that platform.
    Nowhere,
}

/// A manifest below an image.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) digest: Digest,
    pub(super) place: Place,
}

/// Everything below a manifest.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Its configs and layers.
    pub(super) blobs: Vec<Descriptor>,
    pub(super) children: Vec<Child>,
}

impl Contents {
    /// Follows a manifest. `current` is the manifest of the image that the directory holds now.
    pub(super) fn of(root: &Folder, image: &Manifest, current: Option<&Bytes>) -> Result<Self> {
        let mut contents = Self::default();
        let mut seen = BTreeSet::from([image.descriptor().digest.clone()]);
        let mut below = vec![image.clone()];
        while let Some(manifest) = below.pop() {
            contents.blobs.extend(manifest.blobs().cloned());
            for child in manifest.children() {
                if seen.insert(child.digest.clone()) {
                    let (place, manifest) = find(root, child, current)?;
                    let digest = child.digest.clone();
                    contents.children.push(Child { digest, place });
                    below.extend(manifest);
                }
            }
        }
        Ok(contents)
    }

    /// The names of the files that it has in the directory, apart from the manifest's own.
    pub(super) fn files(&self) -> BTreeSet<String> {
        let blobs = self.blobs.iter().map(|blob| blob.digest.hex().to_string());
        let children = self.children.iter();
        blobs
            .chain(children.map(|child| child_file(&child.digest)))
            .collect()
    }

    /// The files of this image, which gave way to another: those that the other does not need, and
    /// of all that is there the signatures of what is there no more.
    pub(super) fn stale(&self, new: &Contents, there: &[String]) -> Vec<String> {
        let needed = new.files();
        let mut stale: Vec<String> = self.files().difference(&needed).cloned().collect();
        let is_stale = |signature: &&String| match signed(signature) {
            Some(Signed::Root) => true,
            Some(Signed::Child(hex)) => {
                let is_it = |child: &Child| child.digest.hex() == hex;
                self.children.iter().any(is_it) && !new.children.iter().any(is_it)
            }
            None => false,
        };
        stale.extend(there.iter().filter(is_stale).cloned());
        stale
    }
}

fn find(
    root: &Folder,
    child: &Descriptor,
    current: Option<&Bytes>,
) -> Result<(Place, Option<Manifest>)> {
    let own = match root.content(&child_file(&child.digest), MANIFEST_LIMIT) {
        Ok(own) => own,
        // A link or the like: it is as good as not there.
        Err(error) if error.is_bad_source() => None,
        Err(error) => return Err(error),
    };
    if let Some(Ok(manifest)) = own.map(|bytes| Manifest::parse(bytes, child)) {
        return Ok((Place::File, Some(manifest)));
    }
    let current = current.filter(|current| is(&child.digest, current));
    if let Some(Ok(manifest)) = current.map(|bytes| Manifest::parse(bytes.clone(), child)) {
        return Ok((Place::Root, Some(manifest)));
    }
    Ok((Place::Nowhere, None))
}

/// What a file signs, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signed<'n> {
    /// The image.
    Root,
    /// One of the images of its index, whose digest has this hash.
    Child(&'n str),
}

/// Tells signatures from other files: `signature-1` and so on, or with `<hex>.` in front.
pub(super) fn signed(name: &str) -> Option<Signed<'_>> {
    let (of, own) = match name.split_once('.') {
        Some((hex, own)) => (Signed::Child(hex), own),
        None => (Signed::Root, name),
    };
    let number = own.strip_prefix("signature-")?;
    let is_number = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
    is_number.then_some(of)
}

/// A directory holds one image, so what refers to one cannot be put beside it, and must not be put in
/// its place.
pub(super) fn check_alone(
    image: &Manifest,
    former: Option<&Manifest>,
    taken: &BTreeSet<Digest>,
) -> Result<()> {
    let Some((subject, _)) = image.as_referrer() else {
        return Ok(());
    };
    let own = &image.descriptor().digest;
    let is_beside = taken.iter().any(|digest| digest != own);
    let is_instead = former.is_some_and(|former| {
        let there = &former.descriptor().digest;
        there != own && (*there == subject.digest || former.as_referrer().is_none())
    });
    if !is_beside && !is_instead {
        return Ok(());
    }
    let what = format!(
        "it refers to {}, and a dir: holds one image and nothing that refers to it: copy without referrers, or to another directory",
        subject.digest
    );
    Err(Error::new(ErrorKind::Unsupported, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::MediaType;

    fn contents(blobs: &[&str], children: &[&str]) -> Contents {
        let blob = |text: &&str| Descriptor::of(MediaType::default(), text.as_bytes());
        let child = |text: &&str| Child {
            digest: Digest::of(text.as_bytes()),
            place: Place::File,
        };
        Contents {
            blobs: blobs.iter().map(blob).collect(),
            children: children.iter().map(child).collect(),
        }
    }

    fn hex(text: &str) -> String {
        Digest::of(text.as_bytes()).hex().to_string()
    }

    #[test]
    fn only_what_the_former_image_names_and_the_new_one_does_not_is_stale() {
        let former = contents(&["shared", "gone"], &["child", "lost"]);
        let new = contents(&["shared", "new"], &["child"]);
        let there = [
            "signature-1".to_string(),
            "signature-x".to_string(),
            "notes.txt".to_string(),
            hex("foreign"),
            format!("{}.signature-1", hex("child")),
            format!("{}.signature-1", hex("lost")),
            format!("{}.signature-2", hex("foreign")),
        ];
        let mut expected = vec![
            hex("gone"),
            format!("{}.manifest.json", hex("lost")),
            format!("{}.signature-1", hex("lost")),
            "signature-1".to_string(),
        ];
        let mut stale = former.stale(&new, &there);
        stale.sort();
        expected.sort();
        assert_eq!(stale, expected);
    }

    #[test]
    fn signatures_are_told_by_their_names() {
        assert_eq!(signed("signature-1"), Some(Signed::Root));
        assert_eq!(signed("ab.signature-12"), Some(Signed::Child("ab")));
        for other in ["signature-", "signature-1x", "ab.manifest.json", "version"] {
            assert_eq!(signed(other), None, "{other}");
        }
    }
}
