//! The places of a script: made, copied between, and looked into, with nothing of imgcopy but the copy.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use imgcopy::copy::{Companions, Job, Outcome, Silent, When, copy};
use imgcopy::error::Result;
use imgcopy::image::{Reference, Tag};
use imgcopy::store::registry::{Options, Registries};
use imgcopy::store::{open_destination, open_source};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chance::Chance;
use crate::image::{Content, Image, Pool, text};
use crate::script::{Script, Way};
use crate::support::registry::{OCI_INDEX, Registry};
use crate::support::{tempdir, tree, truth};
use crate::trouble::{Hands, Side};
use crate::{FROM, TO};

/// The name of the image in a file.
const NAME: &str = "1";

pub(crate) struct World<'s> {
    pub(crate) script: &'s Script,
    /// One for both, if it is a copy within a registry.
    from: Option<Registry>,
    to: Option<Registry>,
    root: TempDir,
}

/// What a place holds.
pub(crate) struct Held {
    pub(crate) pool: Pool,
    pub(crate) tags: BTreeMap<String, String>,
    /// The types that a registry gives for manifests.
    pub(crate) types: BTreeMap<String, String>,
}

impl<'s> World<'s> {
    pub(crate) fn new(script: &'s Script) -> Self {
        let way = script.way;
        let registry = |kind: &crate::script::Kind| Registry::with(kind.options());
        let world = Self {
            script,
            from: (way.reads_registry() && way != Way::Within).then(|| registry(&script.from)),
            to: way.writes_registry().then(|| registry(&script.to)),
            root: tempdir(),
        };
        world.plant_source();
        world.plant_destination();
        world
    }

    pub(crate) fn source(&self) -> Option<&Registry> {
        match self.script.way {
            Way::Within => self.to.as_ref(),
            _ => self.from.as_ref(),
        }
    }

    pub(crate) fn destination(&self) -> Option<&Registry> {
        self.to.as_ref()
    }

