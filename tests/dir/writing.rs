//! Writing: the directory holds the old image or the new one, and nothing that is not ours goes.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::*;
use imgcopy::error::ErrorKind;
use imgcopy::image::{Manifest, MediaType, Name};
use imgcopy::store::dir::Dir;
use imgcopy::store::{Destination as _, Memory, Role, Store as _};

/// Every OCI directory of the fixtures that is good.
fn layouts() -> Vec<PathBuf> {
    let folders = ["podman", "variants", "others"];
    let all = folders.iter().flat_map(|folder| fixtures(folder));
    let all: Vec<PathBuf> = all
        .filter(|path| path.join("oci-layout").is_file())
        .collect();
    assert!(all.len() > 10);
    all
}

#[test]
fn every_image_keeps_its_digest_there_and_back() {
    for layout in layouts() {
        for position in 0..truth::entries(&layout).len() {
            let folder = tempdir();
            let [place, back] = ["d", "back"].map(|name| folder.path().join(name));
            let source = format!("oci:{}:@{position}", layout.display());
            let digest = copy_here(&source, &dir_at(&place)).unwrap();
            assert_eq!(whole(&place), (digest.clone(), vec![]), "{source}");
            let again = copy_here(&dir_at(&place), &oci_at(&back, "a")).unwrap();
            assert_eq!(again, digest, "{source}");
            assert_eq!(truth::entry(&back, "a")["digest"], digest);
        }
    }
}

#[test]
fn a_second_copy_plans_nothing_and_writes_nothing() {
    let folder = tempdir();
    let sources = [
        first_of("podman/oci-index"),
        first_of("variants/oci-sha512-layers"),
        dir_at(&fixture("dir/list")),
        archive_at(&fixture("docker20/single.tar")),
        archive_at(&fixture("docker28/single.tar")),
    ];
    for (n, source) in sources.iter().enumerate() {
        let place = folder.path().join(format!("{n}"));
        let digest = copy(source, &dir_at(&place));
        let before = stamps(&place);
        let planned = plan(source, &dir_at(&place));
        assert_eq!(planned["isEmpty"], true, "{source}: {planned}");
        assert_eq!(copy(source, &dir_at(&place)), digest);
        assert_eq!(stamps(&place), before, "{source}");
    }
}

#[test]
fn an_archive_becomes_gzip_or_zstd_and_the_layers_of_another_image_serve() {
    let folder = tempdir();
    let place = folder.path().join("d");
    let archive = format!(
        "{}:corpus/tiny",
        archive_at(&fixture("docker20/multiimage.tar"))
    );
    copy(&format!("{archive}:base"), &dir_at(&place));
    let planned = plan(&format!("{archive}:child1"), &dir_at(&place));
    let steps = planned["plan"]["blobs"].as_array().unwrap();
    let kept = steps.iter().filter(|step| step["action"] == "keep");
    assert_eq!(kept.count(), 2, "{planned}");
    let digest = copy(&format!("{archive}:child1"), &dir_at(&place));
    assert_eq!(whole(&place), (digest, vec![]));
    let args = [format!("{archive}:base"), dir_at(&place)];
    let zstd = ["--compression", "zstd", "-q"];
    imgcopy(args.iter().map(String::as_str).chain(zstd)).ok();
    imgcopy(["verify", &dir_at(&place)]).ok();
    let manifest = fs::read_to_string(place.join("manifest.json")).unwrap();
    assert!(manifest.contains("tar+zstd"), "{manifest}");
    assert_eq!(whole(&place).1, [""; 0]);
}

#[test]
fn another_image_takes_the_place_and_what_is_not_ours_stays() {
    let folder = tempdir();
    let place = folder.path().join("d");
    copy_of(&fixture("dir/list"), &place);
    let child = tree(&place)
        .into_iter()
        .find(|name| name.len() > 64)
        .unwrap();
    let signed = child.replace("manifest.json", "signature-1");
    // Signatures of what goes away go, too.
    for name in ["signature-1", "signature-2", &signed] {
        fs::write(place.join(name), "signed").unwrap();
    }
    let foreign = sha256(b"something else");
    let others = [&foreign, "notes.txt", "signature-of-mine", "sub/file"];
    fs::create_dir(place.join("sub")).unwrap();
    for name in others {
        fs::write(place.join(name), "something else").unwrap();
    }
    let digest = copy(&first_of("podman/oci-dir"), &dir_at(&place));
    let (found, mut left) = whole(&place);
    assert_eq!(found, digest);
    let mut expected = vec![
        foreign.as_str(),
        "notes.txt",
        "signature-of-mine",
        "sub",
        "sub/file",
    ];
    expected.sort_unstable();
    left.sort_unstable();
    assert_eq!(left, expected);
}

#[test]
fn signatures_stay_while_the_image_stays() {
    let folder = tempdir();
    let place = folder.path().join("d");
    let source = dir_at(&fixture("dir/gzip"));
    copy(&source, &dir_at(&place));
    fs::write(place.join("signature-1"), "signed").unwrap();
    let layer = tree(&place).into_iter().find(|name| name.len() == 64);
    fs::remove_file(place.join(layer.unwrap())).unwrap();
    copy(&source, &dir_at(&place));
    assert_eq!(whole(&place).1, ["signature-1"]);
}

