//! Manifests in other words: from OCI's format to Docker's and back.
//!
//! Only the words change: configs and layers keep their bytes, so the image ID stays. The manifest gets
//! another digest.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Compression, Digest, Format, Manifest, MediaType};
use crate::error::{Attempt as _, Error, ErrorKind, Result};

/// What Docker's manifests have no place for.
const ONLY_OCI: [&str; 3] = ["annotations", "artifactType", "subject"];

impl Manifest {
    /// The same in another format; the same bytes if it is in that already.
    ///
    /// # Errors
    /// `Unsupported` if the format has no word for something in it.
    pub fn in_format(&self, format: Format) -> Result<Self> {
        self.said_in(&Words {
            format,
            is_repacked: &|_| false,
        })
    }

    fn said_in(&self, words: &Words<'_>) -> Result<Self> {
        let format = words.format;
        let mut document: Value = serde_json::from_slice(self.bytes())?;
        let own = words.of(&self.descriptor().media_type)?;
        let mut changes = own != self.descriptor().media_type;
        if let Some(config) = document.get_mut("config") {
            changes |= words.convert(config)?;
        }
        for list in ["layers", "manifests"] {
            let entries = document.get_mut(list).and_then(Value::as_array_mut);
            for entry in entries.into_iter().flatten() {
                changes |= words.convert(entry)?;
            }
        }
        if !changes {
            return Ok(self.clone());
        }
        if let Some(document) = document.as_object_mut() {
            document.insert("mediaType".into(), own.as_str().into());
            strip(document, format);
        }
        Self::of(serde_json::to_vec(&document)?.into(), own)
    }

    /// Manifests in another format, each named by what it was called before. Children come before their
    /// parents, which name them anew. Layers of which `is_repacked` is true are compressed anew before
    /// anybody sees the manifest, and need no word.
    ///
    /// # Errors
    /// As [`Manifest::in_format`].
    pub fn all_in_format(
        manifests: Vec<Self>,
        format: Format,
        is_repacked: &dyn Fn(Compression) -> bool,
    ) -> Result<(Vec<Self>, BTreeMap<Digest, Digest>)> {
        let words = Words {
            format,
            is_repacked,
        };
        let (mut all, mut before) = (Vec::new(), BTreeMap::new());
        let mut renamed = BTreeMap::new();
        for old in manifests {
            let digest = old.descriptor().digest.clone();
            let names_others = old
                .children()
                .iter()
                .any(|it| renamed.contains_key(&it.digest));
            let new = match names_others {
                true => old.with_replaced(&renamed)?.said_in(&words),
                false => old.said_in(&words),
            };
            let new = new.attempting(|| format!("cannot convert manifest {digest}"))?;
            let named = new.descriptor().clone();
            if named.digest != digest {
                before.insert(named.digest.clone(), digest.clone());
                renamed.insert(digest, named);
            }
            all.push(new);
        }
        Ok((all, before))
    }
}

/// The words of a format.
struct Words<'w> {
    format: Format,
    /// Whether layers that are compressed so will be compressed anew.
    is_repacked: &'w dyn Fn(Compression) -> bool,
}

impl Words<'_> {
    /// Whether a descriptor changed.
    fn convert(&self, descriptor: &mut Value) -> Result<bool> {
        let Some(descriptor) = descriptor.as_object_mut() else {
            return Ok(false);
        };
        let said = descriptor.get("mediaType").and_then(Value::as_str);
        let own = MediaType::new(said.unwrap_or_default());
        let new = self.of(&own)?;
        if new == own {
            return Ok(false);
        }
        descriptor.insert("mediaType".into(), new.as_str().into());
        strip(descriptor, self.format);
        Ok(true)
    }

    fn of(&self, own: &MediaType) -> Result<MediaType> {
        let known = own.in_format(self.format);
        known.or_else(|| self.for_now(own)).ok_or_else(|| {
            let instead = match own.compression() {
                Some(_) => "--compression gzip --recompress compresses its layers anew",
                None => "choose images by --platform, or leave the format as it is",
            };
            let what = format!(
                "the format {} has no word for {own}: {instead}",
                self.format
            );
            Error::new(ErrorKind::Unsupported, what)
        })
    }

    /// What a layer is called that will be compressed anew: its family's name and how it is
    /// compressed now.
    fn for_now(&self, own: &MediaType) -> Option<MediaType> {
        let compression = own.compression().filter(|it| (self.is_repacked)(*it))?;
        let plain = own.with_compression(Compression::None)?;
        let plain = plain.in_format(self.format)?;
        (!own.is_foreign_layer())
            .then(|| MediaType::new(format!("{}+{compression}", plain.as_str())))
    }
}

