//! What is to be copied: the images of a repository, of a directory, or of a file that names them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imgcopy::error::{Attempt as _, Result as Tried};
use imgcopy::image::{Name, Reference, Tag};
use imgcopy::store::registry::Registries;
use imgcopy::store::registry::credentials::{Login, Secret};

use super::config::{self, Pairs, Registry};
use super::file;
use super::names::{self, Target};
use crate::patience::Patience;
use crate::places::End;
use crate::skopeo::copy::system;
use crate::skopeo::place;
use crate::skopeo::sides::Checked;
use crate::skopeo::told::{self, Fatal};

/// Where images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Docker,
    Dir,
    Yaml,
}

impl Kind {
    /// What was typed after `--src`.
    pub(super) fn typed(text: &str) -> Result<Self, Fatal> {
        match text {
            "docker" => Ok(Self::Docker),
            "dir" => Ok(Self::Dir),
            "yaml" => Ok(Self::Yaml),
            "" => Err(Fatal::new("A source transport must be specified")),
            "oci" => Err(Fatal::no_option(
                "sync --src oci",
                "copy from an OCI directory image by image",
            )),
            other => Err(Fatal::new(format!(
                "\"{other}\" is not a valid source transport"
            ))),
        }
    }
}

/// An image, and the name of which its name at the destination is made.
pub(super) type Image = (Reference, String);

/// Images of one repository or directory.
pub(super) struct Group {
    pub(super) end: End,
    pub(super) images: Vec<Image>,
}

/// All that was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) groups: Vec<Group>,
    /// How much was told and passed over because it could not be read.
    pub(super) failed: usize,
}

/// Who looks for images, and how registries are reached meanwhile and later.
pub(super) struct Finding<'a> {
    source: Checked<'a>,
    authfile: Option<&'a PathBuf>,
    patience: Patience,
    /// The destination.
    pub(super) end: End,
    /// Whether the source is reached in the same way where nothing else is said of it.
    is_one: bool,
}

impl<'a> Finding<'a> {
    pub(super) fn new(
        source: Checked<'a>,
        destination: &Checked<'a>,
        target: &Target,
        authfile: Option<&'a PathBuf>,
        retry_times: u32,
    ) -> Result<Self, Fatal> {
        let patience = Patience::of_times(retry_times);
        let is_remote = target.kind == names::Kind::Docker;
        let (from, to) = (source.side(authfile), destination.side(authfile));
        let is_one = !is_remote || from == to;
        // The side of a plain directory says nothing.
        let side = if is_remote { &to } else { &from };
        let registries = Arc::new(Registries::new(side.options(&patience)?));
        let end = side.end(&[], registries)?;
        Ok(Self {
            source,
            authfile,
            patience,
            end,
            is_one,
        })
    }

    /// How the source is reached; a file can say otherwise of a registry.
    fn reached(&self, registry: Option<&Registry>) -> Result<End, Fatal> {
        let creds = registry.and_then(|registry| registry.credentials.as_ref());
        let creds = creds.map(|creds| Login {
            username: creds.username.clone(),
            password: Some(Secret::new(&creds.password)),
        });
        let cert_dir = registry.and_then(|registry| registry.cert_dir.as_ref());
        let tls_verify = registry.and_then(|registry| registry.tls_verify);
        if self.is_one && creds.is_none() && cert_dir.is_none() && tls_verify.is_none() {
            return Ok(self.end.clone());
        }
        let own = self.source.with(creds, cert_dir, tls_verify);
        let side = own.side(self.authfile);
        let options = side.options(&self.patience)?;
        let registries = self.end.registries.beside(options);
        Ok(side.end(&[], Arc::new(registries))?)
    }

    /// Looks for all images.
    pub(super) async fn find(&self, kind: Kind, source: &str) -> Result<Found, Fatal> {
        match kind {
            Kind::Docker => self.in_registry(source).await,
            Kind::Dir => self.in_directory(source),
            Kind::Yaml => self.in_file(source).await,
        }
    }

    /// The images of a repository, or the one that is named.
    async fn in_registry(&self, source: &str) -> Result<Found, Fatal> {
        let reference = place::parsed(&format!("docker://{source}")).map_err(|why| {
            Fatal::new(format!(
                "Cannot obtain a valid image reference for transport \"docker\" and reference \"{source}\": {why}"
            ))
        })?;
        let is_named = place::has_name(source);
        let tagged = is_named.to_string();
        let fields = [("imagename", source), ("tagged", tagged.as_str())];
        told::info("Tag presence check", &fields);
        let end = self.reached(None)?;
        let images = match is_named {
            true => vec![named(reference)],
            false => listed(&end, &reference, |_| true).await?,
        };
        if images.is_empty() {
            return Err(none_in(source));
        }
        Ok(Found {
            groups: vec![Group { end, images }],
            failed: 0,
        })
    }