#[test]
fn an_image_of_an_index_takes_its_place_and_gives_it_back() {
    let folder = tempdir();
    let (place, one) = (folder.path().join("d"), folder.path().join("one"));
    let index = dir_at(&fixture("dir/list"));
    let platform = ["--platform", "linux/amd64", "-q"];
    let args = [index.clone(), dir_at(&one)];
    imgcopy(args.iter().map(String::as_str).chain(platform)).ok();
    for source in [index.clone(), dir_at(&one), index] {
        let digest = copy(&source, &dir_at(&place));
        assert_eq!(whole(&place), (digest, vec![]), "{source}");
    }
}

#[test]
fn s08_what_is_damaged_is_told_and_written_anew() {
    let source = dir_at(&fixture("dir/list"));
    for file in tree(&fixture("dir/list")) {
        if file == "version" {
            continue;
        }
        for damage in ["", "other", "a link", "a directory"] {
            // A link in place of the manifest itself is refused: see `hostile`.
            let is_root = file == "manifest.json";
            if is_root && damage.starts_with("a ") {
                continue;
            }
            let folder = tempdir();
            let place = folder.path().join("d");
            copy_of(&fixture("dir/list"), &place);
            let at = place.join(&file);
            let good = fs::read(&at).unwrap();
            fs::remove_file(&at).unwrap();
            match damage {
                "other" => fs::write(&at, vec![b'x'; good.len()]).unwrap(),
                "a link" => std::os::unix::fs::symlink("/etc/passwd", &at).unwrap(),
                "a directory" => fs::create_dir(&at).unwrap(),
                text => fs::write(&at, text).unwrap(),
            }
            if !is_root {
                let planned = plan(&source, &dir_at(&place)).to_string();
                assert!(
                    planned.contains("the one there "),
                    "{damage} {file}: {planned}"
                );
            }
            copy_here(&source, &dir_at(&place)).unwrap();
            assert_eq!(
                files(&place),
                files(&fixture("dir/list")),
                "{damage} {file}"
            );
        }
    }
}

#[test]
fn a_bad_source_leaves_the_old_image_and_no_trace_of_a_new_one() {
    let bad = format!("oci:{}", fixture("broken/oci-blob-bitflip").display());
    let folder = tempdir();
    let place = folder.path().join("new/d");
    copy_here(&bad, &dir_at(&place)).unwrap_err();
    assert_eq!(tree(folder.path()), [""; 0]);
    copy_of(&fixture("dir/list"), &place);
    copy_here(&bad, &dir_at(&place)).unwrap_err();
    assert_eq!(files(&place), files(&fixture("dir/list")));
}

/// Images whose copies take some tens of milliseconds. All share their lowest layer.
fn some_images(directory: &Path) -> Vec<String> {
    let shared = noise(0, 300_000);
    let write = |n: u64| {
        let noisy = noise(n, 900_000);
        let archive = image(&[&shared, &noisy], "app:1").write(directory, &format!("{n}.tar"));
        let layout = directory.join(format!("{n}"));
        copy_here(&archive_at(&archive), &oci_at(&layout, "a")).unwrap();
        oci_at(&layout, "a")
    };
    (1..4).map(write).collect()
}

fn digests(sources: &[String]) -> Vec<String> {
    let digest = |source: &String| imgcopy(["digest", source]).ok().stdout.trim().to_string();
    sources.iter().map(digest).collect()
}

