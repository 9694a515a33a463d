//! Plans, images and verdicts as tables for a person.

use std::fmt::{Display, Write as _};

use imgcopy::copy::{BlobAction, ManifestAction, Plan};
use imgcopy::image::{Platform, Reference};
use imgcopy::inspect::{Description, Verdict};

use crate::render::{count, size};

/// A plan, a line a piece: what is done, how large it is, which it is, and why.
pub(crate) fn plan_table(plan: &Plan) -> String {
    let tags: Vec<String> = plan.tags.iter().map(ToString::to_string).collect();
    let mut table = format!("{} -> {}", plan.source, plan.destination);
    if !tags.is_empty() {
        let _ = write!(table, ":{}", tags.join(","));
    }
    table.push('\n');
    for step in &plan.blobs {
        let action = match &step.action {
            BlobAction::Keep { .. } => "keep".to_string(),
            BlobAction::Send => "send".to_string(),
            BlobAction::Recompress { to } => format!("to {}", to.compression()),
            BlobAction::Mount { .. } | BlobAction::Recall { .. } => "mount".to_string(),
            BlobAction::Leave => "leave".to_string(),
        };
        row(&mut table, &action, &step.blob, &step.because);
    }
    for step in &plan.manifests {
        let action = match &step.action {
            ManifestAction::Keep(_) => "keep",
            ManifestAction::Send => "send",
            ManifestAction::Rewrite => "rewrite",
            ManifestAction::Name => "name",
        };
        row(&mut table, action, &step.manifest, &step.because);
    }
    let left: Vec<_> = plan.absent.iter().filter(|it| it.urls.is_empty()).collect();
    for absent in left {
        row(
            &mut table,
            "leave",
            absent,
            &"not at the source either: a sparse index",
        );
    }
    let totals = plan.totals();
    if plan.is_empty() {
        table.push_str("nothing to do\n");
        return table;
    }
    let _ = write!(
        table,
        "{} to move ({})",
        count(totals.moving, "blob"),
        size(totals.bytes)
    );
    if totals.mounted > 0 {
        let _ = write!(table, ", {} to mount", totals.mounted);
    }
    let (kept, kept_bytes) = (totals.kept, size(totals.kept_bytes));
    let _ = writeln!(table, ", {kept} already there ({kept_bytes})");
    table
}

fn row(table: &mut String, action: &str, of: &imgcopy::image::Descriptor, because: &dyn Display) {
    let digest = of.digest.short();
    let what = kind(of);
    let _ = writeln!(
        table,
        "  {action:8} {:>9}  {what:8} {digest}  {because}",
        size(of.size)
    );
}

/// What a descriptor is, in a word.
pub(crate) fn kind(of: &imgcopy::image::Descriptor) -> &'static str {
    use imgcopy::image::MediaKind;
    match of.media_type.kind() {
        MediaKind::Index => "index",
        MediaKind::Manifest | MediaKind::Schema1 => "manifest",
        MediaKind::Config => "config",
        MediaKind::Layer(_) => "layer",
        MediaKind::Other => "blob",
    }
}

pub(crate) fn description(image: &Description) -> String {
    let mut out = String::new();
    field(&mut out, "Name", &image.reference);
    field(&mut out, "Digest", &image.digest);
    field(&mut out, "Media type", &image.media_type);
    if let Some(id) = &image.image_id {
        field(&mut out, "Image ID", id);
    }
    if let Some(platform) = &image.platform {
        field(&mut out, "Platform", platform);
    }
    if let Some(created) = &image.created {
        field(&mut out, "Created", &created.escape_debug());
    }
    for platform in &image.platforms {
        let absent = match platform.present {
            Some(false) => "  (not here)",
            _ => "",
        };
        let of = platform.platform.as_ref().map(Platform::to_string);
        let of = of.unwrap_or_else(|| "-".to_string());
        let entry = format!("{of:20} {}{absent}", platform.digest);
        field(&mut out, "Image", &entry);
    }
    for variable in &image.env {
        field(&mut out, "Environment", &variable.escape_debug());
    }
    for (key, value) in &image.labels {
        field(
            &mut out,
            "Label",
            &format!("{}={}", key.escape_debug(), value.escape_debug()),
        );
    }
    for (position, layer) in image.layers.iter().enumerate() {
        let head = format!(
            "{}  {}  {}",
            layer.descriptor.digest,
            size(layer.descriptor.size),
            layer.descriptor.media_type
        );
        field(&mut out, &format!("Layer {}", position + 1), &head);
        if let Some(diff_id) = &layer.diff_id {
            field(&mut out, "  DiffId", diff_id);
        }
        if let Some(chain_id) = &layer.chain_id {
            field(&mut out, "  ChainId", chain_id);
        }
        if let Some(step) = &layer.created_by {
            field(&mut out, "  made by", &step.escape_debug());
        }
    }
    out
}

fn field(out: &mut String, name: &str, value: &dyn Display) {
    let _ = writeln!(out, "{name:12} {value}");
}

pub(crate) fn verdict(reference: &Reference, verdict: &Verdict) -> String {
    let mut out = String::new();
    for finding in &verdict.findings {
        let _ = writeln!(out, "wrong: {}: {}", finding.digest, finding.problem);
    }
    for absent in &verdict.absent {
        let _ = writeln!(out, "not here: {absent} (a sparse index)");
    }
    let read = format!(
        "{}, {} ({})",
        count(verdict.manifests, "manifest"),
        count(verdict.blobs, "blob"),
        size(verdict.bytes),
    );
    let _ = match verdict.findings.len() {
        0 => writeln!(
            out,
            "{reference} is whole: {read} read, every digest, size and DiffId right"
        ),
        n => writeln!(
            out,
            "{reference} is damaged: {} in {read}",
            count(n, "fault")
        ),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1999, "1.9 kB"),
            (999_999, "999.9 kB"),
            (31_234_567, "31.2 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
