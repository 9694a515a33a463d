//! What each verb does.

use std::process::ExitCode;
use std::time::Instant;

use imgcopy::copy;
use imgcopy::error::{Attempt as _, Error, ErrorKind};
use imgcopy::image::{Name, Platform, Reference, RepoTag};
use imgcopy::inspect;
use imgcopy::store::Source;

use crate::args::{
    CopyArgs, DigestArgs, InspectArgs, ListTagsArgs, PlanArgs, TagsArgs, VerifyArgs,
};
use crate::choices::Format;
use crate::jobs::{Jobs, cores};
use crate::{progress, render, tables};

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

pub(crate) type Ended = Result<ExitCode, Failure>;

pub(crate) async fn copy(args: CopyArgs) -> Ended {
    let begun = Instant::now();
    let (destination, sources) = match args.references.as_slice() {
        [sources @ .., destination] if !sources.is_empty() => (destination, sources),
        _ => {
            let what = "the destination is missing: write imgcopy SOURCE DESTINATION";
            return Err(Failure::Usage(Error::new(ErrorKind::Invalid, what)));
        }
    };
    let what = format!("cannot copy {} to {destination}", listed(sources));
    let opened = Jobs::open(sources, destination, &args.job, args.format).await?;
    let observer = progress::observer(args.progress, args.quiet);
    let copied = match opened.jobs().as_slice() {
        [one] => copy::copy(one, &observer)
            .await
            .map(|outcome| vec![outcome]),
        several => copy::copy_all(several, &observer).await,
    };
    drop(observer);
    if !args.quiet {
        render::warnings(&opened.reached.warnings());
    }
    let outcomes = copied.attempting(|| what)?;
    let digests: Vec<String> = outcomes.iter().map(|it| it.digest.to_string()).collect();
    if let Some(file) = args.digestfile {
        std::fs::write(&file, digests.join("\n"))
            .attempting(|| format!("cannot write {}", file.display()))?;
    }
    if !args.quiet {
        let mut elapsed = begun.elapsed();
        for outcome in &outcomes {
            if outcomes.len() > 1 {
                elapsed = outcome.elapsed;
            }
            render::summary(outcome, elapsed);
        }
    }
    // The archive went to stdout, which has no room for anything else.
    Ok(match destination.is_stdio() {
        true => ExitCode::SUCCESS,
        false => render::lines(&digests),
    })
}

fn listed(sources: &[Reference]) -> String {
    let sources: Vec<String> = sources.iter().map(Reference::to_string).collect();
    sources.join(", ")
}

pub(crate) async fn plan(args: PlanArgs) -> Ended {
    let what = format!(
        "cannot plan a copy of {} to {}",
        args.source, args.destination
    );
    let opened = Jobs::open(
        &[args.source],
        &args.destination,
        &args.job,
        args.manifest_format,
    )
    .await?;
    let mut plans = Vec::new();
    for job in opened.jobs() {
        let survey = copy::survey(&job).await;
        let plan = survey.and_then(|survey| copy::plan(&survey));
        plans.push(plan.attempting(|| what.as_str())?);
    }
    Ok(match (args.format, plans.as_slice()) {
        (Format::Json, [plan]) => render::json(&serde_json::json!({
            "isEmpty": plan.is_empty(),
            "totals": plan.totals(),
            "plan": plan,
        })),
        _ => render::text(&plans.iter().map(tables::plan_table).collect::<String>()),
    })
}

pub(crate) async fn inspect(args: InspectArgs) -> Ended {
    let reference = &args.reference;
    let what = || format!("cannot inspect {reference}");
    let platform = args.platform.asked().map_err(Failure::Usage)?;
    let platform = platform.unwrap_or_else(Platform::of_this_machine);
    let source = args.reach.source(reference)?;
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
        Format::Table => render::text(&tables::description(&described)),
        Format::Json => render::json_of_skopeo(&described),
    })
}

/// The repository of which an image in an archive of `docker save` was asked for. As skopeo has it,
/// names in a layout are free text and tell no repository.
fn repository(reference: &Reference) -> Option<String> {
    let (Reference::DockerArchive { name, .. } | Reference::DockerDaemon { name }) = reference
    else {
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
    let source = args.reach.source(&args.reference)?;
    let names = names(&args.reference, &*source).await?;
    Ok(match args.format {
        Format::Table => render::lines(&names),
        Format::Json => render::json(&serde_json::json!({ "tags": names })),
    })
}

pub(crate) async fn list_tags(args: ListTagsArgs) -> Ended {
    let source = args.reach.source(&args.reference)?;
    let names = names(&args.reference, &*source).await?;
    Ok(render::tags_of_skopeo(source.repository(), &names))
}

pub(crate) async fn digest(args: DigestArgs) -> Ended {
    let reference = &args.reference;
    let source = args.reach.source(reference)?;
    let digest = inspect::digest(&*source, reference.name()).await;
    let digest = digest.attempting(|| format!("cannot tell the digest of {reference}"))?;
    Ok(render::line(&digest))
}

pub(crate) async fn verify(args: VerifyArgs) -> Ended {
    let reference = &args.reference;
    let source = args.reach.source(reference)?;
    let verdict = inspect::verify(&*source, reference.name(), cores().get()).await;
    let verdict = verdict.attempting(|| format!("cannot verify {reference}"))?;
    let printed = match args.format {
        Format::Table => render::text(&tables::verdict(reference, &verdict)),
        Format::Json => render::json(&verdict),
    };
    Ok(match verdict.findings.is_empty() {
        true => printed,
        false => ExitCode::FAILURE,
    })
}