#[test]
fn f91_kills_at_random_moments_leave_the_old_image_or_the_new_one() {
    let temporary = tempdir();
    let sources = some_images(temporary.path());
    let digests = digests(&sources);
    let place = temporary.path().join("d");
    copy_here(&sources[0], &dir_at(&place)).unwrap();
    let spawn = |source: &String| {
        let mut command = command();
        let command = command.args(["copy", "-q"]);
        let command = command.args([source, &dir_at(&place)]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.unwrap()
    };
    let begun = Instant::now();
    assert!(spawn(&sources[1]).wait().unwrap().success());
    let mut lifetime = Lifetime::of_copies();
    lifetime.is_at_least(begun.elapsed());
    let (mut killed, mut swept) = (0, 0);
    for n in 0_usize.. {
        if killed >= 20 && swept > 0 {
            break;
        }
        assert!(n < 400, "{killed} kills, {swept} swept");
        let mut child = spawn(&sources[n % 3]);
        killed += usize::from(lifetime.kill(&mut child, n as u64));
        let (found, left) = whole(&place);
        assert!(digests.contains(&found), "{found}");
        swept += left.iter().filter(|it| it.starts_with(".imgcopy")).count();
        if n % 4 == 3 {
            assert!(spawn(&sources[n % 3]).wait().unwrap().success());
            let (found, left) = whole(&place);
            assert_eq!(found, digests[n % 3]);
            // Finished blobs of a dead copy may lie about, but nothing unfinished.
            assert!(left.iter().all(|name| name.len() == 64), "{left:?}");
        }
    }
}

#[test]
fn r17_an_interrupt_leaves_nothing_half_done() {
    let temporary = tempdir();
    let part = noise(1, 1 << 20);
    let layers: Vec<Vec<u8>> = (0..8_u8)
        .map(|n| [&[n; 512][..], &part.repeat(40)].concat())
        .collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let long = image(&layers, "long:1").write(temporary.path(), "long.tar");
    let place = temporary.path().join("d");
    copy_of(&fixture("dir/gzip"), &place);
    let mut command = command();
    let command = command.args(["copy", "-q", &archive_at(&long), &dir_at(&place)]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !tree(&place)
        .iter()
        .any(|name| name.contains(".imgcopy-") && name.contains('/'))
    {
        assert_eq!(child.try_wait().unwrap(), None, "it ended too early");
        assert!(begun.elapsed() < Duration::from_secs(20), "it got nowhere");
        std::thread::sleep(Duration::from_millis(1));
    }
    Run::of(std::process::Command::new("kill").args(["-INT", &child.id().to_string()])).ok();
    let status = ends_within(&mut child, Duration::from_secs(2));
    assert_eq!(status.code(), Some(130), "{status}");
    let (found, left) = whole(&place);
    assert_eq!(found, whole(&fixture("dir/gzip")).0);
    assert!(left.iter().all(|name| name.len() == 64), "{left:?}");
}

#[test]
fn f93_of_many_writers_at_once_one_wins_and_its_image_is_whole() {
    let temporary = tempdir();
    let sources = some_images(temporary.path());
    let digests = digests(&sources);
    for round in 0..8 {
        let place = temporary.path().join(format!("d{}", round / 4));
        std::thread::scope(|scope| {
            for source in sources.iter().chain(&sources) {
                let place = dir_at(&place);
                scope.spawn(move || copy_here(source, &place).unwrap());
            }
        });
        let (found, left) = whole(&place);
        assert!(digests.contains(&found), "{found}");
        assert!(left.iter().all(|name| name.len() == 64), "{left:?}");
    }
}

#[tokio::test]
async fn a_name_cannot_be_given() {
    let folder = tempdir();
    let path = folder.path().join("d");
    let place = Dir::open_or_new(&path).unwrap();
    let memory = Memory::new();
    let config = memory.add(MediaType::OCI_CONFIG, "{}");
    let image = Manifest::image(&config, &[]).unwrap();
    let tags = ["latest".parse().unwrap()];
    let error = place.put_manifest(&image, Role::Root(&tags)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("no name"), "{error}");
    let error = place.delete(&Name::Sole).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_image_that_was_counted_on_and_vanished_is_missed() {
    let folder = tempdir();
    let path = folder.path().join("d");
    copy_of(&fixture("dir/list"), &path);
    let bytes = fs::read(path.join("manifest.json")).unwrap();
    fs::remove_file(path.join("manifest.json")).unwrap();
    let index = Manifest::of(bytes.into(), MediaType::default()).unwrap();
    let lost = &index.children()[0];
    let file = path.join(format!("{}.manifest.json", lost.digest.hex()));
    // Nobody asked for it: the index is a sparse one.
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let place = Dir::open_or_new(&path).unwrap();
    place.put_manifest(&index, Role::Root(&[])).await.unwrap();
    place.finish().await.unwrap();
    fs::remove_file(path.join("manifest.json")).unwrap();
    // It was there a moment ago.
    fs::write(&file, kept).unwrap();
    place.presence(lost).await.unwrap();
    fs::remove_file(&file).unwrap();
    let error = place.put_manifest(&index, Role::Root(&[])).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Changed);
    assert!(!path.join("manifest.json").exists());
}

#[tokio::test]
async fn what_refers_to_an_image_never_takes_its_place() {
    let folder = tempdir();
    let path = folder.path().join("d");
    copy_of(&fixture("dir/gzip"), &path);
    let place = Dir::open_or_new(&path).unwrap();
    let memory = Memory::new();
    let config = memory.add(MediaType::OCI_CONFIG, "{}");
    let blob = imgcopy::store::blob::Blob::memory(config.clone(), "{}".into());
    place.put_blob(blob).await.unwrap();
    let subject = place.resolve(&Name::Sole).await.unwrap().unwrap();
    let text = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
        "config": config, "layers": [], "subject": subject,
    });
    let signature = Manifest::of(text.to_string().into(), MediaType::default()).unwrap();
    let error = place.put_manifest(&signature, Role::Root(&[])).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    place.discard().await.unwrap();
    assert_eq!(files(&path), files(&fixture("dir/gzip")));
    // By itself it is an image like any other.
    let alone = Dir::open_or_new(&folder.path().join("alone")).unwrap();
    let blob = imgcopy::store::blob::Blob::memory(config, "{}".into());
    alone.put_blob(blob).await.unwrap();
    alone
        .put_manifest(&signature, Role::Root(&[]))
        .await
        .unwrap();
    alone.finish().await.unwrap();
    let (digest, left) = whole(&folder.path().join("alone"));
    assert_eq!(
        (digest, left),
        (signature.descriptor().digest.to_string(), vec![])
    );
}
