//! Disks that are full or do not write, kills and power cuts.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::READ;
use crate::support::registry::digest;
use crate::support::{Lifetime, has_peer, tree};
use crate::table::Phase::Layout;
use crate::table::local::{Disk, no_disk, renew, together, untidy};
use crate::table::powercut;
use crate::table::program::{Program, Ran};
use crate::table::scene::Scene;
use crate::table::{Cell, Left, arrives, cell, fails};

pub(super) fn cells() -> Vec<Cell> {
    vec![f89(), f90(), f91(), f92()]
}

fn f89() -> Cell {
    cell(
        "F-89",
        Layout,
        "the disk is full: at every page that is written",
        "an error; the old image is whole, nothing half done is left",
    )
    .play(
        "an image was there",
        fails(1, "No space left on device", READ + 1),
        |program| full(program, renew),
    )
    .play(
        "none was there",
        fails(1, "No space left on device", READ + 1).leaves(Left::Nothing),
        |program| {
            full(program, |scene| {
                let _ = fs::remove_dir_all(scene.directory());
                scene.pair.to.forget();
            })
        },
    )
}

/// Copies to disks that are ever a page larger, until one is large enough.
fn full(program: Program, prepare: fn(&Scene)) -> Ran {
    let Some(disk) = Disk::new() else {
        return no_disk();
    };
    let scene = Scene::new(&[20_000, 3000]).into(disk.at("out"));
    let mut runs = Vec::new();
    for pages in 1.. {
        prepare(&scene);
        scene.pair.from.forget();
        disk.leave(pages);
        let mut ran = scene.run(program);
        disk.remount("size=64m");
        ran.odd.extend(untidy(scene.directory()));
        if !ran.output.to_lowercase().contains("no space left") && ran.code != Some(0) {
            ran.odd.push("it does not say why".into());
        }
        if ran.code == Some(0) {
            if ran.left != Left::New {
                ran.odd.push(format!("it leaves {:?}", ran.left));
                runs.push((format!("{pages} pages"), ran));
            }
            break;
        }
        runs.push((format!("{pages} pages"), ran));
    }
    assert!(runs.len() > 3, "the disk was never full");
    together(runs)
}

fn f90() -> Cell {
    let row = cell(
        "F-90",
        Layout,
        "the directory is read-only, forbidden, cannot be synced, or no more files may be opened",
        "an error with the path; the old image stays, or the new one is whole",
    );
    let failed = |words| fails(1, words, READ);
    row.play("read-only", failed("Read-only file system"), |program| {
        let Some(disk) = Disk::new() else {
            return no_disk();
        };
        let scene = Scene::new(&[3000]).into(disk.at("out"));
        renew(&scene);
        disk.remount("ro");
        told_with_path(program, &scene)
    })
    .play("forbidden", failed("Permission denied"), forbidden)
    .play("few files", failed("too many files are open"), |program| {
        let scene = Scene::new(&[3000]).to_directory();
        renew(&scene);
        // Either needs a few more.
        let limit = match program {
            Program::Imgcopy => "ulimit -n 12; exec \"$@\"",
            Program::Skopeo => "ulimit -n 8; exec \"$@\"",
        };
        scene.under(&["sh", "-c", limit, "sh"]).run(program)
    })
    .play("a blob", failed("Input/output error"), |program| {
        unsynced(program, "fdatasync")
    })
    .play("a directory", failed("Input/output error"), |program| {
        unsynced(program, "fsync")
    })
}

fn told_with_path(program: Program, scene: &Scene) -> Ran {
    let mut ran = scene.run(program);
    let path = scene.directory().display().to_string();
    if !ran.output.contains(&path) {
        ran.odd.push("it does not say where".into());
    }
    ran
}

/// By somebody who may read the directory only.
fn forbidden(program: Program) -> Ran {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root || !has_peer("setpriv") {
        return Ran::cannot("only root can become a user who may not write");
    }
    let scene = Scene::new(&[3000]).to_directory();
    renew(&scene);
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(scene.home(), open).unwrap();
    let own = scene.home().join("tmp");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let nobody: Vec<&str> = nobody.split(' ').collect();
    // Where skopeo would keep what it learnt.
    let scene = scene.environment("XDG_DATA_HOME", "/dev/null/none");
    told_with_path(program, &scene.under(&nobody))
}

