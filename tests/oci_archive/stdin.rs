//! Archives that come on stdin, or through a FIFO.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

/// Ends in time, whatever it waits for.
const SOON: Duration = Duration::from_secs(20);

/// Runs the command with bytes that come through a pipe.
pub(crate) fn piped(args: &[&str], bytes: &[u8], temporary: &Path) -> Run {
    let mut child = command()
        .args(args)
        .env("TMPDIR", temporary)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever refuses at once reads no more.
    let _ = stdin.write_all(bytes);
    drop(stdin);
    Run::from(child.wait_with_output().unwrap())
}

fn with_stdin(args: &[&str], stdin: File) -> Run {
    Run::of(command().args(args).stdin(stdin))
}

/// Archives of both kinds, plain and compressed, and what they are called on stdin.
pub(crate) fn archives() -> Vec<(PathBuf, &'static str)> {
    vec![
        (fixture("docker20/single.tar"), "docker-archive:-"),
        (fixture("docker28/single.tar.gz"), "docker-archive:-"),
        (fixture("docker28/single.tar.xz"), "docker-archive:-"),
        (fixture("podman/docker-archive.tar"), "docker-archive:-"),
        (fixture("podman/oci-archive.tar"), "oci-archive:-"),
        (fixture("podman/oci-archive.tar.gz"), "oci-archive:-"),
        (fixture("podman/oci-archive-index.tar"), "oci-archive:-"),
        (fixture("docker28/single.tar"), "oci-archive:-"),
    ]
}

/// The same reference with the path of the file.
pub(crate) fn by_path(archive: &Path, on_stdin: &str) -> String {
    format!("{}{}", on_stdin.trim_end_matches('-'), archive.display())
}

#[test]
fn an_archive_on_stdin_is_the_same_as_by_its_path() {
    for (archive, on_stdin) in archives() {
        let directory = tempdir();
        let temporary = directory.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        let to = |name: &str| oci_at(&directory.path().join(name), "a");
        let digest = copy(&by_path(&archive, on_stdin), &to("path"));
        let bytes = fs::read(&archive).unwrap();
        let pipe = piped(&["-q", on_stdin, &to("pipe")], &bytes, &temporary).ok();
        let file = File::open(&archive).unwrap();
        let file = with_stdin(&["-q", on_stdin, &to("file")], file).ok();
        for (run, place) in [(pipe, "pipe"), (file, "file")] {
            assert_eq!(run.stdout.trim(), digest, "{}", archive.display());
            assert_eq!(assert_whole(&directory.path().join(place)), ["a"]);
        }
        assert_eq!(tree(&temporary), [""; 0], "what was kept is gone");
    }
}

#[test]
fn every_verb_reads_stdin() {
    let temporary = tempdir();
    let verbs: [&[&str]; 6] = [
        &["inspect"],
        &["inspect", "--raw"],
        &["inspect", "--config"],
        &["tags"],
        &["digest"],
        &["verify", "--format", "json"],
    ];
    for (archive, on_stdin) in archives() {
        let bytes = fs::read(&archive).unwrap();
        for verb in verbs {
            let with = |reference| [verb, &[reference]].concat();
            let read = piped(&with(on_stdin), &bytes, temporary.path()).ok().stdout;
            let place = by_path(&archive, on_stdin);
            let expected = imgcopy(with(&place)).ok().stdout;
            assert_eq!(read, expected.replace(&place, on_stdin), "{place}");
        }
    }
    let several = fs::read(fixture("docker28/multiimage.tar")).unwrap();
    for one in ["docker-archive:-:corpus/tiny:base", "oci-archive:-:base"] {
        piped(&["verify", one], &several, temporary.path()).ok();
    }
    for all in ["docker-archive:-", "oci-archive:-"] {
        let told = piped(&["verify", all], &several, temporary.path()).fails(1);
        assert!(told.stderr.contains("choose one"), "{}", told.stderr);
    }
}

#[test]
fn a_file_on_stdin_is_read_in_place_and_a_pipe_needs_room() {
    let directory = tempdir();
    let nowhere = directory.path().join("nowhere");
    let archive = fixture("podman/oci-archive.tar");
    let mut command = command();
    let inspect = command.args(["inspect", "oci-archive:-"]);
    let file = inspect
        .env("TMPDIR", &nowhere)
        .stdin(File::open(&archive).unwrap());
    Run::of(file).ok();
    let bytes = fs::read(&archive).unwrap();
    let told = piped(&["inspect", "oci-archive:-"], &bytes, &nowhere).fails(1);
    let told = told.stderr;
    assert!(told.contains(nowhere.to_str().unwrap()), "{told}");
}

