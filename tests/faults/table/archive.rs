//! Archives and directories that are read (A).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::Phase::Archive;
use super::local::{docker_archive, oci_archive, oci_directory, together};
use super::program::{Program, Ran};
use super::scene::Scene;
use super::{Cell, arrives, cell, fails};
use crate::support::registry::{Action, Fault, Gate};

pub(super) fn cells() -> Vec<Cell> {
    vec![f86(), f87(), f88()]
}

/// The requests of a copy of one small layer from this machine to a registry.
const SENT: usize = 9;

fn f86() -> Cell {
    cell(
        "F-86",
        Archive,
        "an archive ends too early: at every 512 bytes",
        "an error; the tag does not move",
    )
    .play("docker save", fails(1, "ends", 0), |program| {
        let scene = Scene::new(&[1500]).by_config();
        let whole = docker_archive(&scene.pair.image);
        let cuts = (0..whole.len() - END).step_by(512);
        cut(program, scene, "docker-archive", &whole, cuts)
    })
    .play("OCI", fails(1, "", 0), |program| {
        let scene = Scene::new(&[1500]);
        let whole = oci_archive(&scene.pair.image);
        let cuts = (0..whole.len() - END).step_by(512);
        cut(program, scene, "oci-archive", &whole, cuts)
    })
    .play("packed", fails(1, "", 0), |program| {
        let scene = Scene::new(&[3000]).by_config();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let plain = docker_archive(&scene.pair.image);
        packed.write_all(&plain).unwrap();
        let whole = packed.finish().unwrap();
        let cuts = (0..whole.len()).step_by(512);
        cut(program, scene, "docker-archive", &whole, cuts)
    })
}

/// The zeros at the end of an archive, which nobody needs.
const END: usize = 1024;

fn cut(
    program: Program,
    scene: Scene,
    kind: &str,
    whole: &[u8],
    cuts: impl Iterator<Item = usize>,
) -> Ran {
    let path = scene.home().join("archive");
    let scene = scene.from(format!("{kind}:{}", path.display()));
    let cut = |end: usize| {
        fs::write(&path, &whole[..end]).unwrap();
        scene.pair.to.forget();
        (format!("cut at {end}"), scene.run(program))
    };
    together(cuts.map(cut).collect())
}

/// Enough that nobody has read the end of it when the first request is made.
const LARGE: usize = 16 << 20;

fn f87() -> Cell {
    let row = cell(
        "F-87",
        Archive,
        "what is read changes while it is read",
        "an error; the tag does not move",
    );
    let shrinks = |file: &fs::File| file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let changes = |file: &fs::File| {
        let middle = file.metadata().unwrap().len() / 2;
        file.write_all_at(b"another content", middle).unwrap();
    };
    row.case("an archive shrinks", fails(1, "", SENT), move || {
        changing(of_docker_save, shrinks)
    })
    .case("an archive changes", fails(1, "", SENT), move || {
        changing(of_docker_save, changes)
    })
    .case("a blob shrinks", fails(1, "", SENT), move || {
        changing(in_directory, shrinks)
    })
    .case("a blob changes", fails(1, "", SENT), move || {
        changing(in_directory, changes)
    })
}

/// The file of the layer, and the scene that reads it.
fn of_docker_save(scene: Scene) -> (PathBuf, Scene) {
    let path = scene.home().join("archive");
    fs::write(&path, docker_archive(&scene.pair.image)).unwrap();
    let source = format!("docker-archive:{}", path.display());
    (path, scene.by_config().from(source))
}

fn in_directory(scene: Scene) -> (PathBuf, Scene) {
    let path = scene.home().join("layout");
    oci_directory(&scene.pair.image, &path);
    let source = format!("oci:{}:1", path.display());
    let layer = scene.pair.layer(0).replace("sha256:", "blobs/sha256/");
    (path.join(layer), scene.from(source))
}

/// The first upload waits until the file is another one.
fn changing(
    from: fn(Scene) -> (PathBuf, Scene),
    change: impl Fn(&fs::File) + Send + 'static,
) -> Scene {
    let (path, scene) = from(Scene::new(&[LARGE]));
    let gate = Gate::closed();
    let begins = Fault::on("POST", "/blobs/uploads/").times(2);
    let begins = begins.then(Action::Hold(gate.clone()));
    let held = scene.pair.to.fail(begins);
    scene.met(held.clone()).during(move |_, _| {
        held.wait(1);
        change(&fs::File::options().write(true).open(&path).unwrap());
        gate.open();
    })
}

fn f88() -> Cell {
    cell(
        "F-88",
        Archive,
        "an archive comes through a pipe",
        "the image arrives, or an error that says why not; the tag moves for a whole image only",
    )
    .case("all of it", arrives(SENT), || piped("cat \"$0\""))
    .case("it breaks off", fails(1, "it is cut short", 1), || {
        piped("head -c 2000 \"$0\"")
    })
    .case("no room for it", fails(1, "TMPDIR", 1), || {
        piped("cat \"$0\"").environment("TMPDIR", "/nowhere")
    })
}

fn piped(writes: &str) -> Scene {
    let scene = Scene::new(&[3000]).by_config();
    let path = scene.home().join("archive");
    fs::write(&path, docker_archive(&scene.pair.image)).unwrap();
    let script = format!("{writes} | \"$@\"");
    scene
        .from("docker-archive:-".into())
        .skopeos_source("docker-archive:/dev/stdin")
        .under(&["sh", "-c", &script, &path.display().to_string()])
}
