//! What a copy tells on stdout, line by line as skopeo does it where stdout is no terminal. On a terminal
//! it is the same: there are no bars. Of an image that a registry has already, skopeo tells every piece;
//! imgcopy has not read it and tells none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imgcopy::copy::{Event, Observer, Plan, Silent};
use imgcopy::image::{ImageManifest, Manifest};

use crate::render;

/// Who tells it. The lines are those of what was planned; what comes after the layers is told when
/// everything is done.
pub(super) fn observer(quiet: bool, signatures: bool) -> Arc<dyn Observer> {
    match quiet {
        true => Silent::new(),
        false => Arc::new(Lines {
            signatures,
            began: AtomicBool::new(false),
        }),
    }
}

struct Lines {
    /// Whether it is said that signatures are looked for.
    signatures: bool,
    /// A copy may begin anew.
    began: AtomicBool,
}

impl Observer for Lines {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Planned(plan) if !self.began.swap(true, Ordering::Relaxed) => {
                render::lines(&begin(plan, self.signatures));
            }
            _ => {}
        }
    }
}

/// The last lines of a copy.
pub(super) fn end(is_list: bool, quiet: bool) {
    let last = match is_list {
        true => [
            "Writing manifest list to image destination",
            "Storing list signatures",
        ],
        false => [
            "Writing manifest to image destination",
            "Storing signatures",
        ],
    };
    if !quiet {
        render::lines(&last.map(String::from));
    }
}

fn begin(plan: &Plan, signatures: bool) -> Vec<String> {
    let content = |step: &imgcopy::copy::ManifestStep| step.content.clone();
    let manifests: Vec<Manifest> = plan.manifests.iter().filter_map(content).collect();
    let mut lines = Vec::new();
    let root = manifests.last();
    match root.filter(|root| root.as_image().is_none()) {
        None => {
            if signatures {
                lines.push("Getting image source signatures".to_string());
            }
            lines.extend(
                root.and_then(Manifest::as_image)
                    .into_iter()
                    .flat_map(pieces),
            );
        }
        Some(index) => {
            if signatures {
                lines.push("Getting image list signatures".to_string());
            }
            let entries = index.children();
            let count = entries.len();
            lines.push(format!("Copying {count} of {count} images in list"));
            for (position, entry) in entries.iter().enumerate() {
                let number = position + 1;
                // As it is called at the source.
                let digest = plan.converted.get(&entry.digest).unwrap_or(&entry.digest);
                lines.push(format!("Copying image {digest} ({number}/{count})"));
                if signatures {
                    lines.push("Getting image source signatures".to_string());
                }
                let is_it = |it: &&Manifest| it.descriptor().digest == entry.digest;
                let image = manifests.iter().find(is_it).and_then(Manifest::as_image);
                lines.extend(image.into_iter().flat_map(pieces));
                lines.push("Writing manifest to image destination".to_string());
                lines.push("Storing signatures".to_string());
            }
        }
    }
    lines
}

fn pieces(image: &ImageManifest) -> Vec<String> {
    let layers = image.layers.iter();
    let mut lines: Vec<String> = layers
        .map(|layer| format!("Copying blob {}", layer.digest))
        .collect();
    lines.push(format!("Copying config {}", image.config.digest));
    lines
}
