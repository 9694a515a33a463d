//! An engine as the destination.

use crate::fake::{Fake, Reply};
use crate::support::{archive_at, copy, fixture, image, noise, oci_at, tempdir};
use crate::{id_of, idle};

const LOAD: &str = "POST /images/load?quiet=1";

/// Has nothing, and answers a load so.
fn loading(reply: Reply) -> impl Fn(&str) -> Option<Reply> + Send + Sync {
    move |asked| (asked == LOAD).then(|| reply.clone())
}

fn loaded() -> Reply {
    Reply::Takes(r#"{"stream":"Loaded image: x:1\n"}"#.into())
}

/// A directory with an image of compressed layers in it.
fn source(home: &std::path::Path) -> String {
    let layout = oci_at(&home.join("source"), "a");
    copy(&archive_at(&fixture("docker28/manylayers.tar")), &layout);
    layout
}

#[test]
fn what_is_loaded_is_the_archive_that_docker_load_would_read() {
    let engine = Fake::start(loading(loaded()));
    let home = tempdir();
    let from = source(home.path());
    let told = engine.imgcopy(&["copy", "-q", &from, "docker-daemon:own/many:1"]);
    assert_eq!(told.ok().stdout.trim(), id_of(&from), "an engine knows IDs");
    let sent = engine.sent();
    assert!(sent.is_whole);
    let archive = archive_at(&home.path().join("x.tar"));
    copy(&from, &format!("{archive}:own/many:1"));
    assert!(sent.bytes == std::fs::read(home.path().join("x.tar")).unwrap());
}

#[test]
fn an_image_that_is_there_is_not_sent_and_gets_what_names_it_lacks() {
    let home = tempdir();
    let from = source(home.path());
    let id = id_of(&from);
    let told = format!(r#"{{"Id":"{id}"}}"#);
    let by_id = format!("GET /images/{id}/json");
    let tag = format!("POST /images/{id}/tag?repo=localhost%3A5000%2Fa%2Fnew&tag=2");
    let (known, tagging) = (by_id.clone(), tag.clone());
    let engine = Fake::start(move |asked| match asked {
        "GET /images/own/many:1/json" => Some(Reply::Text(200, told.clone())),
        asked if asked == known => Some(Reply::Text(200, told.clone())),
        asked if asked == tagging => Some(Reply::Text(201, String::new())),
        _ => None,
    });
    let named = "docker-daemon:own/many:1";
    let copied = engine.imgcopy(&["copy", "-q", &from, named]).ok();
    assert_eq!(copied.stdout.trim(), id);
    assert_eq!(
        engine.asked(),
        ["GET /images/own/many:1/json".into(), by_id.clone()]
    );
    idle(&engine.imgcopy(&["plan", &from, named]).ok());
    engine.asked();

    // The image alone, without a name.
    engine
        .imgcopy(&["copy", "-q", &from, "docker-daemon:"])
        .ok();
    assert_eq!(engine.asked(), std::slice::from_ref(&by_id));

    // Of two names one is missing: nothing moves but that.
    let new = "docker-daemon:localhost:5000/a/new:2";
    let copied = engine.imgcopy(&["copy", "-q", &from, new]).ok();
    assert_eq!(copied.stdout.trim(), id);
    let asked = engine.asked();
    assert!(asked.contains(&tag), "{asked:?}");
    assert!(!asked.contains(&LOAD.to_string()), "{asked:?}");
}

#[test]
fn an_id_that_is_not_that_of_the_config_proves_nothing() {
    let home = tempdir();
    let from = source(home.path());
    let other = format!(r#"{{"Id":"sha256:{}"}}"#, "5".repeat(64));
    let engine = Fake::start(move |asked| match asked {
        LOAD => Some(loaded()),
        _ => Some(Reply::Text(200, other.clone())),
    });
    engine
        .imgcopy(&["copy", "-q", &from, "docker-daemon:own/many:1"])
        .ok();
    assert!(engine.sent().is_whole);
}

#[test]
fn several_images_go_by_one_request_and_keep_their_names() {
    let engine = Fake::start(loading(loaded()));
    let home = tempdir();
    let multi = archive_at(&fixture("docker28/multitag.tar"));
    let many = archive_at(&fixture("docker28/manylayers.tar"));
    engine
        .imgcopy(&["copy", "-q", &multi, &many, "docker-daemon:"])
        .ok();
    let loads = engine.asked().iter().filter(|asked| *asked == LOAD).count();
    assert_eq!(loads, 1);
    let both = home.path().join("both.tar");
    std::fs::write(&both, engine.sent().bytes).unwrap();
    let names = |place: &str| crate::imgcopy(["tags", place]).ok().stdout;
    assert_eq!(names(&archive_at(&both)), names(&multi) + &names(&many));
}

#[test]
fn a_load_that_fails_in_its_own_stream_is_a_failure() {
    let home = tempdir();
    let from = source(home.path());
    let said = r#"{"stream":"x"}{"errorDetail":{"message":"bad layer"},"error":"bad layer"}"#;
    let engine = Fake::start(loading(Reply::Takes(said.into())));
    let told = engine.imgcopy(&["copy", "-q", &from, "docker-daemon:own/many:1"]);
    let told = told.fails(1).stderr;
    assert!(told.contains("the engine says: bad layer"), "{told}");
}

/// An image that no socket can hold at once.
fn large(home: &std::path::Path) -> String {
    let archive = image(&[&noise(1, 8 << 20), &noise(2, 8 << 20)], "big:1");
    archive_at(&archive.write(home, "big.tar"))
}

#[test]
fn an_engine_that_hangs_up_is_a_clear_error() {
    let home = tempdir();
    for bytes in [1, 1 << 20] {
        let engine = Fake::start(loading(Reply::HangsUp(bytes)));
        let from = large(home.path());
        let told = engine
            .imgcopy(&["copy", "-q", &from, "docker-daemon:"])
            .fails(1)
            .stderr;
        assert!(told.contains("did not load"), "{told}");
        assert!(!engine.sent().is_whole);
    }
}

#[test]
fn an_engine_that_refuses_before_all_is_sent_is_quoted() {
    let home = tempdir();
    let refusal = r#"{"message":"no space left, go away"}"#;
    let engine = Fake::start(loading(Reply::Hurries(500, refusal.into())));
    let told = engine.imgcopy(&["copy", "-q", &large(home.path()), "docker-daemon:"]);
    let told = told.fails(1).stderr;
    assert!(told.contains("no space left, go away"), "{told}");
}

#[test]
fn a_bad_source_is_never_sent_to_its_end() {
    let home = tempdir();
    let path = image(&[&noise(1, 8 << 20)], "big:1").write(home.path(), "bad.tar");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4 << 20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let engine = Fake::start(loading(loaded()));
    let told = engine.imgcopy(&["copy", "-q", &archive_at(&path), "docker-daemon:own/bad:1"]);
    let told = told.fails(1).stderr;
    assert!(told.contains("its bytes are"), "{told}");
    let sent = engine.sent();
    assert!(!sent.is_whole && sent.bytes.len() > 4 << 20);
}

#[test]
fn what_an_engine_cannot_hold_is_refused_before_it_is_asked() {
    let engine = Fake::start(|_| None);
    let home = tempdir();
    let from = source(home.path());
    for (args, why) in [
        (
            vec!["docker-daemon:own/many:1", "--all"],
            "holds no indexes",
        ),
        (
            vec!["docker-daemon:own/many:1", "--compression", "zstd"],
            "plain layers only",
        ),
        (
            vec![&*format!("docker-daemon:sha256:{}", "5".repeat(64))],
            "cannot be written to",
        ),
        (
            vec![&*format!("docker-daemon:a@sha256:{}", "5".repeat(64))],
            "invalid image name",
        ),
        (
            vec!["docker-daemon:a:1", "--additional-tag", "No/Name"],
            "invalid image name",
        ),
    ] {
        let args: Vec<&str> = ["copy", &from].into_iter().chain(args).collect();
        let told = engine.imgcopy(&args).fails(64).stderr;
        assert!(told.contains(why), "{told}");
    }
    let told = engine
        .imgcopy(&["delete", "docker-daemon:a:1"])
        .fails(1)
        .stderr;
    assert!(told.contains("docker image rm"), "{told}");
    assert_eq!(engine.asked(), [""; 0]);
}
