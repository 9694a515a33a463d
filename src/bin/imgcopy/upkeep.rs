//! The verbs that change a place itself: names, deletions, and what is left over.

use clap::Args;

use imgcopy::error::{Attempt as _, Error, ErrorKind};
use imgcopy::image::{Name, Reference, Tag};
use imgcopy::inspect;
use imgcopy::store::oci_dir::OciDir;
use imgcopy::store::{Role, open_to_delete};

use crate::commands::{Ended, Failure};
use crate::reach::OneSide;
use crate::render;

#[derive(Debug, Args)]
#[command(after_help = TAG_EXAMPLES)]
pub(crate) struct TagArgs {
    /// The image
    pub(crate) reference: Reference,

    /// The name that it gets; another image that has it loses it
    #[arg(value_name = "NEW")]
    pub(crate) tag: Tag,

    #[command(flatten)]
    pub(crate) reach: OneSide,
}

const TAG_EXAMPLES: &str = "\
Examples:
  imgcopy tag docker://registry.example/team/app:1.2 stable
  imgcopy tag oci:mirror:app-1.2 app-latest";

#[derive(Debug, Args)]
#[command(after_help = GC_EXAMPLES)]
pub(crate) struct GcArgs {
    /// The OCI directory
    pub(crate) reference: Reference,

    /// Only list what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

const GC_EXAMPLES: &str = "\
Examples:
  imgcopy gc oci:mirror --dry-run
  imgcopy gc oci:mirror

No other tool may write to the directory meanwhile; if an imgcopy does, nothing is removed.";

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The image
    pub(crate) reference: Reference,

    /// Also where the image has other tags, which a registry deletes together
    #[arg(long)]
    pub(crate) all_tags: bool,

    #[command(flatten)]
    pub(crate) reach: OneSide,
}

pub(crate) async fn tag(args: TagArgs) -> Ended {
    let (reference, tag) = (&args.reference, &args.tag);
    let what = || format!("cannot name {reference} {tag}");
    if !matches!(
        reference,
        Reference::Docker { .. } | Reference::OciDir { .. }
    ) {
        let told = "only images of registries and OCI directories can be given another name";
        let error = Error::new(ErrorKind::Invalid, told).attempting(what());
        return Err(Failure::Usage(error));
    }
    if let Reference::Docker { .. } = reference {
        let checked = tag.check_for_registry().attempting(what);
        checked.map_err(Failure::Usage)?;
    }
    let end = args.reach.end(reference).map_err(Failure::Usage)?;
    let place = end.open_destination(reference, false)?;
    let found = place.find(reference.name()).await.attempting(what)?;
    let missing = || {
        let told = format!("{place} has no image {}", reference.name());
        Error::new(ErrorKind::NotFound, told)
    };
    let manifest = found.ok_or_else(missing).attempting(what)?;
    let named = place.put_manifest(&manifest, Role::Root(std::slice::from_ref(tag)));
    named.await.attempting(what)?;
    place.finish().await.attempting(what)?;
    Ok(render::line(&manifest.descriptor().digest))
}

pub(crate) async fn gc(args: GcArgs) -> Ended {
    let reference = &args.reference;
    let what = || format!("cannot clean {reference}");
    let (Reference::OciDir { path, .. }, Name::Sole) = (reference, reference.name()) else {
        let told = "only OCI directories have anything to clean, and as a whole: write oci:DIR";
        let error = Error::new(ErrorKind::Invalid, told).attempting(what());
        return Err(Failure::Usage(error));
    };
    let directory = OciDir::open(path).attempting(what)?;
    let garbage = directory.garbage(!args.dry_run).await?;
    Ok(render::garbage(&garbage, args.dry_run))
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
