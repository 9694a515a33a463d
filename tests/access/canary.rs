//! Every command that is given a secret, at the highest verbosity: none is told, and none stays in a
//! file (S-40).

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::secrets::{CREDS, PASSWORD, Place, WAYS, place};
use crate::support::{Run, command, tempdir};
use crate::{REPO, at};

/// A home, also for temporary files, and a program that is run there.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempdir());
        std::fs::create_dir(home.0.path().join("tmp")).unwrap();
        home
    }

    fn ready(&self, mut command: Command, arguments: &[&str]) -> Command {
        let home = self.0.path();
        command
            .current_dir(home)
            .envs([("HOME", home), ("TMPDIR", &home.join("tmp"))])
            .env("XDG_RUNTIME_DIR", home)
            .env("REGISTRY_AUTH_FILE", home.join("auth.json"))
            .env("P", PASSWORD)
            .args(arguments);
        command
    }

    /// Runs a command, gives it the password, and looks at all that is left of it but one file.
    #[track_caller]
    fn run(&self, place: &Place, arguments: &[&str], but: &str) -> Run {
        let mut ready = self.ready(command(), arguments);
        let streams = ready.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = streams.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It need not be read.
        let _unread = writeln!(stdin, "{PASSWORD}");
        drop(stdin);
        let run = Run::from(child.wait_with_output().unwrap());
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        place.is_not_told(&run.stdout);
        place.is_not_told(&run.stderr);
        nothing_is_kept(place, self.0.path(), but);
        run
    }
}

#[track_caller]
fn nothing_is_kept(place: &Place, folder: &Path, but: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, kind) = entry
            .map(|it| (it.path(), it.file_type().unwrap()))
            .unwrap();
        if kind.is_dir() {
            nothing_is_kept(place, &path, but);
        } else if !path.ends_with(but) {
            place.is_not_told(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
}

/// A file that copies all tags within the registry, as the user whose password is in `P`.
fn sync_yaml(place: &Place, home: &Home) {
    let host = place.registry.host();
    let file = format!(
        "version: 1\nregistries: {{'{host}': {{tls: off, auth: {{user: me, pass: '${{P}}'}}}}}}\n\
         images: [{{from: {host}/{REPO}, tags: '*', to: [{host}/copy/app, 'oci:out']}}]\n\
         prune: {{mode: delete}}\n"
    );
    std::fs::write(home.0.path().join("sync.yaml"), file).unwrap();
}

const REPORTS: [&str; 3] = ["report.json", "report.html", "report.xml"];

#[test]
fn s40_sync_tells_no_secret() {
    let (place, home) = (place(), Home::new());
    sync_yaml(&place, &home);
    for arguments in [
        &["config", "sync.yaml", "--debug"][..],
        &["config", "sync.yaml", "--format", "json"],
        &["plan", "sync.yaml", "--debug"],
        &["plan", "sync.yaml", "--format", "json"],
        &["lock", "sync.yaml", "--debug"],
    ] {
        home.run(&place, arguments, "").ok();
    }
    let mut night = vec!["sync", "sync.yaml", "--debug"];
    night.extend(REPORTS.iter().flat_map(|report| ["--report", report]));
    home.run(&place, &night, "").ok();
    assert_eq!(place.registry.tags("copy/app"), ["1"]);
    for spoil in [WAYS[0], WAYS[3], WAYS[4], WAYS[5], WAYS[6]] {
        let place = crate::secrets::place();
        let home = Home::new();
        sync_yaml(&place, &home);
        spoil(&place);
        let run = home.run(&place, &night, "");
        assert!(run.code != Some(0) && run.code.is_some(), "{}", run.stderr);
    }
}

#[test]
fn s40_the_other_verbs_tell_no_secret() {
    let (place, home) = (place(), Home::new());
    let (host, reference) = (place.registry.host(), at(&place.registry));
    let login = ["login", &host, "-u", "me", "--password-stdin", "--debug"];
    home.run(&place, &login, "auth.json").ok();
    let copy = ["copy", "--debug", &reference, "oci:out:1"];
    home.run(&place, &copy, "auth.json").ok();
    home.run(&place, &["logout", &host, "--debug"], "").ok();
    home.run(&place, &["gc", "oci:out", "--debug"], "").ok();
    let is = ["--debug", "--creds", CREDS];
    home.run(&place, &[&["tag", &reference, "2"][..], &is].concat(), "")
        .ok();
    assert_eq!(place.registry.tags(REPO), ["1", "2"]);
    let delete = ["delete", "--all-tags", &reference];
    home.run(&place, &[&delete[..], &is].concat(), "").ok();
    home.run(&place, &[&delete[..], &is].concat(), "")
        .fails_quietly();
}

#[test]
fn s40_what_a_credentials_file_holds_is_not_told() {
    for entry in [
        json!({ "identitytoken": "CANARY-identity" }),
        json!({ "registrytoken": "CANARY-registry" }),
        json!({ "auth": "bWU6Q0FOQVJZ" }),
    ] {
        let (place, home) = (place(), Home::new());
        let file = json!({ "auths": { place.registry.host(): entry } }).to_string();
        std::fs::write(home.0.path().join("auth.json"), file).unwrap();
        let copy = ["copy", "--debug", &at(&place.registry), "oci:out:1"];
        home.run(&place, &copy, "auth.json").fails_quietly();
    }
}

#[test]
fn s40_by_skopeos_name_no_secret_is_told_either() {
    let (place, home) = (place(), Home::new());
    let skopeo = home.0.path().join("skopeo");
    symlink(env!("CARGO_BIN_EXE_imgcopy"), &skopeo).unwrap();
    let reference = at(&place.registry);
    let copy = [
        "--debug",
        "copy",
        "--src-creds",
        CREDS,
        &reference,
        "oci:out:1",
    ];
    let inspect = ["--debug", "inspect", "--creds", CREDS, &reference];
    for arguments in [&copy[..], &inspect] {
        let run = Run::of(&mut home.ready(Command::new(&skopeo), arguments));
        place.is_not_told(&run.stdout);
        place.is_not_told(&run.stderr);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
}

impl Run {
    /// Panics if it succeeded or died.
    #[track_caller]
    fn fails_quietly(&self) {
        assert!(matches!(self.code, Some(1 | 2)), "{}", self.stderr);
    }
}
