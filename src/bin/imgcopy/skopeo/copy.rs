//! `skopeo copy`.

use std::path::Path;
use std::process::ExitCode;

use imgcopy::copy::Outcome;
use imgcopy::image::{Platform, Reference};

use super::image::{Copying, Way};
use super::lines::Told;
use super::options::{CopyArgs, Global};
use super::told::{self, Ended, Fatal};
use super::{made, place, policy, usage};
use crate::platforms::Overrides;

pub(super) async fn copy(global: &Global, mut args: CopyArgs) -> Ended {
    let references = std::mem::take(&mut args.references);
    let [from, to] = usage::exactly(references, "Exactly two arguments expected")?;
    args.secrets.check()?;
    let policy = policy::load(global)?;
    let invalid = |side, name: &str, why| Fatal::new(format!("Invalid {side} name {name}: {why}"));
    let source = place::parsed(&from).map_err(|why| invalid("source", &from, why))?;
    let destination = place::parsed(&to).map_err(|why| invalid("destination", &to, why))?;
    let all = made::wants_all(&args)?;
    let platform = platform(global)?;
    policy.check(&source)?;
    let sides = (args.source.checked()?, args.destination.checked()?);
    let places = [&source, &destination];
    let authfile = args.authfile.as_ref();
    let reached = sides
        .0
        .beside(&sides.1, authfile, places, args.retry_times)?;
    let quiet = args.quiet || is_stdout(&destination);
    let copying = Copying {
        making: &args.making,
        all,
        platform,
        with_signatures: !args.remove_signatures,
        told: if quiet { Told::Nothing } else { Told::Copied },
    };
    let way = Way {
        source: &source,
        from: &reached.source,
        destination: &destination,
        to: &reached.destination,
    };
    let copied = copying.image(&way, &args.additional_tag).await;
    for warning in reached.warnings() {
        told::warn(&warning);
    }
    note(&copied?, args.digestfile.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

/// The platform whose image is meant.
pub(super) fn platform(global: &Global) -> Result<Platform, Fatal> {
    let overrides = Overrides {
        os: global.override_os.as_deref(),
        architecture: global.override_arch.as_deref(),
        variant: global.override_variant.as_deref(),
    };
    let asked = overrides.platform()?;
    Ok(asked.unwrap_or_else(Platform::of_this_machine))
}

/// What is told would stand in the middle of the archive.
fn is_stdout(destination: &Reference) -> bool {
    let is_device = match destination {
        Reference::DockerArchive { path, .. } | Reference::OciArchive { path, .. } => {
            path.as_os_str() == "/dev/stdout"
        }
        _ => false,
    };
    is_device || destination.is_stdio()
}

fn note(outcome: &Outcome, digestfile: Option<&Path>) -> Result<(), Fatal> {
    let Some(file) = digestfile else {
        return Ok(());
    };
    std::fs::write(file, outcome.digest.to_string()).map_err(|error| {
        let file = file.display();
        let why = system(&error);
        Fatal::new(format!(
            "Failed to write digest to file \"{file}\": open {file}: {why}"
        ))
    })
}

/// What the system says, in Go's letters and without Rust's number.
pub(super) fn system(error: &std::io::Error) -> String {
    let told = error.to_string();
    let told = told.split(" (os error").next().unwrap_or_default();
    let mut letters = told.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
