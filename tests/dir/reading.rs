//! Reading: the fixtures are what podman 4 and skopeo 1.9.3 wrote.

use super::*;
use imgcopy::error::ErrorKind;
use imgcopy::image::{Digest, Name};
use imgcopy::store::Store as _;
use imgcopy::store::dir::Dir;

const GOOD: [&str; 4] = ["gzip", "plain", "list", "oci-index"];

fn error_of(directory: &Path) -> imgcopy::error::Error {
    Dir::open(directory).err().unwrap()
}

#[test]
fn every_byte_comes_through_and_comes_back() {
    for name in GOOD {
        let original = fixture("dir").join(name);
        let folder = tempdir();
        let (layout, back) = (folder.path().join("layout"), folder.path().join("back"));
        let (digest, others) = whole(&original);
        assert_eq!(others, [""; 0]);
        let copied = copy_here(&dir_at(&original), &oci_at(&layout, "a")).unwrap();
        assert_eq!(copied, digest, "{name}");
        assert_eq!(assert_whole(&layout), ["a"]);
        copy_here(&oci_at(&layout, "a"), &dir_at(&back)).unwrap();
        assert_eq!(files(&back), files(&original), "{name}");
        let again = folder.path().join("again");
        copy_here(&dir_at(&original), &dir_at(&again)).unwrap();
        assert_eq!(files(&again), files(&original), "{name}");
    }
}

#[test]
fn every_verb_that_reads_knows_it() {
    for name in GOOD {
        let original = fixture("dir").join(name);
        let place = dir_at(&original);
        let (digest, _) = whole(&original);
        let told = imgcopy(["digest", &place]).ok().stdout;
        assert_eq!(told.trim(), digest);
        let verified = imgcopy(["verify", &place]).ok().stdout;
        assert!(verified.contains("is whole"), "{verified}");
        let raw = imgcopy(["inspect", "--raw", &place]).ok().stdout;
        assert_eq!(truth::digest("sha256", raw.as_bytes()), digest);
        let shown = imgcopy(["inspect", &place, "--platform", "linux/amd64"]).ok();
        assert!(shown.stdout.contains("Layer 1"), "{}", shown.stdout);
        assert_eq!(imgcopy(["tags", &place]).ok().stdout, "@0\n");
    }
}

#[tokio::test]
async fn the_one_image_is_found_by_nothing_by_position_and_by_digest() {
    let original = fixture("dir/list");
    let place = Dir::open(&original).unwrap();
    let (digest, _) = whole(&original);
    let digest: Digest = digest.parse().unwrap();
    for name in [Name::Sole, Name::At(0), Name::Digest(digest.clone())] {
        let found = place.resolve(&name).await.unwrap().unwrap();
        assert_eq!(found.digest, digest);
        let manifest = place.manifest(&found).await.unwrap();
        for child in manifest.children() {
            let name = Name::Digest(child.digest.clone());
            let found = place.resolve(&name).await.unwrap().unwrap();
            assert_eq!(found.digest, child.digest);
            assert_eq!(found.media_type, child.media_type);
        }
    }
    let bytes = std::fs::read(original.join("manifest.json")).unwrap();
    let longer = Digest::by(imgcopy::image::Algorithm::Sha512, &bytes);
    let found = place.resolve(&Name::Digest(longer.clone())).await.unwrap();
    assert_eq!(found.unwrap().digest, longer);
    for name in [Name::At(1), Name::Digest(Digest::of(b"other"))] {
        assert_eq!(place.resolve(&name).await.unwrap(), None);
    }
    for name in ["latest".parse().map(Name::Tag).unwrap(), {
        Name::Pinned("latest".parse().unwrap(), digest)
    }] {
        let error = place.resolve(&name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("no name"), "{error}");
    }
}

#[test]
fn the_form_of_2017_is_read_and_not_written_to() {
    let folder = tempdir();
    let old = folder.path().join("old");
    copy_of(&fixture("dir/gzip"), &old);
    std::fs::write(old.join("version"), VERSION.replace("1.1", "1.0")).unwrap();
    for name in tree(&old).iter().filter(|name| name.len() == 64) {
        std::fs::rename(old.join(name), old.join(format!("{name}.tar"))).unwrap();
    }
    let layout = folder.path().join("layout");
    let digest = copy_here(&dir_at(&old), &oci_at(&layout, "a")).unwrap();
    assert_eq!(digest, whole(&fixture("dir/gzip")).0);
    let before = stamps(&old);
    let run = imgcopy([oci_at(&layout, "a"), dir_at(&old)]).fails(1);
    assert!(run.stderr.contains("version 1.0"), "{}", run.stderr);
    assert_eq!(stamps(&old), before);
}

