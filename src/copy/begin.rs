//! How a survey begins: what the names stand for, whether anything has changed, and which manifests
//! must be read.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;

use super::Job;
use super::select::{Offer, Selected, Selection, must_be_read, select};
use super::survey::Standing;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Compression, Descriptor, Digest, Manifest, Name, Platform, Repository};
use crate::inspect::{Graph, Visit, read, read_config, root, walk_by};
use crate::store::{Form, Presence, Promise};

/// What the names stand for now; without names, everything that is given out.
pub(super) async fn standing(job: &Job<'_>) -> Result<Vec<Option<Descriptor>>> {
    let told = job.standing.as_ref();
    if let Some(told) = told.filter(|told| told.len() == job.tags.len() && !told.is_empty()) {
        return Ok(told.clone());
    }
    let what = || format!("cannot look into {}", job.destination);
    let names = match (job.tags.is_empty(), &job.expected) {
        (true, Some(digest)) => vec![Name::Digest(digest.clone())],
        (true, None) => job.destination.names().await.attempting(what)?,
        (false, _) => job.tags.iter().cloned().map(Name::Tag).collect(),
    };
    let mut stands = Vec::new();
    for name in names {
        stands.push(match job.destination.resolve(&name).await {
            Err(error) if error.kind() == ErrorKind::Ambiguous => None,
            there => there.attempting(what)?,
        });
    }
    Ok(stands)
}

/// Reads what stands there, for what it tells about the layers that are there. What is the image
/// itself need not be read of a place that vouches for it.
pub(super) async fn current(
    job: &Job<'_>,
    stands: Vec<Option<Descriptor>>,
    images: &[Manifest],
) -> Vec<Option<Standing>> {
    let root = images.last().map(|root| &root.descriptor().digest);
    let mut current = Vec::new();
    for there in stands {
        let Some(descriptor) = there else {
            current.push(None);
            continue;
        };
        if vouches(job) && Some(&descriptor.digest) == root {
            let manifest = None;
            current.push(Some(Standing {
                descriptor,
                manifest,
            }));
            continue;
        }
        // A name whose manifest is missing or damaged stands for nothing: it is written anew.
        let manifest = job.destination.manifest(&descriptor).await.ok();
        current.push(manifest.map(|manifest| Standing {
            descriptor,
            manifest: Some(manifest),
        }));
    }
    current
}

/// What the names stand for, if the source tells without being read that it is the image.
pub(super) enum Same {
    /// The destination vouches for it.
    Vouched,
    /// The manifest is there; whether all else is must be looked through.
    There(Manifest),
}

/// Compares the image ID that the source tells with the config of what the names stand for. An engine
/// that calls its images by their manifests tells something that is no config's digest, and nothing
/// is concluded.
pub(super) async fn same_image(
    job: &Job<'_>,
    stands: &[Option<Descriptor>],
) -> Result<Option<Same>> {
    let is_plain_copy = wants_no_other(job)
        && job.compression.is_none()
        && !job.recompress
        && job.selection == Selection::All
        && job.destination.form() == Form::Any;
    if !is_plain_copy || job.source.promise() != Promise::ImageId {
        return Ok(None);
    }
    let [Some(first), rest @ ..] = stands else {
        return Ok(None);
    };
    let is_first =
        |other: &Option<Descriptor>| other.as_ref().map(|it| &it.digest) == Some(&first.digest);
    if !rest.iter().all(is_first) {
        return Ok(None);
    }
    let Some(id) = job.source.image_id(&job.name).await? else {
        return Ok(None);
    };
    let Ok(there) = job.destination.manifest(first).await else {
        return Ok(None);
    };
    let stays = |layer: &Descriptor| {
        let compression = layer.media_type.compression();
        matches!(compression, Some(Compression::Gzip | Compression::Zstd))
    };
    let is_it = there.as_image().is_some_and(|image| {
        image.is_container() && image.config.digest == id && image.layers.iter().all(stays)
    });
    Ok(is_it.then(|| match vouches(job) {
        true => Same::Vouched,
        false => Same::There(there),
    }))
}

/// Whether any manifest of the same image will do.
fn wants_no_other(job: &Job<'_>) -> bool {
    job.format.is_none() && !job.preserve_digests
}

