//! Makes an image in memory from nothing, copies it into an OCI directory, and describes it there.
//!
//! `cargo run --example make_image [DIRECTORY]`
#![allow(clippy::print_stdout)]

use std::error::Error;

use imgcopy::copy::{Job, Silent, copy};
use imgcopy::image::{Manifest, MediaType, Name, Platform, Reference};
use imgcopy::inspect::describe;
use imgcopy::store::compress::Coding;
use imgcopy::store::registry::{Options, Registries};
use imgcopy::store::{Destination as _, Memory, Role, open_destination, open_source};
use serde_json::json;

/// A layer of one file. Nothing in it depends on who runs this or when.
fn layer(path: &str, content: &str) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header, path, content.as_bytes())?;
    tar.into_inner()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let directory = std::env::args()
        .nth(1)
        .unwrap_or_else(|| temporary.path().join("oci").display().to_string());

    let memory = Memory::new();
    let layer = memory.add(MediaType::OCI_LAYER, layer("etc/motd", "Hello.\n")?);
    // The layer is plain, so its digest is its DiffId.
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["GREETING=hello"], "Labels": {"purpose": "example"}},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        "history": [{"created_by": "COPY motd /etc/motd"}],
    });
    let config = memory.add(MediaType::OCI_CONFIG, config.to_string());
    let image = Manifest::image(&config, &[layer])?;
    memory
        .put_manifest(&image, Role::Root(&["example".parse()?]))
        .await?;

    let to: Reference = format!("oci:{directory}").parse()?;
    let registries = Registries::new(Options::of_process()?);
    let destination = open_destination(&to, &registries, false)?;
    let mut job = Job::new(&memory, &*destination);
    job.tags = vec!["example".parse()?];
    job.compression = Some(Coding::GZIP);
    copy(&job, &Silent::new()).await?;

    let written = open_source(&to, &registries)?;
    let name = Name::Tag("example".parse()?);
    let described = describe(&*written, &name, &Platform::of_this_machine()).await?;
    println!("{}", serde_json::to_string_pretty(&described)?);
    Ok(())
}
