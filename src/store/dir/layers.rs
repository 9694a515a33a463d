//! Which layers a `dir:` has already in another form: what saves compressing them again. Blocking.

use std::collections::{BTreeMap, BTreeSet};

use tracing::debug;

use super::layout::Layout;
use crate::error::Result;
use crate::image::{Config, Descriptor, DiffId, Manifest, Name};
use crate::store::blob::{Blob, FileRange};
use crate::store::files::Found;
use crate::store::{KnownLayer, WantedLayers};

impl Layout {
    /// The layers that the images of this directory say unpack to what is wanted: not checked yet.
    pub(super) fn candidates(
        &self,
        wanted: &WantedLayers<'_>,
    ) -> BTreeMap<DiffId, Vec<Descriptor>> {
        let mut found = BTreeMap::new();
        // An image that cannot be read is of no use here.
        let root = self.resolve(&Name::Sole).ok().flatten();
        let mut below: Vec<Descriptor> = root.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(descriptor) = below.pop() {
            if !seen.insert(descriptor.digest.clone()) {
                continue;
            }
            match self.manifest(&descriptor) {
                Ok(manifest) => {
                    below.extend_from_slice(manifest.children());
                    self.collect(&manifest, wanted, &mut found);
                }
                Err(error) => {
                    debug!(place = %self, digest = %descriptor.digest, %error, "passed over");
                }
            }
        }
        found
    }

    fn collect(
        &self,
        manifest: &Manifest,
        wanted: &WantedLayers<'_>,
        found: &mut BTreeMap<DiffId, Vec<Descriptor>>,
    ) {
        let Some(image) = manifest.as_image().filter(|image| image.is_container()) else {
            return;
        };
        let config = self.blob(&image.config);
        let config = config.and_then(|config| Config::parse(&config.bytes_here(Config::LIMIT)?));
        let Some(config) = config.ok() else {
            return;
        };
        if config.diff_ids().len() != image.layers.len() {
            return;
        }
        for (diff_id, layer) in config.diff_ids().iter().zip(&image.layers) {
            let fits = wanted.diff_ids.contains(diff_id)
                && layer.media_type.compression() == Some(wanted.compression);
            if fits {
                found
                    .entry(diff_id.clone())
                    .or_default()
                    .push(layer.clone());
            }
        }
    }

    /// The first of some layers that really unpacks to `diff_id`: each is read until one does.
    pub(super) fn first_true(
        &self,
        layers: &[Descriptor],
        diff_id: &DiffId,
    ) -> Result<Option<KnownLayer>> {
        for layer in layers {
            if self.unpacks_to(layer, diff_id)? {
                return Ok(Some(KnownLayer {
                    diff_id: diff_id.clone(),
                    layer: layer.clone(),
                }));
            }
        }
        Ok(None)
    }

    fn unpacks_to(&self, layer: &Descriptor, diff_id: &DiffId) -> Result<bool> {
        let Found::File(file, stamp) = self.find(&layer.digest)? else {
            return Ok(false);
        };
        let blob = Blob::file(layer.clone(), FileRange::whole(file)?).unpacking_to(diff_id.clone());
        match blob.pour(&mut |_| Ok(())) {
            Ok(_) => {
                self.note_blob(&layer.digest, stamp);
                Ok(true)
            }
            Err(error) if error.is_bad_source() => {
                debug!(place = %self, layer = %layer.digest, %diff_id, "layer does not unpack to this");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
