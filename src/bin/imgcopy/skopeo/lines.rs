//! What a copy tells on stdout, line by line as skopeo does it where stdout is no terminal. On a terminal
//! it is the same: there are no bars. Of an image that a registry has already, skopeo tells every piece;
//! imgcopy has not read it and tells none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imgcopy::copy::{Event, Observer, Outcome, Plan, Silent};
use imgcopy::image::{ImageManifest, Manifest};

use crate::render;

/// What is told on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing.
    Nothing,
    /// What is copied.
    Copied,
    /// The same, and of an image that is there already that it is.
    CopiedOrSkipped,
}

/// Who tells it. The lines are those of what was planned; what comes after the layers is told when
/// everything is done.
pub(super) fn observer(told: Told, signatures: bool) -> Arc<dyn Observer> {
    match told {
        Told::Nothing => Silent::new(),
        Told::Copied | Told::CopiedOrSkipped => Arc::new(Lines {
            signatures,
            skips: told == Told::CopiedOrSkipped,
            began: AtomicBool::new(false),
        }),
    }
}

struct Lines {
    /// Whether it is said that signatures are looked for.
    signatures: bool,
    /// Whether nothing is told of the pieces of an image that is there already.
    skips: bool,
    /// A copy may begin anew.
    began: AtomicBool,
}

impl Observer for Lines {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Planned(plan) if !self.began.swap(true, Ordering::Relaxed) => {
                let mut lines = begin(plan, self.signatures);
                if self.skips && plan.is_empty() {
                    lines.truncate(usize::from(self.signatures));
                }
                render::lines(&lines);
            }
            _ => {}
        }
    }
}

/// The last lines of a copy.
pub(super) fn end(is_list: bool, told: Told, outcome: &Outcome) {
    let wrote_nothing = outcome.moved == 0 && outcome.mounted == 0 && outcome.manifests == 0;
    let last: &[&str] = match (told, is_list) {
        (Told::Nothing, _) => return,
        (Told::CopiedOrSkipped, _) if wrote_nothing => {
            &["Skipping: image already present at destination"]
        }
        (_, true) => &[
            "Writing manifest list to image destination",
            "Storing list signatures",
        ],
        (_, false) => &[
            "Writing manifest to image destination",
            "Storing signatures",
        ],
    };
    let last: Vec<String> = last.iter().map(ToString::to_string).collect();
    render::lines(&last);
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
