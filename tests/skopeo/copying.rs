//! `copy` between places on the disk: what is told, and what is written.

use crate::pair::{Desk, Pair};

#[test]
fn plain_directories_come_out_the_same() {
    let Some(pair) = Pair::new() else { return };
    for (line, name) in [
        ("copy dir:gzip dir:NAME", "a"),
        ("copy dir:plain dir:NAME", "b"),
        ("copy dir:list dir:NAME", "c"),
        ("copy --all dir:list dir:NAME", "d"),
        ("copy --multi-arch all dir:oci-index dir:NAME", "e"),
        ("--override-arch arm64 copy dir:list dir:NAME", "f"),
        ("copy --override-arch=arm64 -q dir:oci-index dir:NAME", "g"),
        ("--override-arch arm64 copy dir:gzip dir:NAME", "h"),
        ("copy --remove-signatures dir:gzip dir:NAME", "i"),
        ("copy --preserve-digests dir:plain dir:NAME", "j"),
        ("copy --format v2s2 --quiet=false dir:gzip dir:NAME", "k"),
        ("copy --retry-times 3 --all=false dir:list dir:NAME", "l"),
        ("--tmpdir x --registries.d y copy dir:gzip dir:NAME", "m"),
        ("copy --dest-compress-format zstd dir:gzip dir:NAME", "n"),
        ("--command-timeout 1h30m copy dir:gzip dir:NAME", "o"),
    ] {
        let line = line.replace("NAME", name);
        pair.writes_the_same(&line, name);
    }
}

#[test]
fn known_differences_are_as_they_are_said_to_be() {
    let Some(pair) = Pair::new() else { return };
    for line in [
        "copy dir:gzip oci:out:a",
        "copy --all dir:list oci:out:a",
        "copy --format oci dir:gzip dir:out",
        "copy docker-archive:single.tar dir:out",
    ] {
        for desk in [&pair.theirs, &pair.ours] {
            let _ = std::fs::remove_dir_all(desk.at("out"));
        }
        pair.writes_the_same(line, "out");
    }
}

/// The layers of an image in an OCI directory, each as a tar, by skopeo's own reading.
fn unpacked(pair: &Pair, desk: &Desk, place: &str) -> Vec<String> {
    let to = format!("{}-unpacked", place.replace([':', '/'], "-"));
    let target = format!("dir:{}", desk.at(&to).display());
    let source = format!("oci:{}", desk.at(place).display());
    let line = format!("copy -q --dest-decompress --format v2s2 {source} {target}");
    assert_eq!(pair.theirs.run(&line).code, Some(0), "{line}");
    let manifest = desk.json(format!("{to}/manifest.json"));
    let layers = manifest["layers"].as_array().unwrap();
    let digest = |layer: &serde_json::Value| layer["digest"].as_str().unwrap().to_string();
    layers.iter().map(digest).collect()
}

#[test]
fn directories_of_oci_hold_the_same_files_in_oci_words() {
    let Some(pair) = Pair::new() else { return };
    let line = "copy -q --digestfile digest docker-archive:single.tar oci:out:a";
    assert_eq!(pair.same(line).stdout, "");
    for desk in [&pair.theirs, &pair.ours] {
        let index = desk.json("out/index.json");
        let entry = &index["manifests"][0];
        assert_eq!(
            entry["mediaType"],
            "application/vnd.oci.image.manifest.v1+json"
        );
        assert_eq!(
            entry["annotations"]["org.opencontainers.image.ref.name"],
            "a"
        );
        let digest = std::fs::read_to_string(desk.at("digest")).unwrap();
        assert_eq!(entry["digest"], digest, "and no line's end");
        let manifest = desk.json(format!("out/blobs/{}", digest.replace(':', "/")));
        for layer in manifest["layers"].as_array().unwrap() {
            let kind = layer["mediaType"].as_str().unwrap();
            assert!(
                kind.ends_with("+gzip"),
                "plain layers are compressed: {kind}"
            );
        }
    }
    let theirs = unpacked(&pair, &pair.theirs, "out:a");
    assert_eq!(theirs, unpacked(&pair, &pair.ours, "out:a"));
}

#[test]
fn a_name_in_a_directory_of_oci_is_deleted_as_newer_versions_do() {
    let Some(pair) = Pair::new() else { return };
    for desk in [&pair.theirs, &pair.ours] {
        assert_eq!(desk.run("copy -q dir:gzip oci:out:a").code, Some(0));
    }
    let deleted = pair.same("delete oci:out:a");
    assert_eq!((deleted.code, deleted.stdout), (Some(0), String::new()));
    let manifests = &pair.ours.json("out/index.json")["manifests"];
    assert_eq!(manifests.as_array().unwrap().len(), 0, "{manifests}");
}

