//! `index.json`: which images a directory gives out, and under which names (OCI image layout
//! specification, "index.json file"). Pure: text in, text out.

use serde_json::{Map, Value, json};

use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::json::{self, Known};
use crate::image::{Descriptor, Index, MediaType, Name, REF_NAME, Tag, companion};

/// The largest `index.json` that is read, in bytes (S-53).
pub(crate) const LIMIT: u64 = 16 << 20;

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

/// The entry that a name stands for.
pub(super) fn find(entries: &[Descriptor], name: &Name, place: &str) -> Result<Option<Descriptor>> {
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
pub(super) fn name_of(position: usize, entry: &Descriptor) -> Name {
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
mod tests {
    use super::*;

    fn image(content: &str) -> Descriptor {
        Descriptor::of(MediaType::OCI_MANIFEST.into(), content.as_bytes())
    }

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    fn put_all(steps: &[(&str, &str)]) -> Vec<u8> {
        steps.iter().fold(Vec::new(), |text, (content, name)| {
            let before = (!text.is_empty()).then_some(text.as_slice());
            let after = with_image(before, &image(content), &[tag(name)]).unwrap();
            after.unwrap_or(text)
        })
    }

    #[test]
    fn a_tag_moves_and_everything_else_stays() {
        let text = put_all(&[("one", "a"), ("two", "b"), ("three", "a")]);
        let entries = entries(&text).unwrap();
        let seen: Vec<_> = entries
            .iter()
            .map(|it| (it.ref_name().unwrap(), it.digest.clone()))
            .collect();
        assert_eq!(
            seen,
            [("a", image("three").digest), ("b", image("two").digest)]
        );
    }

    #[test]
    fn r13_one_digest_keeps_both_its_tags() {
        let text = put_all(&[("one", "a"), ("one", "b")]);
        assert_eq!(entries(&text).unwrap().len(), 2);
    }

    #[test]
    fn what_is_so_already_is_not_written_again() {
        let text = put_all(&[("one", "a")]);
        assert!(
            with_image(Some(&text), &image("one"), &[tag("a")])
                .unwrap()
                .is_none()
        );
        assert!(
            with_image(Some(&text), &image("one"), &[])
                .unwrap()
                .is_none()
        );
        assert!(
            with_image(Some(&text), &image("two"), &[])
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn unknown_fields_and_annotations_survive() {
        let own = serde_json::to_value(image("own")).unwrap();
        let text = json!({"schemaVersion": 2, "x": [1], "manifests": [
            {"mediaType": own["mediaType"], "digest": own["digest"], "size": own["size"],
             "platform": {"os": "linux", "architecture": "s390x"}, "annotations": {REF_NAME: "own", "k": "v"}},
            {"mediaType": own["mediaType"], "digest": own["digest"], "size": own["size"],
             "annotations": {REF_NAME: "own"}}
        ]});
        let text = serde_json::to_vec(&text).unwrap();
        let after = with_image(Some(&text), &image("new"), &[tag("new")])
            .unwrap()
            .unwrap();
        let after = String::from_utf8(after).unwrap();
        assert!(
            after.contains("s390x") && after.contains(r#""k":"v""#) && after.contains(r#""x":[1]"#)
        );
        let moved = with_image(Some(after.as_bytes()), &image("new"), &[tag("own")])
            .unwrap()
            .unwrap();
        assert_eq!(
            entries(&moved).unwrap().len(),
            2,
            "two entries of one tag become one"
        );
    }

    #[test]
    fn an_empty_or_null_list_is_filled() {
        for text in [
            r#"{"schemaVersion":2,"manifests":null}"#,
            r#"{"schemaVersion":2}"#,
        ] {
            let after = with_image(Some(text.as_bytes()), &image("one"), &[tag("a")]).unwrap();
            assert_eq!(entries(&after.unwrap()).unwrap().len(), 1);
        }
    }

    #[test]
    fn several_images_and_no_choice_lists_them() {
        let text = put_all(&[("one", "a"), ("two", "b")]);
        let entries = entries(&text).unwrap();
        let error = find(&entries, &Name::Sole, "oci:x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ambiguous);
        assert_eq!(error.to_string(), "oci:x holds 2 images, choose one: a, b");
        assert!(
            find(&entries, &Name::Tag(tag("c")), "oci:x")
                .unwrap()
                .is_none()
        );
        assert_eq!(
            find(&entries, &Name::At(1), "oci:x")
                .unwrap()
                .unwrap()
                .digest,
            image("two").digest
        );
    }
}
