//! Other writers at the same directory, and what is there already.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::READ;
use crate::FROM;
use crate::support::registry::{Action, Fault, Gate, Registry};
use crate::support::{Run, archive_at, assert_whole, copy_here, has_peer, image, oci_at, tempdir};
use crate::table::Phase::Layout;
use crate::table::local::{copying, of_runs, renew, together, untidy};
use crate::table::program::{Program, Ran};
use crate::table::scene::Scene;
use crate::table::{Cell, arrives, cell};

pub(super) fn cells() -> Vec<Cell> {
    vec![f93(), f94(), f95()]
}

const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn f93() -> Cell {
    cell(
        "F-93",
        Layout,
        "8 copies at once into one directory, each with its tag",
        "all tags are there, whole",
    )
    .play("into none", arrives(8 * READ), |program| {
        at_once(program, 0)
    })
    .play("into an empty one", arrives(8 * READ), |program| {
        at_once(program, 1)
    })
    .play("into a used one", arrives(8 * READ), |program| {
        at_once(program, 2)
    })
}

fn at_once(program: Program, kind: usize) -> Ran {
    let from = Registry::start();
    for tag in 0..8 {
        from.add_image(FROM, &tag.to_string(), &[150_000, 9000], tag / 2);
    }
    let home = tempdir();
    let directory = home.path().join("out");
    match kind {
        0 => {}
        1 => fs::create_dir(&directory).unwrap(),
        _ => {
            let old = format!("docker://{}/{FROM}:0", from.host());
            copy_here(&old, &oci_at(&directory, "0")).unwrap();
            from.forget();
        }
    }
    let copy = |tag: usize| {
        let own = home.path().join(tag.to_string());
        fs::create_dir(&own).unwrap();
        let (from, tag) = (
            format!("docker://{}/{FROM}:{tag}", from.host()),
            tag.to_string(),
        );
        let mut command = copying(program, &own, &from, &oci_at(&directory, &tag));
        program.run(&mut command, |_| {})
    };
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..8).map(|tag| scope.spawn(move || copy(tag))).collect();
        running.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let tags = std::panic::catch_unwind(|| assert_whole(&directory));
    let mut wrong: Vec<String> = untidy(&directory).into_iter().collect();
    match tags {
        Err(_) => wrong.push("what is there is not whole".into()),
        Ok(tags) if tags.len() < 8 => wrong.push(format!("of 8 tags {} are there", tags.len())),
        Ok(_) => {}
    }
    let runs = runs
        .into_iter()
        .map(|run| (String::new(), of_runs(run.code, run.stderr, Vec::new())));
    let mut all = together(runs.collect());
    all.odd.extend(wrong);
    all.requests = from.log().len();
    all
}

fn f94() -> Cell {
    cell(
        "F-94",
        Layout,
        "another program that knows no lock writes to the same directory meanwhile",
        "the image arrives, and both tags are there",
    )
    .case("it adds a tag", arrives(READ), || {
        meanwhile(|directory| adds(directory, "other"))
    })
    .play("it is skopeo", arrives(READ), |program| {
        if !has_peer("skopeo") {
            return Ran::cannot("skopeo is not there");
        }
        meanwhile(of_skopeo).run(program)
    })
}

/// The layer waits until the other one has written.
fn meanwhile(other: impl FnOnce(&Path) + Send + 'static) -> Scene {
    let scene = Scene::new(&[3000]).to_directory();
    renew(&scene);
    let gate = Gate::closed();
    let layer = Fault::on("GET", &scene.pair.layer(0));
    let held = scene.pair.from.fail(layer.then(Action::Hold(gate.clone())));
    let (directory, place) = (
        scene.directory().to_path_buf(),
        scene.directory().to_path_buf(),
    );
    let scene = scene.met(held.clone()).during(move |_, _| {
        held.wait(1);
        other(&directory);
        gate.open();
    });
    scene.check(move |_| match assert_whole(&place) {
        tags if tags == ["1", "other"] => Ok(()),
        tags => Err(format!("the tags are {tags:?}")),
    })
}

/// Gives the first image another tag, and does not ask anybody.
fn adds(directory: &Path, tag: &str) {
    let (index, new) = (directory.join("index.json"), directory.join("new"));
    let mut text: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let mut entry = text["manifests"][0].clone();
    entry["annotations"] = json!({ REF_NAME: tag });
    text["manifests"].as_array_mut().unwrap().push(entry);
    fs::write(&new, text.to_string()).unwrap();
    fs::rename(&new, &index).unwrap();
}

fn of_skopeo(directory: &Path) {
    let home = tempdir();
    let archive = image(&[b"another"], "other:1").write(home.path(), "other.tar");
    let mut skopeo = Command::new("skopeo");
    let skopeo = skopeo.args(["copy", "--insecure-policy", "-q"]);
    Run::of(skopeo.args([archive_at(&archive), oci_at(directory, "other")])).ok();
}

type Damage = fn(&mut Vec<u8>);

fn f95() -> Cell {
    let row = cell(
        "F-95",
        Layout,
        "a blob that is there is empty, short or other bytes",
        "the image arrives, whole",
    );
    let damages: [(&str, Damage); 3] = [
        ("empty", Vec::clear),
        ("short", |bytes| bytes.truncate(bytes.len() / 2)),
        ("other bytes", |bytes| bytes[100] ^= 1),
    ];
    damages.into_iter().fold(row, |row, (name, damage)| {
        row.case(name, arrives(READ), move || {
            let scene = Scene::new(&[3000]).to_directory();
            renew(&scene);
            let blobs = scene.directory().join("blobs/sha256");
            // Nobody has noted these.
            for (number, blob) in scene.pair.image.blobs.iter().enumerate().skip(1) {
                let mut bytes = blob.to_vec();
                damage(&mut bytes);
                let digest = scene.pair.layer(number - 1);
                fs::write(blobs.join(digest.replace("sha256:", "")), bytes).unwrap();
            }
            scene
        })
    })
}
