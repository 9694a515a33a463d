//! The OCI manifests that an archive of `docker save` may hold beside its list of images.

use std::collections::BTreeSet;

use super::tar_index::TarIndex;
use crate::image::{Descriptor, MANIFEST_LIMIT, Manifest, MediaType};
use crate::store::oci_dir::index;

/// The manifest that the engine had for this image, if the archive holds it: an OCI manifest with
/// the same config and layers.
pub(super) fn original(
    tar: &TarIndex,
    config: &Descriptor,
    layers: &[Descriptor],
) -> Option<Manifest> {
    let text = tar.read(index::FILE, index::LIMIT).ok()??;
    let mut below = index::entries(&text).ok()?;
    let mut seen = BTreeSet::new();
    while let Some(descriptor) = below.pop() {
        if !seen.insert(descriptor.digest.clone()) {
            continue;
        }
        let Some(manifest) = stored_manifest(tar, &descriptor) else {
            continue;
        };
        below.extend_from_slice(manifest.children());
        let fits = manifest.as_image().is_some_and(|image| {
            let same = |(one, other): (&Descriptor, &Descriptor)| {
                one.digest == other.digest && one.media_type == other.media_type
            };
            image.config.digest == config.digest
                && image.layers.len() == layers.len()
                && image.layers.iter().zip(layers).all(same)
        });
        if fits && manifest.descriptor().media_type.as_str() == MediaType::OCI_MANIFEST {
            return Some(manifest);
        }
    }
    None
}

/// A manifest among the blobs of an archive. One that cannot be read counts as none: what the
/// archive must have is listed in `manifest.json`.
fn stored_manifest(tar: &TarIndex, descriptor: &Descriptor) -> Option<Manifest> {
    let digest = &descriptor.digest;
    let path = format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex());
    let bytes = tar.read(&path, MANIFEST_LIMIT).ok()??;
    Manifest::parse(bytes.into(), descriptor).ok()
}
