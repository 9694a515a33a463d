//! Registries without the referrers API: the list of what refers to a manifest is an index under a
//! tag, which whoever pushes a referrer keeps up to date (OCI distribution specification, "Pushing
//! Manifests with Subject").

use serde_json::{Value, json};

use super::end::End;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Manifest, MediaType, Tag, companion};

/// Adds a manifest that refers to another one to the list of that one, unless the registry lists
/// it itself. Only asking tells: some say that they do and do not.
pub(super) async fn list(end: &End, manifest: &Manifest) -> Result<()> {
    let Some((subject, entry)) = manifest.as_referrer() else {
        return Ok(());
    };
    let what = || {
        format!(
            "cannot list {} as referring to {}",
            entry.digest, subject.digest
        )
    };
    if end
        .referrers(&subject.digest)
        .await
        .attempting(what)?
        .is_some()
    {
        return Ok(());
    }
    // One at a time: the list is read, changed and written.
    let turn = end.host.learnt.turn(&end.path, &subject.digest);
    let _turn = turn.lock().await;
    add(end, &subject.digest, &entry).await.attempting(what)
}

async fn add(end: &End, subject: &Digest, entry: &Descriptor) -> Result<()> {
    let tag: Tag = companion::referrers_tag(subject).parse()?;
    let old = end.get(tag.as_str(), None).await?;
    let Some(text) = with_entry(old.as_ref(), entry)? else {
        return Ok(());
    };
    let index = Manifest::of(text.into(), MediaType::OCI_INDEX.into())?;
    Ok(end.put(&index, Some(&tag)).await?)
}

/// The list with one entry more; `None` if it is there. What others wrote stays as it is.
fn with_entry(old: Option<&Manifest>, entry: &Descriptor) -> Result<Option<Vec<u8>>> {
    let mut index: Value = match old {
        Some(old) if old.as_image().is_some() => {
            let what = "an image has the tag that should list the referrers";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Some(old) => serde_json::from_slice(old.bytes())?,
        None => json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": []}),
    };
    let is_there = |old: &Manifest| old.children().iter().any(|it| it.digest == entry.digest);
    if old.is_some_and(is_there) {
        return Ok(None);
    }
    let new = serde_json::to_value(entry)?;
    match index.get_mut("manifests").and_then(Value::as_array_mut) {
        Some(list) => list.push(new),
        None => {
            if let Some(index) = index.as_object_mut() {
                index.insert("manifests".into(), json!([new]));
            }
        }
    }
    Ok(Some(serde_json::to_vec(&index)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q76_a_list_grows_and_keeps_what_others_wrote() {
        let entry = |content: &[u8]| Descriptor::of(MediaType::OCI_MANIFEST.into(), content);
        let first = with_entry(None, &entry(b"one")).unwrap().unwrap();
        let mut text: Value = serde_json::from_slice(&first).unwrap();
        text["annotations"] = json!({"theirs": "kept"});
        let text = serde_json::to_vec(&text).unwrap();
        let first = Manifest::of(text.into(), MediaType::OCI_INDEX.into()).unwrap();
        assert!(with_entry(Some(&first), &entry(b"one")).unwrap().is_none());
        let second = with_entry(Some(&first), &entry(b"two")).unwrap().unwrap();
        let second: Value = serde_json::from_slice(&second).unwrap();
        assert_eq!(second["annotations"]["theirs"], "kept");
        assert_eq!(second["manifests"].as_array().unwrap().len(), 2);
    }
}
