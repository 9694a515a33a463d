//! Archives that come through a pipe and are copied in one pass: nothing is kept in a temporary file,
//! and what arrives is what arrives from a file.

use std::fs;

use super::stdin::{archives, by_path, piped};
use super::*;
use crate::support::registry::Registry;

/// A tar with one file of incompressible content.
fn layer(seed: u64, len: usize) -> Vec<u8> {
    Archive::new().file("f", &noise(seed, len)).bytes()
}

/// The blobs of a layout, by name.
fn blobs_of(layout: &Path) -> Vec<String> {
    tree(&layout.join("blobs"))
}

/// What is there and when it was written, without what imgcopy notes for itself.
fn written(layout: &Path) -> Vec<(String, (u64, u64, i64, i64))> {
    let all = stamps(layout).into_iter();
    all.filter(|(name, _)| !name.contains(".imgcopy")).collect()
}

/// Archives of each kind, and of every odd one.
fn corpus() -> Vec<(PathBuf, &'static str)> {
    let mut all = archives();
    for folder in ["docker20", "variants"] {
        let tars = fixtures(folder).into_iter();
        for tar in tars.filter(|path| path.extension().is_some_and(|it| it == "tar")) {
            let is_layout = tar.to_string_lossy().contains("ociarchive");
            let place = if is_layout {
                "oci-archive:-"
            } else {
                "docker-archive:-"
            };
            all.push((tar, place));
        }
    }
    all
}

#[test]
fn a_pipe_gives_what_a_file_gives_without_a_temporary_file() {
    let mut copied = 0;
    for (archive, on_stdin) in corpus() {
        let home = tempdir();
        let nowhere = home.path().join("nowhere");
        let (by_file, by_pipe) = (home.path().join("file"), home.path().join("pipe"));
        let place = by_path(&archive, on_stdin);
        let file = imgcopy(["-q", &place, &oci_at(&by_file, "a")]);
        let bytes = fs::read(&archive).unwrap();
        let args = ["-q", on_stdin, &oci_at(&by_pipe, "a")];
        let pipe = piped(&args, &bytes, &nowhere);
        assert_eq!(pipe.code, file.code, "{place}: {}", pipe.stderr);
        assert_eq!(pipe.stdout, file.stdout, "{place}");
        if file.code != Some(0) {
            assert!(!by_pipe.exists(), "{place}");
            continue;
        }
        copied += 1;
        assert_eq!(blobs_of(&by_pipe), blobs_of(&by_file), "{place}");
        assert_eq!(assert_whole(&by_pipe), ["a"]);
        assert_eq!(stages(&by_pipe), [""; 0]);
        let before = written(&by_pipe);
        piped(&args, &bytes, &nowhere).ok();
        assert_eq!(
            written(&by_pipe),
            before,
            "{place}: a repeat writes nothing"
        );
    }
    assert!(copied > 25, "{copied}");
}

#[test]
fn what_is_asked_of_layers_is_done_while_they_pass() {
    for options in [
        &["--compression", "none"][..],
        &["--compression", "zstd", "--compression-level", "9"],
        &["--compression", "zstd", "--recompress"],
        &["--format", "v2s2"],
    ] {
        for archive in [
            "docker20/dup.tar",
            "variants/docker-mixed-gzip-and-plain-layers.tar",
        ] {
            let archive = fixture(archive);
            let home = tempdir();
            let to = |name: &str| oci_at(&home.path().join(name), "a");
            let with = |from: &str, to: &str| {
                [&["copy", "-q", from, to][..], options]
                    .concat()
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            };
            let file = imgcopy(with(&archive_at(&archive), &to("file"))).ok();
            let line = with("docker-archive:-", &to("pipe"));
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            let bytes = fs::read(&archive).unwrap();
            let pipe = piped(&line, &bytes, &home.path().join("nowhere")).ok();
            assert_eq!(pipe.stdout, file.stdout, "{options:?}");
            assert_eq!(
                blobs_of(&home.path().join("pipe")),
                blobs_of(&home.path().join("file"))
            );
        }
    }
}

#[test]
fn of_several_images_only_the_wanted_one_arrives() {
    for (archive, of) in [
        ("docker20/multiimage.tar", "docker-archive:"),
        ("docker28/multiimage.tar", "docker-archive:"),
        ("docker28/multiimage.tar", "oci-archive:"),
        ("docker28/two-untagged.tar", "docker-archive:"),
    ] {
        let path = fixture(archive);
        let place = format!("{of}{}", path.display());
        let names = imgcopy(["tags", &place]).ok().stdout;
        assert!(names.lines().count() > 1);
        let bytes = fs::read(&path).unwrap();
        for name in names.lines() {
            let home = tempdir();
            let (by_file, by_pipe) = (home.path().join("file"), home.path().join("pipe"));
            let digest = copy(&format!("{place}:{name}"), &oci_at(&by_file, "a"));
            let args = ["-q", &format!("{of}-:{name}"), &oci_at(&by_pipe, "a")];
            let pipe = piped(&args, &bytes, &home.path().join("nowhere")).ok();
            assert_eq!(pipe.stdout.trim(), digest);
            assert_eq!(blobs_of(&by_pipe), blobs_of(&by_file), "{place}:{name}");
        }
        let home = tempdir();
        for (line, code) in [(format!("{of}-"), 1), (format!("{of}-:no:such"), 2)] {
            let to = home.path().join("out");
            piped(&["-q", &line, &oci_at(&to, "a")], &bytes, home.path()).fails(code);
            assert!(!to.exists(), "{line}");
        }
    }
}