    pub(crate) fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.from.iter().chain(&self.to)
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.root.path().join("to")
    }

    fn input(&self) -> PathBuf {
        self.root.path().join("from")
    }

    /// What is in the directory of the destination, but for what it is meant to hold.
    pub(crate) fn litter(&self) -> Vec<String> {
        let mut names = tree(self.root.path());
        names.retain(|name| !name.starts_with("from") && name != "to" && !name.starts_with("to/"));
        names.extend(crate::support::stages(&self.output()));
        names
    }

    fn plant_source(&self) {
        let Script { image, moved, .. } = self.script;
        let input = self.input();
        match (self.script.way, self.source()) {
            (_, Some(registry)) => {
                plant(registry, FROM, image, self.script.from.referrers_api);
                plant(registry, FROM, moved, self.script.from.referrers_api);
                registry.set_tag(FROM, NAME, &image.root);
            }
            (Way::FromDirectory, _) => write(&input, layout(image, &[NAME])),
            (Way::FromOciArchive, _) => {
                std::fs::write(input, tar_of(layout(image, &[NAME]))).unwrap();
            }
            (_, _) => std::fs::write(input, saved(image)).unwrap(),
        }
    }

    fn plant_destination(&self) {
        let script = self.script;
        let mut chance = Chance::of(script.chance_of_strays);
        let mut is_there = |_: &String| chance.happens(script.strays);
        if let Some(registry) = &self.to {
            let blobs = script.image.content.blobs.iter();
            for (digest, bytes) in blobs.filter(|(digest, _)| is_there(digest)) {
                registry.add_blob_as(TO, digest, bytes.clone());
            }
            if !script.taken.is_empty() {
                plant(registry, TO, &script.old, script.to.referrers_api);
            }
            for tag in &script.taken {
                registry.set_tag(TO, tag, &script.old.root);
            }
        } else if script.way == Way::ToDirectory && !script.taken.is_empty() {
            write(&self.output(), layout(&script.old, &script.taken));
        }
    }

    pub(crate) fn go_wrong(&self) {
        let script = self.script;
        let images = [&script.image, &script.moved].into_iter();
        let blobs =
            images.flat_map(|image| image.content.blobs.iter().chain(&image.companions.blobs));
        let sizes = blobs.map(|(digest, bytes)| (digest.clone(), bytes.len()));
        let hands = Hands {
            from: self.source().map(Registry::inside),
            to: self.to.as_ref().map(Registry::inside),
            moved: script.moved.root.clone(),
            sizes: Arc::new(sizes.collect()),
        };
        for trouble in &script.troubles {
            let registry = match trouble.side {
                Side::From => self.source(),
                Side::To => self.destination(),
            };
            registry.unwrap().fail(trouble.fault(&hands));
        }
    }

    /// Copies as a run of the command would, which remembers nothing of others.
    pub(crate) fn copy(&self, options: &Options, when: When) -> Result<Outcome> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let copied = runtime.block_on(async {
            let copied = self.copied(options, when);
            tokio::time::timeout(Duration::from_mins(1), copied).await
        });
        copied.unwrap_or_else(|_| panic!("it never ends"))
    }

    async fn copied(&self, options: &Options, when: When) -> Result<Outcome> {
        let [from, to]: [Reference; 2] = [
            self.source_name().parse()?,
            self.destination_name().parse()?,
        ];
        let registries = Registries::new(options.clone());
        let beside = registries.beside(options.clone());
        let source = open_source(&from, &registries)?;
        let destination = open_destination(&to, &beside, false)?;
        let mut job = Job::new(&*source, &*destination);
        job.name = from.name().clone();
        job.tags = match self.script.way {
            Way::ToSaved => to.name().tag().cloned().into_iter().collect(),
            _ => {
                let tags = self.script.tags.iter();
                tags.map(|tag| tag.parse::<Tag>()).collect::<Result<_>>()?
            }
        };
        job.companions = Companions {
            when,
            ..Companions::default()
        };
        job.parallel = self.script.parallel.try_into().unwrap();
        job.threads = 1.try_into().unwrap();
        copy(&job, &Silent::new()).await
    }

    fn source_name(&self) -> String {
        let input = self.input();
        let input = input.display();
        match (self.script.way, self.source()) {
            (_, Some(registry)) => format!("docker://{}/{FROM}:{NAME}", registry.host()),
            (Way::FromDirectory, _) => format!("oci:{input}:{NAME}"),
            (Way::FromOciArchive, _) => format!("oci-archive:{input}:{NAME}"),
            (_, _) => format!("docker-archive:{input}"),
        }
    }

    fn destination_name(&self) -> String {
        let output = self.output();
        let output = output.display();
        match (self.script.way, &self.to) {
            (_, Some(registry)) => format!("docker://{}/{TO}:{NAME}", registry.host()),
            (Way::ToDirectory, _) => format!("oci:{output}:{NAME}"),
            (Way::ToOciArchive, _) => format!("oci-archive:{output}:{NAME}"),
            (_, _) => format!("docker-archive:{output}:app:{NAME}"),
        }
    }

    /// What the destination holds.
    pub(crate) fn held(&self) -> Held {
        let output = self.output();
        match (self.script.way, &self.to) {
            (_, Some(registry)) => held_by(registry, TO),
            (Way::ToDirectory, _) => held_in(&files(&output)),
            (_, _) => held_in(&archived(&output)),
        }
    }

    /// The digest that the source's name stands for now.
    pub(crate) fn wanted(&self) -> &Image {
        let now = self
            .source()
            .and_then(|registry| registry.tag_of(FROM, NAME));
        match now.is_some_and(|now| now == self.script.moved.root) {
            true => &self.script.moved,
            false => &self.script.image,
        }
    }
}

fn plant(registry: &Registry, repository: &str, image: &Image, has_api: bool) {
    let add = |content: &Content| {
        for (digest, bytes) in &content.blobs {
            registry.add_blob_as(repository, digest, bytes.clone());
        }
        for (digest, (kind, bytes)) in &content.manifests {
            registry.add_manifest_as(repository, digest, kind, bytes.clone());
        }
    };
    add(&image.content);
    add(&image.companions);
    for (tag, digest) in &image.tags {
        registry.set_tag(repository, tag, digest);
    }
    if has_api {
        return;
    }
    let subjects: BTreeSet<&String> = image.referrers.iter().map(|(subject, _)| subject).collect();
    for subject in subjects {
        let own = image.referrers.iter().filter(|(of, _)| of == subject);
        let own: Vec<&Value> = own.map(|(_, referrer)| referrer).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": own });
        let tag = subject.replace(':', "-");
        registry.add_manifest(repository, OCI_INDEX, index.to_string(), Some(&tag));
    }
}

