//! What needs no skopeo beside it: how the name is recognised, and when a run ends.

use std::net::TcpListener;

use crate::pair::Desk;
use crate::support::imgcopy;

#[test]
fn the_name_or_the_hidden_verb_makes_it_skopeo() {
    let desk = Desk::ours(None);
    let version = format!("skopeo version 1.9.3-imgcopy-{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(desk.run("--version").stdout, version);
    assert_eq!(desk.run("-v").stdout, version);
    assert_eq!(imgcopy(["skopeo", "--version"]).ok().stdout.trim(), version);
    let own = imgcopy(["--version"]).ok().stdout;
    assert!(own.starts_with("imgcopy "), "{own}");
    let help = imgcopy(["--help"]).ok().stdout;
    assert!(!help.contains("skopeo SUBCOMMAND"), "it is hidden: {help}");
}

#[test]
fn help_is_a_result() {
    let desk = Desk::ours(None);
    for line in ["--help", "help copy", "copy --help", "inspect -h"] {
        let shown = desk.run(line);
        assert_eq!(shown.code, Some(0), "{line}");
        assert!(shown.stdout.contains("Usage"), "{line}: {shown:?}");
    }
    for verb in ["copy", "inspect", "list-tags", "delete", "manifest-digest"] {
        assert!(desk.run("--help").stdout.contains(verb));
    }
}

#[test]
fn a_run_ends_when_its_time_is_over() {
    let desk = Desk::ours(None);
    // Somebody who never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap();
    let line = format!("--command-timeout 200ms inspect --tls-verify=false docker://{host}/a:1");
    let ended = desk.run(&line);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.fatal.contains("context deadline exceeded"),
        "{ended:?}"
    );
}

#[test]
fn a_single_image_is_copied_whatever_it_is_for() {
    let desk = Desk::ours(None);
    let ended = desk.run("--override-os windows --override-arch arm64 copy -q dir:gzip dir:out");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = desk.run("--override-os plan9 copy -q dir:list dir:out2");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.fatal.contains("plan9"), "{ended:?}");
}

#[test]
fn a_list_does_not_fit_into_an_archive_of_docker() {
    let desk = Desk::ours(None);
    let ended = desk.run("copy --all dir:list docker-archive:out.tar:a:1");
    assert!(ended.fatal.contains("does not support lists"), "{ended:?}");
    assert!(!desk.at("out.tar").exists());
    let ended = desk.run("copy dir:list docker-archive:out.tar:a:1");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn an_archive_on_stdout_is_an_archive() {
    let desk = Desk::ours(None);
    for place in ["docker-archive:-", "docker-archive:/dev/stdout:a:1"] {
        let mut command = desk.command();
        let ended = command.args(["copy", "dir:gzip", place]).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{place}");
        std::fs::write(desk.at("out.tar"), ended.stdout).unwrap();
        let shown = desk.run("inspect --config --raw docker-archive:out.tar");
        let original = desk.run("inspect --config --raw dir:gzip");
        assert_eq!(shown, original, "{place}");
    }
}