    fn in_directory(&self, source: &str) -> Result<Found, Fatal> {
        if let Err(error) = std::fs::metadata(source) {
            let why = system(&error);
            return Err(Fatal::new(format!(
                "Invalid source directory specified: stat {source}: {why}"
            )));
        }
        let directories = walked(Path::new(source));
        let directories = directories
            .map_err(|error| Fatal::of(&format!("Error walking the path \"{source}\""), &error))?;
        let mut images = Vec::new();
        for path in directories {
            let Some(text) = path.to_str() else {
                let shown = path.display();
                return Err(Fatal::new(format!("{shown} is no name for an image")));
            };
            // An image that is named itself goes by its last name.
            let name = match text.strip_prefix(source) {
                Some("") => names::base(source),
                Some(below) => below,
                None => text,
            };
            let name = name.to_string();
            images.push((Reference::Dir { path }, name));
        }
        if images.is_empty() {
            return Err(none_in(source));
        }
        Ok(Found {
            groups: vec![Group {
                end: self.end.clone(),
                images,
            }],
            failed: 0,
        })
    }

    async fn in_file(&self, file: &str) -> Result<Found, Fatal> {
        let wrong = |why: &str| Fatal::new(format!("Failed to unmarshal \"{file}\": {why}"));
        let text = text(file)?;
        let Pairs(config) = config::parsed(&text).map_err(|why| wrong(&why))?;
        let mut found = Found::default();
        for (name, registry) in &config {
            match registry.as_ref().map_or_else(Vec::new, file::repositories) {
                of if of.is_empty() => {
                    let fields = [("registry", name.as_str())];
                    told::warn_of("No images specified for registry", &fields);
                }
                of => {
                    let end = self.reached(registry.as_ref())?;
                    for (repository, wanted) in of {
                        let fields = [("registry", name.as_str()), ("repo", repository)];
                        file::add(&mut found, &end, &fields, wanted).await;
                    }
                }
            }
        }
        Ok(found)
    }
}

fn none_in(source: &str) -> Fatal {
    Fatal::new(format!("No images to sync found in \"{source}\""))
}

/// A file of a size that one can have.
fn text(file: &str) -> Result<String, Fatal> {
    let wrong = |doing: &str, error: &std::io::Error| {
        Fatal::new(format!("{doing} {file}: {}", system(error)))
    };
    let opened = std::fs::File::open(file).map_err(|error| wrong("open", &error))?;
    let mut text = String::new();
    let read = opened.take(config::LIMIT + 1).read_to_string(&mut text);
    read.map_err(|error| wrong("read", &error))?;
    match text.len() as u64 > config::LIMIT {
        true => Err(Fatal::new(format!("read {file}: it is too large"))),
        false => Ok(text),
    }
}

/// The directories in which images lie, in the order of their names, and not below one of them.
fn walked(root: &Path) -> Tried<Vec<PathBuf>> {
    let mut images = Vec::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(directory) = left.pop() {
        let what = || format!("cannot list {}", directory.display());
        let mut below = Vec::new();
        let mut is_image = false;
        for entry in std::fs::read_dir(&directory).attempting(what)? {
            let entry = entry.attempting(what)?;
            match entry.file_type().attempting(what)?.is_dir() {
                true => below.push(entry.path()),
                false => is_image |= entry.file_name() == "manifest.json",
            }
        }
        if is_image {
            images.push(directory);
            continue;
        }
        below.sort();
        left.extend(below.into_iter().rev());
    }
    Ok(images)
}

/// The wanted ones among the tags that a repository lists.
pub(super) async fn listed(
    end: &End,
    repository: &Reference,
    wanted: impl Fn(&Tag) -> bool,
) -> Result<Vec<Image>, Fatal> {
    let full = place::repository(repository);
    told::info("Getting tags", &[("image", &full)]);
    let names = match end.open_source(repository) {
        Ok(source) => source.names().await,
        Err(error) => Err(error),
    };
    let names = names.map_err(|error| {
        let what = format!("Error determining repository tags for image {full}");
        Fatal::of(&what, &error)
    })?;
    let tags = names.iter().filter_map(Name::tag);
    let tags = tags.filter(|tag| wanted(tag));
    Ok(tags
        .filter_map(|tag| place::renamed(repository, Name::Tag(tag.clone())))
        .map(named)
        .collect())
}

/// An image of a registry, with its name in full.
pub(super) fn named(reference: Reference) -> Image {
    let full = place::repository(&reference);
    let name = match reference.name() {
        Name::Digest(digest) => format!("{full}@{digest}"),
        name => format!("{full}:{name}"),
    };
    (reference, name)
}
