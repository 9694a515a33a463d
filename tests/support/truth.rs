//! What images are, read with nothing of imgcopy: tests take its word for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use sha2::Digest as _;

/// An image as every engine knows it: its ID, and what its layers unpack to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub id: String,
    pub diff_ids: Vec<String>,
}

/// What is below an entry of an OCI directory, every digest, size and DiffId of it checked.
#[derive(Debug, Default)]
pub struct Graph {
    pub images: Vec<Image>,
    /// Every manifest, config and layer that is there, by digest.
    pub present: BTreeSet<String>,
    /// Images of a sparse index, and foreign layers, that are not.
    pub absent: BTreeSet<String>,
}

pub fn digest(algorithm: &str, bytes: &[u8]) -> String {
    let hex = |sum: &[u8]| {
        let pair = |hex: String, byte: &u8| hex + &format!("{byte:02x}");
        sum.iter().fold(String::new(), pair)
    };
    match algorithm {
        "sha256" => format!("sha256:{}", hex(&sha2::Sha256::digest(bytes))),
        "sha512" => format!("sha512:{}", hex(&sha2::Sha512::digest(bytes))),
        other => panic!("{other}"),
    }
}

/// Takes off whatever compression there is, told by its magic.
pub fn unpacked(bytes: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => flate2::bufread::MultiGzDecoder::new(&*bytes).read_to_end(&mut plain),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::new(&*bytes).unwrap();
            decoder.read_to_end(&mut plain)
        }
        [b'B', b'Z', b'h', ..] => bzip2::read::MultiBzDecoder::new(&*bytes).read_to_end(&mut plain),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            liblzma::read::XzDecoder::new_multi_decoder(&*bytes).read_to_end(&mut plain)
        }
        _ => return bytes,
    };
    read.unwrap();
    plain
}

enum Entry {
    File(Vec<u8>),
    Link(String),
}

/// The images of a docker-save archive, in its order; `None` if it has no `manifest.json`.
pub fn saved(archive: &Path) -> Option<Vec<Image>> {
    let tar = unpacked(std::fs::read(archive).unwrap());
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(&*tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = clean("", &String::from_utf8_lossy(&entry.path_bytes()));
        let link = entry.link_name_bytes();
        let link = link.map(|link| String::from_utf8_lossy(&link).into_owned());
        let found = match (entry.header().entry_type(), link) {
            (tar::EntryType::Symlink, Some(link)) => {
                let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
                Entry::Link(clean(parent, &link))
            }
            (tar::EntryType::Link, Some(link)) => Entry::Link(clean("", &link)),
            _ => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                Entry::File(bytes)
            }
        };
        entries.insert(name, found);
    }
    let file = |name: &str| match entries.get(&clean("", name))? {
        Entry::File(bytes) => Some(bytes.clone()),
        Entry::Link(to) => match entries.get(to) {
            Some(Entry::File(bytes)) => Some(bytes.clone()),
            _ => panic!("{name} is a link to {to}"),
        },
    };
    let list: Value = serde_json::from_slice(&file("manifest.json")?).unwrap();
    let images = list.as_array().unwrap().iter().map(|item| {
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let config = file(&text(&item["Config"])).unwrap();
        let paths = item["Layers"].as_array().into_iter().flatten();
        let layers = paths.map(|path| file(&text(path))).collect();
        image(&config, layers)
    });
    Some(images.collect())
}

/// An image of this config and these layers, which must fit. Layers that are not there are
/// taken to be what the config says.
pub fn image(config: &[u8], layers: Vec<Option<Vec<u8>>>) -> Image {
    let parsed: Value = serde_json::from_slice(config).unwrap();
    let said = parsed["rootfs"]["diff_ids"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(said.len(), layers.len(), "DiffIds and layers");
    let mut diff_ids = Vec::new();
    for (said, layer) in said.iter().zip(layers) {
        let said = said.as_str().unwrap();
        let (algorithm, _) = said.split_once(':').unwrap();
        let found = layer.map(|layer| digest(algorithm, &unpacked(layer)));
        assert_eq!(found.as_deref().unwrap_or(said), said, "DiffId");
        diff_ids.push(said.to_string());
    }
    let id = digest("sha256", config);
    Image { id, diff_ids }
}

fn clean(from: &str, path: &str) -> String {
    let from = if path.starts_with('/') { "" } else { from };
    let mut parts = Vec::new();
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => assert!(parts.pop().is_some(), "{path} leads out"),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The entries of `index.json`.
pub fn entries(directory: &Path) -> Vec<Value> {
    let text = std::fs::read(directory.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&text).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

/// The entry that a name stands for.
pub fn entry(directory: &Path, name: &str) -> Value {
    let is_it = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
    let entries = entries(directory);
    let found: Vec<&Value> = entries.iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{name} in {entries:?}");
    found[0].clone()
}

/// A blob, checked against its descriptor.
pub fn blob(directory: &Path, descriptor: &Value) -> Option<Vec<u8>> {
    let name = descriptor["digest"].as_str().unwrap();
    let (algorithm, hex) = name.split_once(':').unwrap();
    let bytes = std::fs::read(directory.join("blobs").join(algorithm).join(hex)).ok()?;
    assert_eq!(digest(algorithm, &bytes), name);
    assert_eq!(descriptor["size"], bytes.len(), "size of {name}");
    Some(bytes)
}

/// Follows an entry of an OCI directory to the last layer.
pub fn graph(directory: &Path, entry: &Value) -> Graph {
    let mut graph = Graph::default();
    follow(directory, entry, &mut graph);
    graph
}

fn follow(directory: &Path, descriptor: &Value, graph: &mut Graph) {
    let mut get = |descriptor: &Value, may_lack: bool| {
        let name = descriptor["digest"].as_str().unwrap().to_string();
        let bytes = blob(directory, descriptor);
        assert!(bytes.is_some() || may_lack, "{name} is missing");
        let set = if bytes.is_some() {
            &mut graph.present
        } else {
            &mut graph.absent
        };
        set.insert(name);
        bytes
    };
    let is_sparse = descriptor["platform"].is_object();
    let Some(text) = get(descriptor, is_sparse) else {
        return;
    };
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    if let Some(children) = manifest["manifests"].as_array() {
        for child in children {
            follow(directory, child, graph);
        }
        return;
    }
    let config = get(&manifest["config"], false).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    let layers = layers
        .map(|layer| get(layer, layer["urls"].is_array()))
        .collect();
    let kind = manifest["config"]["mediaType"].as_str().unwrap();
    if kind.ends_with("image.config.v1+json") || kind.ends_with("container.image.v1+json") {
        graph.images.push(image(&config, layers));
    }
}
