//! What happens to the process itself.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};

use super::defect;
use super::night::Night;
use crate::support::registry::{Action, Fault, Hits, OCI_MANIFEST, Registry, soon};
use crate::support::{Run, oci_at, tempdir, tree};
use crate::table::Phase::Sync;
use crate::table::local::copying;
use crate::table::program::{Program, Ran};
use crate::table::scene::Scene;
use crate::table::{Cell, Left, arrives, cell, fails};

pub(super) fn cells() -> Vec<Cell> {
    vec![f97(), f102(), f103(), f104(), f105()]
}

fn signal(child: &Child) {
    let pid = child.id().to_string();
    Run::of(Command::new("kill").args(["-TERM", &pid])).ok();
}

fn f97() -> Cell {
    let ended = || fails(143, "interrupted", 3 * 14).leaves(Left::Nothing);
    cell(
        "F-97",
        Sync,
        "SIGTERM in the middle of a night, once or twice",
        "exit 143 soon; uploads are given up, and every tag is the old or the new image",
    )
    .play("once", ended(), |program| terminated(program, 1))
    .play("twice", ended(), |program| terminated(program, 2))
}

/// The upload of the second image's layer stands still.
fn terminated(program: Program, times: usize) -> Ran {
    let night = Night::new(2, &[5 << 20]);
    let large = Fault::on("*", "/blobs/uploads/").nth(2).when(|request| {
        let length = request.header("content-length").unwrap_or("0");
        length.parse::<usize>().unwrap() > 1 << 20 || request.header("transfer-encoding").is_some()
    });
    let stands = night.to.fail(large.then(Action::stop_reading(64 << 10)));
    // A registry that takes its time to forget an upload does not keep us from ending.
    let deletes: Option<Hits> = (times == 2).then(|| {
        let deletes = Fault::on("DELETE", "/blobs/uploads/").always();
        night.to.fail(deletes.then(Action::stall()))
    });
    let mut ran = night.run_while(program, |child| {
        stands.wait(1);
        if program == Program::Imgcopy {
            // Of an upload whose begin was not answered yet nobody knows: all four have got that far.
            night.to.wait_for("PUT", "/blobs/uploads/", 4);
        }
        signal(child);
        if let (Some(deletes), Program::Imgcopy) = (deletes, program) {
            deletes.wait(1);
            signal(child);
        }
    });
    let open = night.to.open_uploads();
    if times == 1 && open > 0 {
        ran.odd.push(format!("{open} uploads stay open"));
    }
    ran
}

fn f102() -> Cell {
    cell(
        "F-102",
        Sync,
        "a defect: the copy of one image panics",
        "that image fails, the others arrive; no lock and no half file is left",
    )
    .play(
        "in a night",
        fails(3, "has a defect", 3 * 14).leaves(Left::Nothing),
        |program| match program {
            Program::Imgcopy => defect::in_a_night(),
            Program::Skopeo => Ran::cannot("a panic cannot be injected"),
        },
    )
    .play("in a directory", arrives(8), |program| match program {
        Program::Imgcopy => defect::in_a_directory(),
        Program::Skopeo => Ran::cannot("a panic cannot be injected"),
    })
}

/// What a copy may need at most, in KiB.
const MOST: u64 = 256 << 10;
/// How much of each blob comes before it stands still.
const COMES: usize = 64 << 20;

fn f103() -> Cell {
    cell(
        "F-103",
        Sync,
        "64 layers of 10 GiB at once",
        "no more than 256 MiB of memory",
    )
    .play(
        "into a directory",
        fails(143, "interrupted", 100).leaves(Left::Nothing),
        |program| {
            if program == Program::Skopeo {
                return Ran::cannot("its memory is not measured");
            }
            let from = Registry::start();
            huge(&from);
            let zeros = bytes::Bytes::from(vec![0; COMES]);
            let blobs =
                Fault::on("GET", "/blobs/").when(|request| request.path.contains("sha256:00"));
            from.fail(blobs.always().then(Action::change(move |_, response| {
                response.status = 200;
                response.headers.set("Content-Length", HUGE.to_string());
                response.body = zeros.clone();
                response.end = Some((COMES, crate::support::registry::Hangup::Stall));
            })));
            let home = tempdir();
            let (own, out) = (home.path().join("own"), home.path().join("out"));
            std::fs::create_dir(&own).unwrap();
            let source = format!("docker://{}/team/huge:1", from.host());
            let mut command = copying(program, &own, &source, &oci_at(&out, "1"));
            if program == Program::Imgcopy {
                command.args(["--parallel", "64"]);
            }
            let mut memory = 0;
            let run = program.run(&mut command, |child| {
                // More than may be held in memory.
                soon(|| written(&out) > 300 << 20);
                memory = most_memory(child);
                signal(child);
            });
            let mut ran = Ran::of(run, Left::Nothing);
            ran.requests = from.log().len();
            if memory > MOST || memory == 0 {
                ran.odd.push(format!("{memory} KiB of memory"));
            }
            ran
        },
    )
}

