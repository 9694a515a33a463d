//! Shows what a copy would do and why, and what it comes to, without moving anything.
//!
//! `cargo run --example plan [ARCHIVE [DIRECTORY]]`
#![allow(clippy::print_stdout)]

use std::error::Error;

use imgcopy::copy::{BlobAction, Job, ManifestAction, plan, survey};
use imgcopy::image::Reference;
use imgcopy::store::registry::{Options, Registries};
use imgcopy::store::{open_destination, open_source};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.tar");
    let archive = args.next().unwrap_or_else(|| tiny.to_string());
    let temporary = tempfile::tempdir()?;
    let directory = args
        .next()
        .unwrap_or_else(|| temporary.path().join("oci").display().to_string());

    let from: Reference = format!("docker-archive:{archive}").parse()?;
    let to: Reference = format!("oci:{directory}").parse()?;
    let registries = Registries::new(Options::of_process()?);
    let source = open_source(&from, &registries)?;
    let destination = open_destination(&to, &registries, false)?;
    let mut job = Job::new(&*source, &*destination);
    job.tags = vec!["latest".parse()?];

    // A plan is plain data: whoever does not like it does not execute it.
    let plan = plan(&survey(&job).await?)?;
    for step in &plan.blobs {
        let action = match &step.action {
            BlobAction::Keep { .. } => "keep".to_string(),
            BlobAction::Send => "send".to_string(),
            BlobAction::Recompress { to } => format!("compress ({to})"),
            BlobAction::Mount { .. } | BlobAction::Recall { .. } => "mount".to_string(),
            BlobAction::Leave => "leave".to_string(),
        };
        let (blob, because) = (&step.blob, &step.because);
        println!(
            "blob     {} {:>8} B  {action}: {because}",
            blob.digest.short(),
            blob.size
        );
    }
    for step in &plan.manifests {
        let action = match &step.action {
            ManifestAction::Keep(_) => "keep",
            ManifestAction::Send => "send",
            ManifestAction::Rewrite => "rewrite",
            ManifestAction::Name => "name",
        };
        let manifest = &step.manifest;
        println!(
            "manifest {} {:>8} B  {action}: {}",
            manifest.digest.short(),
            manifest.size,
            step.because
        );
    }
    let totals = plan.totals();
    println!(
        "{} blobs to move ({} bytes), {} there already ({} bytes)",
        totals.moving, totals.bytes, totals.kept, totals.kept_bytes
    );
    Ok(())
}
