//! Every image of `tests/fixtures`, and what is true of it without imgcopy's word for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{fixtures, tempdir, truth};

/// An image of a fixture.
pub(crate) struct Image {
    /// The file or directory, as in `podman/oci-dir`, which names a repository, too.
    pub(crate) name: String,
    /// `n0`, `n1`: by its position.
    pub(crate) tag: String,
    /// The reference by which imgcopy reads it.
    pub(crate) source: String,
    pub(crate) is: Is,
}

/// What an image is.
pub(crate) enum Is {
    /// In an archive of `docker save`.
    Saved(truth::Image),
    /// In an OCI directory, by this entry.
    Entry(PathBuf, Value),
}

impl Image {
    fn identity(&self) -> String {
        match &self.is {
            Is::Saved(image) => image.id.clone(),
            Is::Entry(_, entry) => entry["digest"].as_str().unwrap().to_string(),
        }
    }

    /// The OCI directory and the tag by which other programs find the image there.
    pub(crate) fn layout(&self) -> Option<(&Path, &str)> {
        match &self.is {
            Is::Entry(directory, entry) => {
                let name = &entry["annotations"]["org.opencontainers.image.ref.name"];
                name.as_str().map(|name| (directory.as_path(), name))
            }
            Is::Saved(_) => None,
        }
    }

    /// Panics unless an OCI directory has this image under a name, to the last byte.
    #[track_caller]
    pub(crate) fn check(&self, directory: &Path, name: &str) {
        let found = truth::entry(directory, name);
        let graph = truth::graph(directory, &found);
        match &self.is {
            Is::Saved(image) => {
                assert_eq!(graph.images, std::slice::from_ref(image), "{}", self.name);
            }
            Is::Entry(original, entry) => {
                assert_eq!(found["digest"], entry["digest"], "{}", self.name);
                let expected = truth::graph(original, entry);
                let mut lost = &expected.present - &graph.present;
                lost.retain(|digest| !foreign(original, entry).contains(digest));
                assert_eq!(lost, BTreeSet::new(), "{}", self.name);
                assert_eq!(graph.images, expected.images, "{}", self.name);
            }
        }
    }
}

/// The layers of an image that have an address of their own: no registry is asked for them.
fn foreign(directory: &Path, entry: &Value) -> BTreeSet<String> {
    let text = truth::blob(directory, entry).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let foreign = layers.filter(|layer| layer["urls"].is_array());
    foreign
        .map(|layer| layer["digest"].as_str().unwrap().to_string())
        .collect()
}

/// The images, and where archives of OCI directories were unpacked.
pub(crate) struct Fixtures {
    pub(crate) images: Vec<Image>,
    _unpacked: TempDir,
}

impl Fixtures {
    pub(crate) fn all() -> Self {
        let unpacked = tempdir();
        let folders = [
            "docker20", "docker28", "podman", "buildx", "others", "variants",
        ];
        let files = folders.iter().flat_map(|folder| fixtures(folder));
        let images = files.flat_map(|file| of_file(&file, unpacked.path()));
        // To a registry, archives of one image are all the same.
        let mut seen = BTreeSet::new();
        let is_new = |image: &Image| seen.insert(image.identity());
        let images: Vec<_> = images.filter(is_new).collect();
        assert!(images.len() > 30, "{} images", images.len());
        Self {
            images,
            _unpacked: unpacked,
        }
    }
}

fn of_file(file: &Path, unpacked: &Path) -> Vec<Image> {
    let parent = file.parent().and_then(Path::file_name).unwrap();
    let base = file.file_name().unwrap();
    let name = format!("{}/{}", parent.display(), base.display());
    if file.is_dir() {
        return of_directory(&name, file);
    }
    let Some(saved) = truth::saved(file) else {
        let directory = unpacked.join(&name);
        let tar = truth::unpacked(std::fs::read(file).unwrap());
        tar::Archive::new(&*tar).unpack(&directory).unwrap();
        return of_directory(&name, &directory);
    };
    let image = |(position, image)| Image {
        name: name.clone(),
        tag: format!("n{position}"),
        source: format!("docker-archive:{}:@{position}", file.display()),
        is: Is::Saved(image),
    };
    saved.into_iter().enumerate().map(image).collect()
}

fn of_directory(name: &str, directory: &Path) -> Vec<Image> {
    let entries = truth::entries(directory).into_iter().enumerate();
    let image = |(position, entry)| Image {
        name: name.to_string(),
        tag: format!("n{position}"),
        source: format!("oci:{}:@{position}", directory.display()),
        is: Is::Entry(directory.to_path_buf(), entry),
    };
    entries.map(image).collect()
}
