//! Every image of `tests/fixtures`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Subject;
use crate::graph::{Graph, Pool, list, text};
use crate::places::{Kind, directory, files, layout_pool, tar_files};
use crate::support::{fixtures, truth};

/// The images of OCI directories, OCI archives and plain directories, each once, and where they lie.
pub(crate) fn graphs(folders: &[&str]) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    for (folder, path) in folders
        .iter()
        .flat_map(|it| fixtures(it).into_iter().map(move |path| (it, path)))
    {
        let name = format!("{folder}/{}", path.file_name().unwrap().display());
        for (graph, kind, reference) in lying(&path) {
            let known = subjects.iter_mut().find(|it| it.graph == graph);
            match known {
                Some(known) => known.lies.push((kind, reference)),
                None => subjects.push(Subject {
                    name: name.clone(),
                    graph,
                    lies: vec![(kind, reference)],
                }),
            }
        }
    }
    assert!(!subjects.is_empty());
    subjects
}

/// The images of one fixture.
fn lying(path: &Path) -> Vec<(Graph, Kind, String)> {
    let at = path.display();
    if path.join("manifest.json").is_file() {
        let (root, pool) = directory(&files(path));
        // Schema 1 is refused: `tests/dir` sees to that.
        let is_schema1 = pool.len() == 1;
        let graph = (!is_schema1).then(|| Graph::of(&root, &pool));
        return graph
            .into_iter()
            .map(|graph| (graph, Kind::Dir, format!("dir:{at}")))
            .collect();
    }
    let (kind, transport, found) = match path.is_dir() {
        true => (Kind::Oci, "oci", files(path)),
        false => {
            let tar = truth::unpacked(fs::read(path).unwrap());
            (Kind::OciArchive, "oci-archive", tar_files(&tar).0)
        }
    };
    let Some(index) = found.get("index.json") else {
        return Vec::new();
    };
    let index: Value = serde_json::from_slice(index).unwrap();
    let pool: Pool = layout_pool(&found);
    let entries = list(&index, "manifests").into_iter().enumerate();
    entries
        .map(|(position, entry)| {
            let graph = Graph::of(&text(&entry, "digest"), &pool);
            (graph, kind, format!("{transport}:{at}:@{position}"))
        })
        .collect()
}

/// The images of every archive of `docker save`, and the references by which they are read.
pub(crate) fn saved() -> Vec<(String, truth::Image)> {
    let mut images = Vec::new();
    for folder in [
        "docker20", "docker28", "podman", "buildx", "others", "variants",
    ] {
        for path in fixtures(folder).into_iter().filter(|path| path.is_file()) {
            for (position, image) in truth::saved(&path).into_iter().flatten().enumerate() {
                let source = format!("docker-archive:{}:@{position}", path.display());
                images.push((source, image));
            }
        }
    }
    images
}
