//! Archives that are put together entry by entry, so that they can be wrong.

use std::path::{Path, PathBuf};

use super::sha256;

/// A docker-save archive that is put together entry by entry, so that it can be wrong.
pub struct Archive {
    tar: tar::Builder<Vec<u8>>,
}

impl Archive {
    pub fn new() -> Self {
        Self {
            tar: tar::Builder::new(Vec::new()),
        }
    }

    /// Adds a file. The name is taken as it is, `..` and all.
    pub fn file(mut self, name: &str, content: &[u8]) -> Self {
        self.entry(tar::EntryType::Regular, name, "", content);
        self
    }

    pub fn symlink(mut self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, name, target, b"");
        self
    }

    pub fn hardlink(mut self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Link, name, target, b"");
        self
    }

    /// Adds any entry. Names must fit the header's own field (100 bytes).
    pub fn entry(&mut self, kind: tar::EntryType, name: &str, target: &str, content: &[u8]) {
        let mut header = tar::Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        self.tar.append(&header, content).unwrap();
    }

    pub fn bytes(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }

    /// Writes the archive into a directory and gives its path.
    pub fn write(self, directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }
}

/// A small image of plain layers with the given contents, as `docker save` would write it.
pub fn image(layers: &[&[u8]], tag: &str) -> Archive {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("sha256:{}", sha256(layer)))
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string();
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    let names: Vec<String> = (0..layers.len())
        .map(|n| format!("{n}/layer.tar"))
        .collect();
    let list = serde_json::json!([{"Config": config_name, "RepoTags": [tag], "Layers": names}])
        .to_string();
    let mut archive = Archive::new();
    for (name, layer) in names.iter().zip(layers) {
        archive = archive.file(name, layer);
    }
    archive
        .file(&config_name, config.as_bytes())
        .file("manifest.json", list.as_bytes())
}