type Files = BTreeMap<String, Bytes>;

fn layout(image: &Image, tags: &[&str]) -> Files {
    let (kind, root) = &image.content.manifests[&image.root];
    let entry = |tag: &&str| {
        json!({
            "mediaType": kind, "digest": image.root, "size": root.len(),
            "annotations": { "org.opencontainers.image.ref.name": tag },
        })
    };
    let entries: Vec<Value> = tags.iter().map(entry).collect();
    let index = json!({ "schemaVersion": 2, "manifests": entries });
    let pool = image.content.pool().into_iter();
    let blobs = pool.map(|(digest, bytes)| (format!("blobs/{}", digest.replace(':', "/")), bytes));
    let mut files: Files = blobs.collect();
    files.insert("index.json".into(), index.to_string().into());
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    files.insert("oci-layout".into(), marker.into());
    files
}

fn write(directory: &Path, files: Files) {
    for (name, bytes) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
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

/// As podman writes them: plain layers, called by their digests.
fn saved(image: &Image) -> Vec<u8> {
    let (_, document) = &image.content.manifests[&image.root];
    let document: Value = serde_json::from_slice(document).unwrap();
    let hex = |digest: &str| digest.split_once(':').unwrap().1.to_string();
    let mut files = Files::new();
    let mut names = Vec::new();
    for layer in document["layers"].as_array().unwrap() {
        let plain = truth::unpacked(image.content.blobs[&text(layer, "digest")].to_vec());
        let name = format!("{}.tar", hex(&truth::digest("sha256", &plain)));
        files.insert(name.clone(), plain.into());
        names.push(name);
    }
    let config = text(&document["config"], "digest");
    let config_name = format!("{}.json", hex(&config));
    files.insert(config_name.clone(), image.content.blobs[&config].clone());
    let listed = json!([{ "Config": config_name, "RepoTags": ["app:1"], "Layers": names }]);
    files.insert("manifest.json".into(), listed.to_string().into());
    tar_of(files)
}

fn files(directory: &Path) -> Files {
    let names = tree(directory).into_iter();
    let names = names.filter(|name| directory.join(name).is_file());
    names
        .map(|name| {
            (
                name.clone(),
                std::fs::read(directory.join(name)).unwrap().into(),
            )
        })
        .collect()
}

fn archived(path: &Path) -> Files {
    let Ok(tar) = std::fs::read(path) else {
        return Files::new();
    };
    let mut files = Files::new();
    for entry in tar::Archive::new(&*tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if entry.header().entry_type().is_file() {
            let twice = files.insert(name.trim_start_matches("./").to_string(), content.into());
            assert!(twice.is_none(), "{name} is in the archive twice");
        }
    }
    files
}

fn held_in(files: &Files) -> Held {
    let blob = |(name, bytes): (&String, &Bytes)| {
        let digest = name.strip_prefix("blobs/")?.replace('/', ":");
        Some((digest, bytes.clone()))
    };
    let index = files.get("index.json");
    let index = index.map_or(Value::Null, |text| serde_json::from_slice(text).unwrap());
    let entries = index["manifests"].as_array().cloned().unwrap_or_default();
    let tag = |entry: &Value| {
        let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str()?;
        Some((name.to_string(), text(entry, "digest")))
    };
    Held {
        pool: files.iter().filter_map(blob).collect(),
        tags: entries.iter().filter_map(tag).collect(),
        types: BTreeMap::new(),
    }
}

fn held_by(registry: &Registry, repository: &str) -> Held {
    let blob = |digest: String| {
        let bytes = registry.blob(repository, &digest).unwrap();
        (digest, bytes)
    };
    let mut pool: Pool = registry.blobs(repository).into_iter().map(blob).collect();
    let mut types = BTreeMap::new();
    for digest in registry.manifests(repository) {
        let stored = registry.manifest(repository, &digest).unwrap();
        types.insert(digest.clone(), stored.media_type);
        pool.insert(digest, stored.bytes);
    }
    let tag = |tag: String| {
        let digest = registry.tag_of(repository, &tag).unwrap();
        (tag, digest)
    };
    let tags = registry.tags(repository).into_iter().map(tag).collect();
    Held { pool, tags, types }
}
