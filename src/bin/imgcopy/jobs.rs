//! From what was typed to the copies that it means.

use std::num::NonZeroUsize;
use std::sync::Arc;

use imgcopy::copy::{Companions, Fallback, Job, Selection};
use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::{Compression, Digest, Format, Name, Reference, RepoTag, Tag};
use imgcopy::store::compress::Coding;
use imgcopy::store::{Destination, Form, Promise, Recompressed, Source};

use crate::args::JobArgs;
use crate::cache;
use crate::choices::ManifestFormat;
use crate::commands::Failure;
use crate::places::Reached;

/// The places of one or more copies, open.
pub(crate) struct Jobs {
    images: Vec<Image>,
    destination: Box<dyn Destination>,
    expected: Option<Digest>,
    selection: Selection,
    companions: Companions,
    compression: Option<Coding>,
    recompress: bool,
    preserve_digests: bool,
    format: Option<Format>,
    fallback: Fallback,
    memory: Option<Arc<Recompressed>>,
    foreign_layers: bool,
    threads: NonZeroUsize,
    parallel: Option<NonZeroUsize>,
    pub(crate) reached: Reached,
}

/// An image to copy, and the names that it gets.
struct Image {
    source: Box<dyn Source>,
    name: Name,
    tags: Vec<Tag>,
}

impl Jobs {
    /// Opens the places.
    pub(crate) async fn open(
        sources: &[Reference],
        destination: &Reference,
        args: &JobArgs,
        format: Option<ManifestFormat>,
    ) -> std::result::Result<Self, Failure> {
        let compression = coding(args).map_err(Failure::Usage)?;
        let selection = args.selection.selection().map_err(Failure::Usage)?;
        let wanted = Names::of(destination, &args.additional_tag, sources.len());
        let wanted = wanted.map_err(Failure::Usage)?;
        let expected = match destination.name() {
            Name::Digest(digest) | Name::Pinned(_, digest) => Some(digest.clone()),
            _ => None,
        };
        let reached = args.reach.registries(sources, destination);
        let reached = reached.map_err(Failure::Usage)?;
        let mut images = Vec::new();
        for reference in sources {
            let source = reached.source.open_source(reference)?;
            let tags = wanted.tags(reference, &*source).await?;
            images.push(Image {
                source,
                name: reference.name().clone(),
                tags,
            });
        }
        let (format, fallback) = ManifestFormat::meaning(format);
        // Where nothing is compressed there is nothing to look up.
        let is_open = |image: &Image| image.source.promise() == Promise::ImageId;
        let compresses = compression.is_some() || images.iter().any(is_open);
        let jobs = Self {
            images,
            destination: reached
                .destination
                .open_destination(destination, args.deep)?,
            expected,
            selection,
            companions: args.companions.companions(),
            compression,
            recompress: args.recompress,
            preserve_digests: args.preserve_digests,
            format,
            fallback,
            memory: (compresses && !args.layers.no_cache)
                .then(cache::open)
                .flatten(),
            foreign_layers: args.layers.allow_foreign_layers,
            threads: args.threads.unwrap_or_else(cores),
            parallel: args.parallel,
            reached,
        };
        jobs.check(args).map_err(Failure::Usage)?;
        Ok(jobs)
    }

    /// What a place that holds single images of plain layers cannot be asked for.
    fn check(&self, args: &JobArgs) -> Result<()> {
        let place = &self.destination;
        if place.form() == Form::Any {
            return Ok(());
        }
        let what = match (&self.selection, self.compression.map(Coding::compression)) {
            (_, Some(Compression::Gzip | Compression::Zstd)) => {
                format!("{place} takes plain layers only: leave --compression out")
            }
            (Selection::Some { .. }, _) => {
                format!("{place} holds no indexes: choose one --platform")
            }
            _ if args.selection.wants_all() => {
                format!(
                    "{place} holds no indexes: it gets the image for this machine, or for one --platform"
                )
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Invalid, what))
    }