/// Where the destination has the image by its ID: which of the names stand for it. Without names it
/// stands there by itself.
pub(super) async fn known_by_id(
    job: &Job<'_>,
    root: &Manifest,
) -> Result<Option<Vec<Option<Standing>>>> {
    let Some(image) = root.as_image().filter(|image| image.is_container()) else {
        return Ok(None);
    };
    let id = &image.config.digest;
    if job.destination.form() != Form::PlainImages
        || !wants_no_other(job)
        || job
            .destination
            .image_id(&Name::Digest(id.clone()))
            .await?
            .as_ref()
            != Some(id)
    {
        return Ok(None);
    }
    let standing = || Standing {
        descriptor: root.descriptor().clone(),
        manifest: None,
    };
    if job.tags.is_empty() {
        return Ok(Some(vec![Some(standing())]));
    }
    let mut current = Vec::new();
    for tag in &job.tags {
        let named = job.destination.image_id(&Name::Tag(tag.clone())).await?;
        current.push((named.as_ref() == Some(id)).then(standing));
    }
    Ok(Some(current))
}

/// The manifest of the image, unless every name stands for it already and its digest is to stay.
pub(super) async fn changed_root(
    job: &Job<'_>,
    stands: &[Option<Descriptor>],
) -> Result<Option<Manifest>> {
    let is_far = vouches(job) || job.source.repository().is_some();
    let first = match stands {
        [Some(first), rest @ ..]
            if is_far && is_verbatim(job) && job.selection == Selection::All =>
        {
            rest.iter()
                .flatten()
                .all(|other| other.digest == first.digest)
                .then_some(first)
        }
        _ => None,
    };
    if let Some(first) = first
        && stands.iter().all(Option::is_some)
        && let Some(there) = job.resolve().await?
    {
        if there.digest == first.digest && vouches(job) {
            return Ok(None);
        }
        // A directory must be looked through, and has the list of what it should have.
        if there.digest == first.digest
            && let Ok(manifest) = job.destination.manifest(first).await
        {
            return Ok(Some(manifest));
        }
        // From here on by its digest, whatever becomes of the tag (S-11).
        match root(job.source, &Name::Digest(there.digest)).await {
            // A HEAD may tell a digest that nothing has (F-26): then the name is read itself.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            by_digest => return by_digest.map(Some),
        }
    }
    root(job.source, &job.name).await.map(Some)
}

/// Whether every byte stays, so that what the destination vouches for need not be read.
pub(super) fn is_verbatim(job: &Job<'_>) -> bool {
    job.source.promise() == Promise::Digest
        && job.compression.is_none()
        && job.format.is_none()
        && job.destination.form() == Form::Any
}

/// Registries take nothing unchecked.
pub(super) fn vouches(job: &Job<'_>) -> bool {
    job.destination.repository().is_some()
}

pub(super) fn mountable(job: &Job<'_>) -> Option<Repository> {
    let (from, to) = (job.source.repository()?, job.destination.repository()?);
    (from.registry() == to.registry() && from != to).then(|| from.clone())
}

/// Whether a registry has the image already, under another name. It is worth asking only where
/// something of it is likely to be there.
pub(super) async fn root_presence(
    job: &Job<'_>,
    stands: &[Option<Descriptor>],
    root: &Manifest,
) -> Result<Presence> {
    let is_near = job.source.repository() == job.destination.repository()
        || stands.iter().any(Option::is_some);
    if !vouches(job) || !is_verbatim(job) || !is_near {
        return Ok(Presence::Absent);
    }
    let (_, presence) = ask(job, root.descriptor().clone()).await?;
    Ok(presence)
}

/// What the destination has of a piece.
pub(super) async fn ask(job: &Job<'_>, piece: Descriptor) -> Result<(Digest, Presence)> {
    let presence = job.destination.presence(&piece).await;
    let what = || format!("cannot look for {} in {}", piece.digest, job.destination);
    Ok((piece.digest.clone(), presence.attempting(what)?))
}

