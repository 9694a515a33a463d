//! `skopeo inspect`.

use imgcopy::error::{Error, ErrorKind};
use imgcopy::image::{Config as ImageConfig, ImageManifest, Reference};
use imgcopy::inspect;
use imgcopy::store::Source;
use serde::Serialize;

use super::config::{Config, GO_NAMES};
use super::document::{Inspected, go_json};
use super::options::{Global, InspectArgs};
use super::place;
use super::template;
use super::told::{Ended, Fatal, warn};
use super::{copy, usage};
use crate::render;

pub(super) async fn inspect(global: &Global, args: InspectArgs) -> Ended {
    let [text] = usage::exactly(args.one.references, "Exactly one argument expected")?;
    let format = args.format.filter(|format| !format.is_empty());
    if args.raw && format.is_some() {
        return Err(Fatal::new("raw output does not support format option"));
    }
    let unparsed = |why: &str| Fatal::new(format!("Error parsing image name \"{text}\": {why}"));
    let reference = place::parsed(&text).map_err(|why| unparsed(&why))?;
    let side = args.one.side.checked()?;
    let end = side.end(&reference, args.one.retry_times)?;
    let missing = |why: &str| match &reference {
        Reference::Docker { .. } => unparsed(why),
        _ => Fatal::new(format!("Error retrieving manifest for image: {why}")),
    };
    let source = end
        .open_source(&reference)
        .map_err(|error| missing(&place::no_place(&reference, &error)))?;
    let root = inspect::root(&*source, reference.name()).await;
    let root = root.map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(&place::no_image(&reference)),
        _ => missing(&error.in_one_line()),
    })?;
    if args.raw && !args.config {
        return Ok(render::bytes(root.bytes()));
    }
    let digest = root.descriptor().digest.clone();
    let platform = copy::platform(global)?;
    let chosen = inspect::choose(&*source, root, &platform).await;
    let chosen = chosen.map_err(|error| Fatal::of("Error parsing manifest for image", &error))?;
    let kind = &chosen.descriptor().media_type;
    let Some(image) = chosen.as_image() else {
        return Err(Fatal::new("an index has no config"));
    };
    let config = config(&*source, image).await;
    let config = config.map_err(|error| Fatal::of("Error reading config blob", &error))?;
    if args.config {
        return shown_config(&config, args.raw, format.as_deref());
    }
    let mut inspected = Inspected::of(digest, kind, image, &config)?;
    if let Reference::Docker { repository, .. } = &reference {
        inspected.name = repository.to_string();
        inspected.repo_tags = match args.no_tags {
            true => Vec::new(),
            false => tags(&*source).await?,
        };
    }
    printed(&inspected, format.as_deref(), &[])
}

async fn config(source: &dyn Source, image: &ImageManifest) -> Result<bytes::Bytes, Error> {
    let blob = source.blob(&image.config).await?;
    blob.bytes(ImageConfig::LIMIT).await
}

fn shown_config(config: &[u8], raw: bool, format: Option<&str>) -> Ended {
    if raw {
        return Ok(render::bytes(config));
    }
    let config: Config = serde_json::from_slice(config).map_err(|error| {
        Fatal::new(format!(
            "Error reading OCI-formatted configuration data: {error}"
        ))
    })?;
    printed(&config, format, &GO_NAMES)
}

/// A registry need not list its tags to everybody.
async fn tags(source: &dyn Source) -> Result<Vec<String>, Fatal> {
    match inspect::repo_tags(source).await {
        Ok(tags) => Ok(tags),
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) => {
            warn("Registry disallows tag list retrieval; skipping");
            Ok(Vec::new())
        }
        Err(error) => Err(Fatal::of("Error determining repository tags", &error)),
    }
}

fn printed(what: &impl Serialize, format: Option<&str>, names: &[(&str, &str)]) -> Ended {
    let Some(format) = format.filter(|format| *format != "json") else {
        return Ok(render::line(&go_json(what)?));
    };
    let value = serde_json::to_value(what).map_err(|error| Fatal::new(error.to_string()))?;
    let text = template::filled(format, &template::renamed(value, names))?;
    Ok(match text.ends_with('\n') {
        true => render::text(&text),
        false => render::line(&text),
    })
}
