//! Where the engine is, and who we are to it.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use crate::fake::{Fake, Reply};
use crate::support::registry::{Authority, Response, Server, Tls};
use crate::support::{Run, command, has_peer, imgcopy, tempdir};

#[test]
fn where_no_engine_answers_it_says_so() {
    let home = tempdir();
    let file = home.path().join("file");
    std::fs::write(&file, "no socket").unwrap();
    for path in [file, home.path().join("nothing")] {
        let host = format!("unix://{}", path.display());
        let run = Run::of(
            command()
                .env("DOCKER_HOST", &host)
                .args(["tags", "docker-daemon:"]),
        );
        let told = run.fails(1).stderr;
        assert!(
            told.contains("no Docker engine answers") && told.contains(&host),
            "{told}"
        );
    }
}

#[test]
fn who_may_not_talk_to_the_engine_is_told_so() {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root || !has_peer("setpriv") {
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
        eprintln!("left out: only root can become a user who may not use a socket");
        return;
    }
    let engine = Fake::start(|_| None);
    let mut command = Command::new("setpriv");
    let command = command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    let command = command.env("DOCKER_HOST", engine.host());
    let program = env!("CARGO_BIN_EXE_imgcopy");
    let told = Run::of(command.args([program, "tags", "docker-daemon:"])).fails(1);
    assert!(
        told.stderr.contains("may not talk to it"),
        "{}",
        told.stderr
    );
    assert_eq!(engine.asked(), [""; 0]);
}

#[test]
fn options_have_precedence_over_the_environment() {
    let list = |asked: &str| {
        let list = r#"[{"RepoTags":["a:1"]}]"#;
        (asked == "GET /images/json").then(|| Reply::Text(200, list.into()))
    };
    let (one, other) = (Fake::start(list), Fake::start(|_| None));
    let args = ["tags", "docker-daemon:", "--daemon-host", &one.host()];
    assert_eq!(other.imgcopy(&args).ok().stdout, "a:1\n");
    assert_eq!(other.asked(), [""; 0]);

    let home = tempdir();
    let to = crate::layout(home.path());
    let args = [
        "copy",
        "docker-daemon:a:1",
        &to,
        "--src-daemon-host",
        &one.host(),
    ];
    one.asked();
    other.imgcopy(&args).fails(2);
    assert!(!one.asked().is_empty() && other.asked().is_empty());

    let told = imgcopy(["tags", "docker-daemon:", "--daemon-host", "ssh://h.example"]);
    let told = told.fails(64).stderr;
    assert!(told.contains("ssh -L"), "{told}");
}

#[test]
fn each_side_of_a_copy_may_be_another_engine() {
    let archive = crate::tiny();
    let from = Fake::start(move |asked| {
        (asked == "GET /images/a:1/get").then(|| Reply::Archive(archive.clone()))
    });
    let to = Fake::start(|asked| {
        asked
            .starts_with("POST /images/load")
            .then(|| Reply::Takes(String::new()))
    });
    let args = ["copy", "-q", "docker-daemon:a:1", "docker-daemon:b:2"];
    let run = Run::of(
        command()
            .args(args)
            .args(["--src-daemon-host", &from.host()])
            .args(["--dest-daemon-host", &to.host()]),
    );
    run.ok();
    assert!(to.sent().is_whole);
}

#[test]
fn tcp_with_certificates_is_tls_on_both_sides() {
    let tls = Tls {
        wants_client: true,
        ..Tls::default()
    };
    let server = Server::with(Some(&tls), |_| {
        Response::json(200, &serde_json::json!([{ "RepoTags": ["a:1"] }]))
    });
    let home = tempdir();
    let (certificate, key) = tls.authority.client();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write("ca.pem", &tls.authority.pem());
    write("cert.pem", &certificate);
    write("key.pem", &key);
    let tags = || {
        Run::of(
            command()
                .env("DOCKER_HOST", format!("tcp://{}", server.host()))
                .env("DOCKER_TLS_VERIFY", "1")
                .env("DOCKER_CERT_PATH", home.path())
                .args(["tags", "docker-daemon:"]),
        )
    };
    assert_eq!(tags().ok().stdout, "a:1\n");
    assert_eq!(server.plaintext(), 0);

    // Only that authority is trusted.
    write("ca.pem", &Authority::new().pem());
    let told = tags().fails(1).stderr;
    assert!(told.contains("certificate"), "{told}");
    write("ca.pem", "");
    tags().fails(1);
}

#[test]
fn tcp_without_certificates_is_plain_http() {
    let server =
        Server::start(|_| Response::json(200, &serde_json::json!([{ "RepoTags": ["a:1"] }])));
    let host = format!("tcp://{}", server.host());
    let told = imgcopy(["tags", "docker-daemon:", "--daemon-host", &host]).ok();
    assert_eq!(told.stdout, "a:1\n");
}
