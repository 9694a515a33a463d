//! Verbs that ask a registry: each tool has one of its own, of the same make.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::pair::{Desk, Pair};
use crate::support::Run;

#[test]
fn images_go_to_a_registry_and_come_back_the_same() {
    let Some(pair) = Pair::with_registries() else {
        return;
    };
    for line in [
        "copy --dest-tls-verify=false --digestfile d1 dir:gzip docker://HOST/a:1",
        "copy --preserve-digests --dest-tls-verify=0 --all dir:list docker://HOST/list:1",
        "copy --preserve-digests --dest-tls-verify=false --multi-arch all dir:oci-index docker://HOST/oci:1",
        "copy --preserve-digests --dest-tls-verify=false dir:list docker://HOST/one:1",
        "inspect --tls-verify=false docker://HOST/a:1",
        "inspect --tls-verify=false --no-tags docker://HOST/list:1",
        "inspect --tls-verify=false --raw docker://HOST/list:1",
        "inspect --tls-verify=false --config docker://HOST/one:1",
        "inspect --tls-verify=false --override-arch arm64 docker://HOST/oci:1",
        "inspect --tls-verify=false --format {{.Name}} docker://HOST/a:1",
        "list-tags --tls-verify=false docker://HOST/a",
        "inspect --tls-verify=false docker://HOST/a:nothing",
        "inspect --tls-verify=false docker://HOST/nothing:1",
        "copy --src-tls-verify=false docker://HOST/a:nothing dir:x",
        "copy --src-tls-verify=false docker://HOST/nothing dir:x",
    ] {
        pair.same(line);
    }
    for (line, directory) in [
        ("copy --src-tls-verify=false docker://HOST/a:1 dir:b1", "b1"),
        (
            "copy -a --src-tls-verify=false docker://HOST/list:1 dir:b2",
            "b2",
        ),
        (
            "copy --src-tls-verify=false docker://HOST/list:1 dir:b3",
            "b3",
        ),
        (
            "--override-arch arm64 copy --src-tls-verify=false docker://HOST/oci:1 dir:b4",
            "b4",
        ),
    ] {
        pair.writes_the_same(line, directory);
    }
    let digest = |desk: &Desk| std::fs::read(desk.at("d1")).unwrap();
    assert_eq!(digest(&pair.theirs), digest(&pair.ours));
}

#[test]
fn what_docker_saved_is_in_dockers_words_and_compressed() {
    let Some(pair) = Pair::with_registries() else {
        return;
    };
    let line = "copy -q --dest-tls-verify=false docker-archive:single.tar docker://HOST/a:1";
    pair.same(line);
    for desk in [&pair.theirs, &pair.ours] {
        let shown = desk.run("inspect --raw --tls-verify=false docker://HOST/a:1");
        let manifest: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        assert!(manifest["mediaType"].as_str().unwrap().contains("docker"));
        let layers = manifest["layers"].as_array().unwrap();
        let is_gzip =
            |it: &serde_json::Value| it["mediaType"].as_str().unwrap().ends_with("tar.gzip");
        assert!(layers.iter().all(is_gzip), "{manifest}");
    }
    let config = "inspect --config --raw --tls-verify=false docker://HOST/a:1";
    pair.same(config);
}

#[test]
fn deleting_prints_nothing_and_leaves_the_name_to_nobody() {
    let Some(pair) = Pair::with_registries() else {
        return;
    };
    for line in [
        "copy -q --dest-tls-verify=false dir:gzip docker://HOST/a:1",
        "delete --tls-verify=false docker://HOST/a:nothing",
        "delete --tls-verify=false docker://HOST/a:1",
        "list-tags --tls-verify=false docker://HOST/a",
        "delete --tls-verify=false docker://HOST/a:1",
    ] {
        pair.same(line);
    }
}

