//! Copies an archive into an OCI directory and prints each event on the way.
//!
//! `cargo run --example copy [ARCHIVE [DIRECTORY]]`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use imgcopy::copy::{Event, Job, Observer, copy};
use imgcopy::image::Reference;
use imgcopy::store::registry::{Options, Registries};
use imgcopy::store::{open_destination, open_source};

/// Prints what happens. A program with a screen would move its bars here.
struct Printer;

impl Observer for Printer {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Planned(plan) => println!("planned  {} blobs to move", plan.totals().moving),
            Event::Started { blob } => println!("started  {}", blob.digest.short()),
            Event::Advanced { blob, bytes } => println!("advanced {} by {bytes}", blob.short()),
            Event::Arrived { blob, stored } => {
                let (from, to) = (blob.digest.short(), stored.digest.short());
                println!("arrived  {from} as {to}, {} -> {}", blob.size, stored.size);
            }
            Event::Done(outcome) => println!("done     {} bytes written", outcome.bytes_written),
            // Later versions may tell more.
            _ => {}
        }
    }
}

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

    let observer: Arc<dyn Observer> = Arc::new(Printer);
    let outcome = copy(&job, &observer).await?;
    println!("{}", outcome.digest);
    Ok(())
}