fn strip(object: &mut Map<String, Value>, format: Format) {
    if format == Format::V2s2 {
        for key in ONLY_OCI {
            object.shift_remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Descriptor;

    fn image(compression: Compression) -> Manifest {
        let config = Descriptor::of(MediaType::OCI_CONFIG.into(), b"{}");
        let layer = Descriptor::of(MediaType::oci_layer(compression), b"layer");
        Manifest::image(&config, &[layer]).unwrap()
    }

    #[test]
    fn an_image_goes_there_and_back() {
        let oci = image(Compression::Gzip);
        let docker = oci.in_format(Format::V2s2).unwrap();
        assert_eq!(
            docker.descriptor().media_type.as_str(),
            MediaType::DOCKER_MANIFEST
        );
        let (one, other) = (oci.as_image().unwrap(), docker.as_image().unwrap());
        assert_eq!(one.config.digest, other.config.digest);
        assert_eq!(other.config.media_type.as_str(), MediaType::DOCKER_CONFIG);
        assert_eq!(one.layers[0].digest, other.layers[0].digest);
        assert_eq!(
            docker.in_format(Format::V2s2).unwrap().bytes(),
            docker.bytes()
        );
        let back = docker.in_format(Format::Oci).unwrap();
        assert_eq!(back.bytes(), oci.bytes());
    }

    #[test]
    fn an_index_names_its_images_by_their_new_digests() {
        let one = image(Compression::Gzip);
        let text = serde_json::json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "annotations": {"a": "b"},
            "manifests": [one.descriptor()],
        });
        let bytes = serde_json::to_vec(&text).unwrap();
        let index = Manifest::of(bytes.into(), MediaType::OCI_INDEX.into()).unwrap();
        let manifests = vec![one.clone(), index.clone()];
        let (docker, before) =
            Manifest::all_in_format(manifests.clone(), Format::V2s2, &|_| false).unwrap();
        assert_eq!(
            docker[1].children()[0].digest,
            docker[0].descriptor().digest
        );
        assert!(!String::from_utf8_lossy(docker[1].bytes()).contains("annotations"));
        let named = |at: usize| &docker[at].descriptor().digest;
        assert_eq!(before[named(0)], one.descriptor().digest);
        assert_eq!(before[named(1)], index.descriptor().digest);
        let (same, before) = Manifest::all_in_format(manifests, Format::Oci, &|_| false).unwrap();
        assert_eq!(same[1].bytes(), index.bytes());
        assert!(before.is_empty());
    }

    #[test]
    fn what_docker_has_no_word_for_is_refused() {
        let told = image(Compression::Zstd)
            .in_format(Format::V2s2)
            .unwrap_err()
            .to_string();
        assert!(told.contains("tar+zstd"), "{told}");
        assert!(told.contains("--compression gzip --recompress"), "{told}");
    }

    #[test]
    fn a_layer_that_is_compressed_anew_needs_no_word_and_stays_known_for_what_it_is() {
        let zstd = vec![image(Compression::Zstd)];
        let convert = |repacks: bool| {
            let is_repacked = |own| repacks && own == Compression::Zstd;
            Manifest::all_in_format(zstd.clone(), Format::V2s2, &is_repacked)
        };
        convert(false).unwrap_err();
        let (docker, _) = convert(true).unwrap();
        let layer = &docker[0].as_image().unwrap().layers[0].media_type;
        assert_eq!(layer.compression(), Some(Compression::Zstd));
        let gzip = layer.with_compression(Compression::Gzip).unwrap();
        assert_eq!(
            gzip.as_str(),
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
        );
    }
}
