//! Real registries, and other clients of them: Debian's docker-registry, a registry with the
//! referrers API, and distribution 3 where it is; skopeo, a Docker engine, oci-client, and where they
//! are crane and regctl.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod clients;
mod corpus;
mod docker;
mod fixtures;
mod referrers;
mod server;
mod tokens;

use imgcopy::copy::{Job, Outcome, Silent, copy, plan, survey};
use imgcopy::error::Result;
use imgcopy::image::Reference;
use imgcopy::store::registry::{Options, Registries};
use imgcopy::store::{open_destination, open_source};

/// Copies between two references. The source is opened first, so that blobs can be mounted.
async fn carry(registries: &Registries, source: &str, destination: &str) -> Result<Outcome> {
    let (source, destination) = parsed(source, destination)?;
    let from = open_source(&source, registries)?;
    let to = open_destination(&destination, registries, false)?;
    let mut job = Job::new(&*from, &*to);
    job.name = source.name().clone();
    job.tags = destination.name().tag().cloned().into_iter().collect();
    copy(&job, &Silent::new()).await
}

/// Whether somebody who remembers nothing finds nothing to do.
async fn is_settled(options: &Options, source: &str, destination: &str) -> Result<bool> {
    let registries = Registries::new(options.clone());
    let (source, destination) = parsed(source, destination)?;
    let from = open_source(&source, &registries)?;
    let to = open_destination(&destination, &registries, false)?;
    let mut job = Job::new(&*from, &*to);
    job.name = source.name().clone();
    job.tags = destination.name().tag().cloned().into_iter().collect();
    Ok(plan(&survey(&job).await?)?.is_empty())
}

fn parsed(source: &str, destination: &str) -> Result<(Reference, Reference)> {
    Ok((source.parse()?, destination.parse()?))
}
