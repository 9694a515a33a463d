//! One image on its way: what `copy` does once and `sync` for each image.

use imgcopy::copy::{Companions, Fallback, Job, Outcome, When, copy};
use imgcopy::image::{Descriptor, Digest, MediaKind, Name, Platform, Reference, RepoTag, Tag};
use imgcopy::store::{Destination, Form, Source};

use super::lines::{self, Told};
use super::made::{self, Making};
use super::options::MakingArgs;
use super::place::{self, shown};
use super::told::{self, Fatal};
use crate::places::End;

/// How images are copied: the same for every image of a run.
pub(super) struct Copying<'a> {
    pub(super) making: &'a MakingArgs,
    /// Whether all of an index is copied, or the image in it for `platform`.
    pub(super) all: bool,
    pub(super) platform: Platform,
    /// Whether signatures are to come along.
    pub(super) with_signatures: bool,
    pub(super) told: Told,
}

/// From where to where.
pub(super) struct Way<'a> {
    pub(super) source: &'a Reference,
    pub(super) from: &'a End,
    pub(super) destination: &'a Reference,
    pub(super) to: &'a End,
}

impl Copying<'_> {
    /// Copies an image, and tells the lines of it.
    ///
    /// # Errors
    /// What skopeo says of it.
    pub(super) async fn image(
        &self,
        way: &Way<'_>,
        additional: &[String],
    ) -> Result<Outcome, Fatal> {
        let &Way {
            source,
            destination,
            ..
        } = way;
        let (place, found) = place::opened(source, way.from).await?;
        let making = made::making(self.making, place.promise(), source, destination)?;
        let names = Naming::of(destination, additional)?;
        check_new(destination)?;
        let target = way.to.open_destination(destination, false);
        let target = target.map_err(|error| {
            let doing = format!("initializing destination {}", shown(destination));
            Fatal::of(&doing, &error)
        })?;
        making.idle.iter().for_each(|what| told::warn(what));
        names.idle.iter().for_each(|what| told::warn(what));
        check_list(&found, self.all, &*target)?;
        if self.with_signatures {
            check_signatures(&*place, destination).await?;
        }
        let platform = self.platform.clone();
        let job = Job {
            name: source.name().clone(),
            selection: made::selection(&found.media_type, self.all, platform),
            ..job(&*place, &*target, &making, names)
        };
        let observer = lines::observer(self.told, self.with_signatures);
        let outcome = copy(&job, &observer).await?;
        let is_list = self.all && found.media_type.kind() == MediaKind::Index;
        lines::end(is_list, self.told, &outcome);
        Ok(outcome)
    }
}

fn job<'a>(
    source: &'a dyn Source,
    destination: &'a dyn Destination,
    making: &Making,
    names: Naming,
) -> Job<'a> {
    Job {
        tags: names.tags,
        expected: names.expected,
        // skopeo knows of no referrers, and of cosign's signatures only where it is told to look.
        companions: Companions {
            when: When::Never,
            types: Vec::new(),
            signatures: false,
        },
        compression: making.compression,
        recompress: making.recompress,
        format: making.format,
        // skopeo converts where a registry wants that.
        fallback: match making.preserve_digests {
            true => Fallback::Never,
            false => Fallback::Always,
        },
        preserve_digests: making.preserve_digests,
        ..Job::new(source, destination)
    }
}

/// How the image is named at the destination.
struct Naming {
    tags: Vec<Tag>,
    expected: Option<Digest>,
    /// What was asked for and makes no difference there.
    idle: Option<String>,
}

impl Naming {
    fn of(destination: &Reference, additional: &[String]) -> Result<Self, Fatal> {
        let mut tags: Vec<Tag> = match destination.name() {
            Name::Tag(tag) => vec![tag.clone()],
            Name::Sole => Vec::new(),
            Name::Digest(_) if matches!(destination, Reference::Docker { .. }) => Vec::new(),
            _ => {
                let shown = shown(destination);
                let why = "an image is written under a tag or under none";
                return Err(Fatal::new(format!(
                    "Invalid destination name {shown}: {why}"
                )));
            }
        };
        let is_archive = matches!(destination, Reference::DockerArchive { .. });
        for name in additional {
            let wrong =
                |error| Fatal::of(&format!("error parsing additional-tag '{name}'"), &error);
            name.parse::<RepoTag>().map_err(wrong)?;
            if !place::has_name(name) {
                return Err(Fatal::new(format!(
                    "additional-tag '{name}' must be a tagged reference"
                )));
            }
            if is_archive {
                tags.push(name.parse().map_err(wrong)?);
            }
        }
        if is_archive {
            for tag in &tags {
                tag.as_str().parse::<RepoTag>()?;
            }
        }
        let is_idle = !additional.is_empty() && !is_archive;
        Ok(Self {
            tags,
            expected: place::digest(destination).cloned(),
            idle: is_idle.then(|| {
                "--additional-tag makes a difference to docker-archive: destinations only"
                    .to_string()
            }),
        })
    }
}

/// An archive that is there is not replaced, as with skopeo.
fn check_new(destination: &Reference) -> Result<(), Fatal> {
    let Reference::DockerArchive { path, .. } = destination else {
        return Ok(());
    };
    let there = std::fs::metadata(path);
    match there.is_ok_and(|there| there.is_file() && there.len() > 0) {
        true => Err(Fatal::new(format!(
            "initializing destination {}: docker-archive doesn't support modifying existing images",
            shown(destination)
        ))),
        false => Ok(()),
    }
}

fn check_list(found: &Descriptor, all: bool, target: &dyn Destination) -> Result<(), Fatal> {
    let is_list = all && found.media_type.kind() == MediaKind::Index;
    match is_list && target.form() == Form::PlainImages {
        true => Err(Fatal::new(format!(
            "copying multiple images to destination {target}, which does not support lists of images"
        ))),
        false => Ok(()),
    }
}

/// Simple signatures lie beside the image in a `dir:`. They are not copied, and that is no secret.
async fn check_signatures(source: &dyn Source, destination: &Reference) -> Result<(), Fatal> {
    if source.loose_signatures().await? == 0 {
        return Ok(());
    }
    let shown = shown(destination);
    let why = "imgcopy does not copy simple signatures; --remove-signatures leaves them behind";
    Err(Fatal::new(format!(
        "Can not copy signatures to {shown}: {why}"
    )))
}
