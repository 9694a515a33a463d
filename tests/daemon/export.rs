//! An engine as the source.

use crate::fake::{Fake, Reply};
use crate::support::registry::Registry;
use crate::support::{
    archive_at, assert_whole, copy, fixture, image, noise, oci_at, tempdir, tree,
};
use crate::{id_of, idle, layout, tiny};

const NAME: &str = "docker-daemon:corpus/tiny:base";
const ASK: &str = "GET /images/corpus/tiny:base/json";
const GET: &str = "GET /images/corpus/tiny:base/get";

/// Has the one image, and says that it has this ID.
fn having(id: &str) -> impl Fn(&str) -> Option<Reply> + Send + Sync + use<> {
    let told = format!(r#"{{"Id":"{id}","RepoTags":["corpus/tiny:base"]}}"#);
    let archive = tiny();
    move |asked| match asked {
        ASK => Some(Reply::Text(200, told.clone())),
        GET => Some(Reply::Archive(archive.clone())),
        _ => None,
    }
}

fn tiny_id() -> String {
    id_of(&archive_at(&fixture("docker28/single.tar")))
}

#[test]
fn an_image_keeps_its_id_and_is_not_exported_again() {
    let engine = Fake::start(having(&tiny_id()));
    let home = tempdir();
    let to = layout(home.path());
    let first = engine.imgcopy(&["copy", "-q", NAME, &to]).ok().stdout;
    assert_eq!(engine.asked(), [GET]);
    assert_eq!(id_of(&to), tiny_id());

    let again = engine.imgcopy(&["copy", "-q", NAME, &to]).ok().stdout;
    assert_eq!(
        engine.asked(),
        [ASK],
        "what has not changed is not exported"
    );
    assert_eq!(again, first);
    idle(&engine.imgcopy(&["plan", NAME, &to]).ok());
    assert_eq!(engine.asked(), [ASK]);
    // The same as from the archive itself.
    let archive = archive_at(&fixture("docker28/single.tar"));
    assert_eq!(copy(&archive, &to), first.trim());
}

#[test]
fn an_export_is_copied_while_it_comes() {
    let layers: Vec<Vec<u8>> = (0..4).map(|seed| noise(seed, 300_000)).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let archive = image(&layers, "corpus/tiny:base").bytes();
    let home = tempdir();
    let file = home.path().join("file.tar");
    std::fs::write(&file, &archive).unwrap();
    let by_file = copy(
        &archive_at(&file),
        &oci_at(&home.path().join("by-file"), "a"),
    );
    let engine = Fake::start(move |asked| match asked {
        GET => Some(Reply::Archive(archive.clone())),
        _ => None,
    });
    let to = layout(home.path());
    let copied = engine.imgcopy_without_room(&["copy", "-q", NAME, &to]).ok();
    assert_eq!(copied.stdout.trim(), by_file);
    assert_eq!(assert_whole(&home.path().join("layout")), ["a"]);
}

#[test]
fn an_image_in_a_registry_is_not_exported_again() {
    let engine = Fake::start(having(&tiny_id()));
    let registry = Registry::start();
    let to = format!("docker://{}/team/tiny:1", registry.host());
    engine.imgcopy(&["copy", "-q", NAME, &to]).ok();
    assert_eq!(engine.asked(), [GET]);
    registry.assert_whole("team/tiny");
    registry.forget();
    let again = engine.imgcopy(&["copy", NAME, &to]).ok();
    assert_eq!(engine.asked(), [ASK]);
    let asked: Vec<String> = registry.log().iter().map(|it| it.method.clone()).collect();
    assert_eq!(asked, ["HEAD", "GET"], "{}", again.stderr);
}

#[test]
fn another_id_or_another_wish_is_exported() {
    let engine = Fake::start(having(&tiny_id()));
    let home = tempdir();
    let to = layout(home.path());
    engine.imgcopy(&["copy", "-q", NAME, &to]).ok();
    engine.asked();

    // Above containerd an ID is the digest of a manifest: it tells nothing, and nothing changes.
    engine.says(having(&format!("sha256:{}", "5".repeat(64))));
    idle(&engine.imgcopy(&["plan", NAME, &to]).ok());
    assert_eq!(engine.asked(), [GET, ASK]);
    engine.says(having(&tiny_id()));

    engine
        .imgcopy(&["copy", "-q", NAME, &to, "--compression", "none"])
        .ok();
    assert_eq!(engine.asked(), [GET]);
    // Now its layers are plain, and are to be compressed again.
    engine.imgcopy(&["copy", "-q", NAME, &to]).ok();
    assert_eq!(engine.asked(), [GET, ASK]);
}

#[test]
fn what_is_lost_at_the_destination_is_exported_again() {
    let engine = Fake::start(having(&tiny_id()));
    let home = tempdir();
    let to = layout(home.path());
    engine.imgcopy(&["copy", "-q", NAME, &to]).ok();
    let blobs = home.path().join("layout/blobs/sha256");
    let whole = tree(&blobs);
    for lost in &whole {
        engine.asked();
        std::fs::remove_file(blobs.join(lost)).unwrap();
        engine.imgcopy(&["copy", "-q", NAME, &to]).ok();
        assert!(engine.asked().contains(&GET.to_string()), "{lost}");
        assert_eq!(tree(&blobs), whole);
    }
}

#[test]
fn an_export_that_is_cut_short_leaves_nothing() {
    let archive = tiny();
    let half = archive[..archive.len() / 2].to_vec();
    // With the end of the stream missing, and with an end that comes too early.
    for (reply, why) in [
        (Reply::Torn(half.clone()), "broke off"),
        (Reply::Torn(archive), "broke off"),
        (Reply::Archive(half), "cannot read the export"),
    ] {
        let engine = Fake::start(move |asked| match asked {
            GET => Some(reply.clone()),
            ASK => Some(Reply::Text(
                200,
                format!(r#"{{"Id":"sha256:{}"}}"#, "5".repeat(64)),
            )),
            _ => None,
        });
        let home = tempdir();
        let told = engine
            .imgcopy(&["copy", NAME, &layout(home.path())])
            .fails(1);
        assert!(told.stderr.contains(why), "{}", told.stderr);
        assert_eq!(tree(home.path()), [""; 0]);
    }
}

#[test]
fn a_missing_image_is_not_found() {
    let engine = Fake::start(|_| None);
    let home = tempdir();
    let to = layout(home.path());
    let told = engine.imgcopy(&["copy", NAME, &to]).fails(2).stderr;
    assert!(told.contains("corpus/tiny:base"), "{told}");
    assert_eq!(tree(home.path()), [""; 0]);

    // Engines have answered an export of nothing with 500.
    engine.says(|asked| match asked {
        GET => Some(Reply::Text(
            500,
            r#"{"message":"reference does not exist"}"#.into(),
        )),
        _ => None,
    });
    engine.imgcopy(&["copy", NAME, &to]).fails(2);
}

#[test]
fn an_engine_that_refuses_is_quoted() {
    for (status, code, why) in [(500, 1, "the disk is on fire"), (403, 1, "not for you")] {
        let home = tempdir();
        let text = format!(r#"{{"message":"{why}\n"}}"#);
        let engine = Fake::start(move |_| Some(Reply::Text(status, text.clone())));
        let told = engine.imgcopy(&["copy", NAME, &layout(home.path())]);
        let told = told.fails(code).stderr;
        assert!(told.contains(why), "{told}");
        assert_eq!(tree(home.path()), [""; 0]);
    }
}

#[test]
fn images_are_named_by_id_and_by_the_digest_of_a_registry_too() {
    let id = tiny_id();
    for name in [id.clone(), format!("corpus/tiny@{id}")] {
        let path = format!("GET /images/{name}/get");
        let archive = tiny();
        let engine =
            Fake::start(move |asked| (asked == path).then(|| Reply::Archive(archive.clone())));
        let home = tempdir();
        let to = layout(home.path());
        engine
            .imgcopy(&["copy", "-q", &format!("docker-daemon:{name}"), &to])
            .ok();
        assert_eq!(id_of(&to), id);
    }
}

#[test]
fn names_are_listed_and_one_must_be_chosen() {
    let engine = Fake::start(|asked| {
        let list =
            r#"[{"RepoTags":["b:2","a/b:1"]},{"RepoTags":["<none>:<none>"]},{"RepoTags":null}]"#;
        (asked == "GET /images/json").then(|| Reply::Text(200, list.into()))
    });
    let told = engine.imgcopy(&["tags", "docker-daemon:"]).ok().stdout;
    assert_eq!(told, "a/b:1\nb:2\n");
    let told = engine
        .imgcopy(&["inspect", "docker-daemon:"])
        .fails(1)
        .stderr;
    assert!(told.contains("docker-daemon:NAME:TAG"), "{told}");
}
