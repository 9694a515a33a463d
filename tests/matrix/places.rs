//! Writing images to every kind of place and reading them there, with nothing of imgcopy.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::graph::{Graph, Pool, is_container, list, media_type, text};
use crate::support::registry::Registry;
use crate::support::{tree, truth};

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    DockerArchive,
    OciArchive,
    Oci,
    Dir,
    Registry,
}

pub(crate) const ALL: [Kind; 5] = [
    Kind::DockerArchive,
    Kind::OciArchive,
    Kind::Oci,
    Kind::Dir,
    Kind::Registry,
];

impl Kind {
    pub(crate) fn is_archive(self) -> bool {
        matches!(self, Kind::DockerArchive | Kind::OciArchive)
    }
}

/// The tag of each image, where there are tags.
pub(crate) const TAG: &str = "a";

/// Where an image goes.
pub(crate) struct Place<'p> {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    pub(crate) registry: &'p Registry,
    pub(crate) repository: String,
}

impl Place<'_> {
    /// How users name it.
    pub(crate) fn reference(&self) -> String {
        let path = self.path.display();
        match self.kind {
            Kind::DockerArchive => format!("docker-archive:{path}:app:{TAG}"),
            Kind::OciArchive => format!("oci-archive:{path}:{TAG}"),
            Kind::Oci => format!("oci:{path}:{TAG}"),
            Kind::Dir => format!("dir:{path}"),
            Kind::Registry => format!(
                "docker://{}/{}:{TAG}",
                self.registry.host(),
                self.repository
            ),
        }
    }

    /// The directory that it lies in, alone.
    pub(crate) fn around(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// What a registry has of it: blobs, manifests and tags.
    pub(crate) fn contents(&self) -> [Vec<String>; 3] {
        let (registry, repository) = (self.registry, self.repository.as_str());
        [
            registry.blobs(repository),
            registry.manifests(repository),
            registry.tags(repository),
        ]
    }

    /// Whether nothing at all is there.
    pub(crate) fn is_empty(&self) -> bool {
        tree(self.around()).is_empty()
            && self.contents().iter().all(Vec::is_empty)
            && self.registry.open_uploads() == 0
    }
}

/// Writes an image; `None` where that kind of place cannot hold it.
pub(crate) fn plant(graph: &Graph, place: &Place<'_>) -> Option<String> {
    let path = &place.path;
    match place.kind {
        Kind::DockerArchive => plant_saved(graph, path)?,
        Kind::OciArchive => {
            fs::write(path, tar_of(layout_files(graph))).unwrap();
        }
        Kind::Oci => write(path, layout_files(graph)),
        Kind::Dir => write(path, dir_files(graph)),
        Kind::Registry => {
            let (registry, repository) = (place.registry, place.repository.as_str());
            let blobs = graph.blobs.iter();
            for (digest, bytes) in blobs.filter(|(digest, _)| !graph.inline.contains(*digest)) {
                registry.add_blob_as(repository, digest, bytes.clone());
            }
            for (digest, bytes) in &graph.manifests {
                let kind = media_type(bytes);
                registry.add_manifest_as(repository, digest, &kind, bytes.clone());
            }
            registry.set_tag(repository, TAG, &graph.root);
        }
    }
    Some(place.reference())
}

type Files = BTreeMap<String, Bytes>;

fn write(directory: &Path, files: Files) {
    for (name, bytes) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn tar_of(files: Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &*bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn layout_files(graph: &Graph) -> Files {
    let root = &graph.manifests[&graph.root];
    let index = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": media_type(root), "digest": graph.root, "size": root.len(),
        "annotations": { "org.opencontainers.image.ref.name": TAG },
    }] });
    let pool = graph.pool().into_iter();
    let blobs = pool.map(|(digest, bytes)| (format!("blobs/{}", digest.replace(':', "/")), bytes));
    let mut files: Files = blobs.collect();
    files.insert("index.json".into(), index.to_string().into());
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    files.insert("oci-layout".into(), marker.into());
    files
}

fn hex(digest: &str) -> &str {
    digest.split_once(':').unwrap().1
}

const DIR_VERSION: &str = "Directory Transport Version: 1.1\n";

fn dir_files(graph: &Graph) -> Files {
    let blobs = graph.blobs.iter();
    let blobs = blobs.filter(|(digest, _)| !graph.inline.contains(*digest));
    let mut files: Files = blobs
        .map(|(digest, bytes)| (hex(digest).to_string(), bytes.clone()))
        .collect();
    for (digest, bytes) in &graph.manifests {
        let name = match *digest == graph.root {
            true => "manifest.json".to_string(),
            false => format!("{}.manifest.json", hex(digest)),
        };
        files.insert(name, bytes.clone());
    }
    files.insert("version".into(), DIR_VERSION.into());
    files
}

/// As podman writes them: plain layers, called by their digests.
fn plant_saved(graph: &Graph, path: &Path) -> Option<()> {
    let document = graph.document(&graph.root);
    if !is_container(&document) || !graph.absent.is_empty() {
        return None;
    }
    let mut files = Files::new();
    let mut names = Vec::new();
    for layer in list(&document, "layers") {
        let plain = truth::unpacked(graph.blobs[&text(&layer, "digest")].to_vec());
        let name = format!("{}.tar", hex(&truth::digest("sha256", &plain)));
        files.insert(name.clone(), plain.into());
        names.push(name);
    }
    let config = text(&document["config"], "digest");
    let config_name = format!("{}.json", hex(&config));
    files.insert(config_name.clone(), graph.blobs[&config].clone());
    let tag = format!("app:{TAG}");
    let listed = json!([{ "Config": config_name, "RepoTags": [tag], "Layers": names }]);
    files.insert("manifest.json".into(), listed.to_string().into());
    fs::write(path, tar_of(files)).unwrap();
    Some(())
}

