//! What each verb does.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use imgcopy::copy;
use imgcopy::error::{Attempt as _, Error, ErrorKind};
use imgcopy::image::{Compression, Digest, Name, Platform, Reference, RepoTag, Tag};
use imgcopy::inspect;
use imgcopy::store::compress::Coding;
use imgcopy::store::{Destination, Source, open_destination, open_source, open_to_delete};

use crate::args::{
    CopyArgs, DeleteArgs, DigestArgs, Format, InspectArgs, JobArgs, ListTagsArgs, PlanArgs,
    TagsArgs, VerifyArgs,
};
use crate::reach::{OneSide, Reached};
use crate::{progress, render};

/// Why a verb did not do what was asked.
pub(crate) enum Failure {
    /// It was asked wrongly; nothing was done.
    Usage(Error),
    /// It failed.
    Failed(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error)
    }
}

type Ended = Result<ExitCode, Failure>;

pub(crate) async fn copy(args: CopyArgs) -> Ended {
    let what = format!(
        "cannot copy {} to {}",
        args.job.source, args.job.destination
    );
    let begun = Instant::now();
    let opened = Opened::from(&args.job)?;
    let observer = progress::observer(args.progress, args.quiet);
    let copied = copy::copy(&opened.job(), &observer).await;
    drop(observer);
    if !args.quiet {
        render::warnings(&opened.reached.warnings());
    }
    let outcome = copied.attempting(|| what)?;
    if let Some(file) = args.digestfile {
        std::fs::write(&file, outcome.digest.to_string())
            .attempting(|| format!("cannot write {}", file.display()))?;
    }
    if !args.quiet {
        render::summary(&outcome, begun.elapsed());
    }
    Ok(render::line(&outcome.digest))
}

pub(crate) async fn plan(args: PlanArgs) -> Ended {
    let what = format!(
        "cannot plan a copy of {} to {}",
        args.job.source, args.job.destination
    );
    let opened = Opened::from(&args.job)?;
    let survey = copy::survey(&opened.job()).await;
    let plan = survey
        .and_then(|survey| copy::plan(&survey))
        .attempting(|| what)?;
    Ok(match args.format {
        Format::Table => render::text(&render::plan_table(&plan)),
        Format::Json => render::json(&serde_json::json!({
            "isEmpty": plan.is_empty(),
            "totals": plan.totals(),
            "plan": plan,
        })),
    })
}

pub(crate) async fn inspect(args: InspectArgs) -> Ended {
    let reference = &args.reference;
    let what = || format!("cannot inspect {reference}");
    let platform = args.platform.asked().map_err(Failure::Usage)?;
    let platform = platform.unwrap_or_else(Platform::of_this_machine);
    let source = source(reference, &args.reach)?;
    if args.config {
        let config = inspect::config(&*source, reference.name(), &platform).await;
        return Ok(render::bytes(&config.attempting(what)?));
    }
    if args.raw {
        let manifest = inspect::root(&*source, reference.name()).await;
        return Ok(render::bytes(manifest.attempting(what)?.bytes()));
    }
    // The table shows no tags.
    let (described, repo_tags) = tokio::join!(
        inspect::describe(&*source, reference.name(), &platform),
        async {
            match args.format == Format::Json && !args.no_tags {
                true => inspect::repo_tags(&*source).await,
                false => Ok(Vec::new()),
            }
        }
    );
    let mut described = described.attempting(what)?;
    described.repo_tags = match repo_tags {
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) => {
            render::no_tags(&error);
            Vec::new()
        }
        repo_tags => repo_tags.attempting(what)?,
    };
    described.repository = described.repository.or_else(|| repository(reference));
    Ok(match args.format {
        Format::Table => render::text(&render::description(&described)),
        Format::Json => render::json_of_skopeo(&described),
    })
}

/// The place of a reference, to read from it.
fn source(reference: &Reference, reach: &OneSide) -> Result<Box<dyn Source>, Failure> {
    let registries = reach.registries(reference).map_err(Failure::Usage)?;
    Ok(open_source(reference, &registries)?)
}

/// The repository of which an image in an archive was asked for, as skopeo tells it.
fn repository(reference: &Reference) -> Option<String> {
    let Reference::DockerArchive { name, .. } = reference else {
        return None;
    };
    let named: RepoTag = name.tag()?.as_str().parse().ok()?;
    Some(named.repository().to_string())
}

/// The names of all images of a place.
async fn names(reference: &Reference, source: &dyn Source) -> imgcopy::error::Result<Vec<String>> {
    let names = source.names().await;
    let names = names.attempting(|| format!("cannot list {reference}"))?;
    Ok(names.iter().map(Name::to_string).collect())
}

pub(crate) async fn tags(args: TagsArgs) -> Ended {
    let source = source(&args.reference, &args.reach)?;
    let names = names(&args.reference, &*source).await?;
    Ok(match args.format {
        Format::Table => render::lines(&names),
        Format::Json => render::json(&serde_json::json!({ "tags": names })),
    })
}

pub(crate) async fn list_tags(args: ListTagsArgs) -> Ended {
    let source = source(&args.reference, &args.reach)?;
    let names = names(&args.reference, &*source).await?;
    Ok(render::tags_of_skopeo(source.repository(), &names))
}

