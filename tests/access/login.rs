//! `imgcopy login` and `logout`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::registry::{Auth, Registry, TokenRules};
use crate::support::{Run, command, has_peer, tempdir};
use crate::{REPO, at, registry};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempdir())
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("config/auth.json")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command.env_clear().env("HOME", self.0.path());
        command.env("REGISTRY_AUTH_FILE", self.file());
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).stdin(Stdio::null()))
    }

    fn login(&self, host: &str, user: &str, password: &str) -> Run {
        let mut command = self.command(&["login", host, "-u", user, "--password-stdin"]);
        command.stdin(Stdio::piped());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("{password}\n");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let run = Run::from(child.wait_with_output().unwrap());
        assert!(
            !run.stdout.contains(password) && !run.stderr.contains(password),
            "{run:?}"
        );
        run
    }
}

fn kinds() -> [Registry; 2] {
    [
        Auth::basic("me", "pass:word"),
        Auth::bearer(TokenRules::login("me", "pass:word")),
    ]
    .map(registry)
}

fn is_private(file: &Path) -> bool {
    let mode = file.metadata().unwrap().permissions().mode();
    mode & 0o777 == 0o600
}

#[test]
fn who_has_logged_in_is_known_until_the_logout() {
    for registry in kinds() {
        let (home, host) = (Home::new(), registry.host());
        home.run(&["digest", &at(&registry)]).fails(1);
        let logged_in = home.login(&host, "me", "pass:word").ok();
        assert_eq!(logged_in.stdout, "Login Succeeded!\n");
        assert!(is_private(&home.file()));
        assert_eq!(
            home.run(&["login", "--get-login", &host]).ok().stdout,
            "me\n"
        );
        let digest = home.run(&["digest", &at(&registry)]).ok().stdout;
        assert_eq!(Some(digest.trim().to_string()), registry.tag_of(REPO, "1"));
        let logged_out = home.run(&["logout", &host]).ok().stdout;
        assert_eq!(
            logged_out,
            format!("Removed login credentials for {host}\n")
        );
        home.run(&["digest", &at(&registry)]).fails(1);
        for again in [
            &["logout", host.as_str()][..],
            &["login", "--get-login", &host],
        ] {
            let refused = home.run(again).fails(1).stderr;
            assert!(
                refused.contains(&format!("not logged into {host}")),
                "{refused}"
            );
        }
    }
}

#[test]
fn what_the_registry_does_not_take_is_not_kept() {
    for registry in kinds() {
        let (home, host) = (Home::new(), registry.host());
        let refused = home.login(&host, "me", "guessed").fails(1).stderr;
        assert!(
            refused.contains(&format!("cannot log in at {host}")),
            "{refused}"
        );
        assert!(!home.file().exists());
        home.login(&host, "me", "pass:word").ok();
        let before = std::fs::read(home.file()).unwrap();
        home.login(&host, "me", "guessed").fails(1);
        assert_eq!(std::fs::read(home.file()).unwrap(), before);
    }
}

#[test]
fn all_are_forgotten_at_once() {
    let (home, kinds) = (Home::new(), kinds());
    for registry in &kinds {
        home.login(&registry.host(), "me", "pass:word").ok();
    }
    let forgotten = home.run(&["logout", "--all"]).ok().stdout;
    assert_eq!(forgotten, "Removed login credentials for all registries\n");
    for registry in &kinds {
        home.run(&["login", "--get-login", &registry.host()])
            .fails(1);
    }
}

#[test]
fn a_login_for_a_part_of_a_registry_is_for_that_part() {
    let [registry, _] = kinds();
    let (home, host) = (Home::new(), registry.host());
    registry.add_image("other/app", "1", &[5], 2);
    home.login(&format!("{host}/team"), "me", "pass:word").ok();
    home.run(&["digest", &at(&registry)]).ok();
    home.run(&["digest", &format!("docker://{host}/other/app:1")])
        .fails(1);
}

#[test]
fn wrong_use_is_told_before_anything_is_asked() {
    let [registry, _] = kinds();
    let (home, host) = (Home::new(), registry.host());
    let told = home.run(&["login", &host]).fails(64).stderr;
    assert!(told.contains("--password-stdin"), "{told}");
    let told = home.run(&["login", &format!("https://{host}"), "-u", "me"]);
    assert!(
        told.code == Some(64) && told.stderr.contains("https://"),
        "{told:?}"
    );
    assert_eq!(home.run(&["logout"]).code, Some(64));
    assert_eq!(home.login(&host, "me:too", "x").code, Some(64));
    assert_eq!(registry.connections(), 0);
}

#[test]
fn a_password_is_not_shown_while_it_is_typed() {
    if !has_peer("script") {
        return;
    }
    let [registry, _] = kinds();
    let (home, host) = (Home::new(), registry.host());
    let line = format!("'{}' login {host}", env!("CARGO_BIN_EXE_imgcopy"));
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    terminal
        .env("REGISTRY_AUTH_FILE", home.file())
        .env("HOME", home.0.path());
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = terminal.spawn().unwrap();
    let mut keys = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut shown = wait_for(&mut screen, "Username: ");
    keys.write_all(b"me\n").unwrap();
    shown += &wait_for(&mut screen, "Password: ");
    keys.write_all(b"pass:word\n").unwrap();
    shown += &wait_for(&mut screen, "Login Succeeded!");
    drop(keys);
    child.wait().unwrap();
    assert!(!shown.contains("pass:word"), "{shown}");
    assert_eq!(
        home.run(&["login", "--get-login", &host]).ok().stdout,
        "me\n"
    );
}

/// What is shown up to and with this text.
fn wait_for(screen: &mut impl std::io::Read, text: &str) -> String {
    let mut shown = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&shown).ends_with(text) {
        assert_eq!(screen.read(&mut byte).unwrap(), 1, "{shown:?}");
        shown.push(byte[0]);
    }
    String::from_utf8(shown).unwrap()
}