    /// What is to be copied.
    pub(crate) fn jobs(&self) -> Vec<Job<'_>> {
        self.images.iter().map(|image| self.job(image)).collect()
    }

    fn job<'a>(&'a self, image: &'a Image) -> Job<'a> {
        let new = Job::new(&*image.source, &*self.destination);
        Job {
            name: image.name.clone(),
            tags: image.tags.clone(),
            expected: self.expected.clone(),
            selection: self.selection.clone(),
            companions: self.companions.clone(),
            compression: self.compression,
            recompress: self.recompress,
            preserve_digests: self.preserve_digests,
            format: self.format,
            fallback: self.fallback,
            memory: self.memory.clone(),
            foreign_layers: self.foreign_layers,
            threads: self.threads,
            parallel: self.parallel.unwrap_or(new.parallel),
            ..new
        }
    }
}

fn coding(args: &JobArgs) -> Result<Option<Coding>> {
    match (args.compression, args.compression_level) {
        (Some(method), level) => Coding::new(method.into(), level).map(Some),
        (None, Some(level)) => Coding::new(Compression::Gzip, Some(level)).map(Some),
        (None, None) => Ok(None),
    }
}

/// How images are named at the destination.
struct Names {
    /// What was typed there.
    typed: Vec<Tag>,
    /// Whether each image keeps its own names.
    keeps: bool,
    /// Whether it must have one.
    several: bool,
    /// For `docker load` a name is a repository and a tag.
    for_docker: bool,
}

impl Names {
    fn of(destination: &Reference, additional: &[Tag], count: usize) -> Result<Self> {
        let several = count > 1;
        let for_docker = matches!(
            destination,
            Reference::DockerArchive { .. } | Reference::DockerDaemon { .. }
        );
        let mut typed: Vec<Tag> = typed_tag(destination)?.into_iter().collect();
        let keeps = typed.is_empty() && (several || for_docker);
        typed.extend(additional.iter().cloned());
        if several && !typed.is_empty() {
            let what = format!(
                "{count} images cannot have one name: leave the names at {destination} out, and each keeps its own"
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        if for_docker {
            // `docker load` gives the image these names: they must be such.
            typed
                .iter()
                .try_for_each(|tag| tag.as_str().parse::<RepoTag>().map(|_| ()))?;
        }
        Ok(Self {
            typed,
            keeps,
            several,
            for_docker,
        })
    }

    /// The names of one of the images.
    async fn tags(&self, reference: &Reference, source: &dyn Source) -> Result<Vec<Tag>> {
        let mut tags = self.typed.clone();
        if self.keeps {
            let named = match (reference, reference.name()) {
                (Reference::Docker { repository, .. }, name) => {
                    let full = name.tag().map(|tag| format!("{repository}:{tag}"));
                    let full = full.map(|full| full.parse::<RepoTag>()).transpose()?;
                    full.map(|full| full.to_string().parse().map(Name::Tag))
                        .transpose()?
                        .into_iter()
                        .collect()
                }
                // A place of one image: all of its names are those of that image.
                (_, Name::Sole) => source.names().await?,
                (_, name) => vec![name.clone()],
            };
            let named = named.iter().filter_map(Name::tag);
            tags.extend(
                named
                    .filter(|tag| !self.for_docker || tag.as_str().contains(':'))
                    // An engine finds an image by NAME@DIGEST, and nothing is called so elsewhere.
                    .filter(|tag| !tag.as_str().contains('@'))
                    .cloned(),
            );
        }
        if self.several && tags.is_empty() {
            let what = format!("{reference} has no name that it could keep: copy it alone");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(tags)
    }
}

/// A destination is named by a tag or not at all: what will be written has no digest yet.
fn typed_tag(destination: &Reference) -> Result<Option<Tag>> {
    match destination.name() {
        Name::Sole => Ok(None),
        Name::Tag(tag) | Name::Pinned(tag, _) => Ok(Some(tag.clone())),
        Name::Digest(_) if matches!(destination, Reference::Docker { .. }) => Ok(None),
        Name::Digest(_) | Name::At(_) => {
            let what =
                format!("{destination} cannot be written to: name it by a tag, as in oci:DIR:TAG");
            Err(Error::new(ErrorKind::Invalid, what))
        }
    }
}

pub(crate) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
