//! The same with registries that others wrote.

use crate::server::Server;
use crate::support::registry::Registry;
use crate::support::{Run, command, imgcopy, tempdir};

fn prunes(server: &Server) {
    let source = Registry::start();
    for (seed, tag) in (1..).zip(["v1", "v2", "v3"]) {
        source.add_image("app", tag, &[1000], seed);
    }
    let to = server.host();
    let copy = |from: &str, name: &str| {
        let from = format!("docker://{}/app:{from}", source.host());
        imgcopy(["copy", "-q", &from, &server.image("copy/app", name)]).ok();
    };
    // `old` is an image of its own, `alias` one of `v1`.
    copy("v1", "v1");
    copy("v1", "alias");
    copy("v3", "old");
    let folder = tempdir();
    let file = folder.path().join("sync.yaml");
    let from = source.host();
    let text = format!(
        "version: 1\nimages:\n- {{from: {from}/app, tags: [v1, v2], to: {to}/copy/app}}\n\
         prune: {{mode: delete, max: 50%}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let ran = Run::of(command().arg("sync").arg(&file)).ok();
    assert!(
        ran.stderr.contains("1 pruned, 1 same, 1 kept"),
        "{}",
        ran.stderr
    );
    let tags = imgcopy(["tags", &format!("docker://{to}/copy/app")]).ok();
    let mut tags: Vec<_> = tags.stdout.lines().collect();
    tags.sort_unstable();
    assert_eq!(tags, ["alias", "v1", "v2"]);
    for tag in tags {
        imgcopy(["verify", &server.image("copy/app", tag)]).ok();
    }
}

#[test]
fn docker_registry_is_pruned() {
    if let Some(server) = Server::debian() {
        prunes(&server);
    }
}

#[test]
fn distribution_3_is_pruned() {
    if let Some(server) = Server::distribution3() {
        prunes(&server);
    }
}