/// The manifests below the root. What the destination has is not fetched again.
pub(super) async fn graph(job: &Job<'_>, root: Manifest, left_out: &[Descriptor]) -> Result<Graph> {
    let graph = walk_by(root, &|child| look(job, child, left_out).boxed()).await?;
    check_absent(job, &graph, left_out)?;
    graph.check_not_hollow(job.source)?;
    Ok(graph)
}

/// A registry takes no index without its images, so what one lacks was lost (F-34).
fn check_absent(job: &Job<'_>, graph: &Graph, left_out: &[Descriptor]) -> Result<()> {
    let lost = graph
        .absent
        .iter()
        .filter(|absent| !left_out.contains(absent));
    let lost: Vec<String> = lost.map(|absent| absent.digest.to_string()).collect();
    if lost.is_empty() || job.source.repository().is_none() || job.keeps_sparse() {
        return Ok(());
    }
    let what = format!(
        "{} lacks {} of the manifests that its index names: {}",
        job.source,
        lost.len(),
        lost.iter().take(10).cloned().collect::<Vec<_>>().join(", ")
    );
    Err(Error::new(ErrorKind::Incomplete, what))
}

async fn look(job: &Job<'_>, child: Descriptor, left_out: &[Descriptor]) -> Result<Visit> {
    if left_out.iter().any(|it| it.digest == child.digest) {
        return Ok(Visit::Absent);
    }
    if is_verbatim(job) {
        let (_, presence) = ask(job, child.clone()).await?;
        match presence {
            Presence::Vouched => return Ok(Visit::Kept),
            Presence::Recorded | Presence::Checked => {
                if let Ok(manifest) = job.destination.manifest(&child).await {
                    return Ok(Visit::Read(manifest));
                }
            }
            Presence::Absent | Presence::Damaged(_) => {}
        }
    }
    read(job.source, child).await
}

/// The image as it is wanted.
pub(super) struct Chosen {
    pub(super) root: Manifest,
    /// Entries of the index that are not copied although it names them.
    pub(super) left_out: Vec<Descriptor>,
    /// What the index was called before entries were left out of it.
    pub(super) trimmed_from: Option<Digest>,
}

impl Chosen {
    pub(super) fn whole(root: Manifest) -> Self {
        Self {
            root,
            left_out: Vec::new(),
            trimmed_from: None,
        }
    }
}

/// The image for the platforms that are wanted.
pub(super) async fn chosen(job: &Job<'_>, root: Manifest) -> Result<Chosen> {
    let mut chosen = Chosen::whole(root);
    let is_index = chosen.root.as_image().is_none();
    let selection = match (&job.selection, job.destination.form()) {
        // A place of single images gets the one for this machine.
        (Selection::All, Form::PlainImages) if is_index => {
            &Selection::One(Platform::of_this_machine())
        }
        (Selection::All, _) => return Ok(chosen),
        (asked, _) => asked,
    };
    let read_some = |child: Descriptor| {
        async move {
            match must_be_read(&child) {
                true => read(job.source, child).await,
                false => Ok(Visit::Kept),
            }
        }
        .boxed()
    };
    let graph = walk_by(chosen.root.clone(), &read_some).await?;
    let named = |manifest: Manifest| (manifest.descriptor().digest.clone(), manifest);
    let mut below: BTreeMap<Digest, Manifest> = graph.manifests.into_iter().map(named).collect();
    below.remove(&chosen.root.descriptor().digest);
    let mut platforms = BTreeMap::new();
    let mut offer = Offer {
        root: &chosen.root,
        below: &below,
        platforms: &BTreeMap::new(),
    };
    for manifest in offer.unsaid() {
        if let Some(image) = manifest.as_image() {
            let config = read_config(job.source, &image.config).await?;
            platforms.insert(manifest.descriptor().digest.clone(), config.platform);
        }
    }
    offer.platforms = &platforms;
    match select(&offer, selection)? {
        Selected::Whole => {}
        Selected::One(image) => {
            let image = job.source.manifest(&image).await;
            chosen.root = image.map_err(Error::of_piece)?;
        }
        Selected::Trimmed { index, .. } => {
            chosen.trimmed_from = Some(chosen.root.descriptor().digest.clone());
            chosen.root = index;
        }
        Selected::Sparse { left_out } => chosen.left_out = left_out,
    }
    Ok(chosen)
}
