//! `skopeo list-tags`, `delete` and `manifest-digest`.

use std::process::ExitCode;

use imgcopy::error::ErrorKind;
use imgcopy::image::{Digest, MANIFEST_LIMIT, Name, Reference, Tag};
use imgcopy::inspect;
use imgcopy::store::open_to_delete;

use super::copy::system;
use super::document::{Listing, go_json};
use super::options::{FileArgs, OneArgs};
use super::told::{Ended, Fatal};
use super::{place, usage};
use crate::render;

pub(super) async fn list_tags(args: OneArgs) -> Ended {
    let [text] = usage::exactly(args.references, "Exactly one non-option argument expected")?;
    let Some((transport, rest)) = text.split_once(':') else {
        return Err(Fatal::new(format!(
            "Invalid \"{text}\": does not specify a transport"
        )));
    };
    match transport {
        "docker" if place::has_name(rest.trim_start_matches("//")) => {
            return Err(Fatal::new("No tag or digest allowed in reference"));
        }
        "docker" | "docker-archive" => {}
        other => {
            return Err(Fatal::new(format!(
                "Unsupported transport '{other}' for tag listing. Only supported: docker, docker-archive"
            )));
        }
    }
    let reference = place::parsed(&text).map_err(Fatal::new)?;
    let end = args.side.checked()?.end(&reference, args.retry_times)?;
    let source = end
        .open_source(&reference)
        .map_err(|error| Fatal::new(place::no_place(&reference, &error)))?;
    let names = source.names().await.map_err(|error| match &reference {
        Reference::Docker { .. } => Fatal::of("Error listing repository tags", &error),
        _ => error.into(),
    })?;
    let listing = Listing {
        repository: source.repository().map(ToString::to_string),
        // Of archives the short names, as `docker save` writes them.
        tags: names.iter().map(Name::to_string).collect(),
    };
    Ok(render::line(&go_json(&listing)?))
}

/// A registry deletes an image with all of its tags. skopeo lets it; here, an image that has others is
/// kept, and they are named.
pub(super) async fn delete(args: OneArgs) -> Ended {
    let [text] = usage::exactly(args.references, "Usage: delete imageReference")?;
    let invalid = |why| Fatal::new(format!("Invalid source name {text}: {why}"));
    let reference = place::parsed(&text).map_err(invalid)?;
    let transport = text.split_once(':').map_or("", |(transport, _)| transport);
    if !matches!(
        reference,
        Reference::Docker { .. } | Reference::OciDir { .. }
    ) {
        return Err(Fatal::new(format!(
            "Deleting images not implemented for {transport}: images"
        )));
    }
    let end = args.side.checked()?.end(&reference, args.retry_times)?;
    let place = open_to_delete(&reference, &end.registries)
        .map_err(|error| Fatal::new(place::no_place(&reference, &error)))?;
    let name = reference.name();
    let missing = || {
        let named = place::named(&reference);
        Fatal::new(format!(
            "Unable to delete {named}. Image may not exist or is not stored with a v2 Schema in a v2 registry"
        ))
    };
    let unless_missing = |error: imgcopy::error::Error| match error.kind() {
        ErrorKind::NotFound => missing(),
        _ => error.into(),
    };
    if place.repository().is_none() {
        place.delete(name).await.map_err(unless_missing)?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = place.resolve(name).await.map_err(unless_missing)?;
    let digest = found.ok_or_else(missing)?.digest;
    if let Some(tag) = name.tag() {
        let mut others = inspect::tags_of(&*place, &digest).await?;
        others.retain(|other| other != tag);
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(Tag::to_string).collect();
            let (others, named) = (others.join(", "), place::named(&reference));
            return Err(Fatal::new(format!(
                "Unable to delete {named}: its image is also {others}, and a registry deletes it with all of its tags: delete it by its digest {digest} to do so"
            )));
        }
    }
    let deleted = place.delete(&Name::Digest(digest)).await;
    deleted.map_err(unless_missing)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn manifest_digest(args: &FileArgs) -> Ended {
    let [file] = args.files.as_slice() else {
        return Err(Fatal::new("Usage: skopeo manifest-digest manifest"));
    };
    let shown = file.display();
    let wrong = |why: &str| Fatal::new(format!("Error reading manifest from {shown}: {why}"));
    let read = std::fs::metadata(file).and_then(|metadata| match metadata.len() {
        ..=MANIFEST_LIMIT => std::fs::read(file),
        _ => Err(std::io::Error::other("it is too large for a manifest")),
    });
    let text = read.map_err(|error| wrong(&format!("open {shown}: {}", system(&error))))?;
    let document: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    // Its digest is that of a part of it.
    if document.is_some_and(|document| document.get("signatures").is_some()) {
        return Err(wrong(
            "signed manifests of Docker's first kind are not supported",
        ));
    }
    Ok(render::line(&Digest::of(&text)))
}