/// What is in a place of manifests, to the last byte: a piece that is missing or superfluous is an
/// error.
#[track_caller]
pub(crate) fn harvest(place: &Place<'_>) -> Graph {
    let (root, pool) = match place.kind {
        Kind::DockerArchive => panic!("it holds no manifests"),
        Kind::OciArchive => layout(&archived(&place.path)),
        Kind::Oci => {
            let mut files = files(&place.path);
            // What imgcopy knows about the blobs, and its lock.
            files.retain(|name, _| !name.starts_with(".imgcopy/"));
            layout(&files)
        }
        Kind::Dir => directory(&files(&place.path)),
        Kind::Registry => repository(place.registry, &place.repository),
    };
    let graph = Graph::of(&root, &pool);
    let needed = graph.pool();
    let left: Vec<&String> = pool.keys().filter(|it| !needed.contains_key(*it)).collect();
    assert!(left.is_empty(), "superfluous: {left:?}");
    graph
}

pub(crate) fn files(directory: &Path) -> Files {
    let names = tree(directory).into_iter();
    let names = names.filter(|name| directory.join(name).is_file());
    names
        .map(|name| (name.clone(), fs::read(directory.join(name)).unwrap().into()))
        .collect()
}

/// The regular files of a tar, and how many entries it has that are no directories.
pub(crate) fn tar_files(tar: &[u8]) -> (Files, usize) {
    let (mut files, mut entries) = (Files::new(), 0);
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let kind = entry.header().entry_type();
        entries += usize::from(!kind.is_dir());
        if kind.is_file() {
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(name.trim_start_matches("./").to_string(), content.into());
        }
    }
    (files, entries)
}

/// The files of an archive that imgcopy wrote: no links, each once.
#[track_caller]
fn archived(path: &Path) -> Files {
    let (files, entries) = tar_files(&fs::read(path).unwrap());
    assert_eq!(entries, files.len());
    files
}

fn layout(files: &Files) -> (String, Pool) {
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let [entry] = &*list(&index, "manifests") else {
        panic!("{index}");
    };
    let name = &entry["annotations"]["org.opencontainers.image.ref.name"];
    assert_eq!(name, TAG, "{index}");
    let pool = layout_pool(files);
    assert_eq!(files.len(), pool.len() + 2, "{:?}", files.keys());
    assert!(files.contains_key("oci-layout"));
    let root = text(entry, "digest");
    assert_eq!(entry["size"], pool[&root].len());
    assert_eq!(entry["mediaType"], media_type(&pool[&root]));
    (root, pool)
}

pub(crate) fn layout_pool(files: &Files) -> Pool {
    let blob = |(name, bytes): (&String, &Bytes)| {
        let digest = name.strip_prefix("blobs/")?.replace('/', ":");
        Some((digest, bytes.clone()))
    };
    files.iter().filter_map(blob).collect()
}

pub(crate) fn directory(files: &Files) -> (String, Pool) {
    assert_eq!(files["version"], DIR_VERSION);
    let mut pool = Pool::new();
    for (name, bytes) in files.iter().filter(|(name, _)| *name != "version") {
        let hex = name.strip_suffix("manifest.json").unwrap_or(name);
        let digest = match hex.trim_end_matches('.').len() {
            128 => truth::digest("sha512", bytes),
            _ => truth::digest("sha256", bytes),
        };
        assert!(hex.is_empty() || digest.ends_with(hex.trim_end_matches('.')));
        pool.insert(digest, bytes.clone());
    }
    (truth::digest("sha256", &files["manifest.json"]), pool)
}

fn repository(registry: &Registry, name: &str) -> (String, Pool) {
    assert_eq!(registry.tags(name), [TAG]);
    assert_eq!(registry.open_uploads(), 0);
    let mut pool = Pool::new();
    for digest in registry.blobs(name) {
        let bytes = registry.blob(name, &digest).unwrap();
        pool.insert(digest, bytes);
    }
    for digest in registry.manifests(name) {
        let stored = registry.manifest(name, &digest).unwrap();
        assert_eq!(stored.media_type, media_type(&stored.bytes));
        pool.insert(digest, stored.bytes);
    }
    (registry.tag_of(name, TAG).unwrap(), pool)
}

/// The images of a new archive for `docker load`: each of its files is needed, and layers are plain
/// and called by their digests.
#[track_caller]
pub(crate) fn harvest_saved(path: &Path) -> Vec<truth::Image> {
    let files = archived(path);
    let listed: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let mut needed = vec!["manifest.json".to_string()];
    for image in listed.as_array().unwrap() {
        needed.push(text(image, "Config"));
        assert_eq!(
            image["RepoTags"],
            json!([format!("docker.io/library/app:{TAG}")])
        );
        for layer in list(image, "Layers") {
            let name = layer.as_str().unwrap().to_string();
            let digest = truth::digest("sha256", &files[&name]);
            assert_eq!(name, format!("{}.tar", hex(&digest)));
            needed.push(name);
        }
    }
    needed.sort();
    needed.dedup();
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), needed);
    truth::saved(path).unwrap()
}
