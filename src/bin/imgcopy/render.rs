//! Every word that is printed for a person, and the exit codes.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

use crate::failures;
use imgcopy::copy::{BlobAction, ManifestAction, Outcome, Plan};
use imgcopy::error::{Error, ErrorKind};
use imgcopy::image::{Platform, Reference, Repository};
use imgcopy::inspect::{Description, Verdict};

const FAILED: u8 = 1;
const NO_SUCH_IMAGE: u8 = 2;
const RATE_LIMITED: u8 = 4;
const USAGE: u8 = 64;

/// Prints a result. A reader who went away is no failure.
pub(crate) fn text(text: &str) -> ExitCode {
    bytes(text.as_bytes())
}

pub(crate) fn bytes(bytes: &[u8]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            failure(&Error::from(error).attempting("cannot write to standard output"))
        }
        _ => ExitCode::SUCCESS,
    }
}

pub(crate) fn line(what: &impl Display) -> ExitCode {
    text(&format!("{what}\n"))
}

pub(crate) fn lines(lines: &[String]) -> ExitCode {
    text(
        &lines
            .iter()
            .fold(String::new(), |all, line| all + line + "\n"),
    )
}

pub(crate) fn json(what: &impl Serialize) -> ExitCode {
    match serde_json::to_string_pretty(what) {
        Ok(json) => line(&json),
        Err(error) => failure(&Error::new(ErrorKind::Io, error.to_string())),
    }
}

/// JSON laid out as skopeo does it, with 4 spaces.
pub(crate) fn json_of_skopeo(what: &impl Serialize) -> ExitCode {
    let mut out = Vec::new();
    let layout = PrettyFormatter::with_indent(b"    ");
    let written = what.serialize(&mut Serializer::with_formatter(&mut out, layout));
    match written {
        Ok(()) => {
            out.push(b'\n');
            bytes(&out)
        }
        Err(error) => failure(&Error::new(ErrorKind::Io, error.to_string())),
    }
}

/// What `skopeo list-tags` prints; places without a repository leave that out.
pub(crate) fn tags_of_skopeo(repository: Option<&Repository>, tags: &[String]) -> ExitCode {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listing<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        repository: Option<&'a Repository>,
        tags: &'a [String],
    }
    json_of_skopeo(&Listing { repository, tags })
}

/// A registry need not list its tags to everybody.
pub(crate) fn no_tags(why: &Error) {
    let why = failures::chain(why);
    let why = why.strip_prefix("error: ").unwrap_or(&why);
    tell(&format!("warning: RepoTags stays empty: {why}"));
}

/// Tells something on the side. A closed stderr is no failure either.
pub(crate) fn tell(what: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{what}");
}

/// clap's own messages: help and version are results, everything else is wrong usage.
pub(crate) fn usage_error(error: &clap::Error) -> ExitCode {
    // Nothing can be done about a closed stream.
    let _ = error.print();
    match error.use_stderr() {
        true => ExitCode::from(USAGE),
        false => ExitCode::SUCCESS,
    }
}

pub(crate) fn usage_failure(error: &Error) -> ExitCode {
    tell(&failures::chain(error));
    ExitCode::from(USAGE)
}

pub(crate) fn failure(error: &Error) -> ExitCode {
    tell(&failures::chain(error));
    ExitCode::from(match error.kind() {
        ErrorKind::NotFound | ErrorKind::NoPlace => NO_SUCH_IMAGE,
        ErrorKind::RateLimited => RATE_LIMITED,
        _ => FAILED,
    })
}

pub(crate) fn interrupted(code: u8) -> ExitCode {
    tell("interrupted: the destination's names are what they were; run again to go on");
    ExitCode::from(code)
}

/// A defect of imgcopy; what panicked has said where.
pub(crate) fn died(died: &tokio::task::JoinError) -> ExitCode {
    tell(&format!("error: imgcopy has a defect: {died}"));
    ExitCode::from(FAILED)
}

/// Bytes as people read them, in powers of ten.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut scaled = u128::from(bytes) * 10;
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    for unit in units {
        scaled /= 1000;
        if scaled < 10_000 {
            return format!("{}.{} {unit}", scaled / 10, scaled % 10);
        }
    }
    format!("{bytes} B")
}

pub(crate) fn warnings(warnings: &[String]) {
    for warning in warnings {
        tell(&format!("warning: {warning}"));
    }
}

pub(crate) fn summary(outcome: &Outcome, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    let mut line = match (outcome.moved, outcome.manifests) {
        (0, 0) if outcome.mounted == 0 => format!("up to date in {seconds:.1} s"),
        (moved, _) => format!(
            "copied {} ({} read, {} written) in {seconds:.1} s",
            count(moved, "blob"),
            size(outcome.bytes_read),
            size(outcome.bytes_written),
        ),
    };
    if outcome.kept > 0 {
        let kept = count(outcome.kept, "blob");
        let _ = write!(
            line,
            "; {kept} ({}) already there",
            size(outcome.bytes_kept)
        );
    }
    if outcome.mounted > 0 {
        let mounted = count(outcome.mounted, "blob");
        let _ = write!(line, "; {mounted} mounted at the registry");
    }
    if outcome.companions > 0 {
        let companions = outcome.companions;
        let _ = write!(line, "; {companions} referrers and signatures, too");
    }
    if outcome.absent > 0 {
        let _ = write!(
            line,
            "; {} not at the source left out",
            count(outcome.absent, "piece")
        );
    }
    tell(&line);
    if let Some(old) = &outcome.trimmed_from {
        tell(&format!(
            "the index was written anew with fewer images: {old} became {}",
            outcome.digest
        ));
    }
    if let Some(why) = &outcome.companions_unknown {
        tell(&format!(
            "warning: signatures and other referrers were not looked for: {why}"
        ));
    }
    if outcome.left_behind > 0 {
        tell(&format!(
            "warning: {} referrers and signatures left behind: what they are for has another digest at the destination",
            outcome.left_behind
        ));
    }
}

pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

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
            BlobAction::Mount { .. } => "mount".to_string(),
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