pub(crate) async fn digest(args: DigestArgs) -> Ended {
    let reference = &args.reference;
    let source = source(reference, &args.reach)?;
    let digest = inspect::digest(&*source, reference.name()).await;
    let digest = digest.attempting(|| format!("cannot tell the digest of {reference}"))?;
    Ok(render::line(&digest))
}

pub(crate) async fn delete(args: DeleteArgs) -> Ended {
    let reference = &args.reference;
    let name = reference.name();
    let what = || format!("cannot delete {reference}");
    let registries = args.reach.registries(reference).map_err(Failure::Usage)?;
    let place = open_to_delete(reference, &registries)?;
    if place.repository().is_none() {
        place.delete(name).await.attempting(what)?;
        return Ok(render::line(&format!("deleted {reference}")));
    }
    let found = place.resolve(name).await.attempting(what)?;
    let missing = || Error::new(ErrorKind::NotFound, format!("{place} has no image {name}"));
    let digest = found.ok_or_else(missing).attempting(what)?.digest;
    let mut others = inspect::tags_of(&*place, &digest).await.attempting(what)?;
    others.retain(|tag| name.tag() != Some(tag));
    if !others.is_empty() && !args.all_tags {
        let others: Vec<String> = others.iter().map(Tag::to_string).collect();
        let told = format!(
            "{digest} is also {}, and a registry deletes an image with all of its tags: give --all-tags to do so",
            others.join(", ")
        );
        return Err(Failure::Usage(
            Error::new(ErrorKind::Invalid, told).attempting(what()),
        ));
    }
    let deleted = place.delete(&Name::Digest(digest.clone())).await;
    deleted.attempting(what)?;
    Ok(render::line(&format!("deleted {digest}")))
}

pub(crate) async fn verify(args: VerifyArgs) -> Ended {
    let reference = &args.reference;
    let source = source(reference, &args.reach)?;
    let verdict = inspect::verify(&*source, reference.name(), cores().get()).await;
    let verdict = verdict.attempting(|| format!("cannot verify {reference}"))?;
    let printed = match args.format {
        Format::Table => render::text(&render::verdict(reference, &verdict)),
        Format::Json => render::json(&verdict),
    };
    Ok(match verdict.findings.is_empty() {
        true => printed,
        false => ExitCode::FAILURE,
    })
}

/// Both places of a copy, open.
struct Opened {
    source: Box<dyn Source>,
    name: Name,
    destination: Box<dyn Destination>,
    tags: Vec<Tag>,
    expected: Option<Digest>,
    selection: copy::Selection,
    companions: copy::Companions,
    compression: Option<Coding>,
    threads: NonZeroUsize,
    parallel: Option<NonZeroUsize>,
    reached: Reached,
}

impl Opened {
    fn from(args: &JobArgs) -> Result<Self, Failure> {
        let compression = coding(args).map_err(Failure::Usage)?;
        let tags = destination_tags(&args.destination).map_err(Failure::Usage)?;
        let expected = match args.destination.name() {
            Name::Digest(digest) | Name::Pinned(_, digest) => Some(digest.clone()),
            _ => None,
        };
        let reached = args
            .reach
            .registries(&[&args.source, &args.destination])
            .map_err(Failure::Usage)?;
        Ok(Self {
            source: open_source(&args.source, &reached.source)?,
            name: args.source.name().clone(),
            destination: open_destination(&args.destination, reached.destination(), args.deep)?,
            tags,
            expected,
            selection: args.selection.selection().map_err(Failure::Usage)?,
            companions: args.companions.companions(),
            compression,
            threads: args.threads.unwrap_or_else(cores),
            parallel: args.parallel,
            reached,
        })
    }

    fn job(&self) -> copy::Job<'_> {
        let new = copy::Job::new(&*self.source, &*self.destination);
        copy::Job {
            name: self.name.clone(),
            tags: self.tags.clone(),
            expected: self.expected.clone(),
            selection: self.selection.clone(),
            companions: self.companions.clone(),
            compression: self.compression,
            threads: self.threads,
            parallel: self.parallel.unwrap_or(new.parallel),
            ..new
        }
    }
}

fn coding(args: &JobArgs) -> imgcopy::error::Result<Option<Coding>> {
    match (args.compression, args.compression_level) {
        (Some(method), level) => Coding::new(method.into(), level).map(Some),
        (None, Some(level)) => Coding::new(Compression::Gzip, Some(level)).map(Some),
        (None, None) => Ok(None),
    }
}

/// A destination is a place that can be written to, and is named by a tag or not at all: what will
/// be written has no digest yet.
fn destination_tags(reference: &Reference) -> imgcopy::error::Result<Vec<Tag>> {
    if let Reference::DockerArchive { .. } = reference {
        let what =
            format!("{reference} cannot be written to by this version; docker:// and oci: can");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    match reference.name() {
        Name::Sole => Ok(Vec::new()),
        Name::Tag(tag) | Name::Pinned(tag, _) => Ok(vec![tag.clone()]),
        Name::Digest(_) if matches!(reference, Reference::Docker { .. }) => Ok(Vec::new()),
        Name::Digest(_) | Name::At(_) => {
            let what =
                format!("{reference} cannot be written to: name it by a tag, as in oci:DIR:TAG");
            Err(Error::new(ErrorKind::Invalid, what))
        }
    }
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
