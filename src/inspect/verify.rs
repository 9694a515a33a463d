//! Reads everything that an image consists of and says what is wrong with it.

use std::collections::BTreeMap;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::Serialize;

use super::{Graph, read_config, root, walk};
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Descriptor, DiffId, Digest, ImageManifest, Name};
use crate::store::{Source, blocking};

/// What verifying found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The digest that the name stands for.
    pub digest: Digest,
    /// How many manifests and indexes were read.
    pub manifests: usize,
    /// How many configs and layers were read.
    pub blobs: usize,
    /// How many bytes of them.
    pub bytes: u64,
    /// Images of a sparse index that are not here: no fault of it.
    pub absent: Vec<Digest>,
    /// What is wrong; nothing, if all is well.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The object.
    pub digest: Digest,
    /// What is wrong with it.
    pub problem: String,
}

/// What is to be read once, and what it must unpack to.
type Checks = BTreeMap<Digest, (Descriptor, Option<DiffId>)>;

/// Reads the whole image that `name` stands for: every digest, size and DiffId, and that config and
/// layers fit together. What is wrong with its pieces is told in the verdict.
///
/// # Errors
/// `NotFound` if there is no such image; otherwise what reading its manifests gives.
pub async fn verify(source: &dyn Source, name: &Name, parallel: usize) -> Result<Verdict> {
    let root = root(source, name).await?;
    let digest = root.descriptor().digest.clone();
    let graph = walk(source, root).await?;
    let mut findings = Vec::new();
    let checks = collect(source, &graph, &mut findings).await;
    let mut verdict = Verdict {
        digest,
        manifests: graph.manifests.len(),
        blobs: checks.len(),
        bytes: checks.values().map(|(blob, _)| blob.size).sum(),
        absent: graph
            .absent
            .into_iter()
            .map(|absent| absent.digest)
            .collect(),
        findings,
    };
    let checked = checks
        .into_values()
        .map(|(blob, diff_id)| check(source, blob, diff_id).boxed())
        .collect::<Vec<_>>();
    let found: Vec<Option<Finding>> = stream::iter(checked)
        .buffer_unordered(parallel.max(1))
        .collect()
        .await;
    verdict.findings.extend(found.into_iter().flatten());
    verdict
        .findings
        .sort_by(|one, other| one.digest.cmp(&other.digest));
    verdict
        .findings
        .dedup_by(|one, other| one.digest == other.digest);
    Ok(verdict)
}

async fn collect(source: &dyn Source, graph: &Graph, findings: &mut Vec<Finding>) -> Checks {
    let mut checks = Checks::new();
    for image in graph
        .manifests
        .iter()
        .filter_map(|manifest| manifest.as_image())
    {
        let diff_ids = match diff_ids(source, image).await {
            Ok(diff_ids) => diff_ids,
            Err(error) => {
                findings.push(finding(&image.config, &error));
                Vec::new()
            }
        };
        checks.insert(image.config.digest.clone(), (image.config.clone(), None));
        for (position, layer) in image.layers.iter().enumerate() {
            let diff_id = diff_ids.get(position).cloned();
            checks.insert(layer.digest.clone(), (layer.clone(), diff_id));
        }
    }
    checks
}

/// The DiffIds that the layers must have; none for artifacts, whose layers are anything.
async fn diff_ids(source: &dyn Source, image: &ImageManifest) -> Result<Vec<DiffId>> {
    if !image.is_container() {
        return Ok(Vec::new());
    }
    let config = read_config(source, &image.config).await?;
    let (found, layers) = (config.diff_ids().len(), image.layers.len());
    if found != layers {
        let what = format!("the config has {found} DiffIds for {layers} layers");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(config.diff_ids().to_vec())
}

async fn check(source: &dyn Source, blob: Descriptor, diff_id: Option<DiffId>) -> Option<Finding> {
    let read = async {
        let mut content = source.blob(&blob).await?;
        let is_plain = blob.media_type.compression() == Some(crate::image::Compression::None);
        if let Some(diff_id) = diff_id {
            if is_plain && diff_id != blob.digest {
                let what = format!("it is a plain layer, and the config calls it {diff_id}");
                return Err(Error::new(ErrorKind::Corrupt, what));
            }
            content = content.unpacking_to(diff_id);
        }
        blocking(|| content.pour(&mut |_| Ok(()))).await
    };
    match read.await {
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::NotFound && blob.may_live_elsewhere() => None,
        Err(error) => Some(finding(&blob, &error)),
    }
}

fn finding(of: &Descriptor, error: &Error) -> Finding {
    Finding {
        digest: of.digest.clone(),
        problem: error.root_cause(),
    }
}
