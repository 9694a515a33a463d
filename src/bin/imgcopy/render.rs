//! Every word that is printed for a person, and the exit codes.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

use crate::failures;
use imgcopy::copy::Outcome;
use imgcopy::error::{Error, ErrorKind};
use imgcopy::image::Repository;
use imgcopy::store::Extent;
use imgcopy::store::oci_dir::Garbage;

const FAILED: u8 = 1;
const NO_SUCH_IMAGE: u8 = 2;
const RATE_LIMITED: u8 = 4;
pub(crate) const USAGE: u8 = 64;

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
        Ok(json) => line(&harmless(&json)),
        Err(error) => failure(&Error::new(ErrorKind::Io, error.to_string())),
    }
}

/// JSON laid out as skopeo does it, with 4 spaces.
pub(crate) fn json_of_skopeo(what: &impl Serialize) -> ExitCode {
    let mut out = Vec::new();
    let layout = PrettyFormatter::with_indent(b"    ");
    let written = what.serialize(&mut Serializer::with_formatter(&mut out, layout));
    match written {
        Ok(()) => line(&harmless(&String::from_utf8_lossy(&out))),
        Err(error) => failure(&Error::new(ErrorKind::Io, error.to_string())),
    }
}

/// Whether JSON may have a character as it is, but a terminal might act on it (S-46): DEL, the control
/// characters of eight bits, and what changes the direction of text.
pub(crate) fn is_active(letter: char) -> bool {
    matches!(
        letter,
        '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// The same JSON, with such characters escaped. They stand in strings only.
fn harmless(json: &str) -> String {
    let mut all = String::with_capacity(json.len());
    for letter in json.chars() {
        match is_active(letter) {
            true => drop(write!(all, "\\u{:04x}", u32::from(letter))),
            false => all.push(letter),
        }
    }
    all
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
    tell(
        "interrupted: each name stands for its old image or for the whole new one; run again to go on",
    );
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
    remarks(outcome);
}

/// What changed on the way, and what stayed behind.
fn remarks(outcome: &Outcome) {
    if let Some(why) = &outcome.converted_because {
        tell(&format!(
            "the manifest was converted into another format: {why}"
        ));
    } else if let Some(old) = &outcome.converted_from {
        tell(&format!(
            "the manifest was converted: {old} became {}",
            outcome.digest
        ));
    }
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
    if outcome.no_place > 0 {
        tell(&format!(
            "warning: {} referrers and signatures left behind: the destination has no place for them",
            outcome.no_place
        ));
    }
}

pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What nothing refers to.
pub(crate) fn garbage(garbage: &[Garbage], dry_run: bool) -> ExitCode {
    let bytes = garbage.iter().map(|it| it.size).sum();
    let (count, bytes) = (count(garbage.len(), "blob"), size(bytes));
    tell(&match dry_run {
        true => format!("{count} ({bytes}) would be removed"),
        false => format!("removed {count} ({bytes})"),
    });
    let digests: Vec<String> = garbage.iter().map(|it| it.digest.to_string()).collect();
    lines(&digests)
}

/// What is remembered, and where.
pub(crate) fn cache(extent: &Extent) -> ExitCode {
    let file = extent.path.as_ref().map(|file| file.display().to_string());
    line(&format!(
        "{}: {}, {}",
        file.unwrap_or_default(),
        entries(extent.entries),
        size(extent.bytes)
    ))
}

fn entries(n: usize) -> String {
    format!("{n} {}", if n == 1 { "entry" } else { "entries" })
}