#[test]
fn s08_a_layer_that_is_not_what_the_config_says_leaves_nothing() {
    let (good, bad) = (layer(1, 40_000), layer(2, 40_000));
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        sha256(&good)
    );
    let list = r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["1/layer.tar"]}]"#;
    let of = |layer: &[u8], list: &str| {
        let tar = Archive::new().file("1/layer.tar", layer);
        tar.file("c.json", config.as_bytes())
            .file("manifest.json", list.as_bytes())
            .bytes()
    };
    let home = tempdir();
    let nowhere = home.path().join("nowhere");
    let new = home.path().join("new");
    let there = home.path().join("there");
    copy(
        &archive_at(&fixture("docker20/single.tar")),
        &oci_at(&there, "old"),
    );
    let before = tree(&there);
    let whole = of(&good, list);
    for (bytes, why) in [
        (of(&bad, list), "it unpacks to"),
        (of(&good, "[]"), "lists no image"),
        (
            Archive::new().file("1/layer.tar", &good).bytes(),
            "has no manifest.json",
        ),
        (whole[..whole.len() / 2].to_vec(), "cut short"),
        (whole[..42_496].to_vec(), "has no manifest.json"),
    ] {
        for layout in [&new, &there] {
            let args = ["-q", "docker-archive:-", &oci_at(layout, "a")];
            let told = piped(&args, &bytes, &nowhere).fails(1).stderr;
            assert!(told.contains(why), "{told}");
        }
        assert!(!new.exists(), "{why}");
        assert_eq!(tree(&there), before, "{why}");
    }
    piped(
        &["-q", "docker-archive:-", &oci_at(&there, "a")],
        &whole,
        &nowhere,
    )
    .ok();
    assert_eq!(assert_whole(&there), ["a", "old"]);
}

/// An archive whose layer is called by its DiffId, as Docker writes it since 25, and podman.
fn by_diff_id(layer: &[u8]) -> Vec<u8> {
    let name = format!("{}.tar", sha256(layer));
    let config = config_of(layer);
    let list = format!(r#"[{{"Config":"c.json","RepoTags":null,"Layers":["{name}"]}}]"#);
    let tar = Archive::new()
        .file(&name, layer)
        .file("c.json", config.as_bytes());
    tar.file("manifest.json", list.as_bytes()).bytes()
}

/// At another level it would become another blob.
#[test]
fn a_layer_whose_name_says_that_it_is_there_is_not_compressed_again() {
    let home = tempdir();
    let layout = home.path().join("layout");
    let text = "text that shrinks ".repeat(10_000);
    let bytes = by_diff_id(&Archive::new().file("f", text.as_bytes()).bytes());
    let with = |level: &str| {
        let to = oci_at(&layout, level);
        let args = [
            "copy",
            "-q",
            "docker-archive:-",
            &to,
            "--compression-level",
            level,
        ];
        piped(&args, &bytes, &home.path().join("nowhere"))
            .ok()
            .stdout
    };
    let first = with("1");
    let before = blobs_of(&layout);
    assert_eq!(with("9"), first);
    assert_eq!(blobs_of(&layout), before);
}

#[test]
fn what_is_lost_or_damaged_at_the_destination_comes_back() {
    let home = tempdir();
    let layout = home.path().join("layout");
    let archive = fs::read(fixture("docker20/single.tar")).unwrap();
    let args = ["-q", "docker-archive:-", &oci_at(&layout, "a")];
    let digest = piped(&args, &archive, &home.path().join("nowhere"))
        .ok()
        .stdout;
    for blob in blobs_of(&layout).iter().filter(|name| name.contains('/')) {
        let path = layout.join("blobs").join(blob);
        let content = fs::read(&path).unwrap();
        for damaged in [None, Some(vec![0; content.len()])] {
            fs::remove_file(&path).unwrap();
            if let Some(damaged) = damaged {
                fs::write(&path, damaged).unwrap();
            }
            let again = piped(&args, &archive, &home.path().join("nowhere")).ok();
            assert_eq!(again.stdout, digest);
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }
}

/// One layer at a time goes through a temporary file, because a registry wants its length and digest
/// first. No file may be as large as two of them.
#[test]
fn a_registry_gets_a_stream_without_a_copy_of_the_whole() {
    let registry = Registry::start();
    let to = format!("docker://{}/team/app:1", registry.host());
    let layers: Vec<Vec<u8>> = (0..6).map(|seed| layer(seed, 700_000)).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let bytes = image(&layers, "app:1").bytes();
    let home = tempdir();
    let file = home.path().join("file.tar");
    fs::write(&file, &bytes).unwrap();
    let line = format!(
        "ulimit -f 2000; cat {} | {} -q docker-archive:- {to}",
        file.display(),
        env!("CARGO_BIN_EXE_imgcopy")
    );
    let copy_it = || Run::of(std::process::Command::new("sh").args(["-c", &line])).ok();
    let digest = copy_it().stdout;
    registry.assert_whole("team/app");
    assert_eq!(registry.count("PUT", "/blobs/"), 7);
    let by_file = oci_at(&home.path().join("layout"), "a");
    assert_eq!(copy(&archive_at(&file), &by_file), digest.trim());
    registry.forget();
    assert_eq!(copy_it().stdout, digest);
    assert_eq!(registry.count("PUT", "/blobs/"), 0, "all is there already");
}

#[test]
fn what_came_by_counts_as_copied() {
    let home = tempdir();
    let bytes = by_diff_id(&layer(1, 100_000));
    let to = oci_at(&home.path().join("layout"), "a");
    let args = ["copy", "docker-archive:-", &to, "--progress", "plain"];
    let told = piped(&args, &bytes, home.path()).ok().stderr;
    assert!(told.contains("copied layer"), "{told}");
    assert!(told.contains("taken as it came by"), "{told}");
    assert!(told.contains("2 blobs"), "{told}");
}