#[test]
fn archives_of_oci_are_read_by_both() {
    let Some(pair) = Pair::new() else { return };
    // Layers and configs that both leave as they are.
    pair.same("--override-arch arm64 copy -q dir:oci-index oci-archive:out.tar:a");
    let shown: Vec<_> = [&pair.theirs, &pair.ours]
        .map(|desk| {
            let archive = desk.at("out.tar").display().to_string();
            let config = format!("inspect --config --raw oci-archive:{archive}:a");
            assert_eq!(pair.ours.run(&config), pair.theirs.run(&config));
            pair.theirs.run(&config)
        })
        .into();
    assert_eq!(shown[0], shown[1]);
}

#[test]
fn compression_is_as_it_was_asked_for() {
    let Some(pair) = Pair::new() else { return };
    for (line, kind) in [
        (
            "copy -q --dest-compress-format zstd dir:gzip oci:NAME:a",
            ".tar+zstd",
        ),
        (
            "copy -q --dest-compress-level 9 dir:plain oci:NAME:a",
            ".tar+gzip",
        ),
        (
            "copy -q --dest-oci-accept-uncompressed-layers dir:plain oci:NAME:a",
            ".layer.v1.tar",
        ),
        ("copy -q --format v2s2 dir:gzip oci:NAME:a", ".tar.gzip"),
    ] {
        let name = format!("out{}", kind.replace('+', "-plus-"));
        let line = line.replace("NAME", &name);
        pair.same(&line);
        for desk in [&pair.theirs, &pair.ours] {
            let index = desk.json(format!("{name}/index.json"));
            let digest = index["manifests"][0]["digest"].as_str().unwrap();
            let manifest = desk.json(format!("{name}/blobs/{}", digest.replace(':', "/")));
            for layer in manifest["layers"].as_array().unwrap() {
                let said = layer["mediaType"].as_str().unwrap();
                assert!(said.ends_with(kind), "{line}: {said}");
            }
        }
    }
}

#[test]
fn archives_hold_the_image_under_its_names() {
    let Some(pair) = Pair::new() else { return };
    pair.same("copy --additional-tag x dir:gzip docker-archive:no.tar:foo/bar:1");
    let line = "copy --additional-tag foo/bar:2,x:3 dir:gzip docker-archive:out.tar:foo/bar:1";
    pair.same(line);
    for desk in [&pair.theirs, &pair.ours] {
        let archive = desk.at("out.tar");
        // What skopeo itself reads of it; the short names are those of `docker save`.
        let listed = pair
            .theirs
            .run(&format!("list-tags docker-archive:{}", archive.display()));
        let listed = listed.stdout.replace("docker.io/library/", "");
        let listed = listed.replace("docker.io/", "");
        for name in ["\"foo/bar:1\"", "\"foo/bar:2\"", "\"x:3\""] {
            assert!(listed.contains(name), "{listed}");
        }
        let config = pair.theirs.run(&format!(
            "inspect --config --raw docker-archive:{}",
            archive.display()
        ));
        let original = desk.run("inspect --config --raw dir:gzip");
        assert_eq!(config.stdout, original.stdout);
    }
}

#[test]
fn what_is_refused_is_refused_by_name_and_writes_nothing() {
    let desk = Desk::ours(None);
    for option in [
        "--encryption-key jwe:k",
        "--decryption-key k",
        "--encrypt-layer -1",
        "--sign-by A",
        "--sign-by-sigstore-private-key k",
        "--sign-identity x",
        "--sign-passphrase-file f",
        "--multi-arch index-only",
        "--format v2s1",
        "--dest-compress-format xz",
    ] {
        let ended = desk.run(&format!("copy {option} dir:gzip oci:out:a"));
        let name = option.split(' ').next().unwrap();
        assert_eq!(ended.code, Some(1), "{option}");
        assert!(
            ended.fatal.contains(name) && ended.fatal.contains("not there yet"),
            "{ended:?}"
        );
        assert!(!desk.at("out").exists(), "{option}");
    }
    for verb in ["standalone-sign", "standalone-verify"] {
        let ended = desk.run(&format!("{verb} --whatever a b"));
        let told = format!("skopeo {verb} is not there yet");
        assert!(ended.fatal.contains(&told), "{ended:?}");
    }
    let ended = desk.run("copy sif:x dir:out");
    let told = &ended.fatal;
    assert!(told.contains("Invalid source name sif:x"), "{told}");
}

#[test]
fn simple_signatures_are_not_lost_in_silence() {
    let desk = Desk::ours(None);
    assert_eq!(desk.run("copy -q dir:gzip dir:signed").code, Some(0));
    std::fs::write(desk.at("signed/signature-1"), "signed").unwrap();
    let refused = desk.run("copy dir:signed dir:out");
    assert!(refused.fatal.contains("Can not copy signatures to dir:out"));
    assert_eq!((refused.code, desk.at("out").exists()), (Some(1), false));
    let left = desk.run("copy --remove-signatures dir:signed dir:out");
    assert_eq!(left.code, Some(0), "{left:?}");
}
