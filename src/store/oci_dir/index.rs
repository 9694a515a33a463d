//! `index.json`: which images a layout gives out, and under which names (OCI image layout
//! specification, "index.json file"), and the other rules that hold for every layout, be it a
//! directory or a tar. Pure: text in, text out.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::json::{self, Known};
use crate::image::{
    Descriptor, Digest, Index, Manifest, MediaType, Name, REF_NAME, Tag, companion,
};

/// The file that lists the images.
pub(crate) const FILE: &str = "index.json";
/// The largest `index.json` that is read, in bytes (S-53).
pub(crate) const LIMIT: u64 = 16 << 20;
/// The file that marks a layout.
pub(crate) const MARKER: &str = "oci-layout";
/// The largest marker that is read, in bytes (S-53).
pub(crate) const MARKER_LIMIT: u64 = 1 << 16;

const KNOWN: Known = Known {
    keys: &[
        "manifests",
        "mediaType",
        "digest",
        "size",
        "annotations",
        "schemaVersion",
        "config",
        "layers",
    ],
    free: &["annotations"],
};

/// Reads the entries of an `index.json`.
pub(crate) fn entries(text: &[u8]) -> Result<Vec<Descriptor>> {
    let index: Index = json::parse(text, &KNOWN).attempting(|| "cannot read index.json")?;
    Ok(index.manifests)
}

/// Fails unless the text of the marker names a version of the layout that imgcopy knows.
pub(crate) fn check_marker(text: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    const KNOWN: Known = Known {
        keys: &["imageLayoutVersion"],
        free: &[],
    };
    let marker: Marker = json::parse(text, &KNOWN).attempting(|| "cannot read oci-layout")?;
    if marker.image_layout_version.starts_with("1.") {
        return Ok(());
    }
    let version = marker.image_layout_version.escape_debug();
    let shown: String = version.take(100).collect();
    let what = format!("its layout version is {shown}; imgcopy knows 1.x");
    Err(Error::new(ErrorKind::Unsupported, what))
}

/// What a name stands for: an entry, or for a digest also a manifest that no entry names, such as
/// one image of an index. `read` gives the bytes of such a one, if they are there.
pub(crate) fn resolve(
    entries: &[Descriptor],
    name: &Name,
    place: &str,
    read: impl FnOnce(&Digest) -> Result<Option<Vec<u8>>>,
) -> Result<Option<Descriptor>> {
    if let Some(entry) = find(entries, name, place)? {
        return Ok(Some(entry));
    }
    let Name::Digest(digest) = name else {
        return Ok(None);
    };
    let Some(bytes) = read(digest)? else {
        return Ok(None);
    };
    let named = Descriptor::new("".into(), digest.clone(), bytes.len() as u64);
    let manifest = Manifest::parse(bytes.into(), &named)?;
    Ok(Some(manifest.descriptor().clone()))
}

/// Those manifests that refer to `subject`, as a list of referrers names them.
pub(crate) fn referrers(
    manifests: impl Iterator<Item = Manifest>,
    subject: &Digest,
) -> Vec<Descriptor> {
    let referrers = manifests.filter_map(|manifest| {
        let (own, entry) = manifest.as_referrer()?;
        (own.digest == *subject).then_some(entry)
    });
    referrers.collect()
}

/// Fails if a blob has another size than its descriptor says.
pub(crate) fn check_size(blob: &Descriptor, size: u64) -> Result<()> {
    if size == blob.size {
        return Ok(());
    }
    let what = format!("{} has {size} bytes, not {}", blob.digest, blob.size);
    Err(Error::new(ErrorKind::Corrupt, what))
}

/// The names by which the entries are given out.
pub(crate) fn names(entries: &[Descriptor]) -> Vec<Name> {
    let entries = entries.iter().enumerate();
    entries
        .map(|(position, entry)| name_of(position, entry))
        .collect()
}

/// The entry that a name stands for.
fn find(entries: &[Descriptor], name: &Name, place: &str) -> Result<Option<Descriptor>> {
    // What belongs to an image is meant only where there is nothing else.
    let has_images = entries.iter().any(|entry| !is_companion(entry));
    let fits = |entry: &&Descriptor| match name {
        Name::Sole => !has_images || !is_companion(entry),
        Name::Tag(tag) => entry.ref_name() == Some(tag.as_str()),
        Name::Digest(digest) => entry.digest == *digest,
        Name::Pinned(tag, digest) => {
            entry.ref_name() == Some(tag.as_str()) && entry.digest == *digest
        }
        Name::At(_) => false,
    };
    if let Name::At(position) = name {
        return Ok(entries.get(*position).cloned());
    }
    let mut found = entries.iter().filter(fits);
    let Some(first) = found.next() else {
        return Ok(None);
    };
    if found.all(|other| other.digest == first.digest) {
        return Ok(Some(first.clone()));
    }
    let list: Vec<String> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| fits(entry))
        .map(|(position, entry)| match name {
            Name::Sole => name_of(position, entry).to_string(),
            _ => Name::At(position).to_string(),
        })
        .collect();
    let what = format!(
        "{place} holds {} images, choose one: {}",
        list.len(),
        list.join(", ")
    );
    Err(Error::new(ErrorKind::Ambiguous, what))
}