#[test]
fn a_file_on_stdin_begins_where_it_is_open_at() {
    let directory = tempdir();
    let path = directory.path().join("behind");
    let archive = fs::read(fixture("podman/oci-archive.tar")).unwrap();
    fs::write(&path, [b"something before it", &*archive].concat()).unwrap();
    let mut file = File::open(&path).unwrap();
    file.seek(SeekFrom::Start(19)).unwrap();
    let read = with_stdin(&["digest", "oci-archive:-"], file).ok().stdout;
    let place = in_tar(&fixture("podman/oci-archive.tar"));
    assert_eq!(read, imgcopy(["digest", &place]).ok().stdout);
}

#[test]
fn an_archive_through_a_fifo_is_read_like_one_on_stdin() {
    for (archive, on_stdin) in archives() {
        let directory = tempdir();
        let fifo = directory.path().join("fifo");
        Run::of(Command::new("mkfifo").arg(&fifo)).ok();
        let (from, to) = (fs::read(&archive).unwrap(), fifo.clone());
        let writer = std::thread::spawn(move || fs::write(to, from));
        let reference = by_path(&fifo, on_stdin);
        let read = run_within(command().args(["digest", &reference]), SOON).ok();
        writer.join().unwrap().unwrap();
        let expected = imgcopy(["digest", &by_path(&archive, on_stdin)]).ok();
        assert_eq!(read.stdout, expected.stdout);
    }
}

#[test]
fn f86_a_pipe_that_breaks_off_is_refused() {
    let temporary = tempdir();
    let to = temporary.path().join("out");
    for (archive, on_stdin) in archives() {
        let whole = fs::read(&archive).unwrap();
        for cut in [0, 3, 600, whole.len() / 2] {
            let args = [on_stdin, &oci_at(&to, "a")];
            piped(&args, &whole[..cut], temporary.path()).fails(1);
            assert!(!to.exists(), "{} cut at {cut}", archive.display());
        }
    }
}

/// 1 GiB is free; beyond that, 200 times what came.
#[test]
fn s22_a_pipe_that_unpacks_to_too_much_is_refused() {
    let mut bomb = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let mut zeros = std::io::Read::take(std::io::repeat(0), 1030 << 20);
    std::io::copy(&mut zeros, &mut bomb).unwrap();
    let temporary = tempdir();
    let args = ["inspect", "oci-archive:-"];
    let told = piped(&args, &bomb.finish().unwrap(), temporary.path()).fails(1);
    assert!(told.stderr.contains("200 times"), "{}", told.stderr);
}

#[test]
fn what_is_neither_a_file_nor_a_pipe_is_refused() {
    for (device, says) in [
        ("/dev/null", "neither a regular file nor a pipe"),
        ("/dev/zero", "neither a regular file nor a pipe"),
        ("/", "is a directory"),
    ] {
        let stdin = File::open(device).unwrap();
        let told = with_stdin(&["inspect", "docker-archive:-"], stdin).fails(1);
        assert!(told.stderr.contains(says), "{device}: {}", told.stderr);
    }
}

#[test]
fn a_terminal_is_not_waited_for() {
    if !has_peer("script") {
        return;
    }
    let line = format!("{} tags oci-archive:-", env!("CARGO_BIN_EXE_imgcopy"));
    let mut script = Command::new("script");
    let run = run_within(script.args(["-qec", &line, "/dev/null"]), SOON);
    assert!(run.stdout.contains("stdin is a terminal"), "{run:?}");
    assert_eq!(run.code, Some(1));
}

#[test]
fn stdin_holds_an_archive_or_a_password() {
    let bytes = fs::read(fixture("docker20/single.tar")).unwrap();
    let temporary = tempdir();
    let to = oci_at(&temporary.path().join("out"), "a");
    let registry = "docker://registry.invalid/app:1";
    let lines: [&[&str]; 5] = [
        &[
            "docker-archive:-",
            registry,
            "--dest-creds",
            "u",
            "--dest-password-stdin",
        ],
        &[
            "oci-archive:-",
            registry,
            "--src-creds",
            "u",
            "--src-password-stdin",
        ],
        &[
            "plan",
            "oci-archive:-",
            &to,
            "--src-creds",
            "u",
            "--src-password-stdin",
        ],
        &[
            "inspect",
            "docker-archive:-",
            "--creds",
            "u",
            "--password-stdin",
        ],
        &[
            "verify",
            "oci-archive:-:x",
            "--creds",
            "u",
            "--password-stdin",
        ],
    ];
    for line in lines {
        let told = piped(line, &bytes, temporary.path()).fails(64).stderr;
        assert!(told.contains("reads stdin"), "{told}");
    }
    // A password given otherwise is none of stdin's business.
    let args = ["-q", "docker-archive:-", &to, "--src-creds", "u:p"];
    piped(&args, &bytes, temporary.path()).ok();
}
