//! What a YAML file names of a registry, as images.

use imgcopy::image::{Digest, Name, Reference, Tag};
use regex::Regex;

use super::config::{Pairs, Registry};
use super::found::{Found, Group, Image, listed, named};
use super::versions::Range;
use crate::places::End;
use crate::skopeo::place;
use crate::skopeo::told::{self, Fatal};

/// Which tags of a repository are wanted.
pub(super) enum Wanted<'a> {
    All,
    Names(&'a [String]),
    Matching(Regex),
    In(Range),
}

/// The repositories that a file names of one registry, and what is wanted of each, or why it is nothing.
pub(super) fn repositories(registry: &Registry) -> Vec<(&str, Result<Wanted<'_>, String>)> {
    let images = registry.images.iter().flat_map(|Pairs(pairs)| pairs);
    let images = images.map(|(name, tags)| match tags.as_deref() {
        None | Some([]) => (name.as_str(), Ok(Wanted::All)),
        Some(tags) => (name.as_str(), Ok(Wanted::Names(tags))),
    });
    let matching = registry.images_by_tag_regex.iter();
    let matching = matching.flat_map(|Pairs(pairs)| pairs);
    let matching = matching.map(|(name, text)| {
        let wrong = |error: regex::Error| {
            // The last line says what is wrong, those before it point at the place.
            let told = error.to_string();
            let why = told.lines().last().unwrap_or_default();
            let why = why.trim_start_matches("error: ");
            format!("error parsing regexp: {why}: `{}`", text.escape_debug())
        };
        (
            name.as_str(),
            Regex::new(text).map(Wanted::Matching).map_err(wrong),
        )
    });
    let ranges = registry.images_by_semver.iter();
    let ranges = ranges.flat_map(|Pairs(pairs)| pairs);
    let ranges = ranges.map(|(name, text)| (name.as_str(), Range::parsed(text).map(Wanted::In)));
    images.chain(matching).chain(ranges).collect()
}

/// Adds what is wanted of a repository, or tells why not. `fields` are the registry and the repository.
pub(super) async fn add(
    found: &mut Found,
    end: &End,
    fields: &[(&str, &str); 2],
    wanted: Result<Wanted<'_>, String>,
) {
    let [(_, registry), (_, repository)] = fields;
    let read = match place::parsed(&format!("docker://{registry}/{repository}")) {
        Ok(_) if place::has_name(repository) => {
            Err("input names a reference, not a repository".to_string())
        }
        read => read,
    };
    let images = match read {
        Err(why) => Err(("Error parsing repository name, skipping", why)),
        Ok(reference) => {
            told::info("Processing repo", fields);
            let images = images(found, end, fields, &reference, wanted).await;
            images.map_err(|fatal| {
                let why = fatal.text().to_string();
                ("Error processing repo, skipping", why)
            })
        }
    };
    match images {
        Ok(images) if images.is_empty() => told::warn_of("No refs to sync found", fields),
        Ok(images) => {
            let end = end.clone();
            found.groups.push(Group { end, images });
        }
        Err((what, why)) => {
            told::error(what, fields);
            told::error(&why, &[]);
            found.failed += 1;
        }
    }
}

async fn images(
    found: &mut Found,
    end: &End,
    fields: &[(&str, &str); 2],
    repository: &Reference,
    wanted: Result<Wanted<'_>, String>,
) -> Result<Vec<Image>, Fatal> {
    let wanted = wanted.map_err(Fatal::new)?;
    if let Wanted::Names(names) = wanted {
        let mut images = Vec::new();
        for name in names {
            match one(repository, name) {
                Ok(image) => images.push(image),
                Err(why) => {
                    told::error("Error parsing ref, skipping", &[("ref", name)]);
                    told::error(&why, &[]);
                    found.failed += 1;
                }
            }
        }
        return Ok(images);
    }
    told::info("Querying registry for image tags", fields);
    let fits = |tag: &Tag| match &wanted {
        Wanted::Matching(regex) => regex.is_match(tag.as_str()),
        Wanted::In(range) => range.holds(tag.as_str()),
        Wanted::All | Wanted::Names(_) => true,
    };
    listed(end, repository, fits).await
}

/// The image of a tag or digest.
fn one(repository: &Reference, name: &str) -> Result<Image, String> {
    let name = match name.parse::<Digest>() {
        Ok(digest) => Name::Digest(digest),
        Err(_) => {
            let tag = name.parse::<Tag>();
            let tag = tag.and_then(|tag| tag.check_for_registry().map(|()| tag));
            Name::Tag(tag.map_err(|error| format!("invalid tag format: {}", error.in_one_line()))?)
        }
    };
    let image = place::renamed(repository, name);
    image
        .map(named)
        .ok_or_else(|| "it is no registry".to_string())
}
