//! A real Docker engine: what it saves today is read, and the image keeps the ID that it shows.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "support/engine.rs"]
mod engine;
mod support;

use std::path::Path;

use engine::Engine;
use support::{imgcopy, tempdir};

fn image_id(layout: &str) -> String {
    let told = imgcopy(["inspect", layout, "--format", "json"]).ok().stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    told.get("ImageID").unwrap().as_str().unwrap().to_string()
}

fn write_and_compare(engine: &Engine, saved: &Path, name: &str) {
    let directory = tempdir();
    let layout = format!("oci:{}:latest", directory.path().join("out").display());
    let archive = format!("docker-archive:{}:{name}", saved.display());
    imgcopy([&archive, &layout]).ok();
    imgcopy(["verify", &layout]).ok();
    assert_eq!(image_id(&layout), engine.image_id(name));
    let plan = imgcopy(["plan", &archive, &layout]).ok().stdout;
    assert!(plan.ends_with("nothing to do\n"), "{plan}");
}

#[test]
fn what_an_engine_saves_keeps_the_id_that_it_shows() {
    let Some(engine) = Engine::start() else {
        return;
    };
    engine.build("own/built:1");
    let saved = engine.home().join("saved.tar");
    let to = saved.display().to_string();

    engine.docker(&["save", "--output", &to, "own/built:1"]);
    write_and_compare(&engine, &saved, "own/built:1");

    // What was saved is imported as the only layer of another image, and both are saved together.
    let imported = engine.home().join("context/file.tar");
    std::fs::copy(&saved, &imported).unwrap();
    engine.docker(&["import", &imported.display().to_string(), "own/imported:2"]);
    engine.docker(&["save", "--output", &to, "own/built:1", "own/imported:2"]);
    write_and_compare(&engine, &saved, "own/built:1");
    write_and_compare(&engine, &saved, "own/imported:2");
}
