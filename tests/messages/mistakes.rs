//! Mistakes of the command line and of what it names: what is typed, and all that is said to it.

use std::path::Path;

use crate::support::{Run, command, fixture, tempdir};

/// Runs each line at the same desk, and tells them with their exit codes. Nothing may be left of any.
#[track_caller]
fn told(desk: &Path, lines: &[&str]) -> String {
    let before = crate::support::tree(desk);
    let told = lines.iter().map(|line| {
        let mut command = command();
        command.env_clear().env("HOME", desk).current_dir(desk);
        let run = Run::of(command.args(words(line)));
        assert_ne!(run.code, Some(0), "{line}: {}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{line}: {}", run.stderr);
        assert_eq!(crate::support::tree(desk), before, "{line} left something");
        let stderr = run.stderr.replace(&desk.display().to_string(), "DESK");
        format!("$ imgcopy {line}\n{}exit {}\n", stderr, run.code.unwrap())
    });
    told.collect::<Vec<_>>().join("\n")
}

/// As a shell has them: apart at blanks, and `''` is an empty one.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ').map(|word| match word {
        "''" => "",
        word => word,
    })
}

/// A directory with archives, an OCI layout of two images, and things that are neither.
fn desk() -> tempfile::TempDir {
    let desk = tempdir();
    let at = |name: &str| desk.path().join(name);
    std::fs::copy(fixture("docker28/single.tar"), at("tiny.tar")).unwrap();
    std::fs::copy(fixture("docker28/multiimage.tar"), at("several.tar")).unwrap();
    let whole = std::fs::read(at("tiny.tar")).unwrap();
    std::fs::write(at("cut.tar"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(at("notes.txt"), "meow").unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::create_dir(at("photos")).unwrap();
    std::fs::write(at("photos/cat.jpg"), "meow").unwrap();
    for tag in ["a", "b"] {
        let to = format!("oci:both:{tag}");
        let mut command = command();
        command
            .current_dir(desk.path())
            .args(["--quiet", "docker-archive:tiny.tar", &to]);
        Run::of(&mut command).ok();
    }
    std::fs::create_dir(at("old")).unwrap();
    std::fs::write(at("old/oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    std::fs::write(
        at("old/index.json"),
        r#"{"schemaVersion":2,"manifests":[]}"#,
    )
    .unwrap();
    std::fs::create_dir(at("torn")).unwrap();
    std::fs::write(at("torn/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(at("torn/index.json"), r#"{"schemaVersion":2,"#).unwrap();
    desk
}

#[test]
fn references_that_cannot_be() {
    let told = told(
        desk().path(),
        &[
            "''",
            "'' oci:new:x",
            "busybox docker.io/library/busybox",
            "./tiny.tar oci:new:x",
            "tiny.tar:latest oci:new:x",
            "docker:busybox oci:new:x",
            "docker://Busybox oci:new:x",
            "docker:// oci:new:x",
            "docker://host.example:port/app oci:new:x",
            "docker://app:-x oci:new:x",
            "docker://app@sha256:12 oci:new:x",
            "docker://app@md5:d41d8cd98f00b204e9800998ecf8427e oci:new:x",
            "docker://https://host.example/app oci:new:x",
            "oci: oci:new:x",
            "oci:both:@x oci:new:x",
            "oci:both:@0@1 oci:new:x",
            "docker-archive: oci:new:x",
            "docker-daemon://app oci:new:x",
            "containers-storage:app oci:new:x",
            "ostree:app oci:new:x",
            "docker-archive:tiny.tar docker://host.example/app@sha256:12",
            "docker-archive:tiny.tar docker-archive:new.tar:UPPER",
        ],
    );
    insta::assert_snapshot!(told);
}

#[test]
fn places_that_are_not_what_they_are_called() {
    let told = told(
        desk().path(),
        &[
            "docker-archive:empty oci:new:x",
            "docker-archive:cut.tar oci:new:x",
            "docker-archive:notes.txt oci:new:x",
            "oci-archive:tiny.tar:@7 oci:new:x",
            "oci-archive:notes.txt oci:new:x",
            "oci-archive:both oci:new:x",
            "oci:tiny.tar oci:new:x",
            "oci:both:c oci:new:x",
            "oci:both:@5 oci:new:x",
            "oci:old oci:new:x",
            "oci:old:x dir:new",
            "oci:torn:x oci:new:x",
            "dir:both oci:new:x",
            "dir:photos oci:new:x",
            "dir:missing oci:new:x",
            "oci:both:a dir:photos",
            "oci:both:a docker-archive:tiny.tar",
            "oci:both:a docker-archive:missing/new.tar",
            "oci:both:a oci-archive:photos",
            "oci:both:a oci:notes.txt/new:x",
        ],
    );
    insta::assert_snapshot!(told);
}

#[test]
fn options_that_do_not_fit() {
    let told = told(
        desk().path(),
        &[
            "oci:both:a oci:new:x --compresion zstd",
            "oci:both:a oci:new:x --compression lz4",
            "oci:both:a oci:new:x --compression none --compression-level 3",
            "oci:both:a oci:new:x --compression-level high",
            "oci:both:a docker-archive:new.tar:x --compression zstd",
            "oci:both:a oci:new:x --platform linux",
            "oci:both:a oci:new:x --platform linux/riscv64",
            "oci:both:a oci:new:x --platform all --index sparse --platform linux/amd64",
            "oci:both:a oci:new:x --index some",
            "oci:both:a oci:new:x --format v2s1",
            "oci:both:a oci:new:x --referrers perhaps",
            "oci:both:a oci:new:x --retry-times -1",
            "oci:both:a oci:new:x --timeout soon",
            "oci:both:a oci:new:x --parallel 0",
            "oci:both:a oci:new:x --progress loud",
            "oci:both:a oci:new:x --src-creds :secret",
            "oci:both:a oci:new:x --dest-shared-blob-dir",
            "oci:both:a oci:both:b docker-archive:new.tar:x",
            "oci:both:a dir:new --preserve-digests --format v2s2",
            "inspect oci:both:a --format {{.Digest}}",
            "inspect",
            "plan oci:both:a",
            "tags dir:photos",
            "verify oci:both:c",
            "tag oci:both:a -x",
            "tag docker-archive:tiny.tar x",
            "delete docker-archive:tiny.tar",
            "delete dir:photos",
            "gc oci:both:a",
            "gc docker-archive:tiny.tar",
            "digest oci:both:c",
            "login",
            "logout host.example",
            "completions cmd",
            "sync",
            "sync missing.yaml",
            "watch missing.yaml",
            "config notes.txt",
            "config --from tar notes.txt",
            "config --from regsync notes.txt",
            "lock missing.yaml",
            "report merge",
            "report merge notes.txt -o new.json",
            "report merge missing.json",
        ],
    );
    insta::assert_snapshot!(told);
}

#[test]
fn a_registry_that_nobody_runs() {
    // Port 1 of this machine: nothing is there, and nobody else is asked.
    let told = told(
        desk().path(),
        &[
            "docker://127.0.0.1:1/app:x oci:new:x --retry-times 0",
            "oci:both:a docker://127.0.0.1:1/app:x --retry-times 0",
            "inspect docker://127.0.0.1:1/app:x --retry-times 0",
            "tags docker://127.0.0.1:1/app --retry-times 0",
            "delete docker://127.0.0.1:1/app:x --retry-times 0",
            "docker://127.0.0.1:1/app oci:new:x --src-cert-dir missing",
            "docker://127.0.0.1:1/app oci:new:x --authfile missing.json",
            "docker://127.0.0.1:1/app oci:new:x --src-creds me:secret --src-tls-verify=maybe",
        ],
    );
    insta::assert_snapshot!(told);
}