#[test]
fn a_layer_of_the_new_form_has_no_suffix() {
    let folder = tempdir();
    let place = folder.path().join("d");
    copy_of(&fixture("dir/gzip"), &place);
    let blob = tree(&place).into_iter().find(|name| name.len() == 64);
    let blob = place.join(blob.unwrap());
    std::fs::rename(&blob, blob.with_extension("tar")).unwrap();
    let run = imgcopy(["verify", &dir_at(&place)]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
}

#[test]
fn what_is_no_such_directory_says_what_it_lacks() {
    let folder = tempdir();
    let place = folder.path().join("d");
    assert_eq!(error_of(&place).kind(), ErrorKind::NoPlace);
    std::fs::create_dir(&place).unwrap();
    assert_eq!(error_of(&place).kind(), ErrorKind::Invalid);
    let layout = fixture("podman/oci-dir");
    let told = error_of(&layout).to_string();
    assert!(
        told.contains(&format!("oci:{}", layout.display())),
        "{told}"
    );
    for (text, kind) in [
        ("Directory Transport Version: 1.2\n", ErrorKind::Unsupported),
        (
            "Directory Transport Version: \u{1b}[2J",
            ErrorKind::Unsupported,
        ),
        ("something else", ErrorKind::Invalid),
        ("", ErrorKind::Invalid),
    ] {
        std::fs::write(place.join("version"), text).unwrap();
        let error = error_of(&place);
        assert_eq!(error.kind(), kind, "{text}");
        assert!(!told.contains('\u{1b}'), "{error}");
    }
    std::fs::write(place.join("version"), VERSION).unwrap();
    let run = imgcopy(["inspect", &dir_at(&place)]).fails(2);
    assert!(run.stderr.contains("holds no image"), "{}", run.stderr);
}

#[test]
fn schema_1_is_refused_as_elsewhere() {
    let sandbox = Sandbox::new();
    let source = dir_at(&fixture("dir/schema1"));
    let copied = sandbox.copy_from(&source);
    let told = sandbox.is_bad(copied);
    assert!(told.contains("schema 1"), "{told}");
}

/// A change of a file that makes an image bad.
type Damage = fn(&Path);

#[test]
fn s12_what_is_missing_or_damaged_is_found_and_leaves_nothing() {
    let damages: [(&str, Damage); 4] = [
        ("missing", |at| std::fs::remove_file(at).unwrap()),
        ("empty", |at| std::fs::write(at, "").unwrap()),
        ("longer", |at| {
            let longer = [std::fs::read(at).unwrap(), vec![b' ']].concat();
            std::fs::write(at, longer).unwrap();
        }),
        ("another byte", |at| {
            let mut bytes = std::fs::read(at).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(at, bytes).unwrap();
        }),
    ];
    for name in ["gzip", "list"] {
        for file in tree(&fixture("dir").join(name)) {
            // A manifest without its index, or an index without one of its images, is legitimate.
            let is_child = file.ends_with(".manifest.json");
            let is_root = ["manifest.json", "version"].contains(&file.as_str());
            for (how, damage) in damages {
                if (is_child && how == "missing") || (is_root && how != "empty") {
                    continue;
                }
                let folder = tempdir();
                let [place, out] = ["d", "new/out"].map(|name| folder.path().join(name));
                copy_of(&fixture("dir").join(name), &place);
                damage(&place.join(&file));
                let error = copy_here(&dir_at(&place), &dir_at(&out)).unwrap_err();
                assert!(error.is_bad_source(), "{how} {file}: {}", told(&error));
                assert_eq!(tree(&folder.path().join("new")), [""; 0], "{how} {file}");
                assert!(!folder.path().join("new").exists());
            }
        }
    }
}

#[test]
fn simple_signatures_are_counted_and_no_part_of_the_image() {
    let folder = tempdir();
    let place = folder.path().join("d");
    copy_of(&fixture("dir/list"), &place);
    assert_eq!(Dir::open(&place).unwrap().signatures().unwrap(), 0);
    let child = tree(&place)
        .into_iter()
        .find(|name| name.len() > 64)
        .unwrap();
    let (hex, _) = child.split_once('.').unwrap();
    for name in ["signature-1", "signature-2", &format!("{hex}.signature-1")] {
        std::fs::write(place.join(name), "signed").unwrap();
    }
    assert_eq!(Dir::open(&place).unwrap().signatures().unwrap(), 3);
    let out = folder.path().join("out");
    copy_here(&dir_at(&place), &dir_at(&out)).unwrap();
    assert_eq!(files(&out), files(&fixture("dir/list")));
}
