//! Where an image goes, in full.

use std::fmt;
use std::path::{Component, PathBuf};

use crate::image::{Name, Reference, Repository, Tag};

/// One name at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The place.
    pub place: Place,
    /// The tag there; in a docker-archive a repository with its tag.
    pub name: Tag,
}

/// A place to write to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A repository of a registry.
    Registry(Repository),
    /// A directory that is an OCI image layout.
    OciDir(PathBuf),
    /// An OCI image layout in a tar.
    OciArchive(PathBuf),
    /// What `docker save` writes.
    DockerArchive(PathBuf),
}

impl Target {
    /// The same as a reference.
    pub fn reference(&self) -> Reference {
        let name = Name::Tag(self.name.clone());
        self.place.reference(name)
    }
}

impl Place {
    /// The place, with a name in it.
    pub fn reference(&self, name: Name) -> Reference {
        match self {
            Place::Registry(repository) => Reference::Docker {
                repository: repository.clone(),
                name,
            },
            Place::OciDir(path) => Reference::OciDir {
                path: path.clone(),
                name,
            },
            Place::OciArchive(path) => Reference::OciArchive {
                path: path.clone(),
                name,
            },
            Place::DockerArchive(path) => Reference::DockerArchive {
                path: path.clone(),
                name,
            },
        }
    }
}

impl Place {
    /// The path by which a file system knows it, as far as the text tells: without `.` and `..`, and in
    /// lower case where case is folded. Links are not looked at. `None` for a registry.
    pub(crate) fn file(&self, folds_case: bool) -> Option<PathBuf> {
        let (Place::OciDir(path) | Place::OciArchive(path) | Place::DockerArchive(path)) = self
        else {
            return None;
        };
        let mut file = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if file.file_name().is_some_and(|last| last != "..") => {
                    file.pop();
                }
                Component::Normal(name) if folds_case => {
                    file.push(name.to_string_lossy().to_lowercase());
                }
                other => file.push(other),
            }
        }
        Some(file)
    }
}

impl fmt::Display for Target {
    /// As it is written in `to`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.place, self.name)
    }
}

impl fmt::Display for Place {
    /// As it is written in `to`: a registry has no transport in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Registry(repository) => repository.fmt(f),
            other => other.reference(Name::Sole).fmt(f),
        }
    }
}
