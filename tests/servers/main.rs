//! Real servers that go down, proxies that go wrong, and machines that give little: what arrives is
//! whole, and what it took is bounded.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[allow(dead_code)]
#[path = "../sync/night.rs"]
mod night;
#[allow(dead_code)]
#[path = "../registries/server.rs"]
mod server;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../registries/tokens.rs"]
mod tokens;

mod descriptors;
mod killed;
mod memory;
mod nginx;
mod proxies;
mod relay;
mod relayed;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use support::registry::digest;
use support::{Run, command, run_within};

const REPO: &str = "team/app";

/// What no copy of a test needs on the slowest of machines: a copy that takes longer hangs.
const LONG: Duration = Duration::from_mins(2);

/// `copy FROM TO`, soon tried again. `more` is what else is said.
fn copying(from: &str, to: &str, more: &[&str]) -> Command {
    let mut command = command();
    command.args(["copy", "-q", from, to, "--retry-delay", "50ms"]);
    command.args(more);
    command
}

/// Copies, and comes to an end.
#[track_caller]
fn copy(from: &str, to: &str, more: &[&str]) -> Run {
    run_within(&mut copying(from, to, more), LONG)
}

/// `docker://HOST/REPO:TAG`
fn at(host: &str, tag: &str) -> String {
    format!("docker://{host}/{REPO}:{tag}")
}

/// Panics unless a tag stands for this manifest, and all that it names is there and right. Asks the
/// registry itself, each blob once for all calls with the same `seen`.
#[track_caller]
fn assert_whole(host: &str, tag: &str, wanted: &str, seen: &mut BTreeSet<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: String| {
        let url = format!("http://{host}/v2/{REPO}/{path}");
        let types = "application/vnd.oci.image.manifest.v1+json";
        let asked = client.get(&url).header("accept", types).send();
        runtime.block_on(async {
            let answer = asked.await.unwrap();
            assert_eq!(answer.status(), 200, "{url}");
            answer.bytes().await.unwrap()
        })
    };
    let text = get(format!("manifests/{tag}"));
    assert_eq!(digest("sha256", &text), wanted);
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    for piece in layers.chain([&manifest["config"]]) {
        let name = piece["digest"].as_str().unwrap();
        if seen.insert(name.to_string()) {
            assert_eq!(digest("sha256", &get(format!("blobs/{name}"))), name);
        }
    }
}
