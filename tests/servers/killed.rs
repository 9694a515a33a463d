//! A real registry that is killed and started again while it is written to.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use crate::night::Night;
use crate::server::Server;
use crate::support::registry::{Registry, soon};
use crate::support::{Run, command, ends_within, has_peer, imgcopy};
use crate::{LONG, REPO, assert_whole, at, copying};

/// Kills and starts a server each time that it has answered so many requests of a kind.
fn kill_at(server: &mut Server, child: &mut Child, counts: &[usize], kind: (&str, &str)) {
    for count in counts {
        soon(|| server.requests(kind.0, kind.1, 201) >= *count);
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "it ended before kill {count}"
        );
        server.kill();
        server.start_again();
    }
}

#[test]
fn f67_a_registry_that_is_killed_during_50_uploads_gets_all_of_them() {
    const IMAGES: usize = 50;
    let Some(mut server) = Server::debian() else {
        return;
    };
    let start = Registry::start();
    let add = |n: usize| start.add_image(REPO, &n.to_string(), &[150_000, 3_000], n as u64);
    let digests: Vec<String> = (0..IMAGES).map(add).collect();
    let night = Night::of(&format!(
        "  - {{from: \"{}/{REPO}\", tags: [\"*\"], to: \"{}/{REPO}\"}}",
        start.host(),
        server.host()
    ));
    let mut command = command();
    command
        .current_dir(night.home())
        .args(["sync", "--retry-delay", "200ms"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let kills = [3, 12, 21, 30, 39];
    kill_at(&mut server, &mut child, &kills, ("PUT", "/manifests/"));
    ends_within(&mut child, LONG);
    Run::from(child.wait_with_output().unwrap()).ok();
    let mut seen = BTreeSet::new();
    for (n, digest) in digests.iter().enumerate() {
        assert_whole(server.host(), &n.to_string(), digest, &mut seen);
    }
    if has_peer("skopeo") {
        let mut skopeo = std::process::Command::new("skopeo");
        let place = at(server.host(), "49");
        Run::of(skopeo.args(["inspect", "--tls-verify=false", &place])).ok();
    }
    // Eight blobs are on their way at once, and each kill costs those at most.
    let blobs = 3 * IMAGES;
    let most = blobs + 8 * kills.len();
    assert!(
        start.count("GET", "/blobs/") <= most,
        "{}",
        start.count("GET", "/blobs/")
    );
    let written = server.requests("PUT", "/blobs/uploads/", 201);
    assert!(written <= most, "{written} of {blobs}");
}

#[test]
fn f67_one_image_of_50_layers_survives_it_too() {
    let Some(mut server) = Server::debian() else {
        return;
    };
    let start = Registry::start();
    let sizes: Vec<usize> = (0..50).map(|n| 200_000 + n).collect();
    let digest = start.add_image(REPO, "1", &sizes, 1);
    let (from, to) = (at(&start.host(), "1"), at(server.host(), "1"));
    let mut child = copying(&from, &to, &["--retry-times", "6"])
        .spawn()
        .unwrap();
    let kills = [5, 15, 25, 35];
    kill_at(&mut server, &mut child, &kills, ("PUT", "/blobs/uploads/"));
    let status = ends_within(&mut child, LONG);
    assert!(status.success(), "{status}");
    assert_whole(server.host(), "1", &digest, &mut BTreeSet::new());
    imgcopy(["verify", &to]).ok();
    let most = sizes.len() + 1 + 8 * kills.len();
    assert!(
        start.count("GET", "/blobs/") <= most,
        "{}",
        start.count("GET", "/blobs/")
    );
}
