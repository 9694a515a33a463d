//! A real engine: images keep the ID that it shows, both ways.

#[path = "../support/engine.rs"]
mod engine;

use std::path::Path;
use std::process::Command;

use crate::support::registry::Registry;
use crate::support::{Run, command, tempdir};
use crate::{id_of, idle, layout};
use engine::Engine;

fn imgcopy(engine: &Engine, args: &[&str]) -> Run {
    let socket = engine.home().join("socket");
    let host = format!("unix://{}", socket.display());
    Run::of(command().env("DOCKER_HOST", host).args(args))
}

#[test]
fn images_keep_their_id_to_an_engine_and_back() {
    let Some(engine) = Engine::start() else {
        return;
    };
    engine.build("own/built:1");
    let id = engine.image_id("own/built:1");
    let name = "docker-daemon:own/built:1";
    let home = tempdir();
    let to = layout(home.path());
    through_a_directory(&engine, &id, &to);

    // By its ID, and one that is not there.
    let by_id = format!("docker-daemon:{id}");
    let other = crate::support::oci_at(&home.path().join("other"), "a");
    imgcopy(&engine, &["copy", "-q", &by_id, &other]).ok();
    assert_eq!(id_of(&other), id);
    for missing in [
        "docker-daemon:own/none:1".to_string(),
        by_id.replace(&id[10..14], "0000"),
    ] {
        let told = imgcopy(&engine, &["copy", &missing, &other]).fails(2);
        assert!(told.stderr.contains("has no image"), "{}", told.stderr);
    }
    let tags = imgcopy(&engine, &["tags", "docker-daemon:"]).ok().stdout;
    assert!(tags.lines().any(|tag| tag == "own/built:1"), "{tags}");
    imgcopy(&engine, &["verify", name]).ok();
    through_a_registry(&engine, &id);
}

/// What is saved and piped is the same as what is asked for, and neither needs a temporary file.
fn in_one_pass(engine: &Engine, name: &str, to: &Path, digest: &str) {
    let line = format!(
        "docker save {name} | TMPDIR={0}/nowhere {1} -q docker-archive:- oci:{0}/piped:a",
        to.display(),
        env!("CARGO_BIN_EXE_imgcopy")
    );
    let socket = format!("unix://{}", engine.home().join("socket").display());
    let mut sh = Command::new("sh");
    let piped = Run::of(sh.env("DOCKER_HOST", socket).args(["-c", &line])).ok();
    assert_eq!(piped.stdout.trim(), digest);
    let asked = command()
        .env("TMPDIR", to.join("nowhere"))
        .env(
            "DOCKER_HOST",
            format!("unix://{}", engine.home().join("socket").display()),
        )
        .args(["-q", &format!("docker-daemon:{name}")])
        .arg(crate::support::oci_at(&to.join("asked"), "a"))
        .output();
    let asked = Run::from(asked.unwrap()).ok();
    assert_eq!(asked.stdout.trim(), digest);
}

fn through_a_directory(engine: &Engine, id: &str, to: &str) {
    let name = "docker-daemon:own/built:1";
    let digest = imgcopy(engine, &["copy", "-q", name, to]).ok().stdout;
    let home = tempdir();
    in_one_pass(engine, "own/built:1", home.path(), digest.trim());
    crate::imgcopy(["verify", to]).ok();
    assert_eq!(id_of(to), id);
    idle(&imgcopy(engine, &["plan", name, to]).ok());

    // The engine still has it, so it only gets another name.
    let named = "docker-daemon:own/named:2";
    let told = imgcopy(engine, &["copy", "-q", to, named]).ok().stdout;
    assert_eq!(told.trim(), id);
    assert_eq!(engine.image_id("own/named:2"), id);

    engine.docker(&["image", "rm", "own/named:2", "own/built:1"]);
    let told = imgcopy(engine, &["copy", "-q", to, name]).ok().stdout;
    assert_eq!(told.trim(), id);
    assert_eq!(engine.image_id("own/built:1"), id);
    idle(&imgcopy(engine, &["plan", to, name]).ok());
}

fn through_a_registry(engine: &Engine, id: &str) {
    let name = "docker-daemon:own/built:1";
    let registry = Registry::start();
    let there = format!("docker://{}/own/built:1", registry.host());
    imgcopy(engine, &["copy", "-q", name, &there]).ok();
    registry.assert_whole("own/built");
    registry.forget();
    imgcopy(engine, &["copy", "-q", name, &there]).ok();
    let asked: Vec<String> = registry.log().iter().map(|it| it.method.clone()).collect();
    assert_eq!(asked, ["HEAD", "GET"]);

    engine.docker(&["image", "rm", "own/built:1"]);
    imgcopy(engine, &["copy", "-q", &there, name]).ok();
    assert_eq!(engine.image_id("own/built:1"), id);
    registry.forget();
    idle(&imgcopy(engine, &["plan", &there, name]).ok());
    assert_eq!(registry.count("GET", "/blobs/"), 0);
}