/// What skopeo does here loses an image that nobody asked to delete.
#[test]
fn an_image_with_other_tags_is_not_deleted_by_one_of_them() {
    let Some(pair) = Pair::with_registries() else {
        return;
    };
    for tag in ["1", "2"] {
        pair.same(&format!(
            "copy -q --dest-tls-verify=false dir:gzip docker://HOST/a:{tag}"
        ));
    }
    let refused = pair.ours.run("delete --tls-verify=false docker://HOST/a:1");
    assert_eq!(refused.code, Some(1));
    assert!(refused.fatal.contains("its image is also 2"), "{refused:?}");
    let listed = pair
        .ours
        .run("list-tags --tls-verify=false docker://HOST/a");
    assert!(listed.stdout.contains("\"1\"") && listed.stdout.contains("\"2\""));
    let digest = pair
        .ours
        .run("inspect --tls-verify=false --format {{.Digest}} docker://HOST/a:1");
    let line = format!(
        "delete --tls-verify=false docker://HOST/a@{}",
        digest.stdout.trim()
    );
    assert_eq!(pair.ours.run(&line).code, Some(0));
}

/// Runs a line with a password on stdin.
fn with_stdin(desk: &Desk, line: &str, stdin: &str) -> Run {
    let words = line
        .split(' ')
        .map(|word| word.replace("HOST", desk.host()));
    let mut command: Command = desk.command();
    command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    Run::from(child.wait_with_output().unwrap())
}

#[test]
fn credentials_are_kept_shown_and_forgotten_the_same() {
    let Some(pair) = Pair::with_registries() else {
        return;
    };
    let login = "login --authfile auth --tls-verify=false -u me --password-stdin HOST";
    let ended = |desk: &Desk| desk.outcome(&with_stdin(desk, login, "secret\n"));
    assert_eq!(ended(&pair.theirs), ended(&pair.ours));
    for line in [
        "login --authfile auth --get-login HOST",
        "login --authfile auth --tls-verify=false HOST",
        "login --authfile auth --get-login other.example",
        "logout --authfile auth HOST",
        "logout --authfile auth HOST",
        "login --authfile auth --tls-verify=false -u me -p secret HOST",
        "logout --all --authfile auth",
    ] {
        pair.same(line);
    }
}

#[test]
fn credentials_are_shown_to_the_side_that_they_are_for() {
    let Some(pair) = Pair::with_passwords() else {
        return;
    };
    for line in [
        "copy -q --dest-tls-verify=false --dest-creds me:secret dir:gzip docker://HOST/a:1",
        "copy -q --dest-tls-verify=false --dest-username me --dest-password secret dir:gzip docker://HOST/a:2",
        "copy -q --src-tls-verify=false --src-creds me:secret docker://HOST/a:1 dir:out",
        "inspect --tls-verify=false --creds me:secret docker://HOST/a:1",
        "list-tags --tls-verify=false --username me --password secret docker://HOST/a",
        "login --tls-verify=false -u me -p secret HOST",
        "login --tls-verify=false HOST",
        "inspect --tls-verify=false docker://HOST/a:1",
        "logout HOST",
    ] {
        assert_eq!(pair.same(line).code, Some(0), "{line}");
    }
    // The texts are those of different HTTP libraries.
    for line in [
        "inspect --tls-verify=false docker://HOST/a:1",
        "inspect --tls-verify=false --creds me:wrong docker://HOST/a:1",
        "inspect --tls-verify=false --no-creds docker://HOST/a:1",
        "copy -q --src-tls-verify=false --dest-creds me:secret docker://HOST/a:1 dir:out2",
        "login --tls-verify=false -u me -p wrong HOST",
    ] {
        let (theirs, ours) = (pair.theirs.run(line), pair.ours.run(line));
        assert_eq!((theirs.code, ours.code), (Some(1), Some(1)), "{line}");
        assert_eq!(theirs.stdout, ours.stdout, "{line}");
        assert!(!ours.fatal.is_empty() && !ours.fatal.contains("secret"));
    }
}
