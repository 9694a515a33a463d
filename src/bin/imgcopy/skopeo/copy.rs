//! `skopeo copy`.

use std::path::Path;
use std::process::ExitCode;

use imgcopy::copy::{Companions, Fallback, Job, Outcome, When, copy as copied};
use imgcopy::image::{Descriptor, MediaKind, Name, Platform, Reference, RepoTag, Tag};
use imgcopy::store::{Destination, Form, Source};

use super::made::{self, Making};
use super::options::{CopyArgs, Global};
use super::place::{self, shown};
use super::policy;
use super::told::{self, Ended, Fatal};
use super::{lines, usage};
use crate::platforms::Overrides;

pub(super) async fn copy(global: &Global, mut args: CopyArgs) -> Ended {
    let references = std::mem::take(&mut args.references);
    let [from, to] = usage::exactly(references, "Exactly two arguments expected")?;
    if let Some(option) = args.secrets.refused() {
        let why = "imgcopy neither encrypts nor signs";
        return Err(Fatal::no_option(option, why));
    }
    let policy = policy::load(global)?;
    let invalid = |side, name: &str, why| Fatal::new(format!("Invalid {side} name {name}: {why}"));
    let source = place::parsed(&from).map_err(|why| invalid("source", &from, why))?;
    let destination = place::parsed(&to).map_err(|why| invalid("destination", &to, why))?;
    let all = made::wants_all(&args)?;
    let platform = platform(global)?;
    policy.check(&source)?;
    let sides = (args.source.checked()?, args.destination.checked()?);
    let places = [&source, &destination];
    let authfile = args.authfile.as_ref();
    let reached = sides
        .0
        .beside(&sides.1, authfile, &places, args.retry_times)?;
    let (place, found) = place::opened(&source, &reached.source).await?;
    let making = made::making(&args, place.promise(), &source, &destination)?;
    let names = Naming::of(&destination, &args.additional_tag)?;
    check_new(&destination)?;
    let target = reached
        .open_destination(&destination, false)
        .map_err(|error| {
            Fatal::of(
                &format!("initializing destination {}", shown(&destination)),
                &error,
            )
        })?;
    making.idle.iter().for_each(|what| told::warn(what));
    names.idle.iter().for_each(|what| told::warn(what));
    check_list(&found, all, &*target)?;
    check_signatures(&*place, &args, &destination).await?;
    let name = source.name().clone();
    let selection = made::selection(&found.media_type, all, platform);
    let job = job(&*place, &*target, &making, names);
    let job = Job {
        name,
        selection,
        ..job
    };
    let quiet = args.quiet || is_stdout(&destination);
    let observer = lines::observer(quiet, !args.remove_signatures);
    let ended = copied(&job, &observer).await;
    for warning in reached.warnings() {
        told::warn(&warning);
    }
    let outcome = ended?;
    let is_list = all && found.media_type.kind() == MediaKind::Index;
    lines::end(is_list, quiet);
    note(&outcome, args.digestfile.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

/// The platform whose image is meant.
pub(super) fn platform(global: &Global) -> Result<Platform, Fatal> {
    let overrides = Overrides {
        os: global.override_os.as_deref(),
        architecture: global.override_arch.as_deref(),
        variant: global.override_variant.as_deref(),
    };
    let asked = overrides.platform()?;
    Ok(asked.unwrap_or_else(Platform::of_this_machine))
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
        fallback: if making.preserve_digests {
            Fallback::Never
        } else {
            Fallback::Always
        },
        preserve_digests: making.preserve_digests,
        ..Job::new(source, destination)
    }
}

/// How the image is named at the destination.
struct Naming {
    tags: Vec<Tag>,
    expected: Option<imgcopy::image::Digest>,
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

/// What is told would stand in the middle of the archive.
fn is_stdout(destination: &Reference) -> bool {
    let is_device = match destination {
        Reference::DockerArchive { path, .. } | Reference::OciArchive { path, .. } => {
            path.as_os_str() == "/dev/stdout"
        }
        _ => false,
    };
    is_device || destination.is_stdio()
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
async fn check_signatures(
    source: &dyn Source,
    args: &CopyArgs,
    destination: &Reference,
) -> Result<(), Fatal> {
    if args.remove_signatures || source.loose_signatures().await? == 0 {
        return Ok(());
    }
    let shown = shown(destination);
    let why = "imgcopy does not copy simple signatures; --remove-signatures leaves them behind";
    Err(Fatal::new(format!(
        "Can not copy signatures to {shown}: {why}"
    )))
}

fn note(outcome: &Outcome, digestfile: Option<&Path>) -> Result<(), Fatal> {
    let Some(file) = digestfile else {
        return Ok(());
    };
    std::fs::write(file, outcome.digest.to_string()).map_err(|error| {
        let file = file.display();
        let why = system(&error);
        Fatal::new(format!(
            "Failed to write digest to file \"{file}\": open {file}: {why}"
        ))
    })
}

/// What the system says, in Go's letters and without Rust's number.
pub(super) fn system(error: &std::io::Error) -> String {
    let told = error.to_string();
    let told = told.split(" (os error").next().unwrap_or_default();
    let mut letters = told.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