const HUGE: u64 = 10 << 30;

/// An image of 64 layers of which nobody has the bytes.
fn huge(registry: &Registry) {
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let layer = |n: usize| {
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": format!("sha256:{n:064x}"), "size": HUGE,
        })
    };
    let layers: Vec<_> = (1..=64).map(layer).collect();
    for n in 1..=64 {
        registry.add_blob_as("team/huge", &format!("sha256:{n:064x}"), "");
    }
    registry.add_blob("team/huge", &config[..]);
    let config_type = "application/vnd.oci.image.config.v1+json";
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": layers,
        "config": crate::support::registry::descriptor(config_type, config),
    });
    registry.add_manifest("team/huge", OCI_MANIFEST, manifest.to_string(), Some("1"));
}

/// How many bytes lie in a directory.
fn written(directory: &std::path::Path) -> u64 {
    let size = |name: &String| directory.join(name).metadata().map_or(0, |file| file.len());
    tree(directory).iter().map(size).sum()
}

/// The most memory that a process had, in KiB (`VmHWM`).
fn most_memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

fn f104() -> Cell {
    cell(
        "F-104",
        Sync,
        "no more than 64 files may be open",
        "everything arrives",
    )
    .play("a night", arrives(10 * 20), |program| {
        let mut night = Night::new(10, &[3000, 2000]);
        night.under = only_64("H").map(str::to_string).into();
        night.run(program)
    })
    .play(
        "a night of many hosts, if more may be asked for",
        arrives(30 * 20),
        |program| {
            let night = Night::new(10, &[3000, 2000]);
            let mut night = night.and_from_another().and_from_another();
            night.under = only_64("S").map(str::to_string).into();
            night.run(program)
        },
    )
    .case("an image of 40 layers", arrives(4 + 40), || {
        let sizes: Vec<usize> = (0..40).map(|n| 1000 + n).collect();
        Scene::new(&sizes).to_directory().under(&only_64("H"))
    })
}

/// With this limit: the hard one or the soft one.
fn only_64(which: &str) -> [&'static str; 4] {
    let script = match which {
        "H" => "ulimit -n 64; exec \"$@\"",
        _ => "ulimit -Sn 64; exec \"$@\"",
    };
    ["sh", "-c", script, "sh"]
}

fn f105() -> Cell {
    cell(
        "F-105",
        Sync,
        "nobody reads what is said",
        "everything arrives; no panic",
    )
    .play("of a night", arrives(3 * 14), |program| {
        let mut night = Night::new(3, &[3000]);
        night.ours = ["--format", "json"].map(str::to_string).into();
        let run = unheard(&mut night.command(program));
        let mut ran = Ran::of(run, night.left());
        ran.requests = night.requests();
        ran
    })
    .play("of a copy", arrives(14), |program| {
        let night = Night::new(1, &[3000]);
        let from = format!("docker://{}/team/app:0", night.from.host());
        let to = format!("docker://{}/mirror/app:0", night.to.host());
        let run = unheard(&mut copying(program, night.home(), &from, &to));
        let mut ran = Ran::of(run, night.left());
        ran.requests = night.requests();
        ran
    })
}

/// Stdout is a pipe that nobody reads any more.
fn unheard(command: &mut Command) -> Run {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    let signal = output.status.signal();
    let mut run = Run::from(output);
    // As a shell tells it.
    run.code = run.code.or(signal.map(|signal| 128 + signal));
    run
}