/// Whether an entry is no image but belongs to one: a referrer without a name, or a signature.
fn is_companion(entry: &Descriptor) -> bool {
    match entry.ref_name() {
        Some(tag) => companion::is_companion(tag),
        None => entry.artifact_type.is_some(),
    }
}

/// The name by which an entry is given out.
fn name_of(position: usize, entry: &Descriptor) -> Name {
    let tag = entry.ref_name().and_then(|name| name.parse::<Tag>().ok());
    tag.map_or(Name::At(position), Name::Tag)
}

/// The text with `image` given out under `tags`, or without a name if there are none. `None` if
/// that is so already. Whatever else the text holds stays as it is.
pub(in crate::store) fn with_image(
    text: Option<&[u8]>,
    image: &Descriptor,
    tags: &[Tag],
) -> Result<Option<Vec<u8>>> {
    let mut index: Value = match text {
        Some(text) => {
            entries(text)?;
            serde_json::from_slice(text)?
        }
        None => json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": []}),
    };
    let before = index.clone();
    let slot = index
        .as_object_mut()
        .map(|index| index.entry("manifests").or_insert_with(|| json!([])));
    let Some(slot) = slot else {
        return Err(Error::new(
            ErrorKind::Invalid,
            "index.json is not an object",
        ));
    };
    if slot.is_null() {
        *slot = json!([]);
    }
    if let Some(list) = slot.as_array_mut() {
        if tags.is_empty() {
            let there = list.iter().any(|entry| is_of(entry, image));
            if !there {
                list.push(entry(image, None));
            }
        }
        for tag in tags {
            put(list, image, tag);
        }
    }
    if text.is_some() && index == before {
        return Ok(None);
    }
    Ok(Some(serde_json::to_vec(&index)?))
}

/// The text without what `name` names: the entry of a tag, or all entries of a digest. `None` if
/// there is none. Whatever else the text holds stays as it is.
pub(super) fn without(text: Option<&[u8]>, name: &Name) -> Result<Option<Vec<u8>>> {
    let Some(text) = text else {
        return Ok(None);
    };
    let listed = entries(text)?;
    let mut index: Value = serde_json::from_slice(text)?;
    let goes = |position: usize, entry: &Descriptor| match name {
        Name::Sole => true,
        Name::At(at) => position == *at,
        Name::Tag(tag) => entry.ref_name() == Some(tag.as_str()),
        Name::Digest(digest) => entry.digest == *digest,
        Name::Pinned(tag, digest) => {
            entry.ref_name() == Some(tag.as_str()) && entry.digest == *digest
        }
    };
    let keeps: Vec<bool> = listed
        .iter()
        .enumerate()
        .map(|(position, entry)| !goes(position, entry))
        .collect();
    if keeps.iter().all(|keep| *keep) {
        return Ok(None);
    }
    if let Some(list) = index.get_mut("manifests").and_then(Value::as_array_mut) {
        let mut keeps = keeps.into_iter();
        list.retain(|_| keeps.next().unwrap_or(true));
    }
    Ok(Some(serde_json::to_vec(&index)?))
}

/// Puts the entry where the tag stood first; further entries of that tag go.
fn put(list: &mut Vec<Value>, image: &Descriptor, tag: &Tag) {
    let is_tagged = |entry: &Value| tag_of(entry) == Some(tag.as_str());
    let first = list.iter().position(is_tagged);
    let kept = first
        .and_then(|at| list.get(at))
        .filter(|entry| is_of(entry, image))
        .cloned();
    let new = kept.unwrap_or_else(|| entry(image, Some(tag)));
    let mut position = 0;
    list.retain(|entry| {
        let keep = Some(position) == first || !is_tagged(entry);
        position += 1;
        keep
    });
    match first.and_then(|at| list.get_mut(at)) {
        Some(slot) => *slot = new,
        None => list.push(new),
    }
}

fn entry(image: &Descriptor, tag: Option<&Tag>) -> Value {
    let mut entry = Map::new();
    entry.insert("mediaType".into(), image.media_type.as_str().into());
    entry.insert("digest".into(), image.digest.to_string().into());
    entry.insert("size".into(), image.size.into());
    if let Some(artifact_type) = &image.artifact_type {
        entry.insert("artifactType".into(), artifact_type.as_str().into());
    }
    if let Some(tag) = tag {
        entry.insert("annotations".into(), json!({ REF_NAME: tag.as_str() }));
    }
    Value::Object(entry)
}

fn tag_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REF_NAME)?.as_str()
}

fn is_of(entry: &Value, image: &Descriptor) -> bool {
    entry.get("digest").and_then(Value::as_str) == Some(&image.digest.to_string())
}

#[cfg(test)]
mod tests;