/// Every sync of this kind fails. What was not synced must not be given out.
fn unsynced(program: Program, call: &str) -> Ran {
    if !has_peer("strace") {
        return Ran::cannot("strace is not there");
    }
    let scene = Scene::new(&[3000]).to_directory();
    renew(&scene);
    let log = scene.home().join("log");
    let log = log.display().to_string();
    let (traced, fails) = (format!("trace={call}"), format!("inject={call}:error=EIO"));
    let strace = ["strace", "-f", "-o", &log, "-e", &traced, "-e", &fails];
    let scene = scene.under(&strace);
    let mut ran = scene.run(program);
    ran.odd.extend(untidy(scene.directory()));
    ran
}

/// How often a copy is killed.
const KILLS: u64 = 20;

fn f91() -> Cell {
    cell(
        "F-91",
        Layout,
        "killed at a random moment, and run again",
        "the old image or the new one, whole; the second run fetches only what had not arrived",
    )
    .play("20 times", arrives(READ + 2), killed)
}

fn killed(program: Program) -> Ran {
    let sizes = [200_000, 900_000, 60_000];
    let mut scene = Scene::new(&sizes).to_directory();
    // The same image elsewhere: requests of a dead program may be seen after its end.
    let next = Scene::new(&sizes).into(scene.directory().to_path_buf());
    let lifetime = Arc::new(Mutex::new(Lifetime::of_copies()));
    renew(&scene);
    let begun = Instant::now();
    let whole = scene.run(program);
    lifetime.lock().unwrap().is_at_least(begun.elapsed());
    let mut died = 0;
    let mut runs = vec![("undisturbed".to_string(), whole)];
    for seed in 0..KILLS {
        renew(&scene);
        let lifetime = Arc::clone(&lifetime);
        scene = scene.during(move |_, child| {
            lifetime.lock().unwrap().kill(child, 91_000 + seed);
        });
        let interrupted = scene.run(program);
        // 128 and the number of the signal.
        died += u64::from(interrupted.code == Some(137));
        runs.push((
            format!("after kill {seed}"),
            again(program, &next, &interrupted.left),
        ));
    }
    assert!(died > KILLS / 4, "{died} of {KILLS} kills hit");
    together(runs)
}

/// What the next run makes of what a killed one left.
fn again(program: Program, scene: &Scene, killed: &Left) -> Ran {
    let there = tree(&scene.directory().join("blobs/sha256"));
    scene.pair.from.forget();
    let mut ran = scene.run(program);
    let fetched = scene.pair.from.requests("GET", "/blobs/");
    let twice = fetched.iter().filter(|request| {
        there
            .iter()
            .any(|name| request.path.ends_with(name.as_str()))
    });
    let twice = twice.count();
    if twice > 0 {
        ran.odd
            .push(format!("{twice} blobs are fetched that were there"));
    }
    if !matches!(killed, Left::Old | Left::New) {
        ran.odd.push(format!("the killed one leaves {killed:?}"));
    }
    ran.odd.extend(untidy(scene.directory()));
    ran
}

fn f92() -> Cell {
    cell(
        "F-92",
        Layout,
        "the power is cut: whatever was not synced is lost",
        "what index.json names is whole",
    )
    .play("over an old image", arrives(READ + 1), |program| {
        cut(program, true)
    })
    .play("into a new directory", arrives(READ + 1), |program| {
        cut(program, false)
    })
}

fn cut(program: Program, is_old: bool) -> Ran {
    if !has_peer("strace") {
        return Ran::cannot("strace is not there");
    }
    let scene = Scene::new(&[200_000, 3000]).to_directory();
    if is_old {
        renew(&scene);
    }
    let log = scene.home().join("log");
    let path = log.display().to_string();
    let line = ["strace", "-f", "-y", "-o", &path, "-e", powercut::TRACED];
    let scene = scene.under(&line);
    let mut ran = scene.run(program);
    let digests = std::iter::once(scene.pair.digest.clone());
    let blobs = scene.pair.image.blobs.iter();
    let blobs = blobs.map(|blob| digest("sha256", blob));
    let needed: Vec<String> = digests
        .chain(blobs)
        .map(|digest| digest.replace("sha256:", "blobs/sha256/"))
        .collect();
    let log = fs::read_to_string(&log).unwrap();
    ran.odd
        .extend(powercut::lost(&log, scene.directory(), &needed));
    ran
}
