//! Registries made to harm: endless answers, lists without end, tags that never stand still (S-11 to
//! S-23), and what a destination learns of its other repositories (S-57).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "quirks/kit.rs"]
mod kit;
mod support;

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::Name;
use imgcopy::store::Store as _;
use kit::{REPO, at, copy_by, copy_of, registries, source};
use serde_json::{Value, json};
use support::registry::{
    Action, Auth, Fault, Form, Framing, Hangup, Image, OCI_INDEX, OCI_MANIFEST, Options, Registry,
    Response, TokenRules,
};
use support::{Run, command, tempdir, told};

const MIB: usize = 1 << 20;

fn small(seed: u64) -> Image {
    Image::new(Form::OciGzip, &[100], seed)
}

/// A registry with a small image as `1`.
fn registry() -> Registry {
    let server = Registry::start();
    server.add(REPO, Some("1"), &small(1));
    server
}

async fn tags(server: &Registry) -> Result<Vec<String>> {
    let names = source(server).names().await?;
    Ok(names.iter().map(Name::to_string).collect())
}

/// An answer that begins with this and then has spaces for ever. Whoever reads to its end stands
/// still after `sent` bytes.
fn endless(status: u16, media_type: &str, begin: &str, sent: usize) -> Response {
    let mut body = begin.as_bytes().to_vec();
    body.resize(sent, b' ');
    let mut response = Response::new(status).body(media_type, body);
    response.framing = Framing::Chunked;
    response.end = Some((sent, Hangup::Stall));
    response
}

/// It was given up for its size, and not because nothing more came.
#[track_caller]
fn is_over_the_limit(error: &Error) {
    let told = told(error);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{told}");
    assert!(told.contains("over the limit"), "{told}");
}

// --- tags that move ---

/// `imgcopy copy` from a tag that stands for another image at each request. Gives what it printed.
fn copy_a_flickering_tag(of: &[String], from: &Registry, to: &Registry) -> Run {
    let (count, all) = (AtomicUsize::new(0), of.to_vec());
    let flicker = Action::ask(move |request| {
        let next = &all[count.fetch_add(1, Ordering::SeqCst) % all.len()];
        request.path = request
            .path
            .replace("/manifests/1", &format!("/manifests/{next}"));
    });
    from.fail(Fault::on("*", "/manifests/1").always().then(flicker));
    Run::of(command().args([at(from, REPO, "1"), at(to, "b/app", "1")])).ok()
}

#[test]
fn s11_a_tag_that_moves_at_every_request_gives_one_whole_image() {
    let (from, to) = (Registry::start(), Registry::start());
    let index = |tag: &str, seeds: [u64; 2]| {
        let children = seeds.map(|seed| from.add(REPO, None, &small(seed)));
        from.add_index(
            REPO,
            tag,
            &[("amd64", &children[0]), ("arm64", &children[1])],
        )
    };
    let all = [
        index("a", [1, 2]),
        from.add(REPO, None, &small(3)),
        index("b", [2, 4]),
        from.add(REPO, None, &small(5)),
    ];
    // Where there is nothing; and then where there is an image, by which the source is asked first.
    for _ in 0..5 {
        let printed = copy_a_flickering_tag(&all, &from, &to);
        let arrived = to.tag_of("b/app", "1").unwrap();
        assert!(all.contains(&arrived));
        let said = format!("{}{}", printed.stdout, printed.stderr);
        assert!(said.contains(&arrived), "{arrived}: {said}");
        to.assert_whole("b/app");
        from.heal();
    }
}

// --- answers without end ---

#[tokio::test]
async fn s17_s18_no_answer_is_read_beyond_its_limit() {
    let manifest = small(1).manifest;
    let manifest = std::str::from_utf8(&manifest).unwrap();
    let (server, there) = (registry(), Registry::start());
    let (from, to) = (at(&server, REPO, "1"), at(&there, REPO, "1"));
    // The beginning is a whole document each time: it is not taken for all of it.
    let never = |method: &str, part: &str, answer: Response| {
        server.heal();
        server.fail(
            Fault::on(method, part)
                .always()
                .then(Action::Answer(answer)),
        );
    };
    never(
        "GET",
        "/manifests/",
        endless(200, OCI_MANIFEST, manifest, 5 * MIB),
    );
    is_over_the_limit(&copy_of(&from, &to).await.unwrap_err());
    let list = json!({ "name": REPO, "tags": ["1"] }).to_string();
    never(
        "GET",
        "/tags/",
        endless(200, "application/json", &list, 9 * MIB),
    );
    is_over_the_limit(&tags(&server).await.unwrap_err());
    let list = json!({ "mediaType": OCI_INDEX, "manifests": [] }).to_string();
    never(
        "GET",
        "/referrers/",
        endless(200, OCI_INDEX, &list, 9 * MIB),
    );
    let digest = server.tag_of(REPO, "1").unwrap().parse().unwrap();
    is_over_the_limit(&source(&server).referrers(&digest).await.unwrap_err());
    // Of what goes with a refusal, only a part is read, and the refusal counts.
    never(
        "GET",
        "/manifests/",
        endless(403, "application/json", "{}", MIB),
    );
    let error = copy_of(&from, &to).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{}", told(&error));
    server.heal();
    let no = endless(403, "application/json", "{}", MIB);
    there.fail(
        Fault::on("POST", "/uploads/")
            .always()
            .then(Action::Answer(no)),
    );
    let error = copy_of(&from, &to).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{}", told(&error));
    assert_eq!(there.tags(REPO), [""; 0]);
}

#[tokio::test]
async fn s17_s18_a_token_is_not_looked_for_beyond_the_limit() {
    let server = Registry::with(Options {
        auth: Auth::bearer(TokenRules::default()),
        ..Options::default()
    });
    server.add(REPO, Some("1"), &small(1));
    let token = endless(200, "application/json", r#"{"token":"x"}"#, 2 * MIB);
    server.fail(
        Fault::on("*", "/token")
            .always()
            .then(Action::Answer(token)),
    );
    let error = tags(&server).await.unwrap_err();
    assert!(told(&error).contains("over the limit"), "{}", told(&error));
}

#[tokio::test]
async fn s19_a_manifest_of_twenty_thousand_layers_costs_one_request() {
    let (server, there) = (registry(), Registry::start());
    let image: Value = serde_json::from_slice(&small(1).manifest).unwrap();
    for (kind, key) in [(OCI_MANIFEST, "layers"), (OCI_INDEX, "manifests")] {
        let entry =
            json!({ "mediaType": OCI_MANIFEST, "size": 1, "digest": image["config"]["digest"] });
        let mut document = json!({ "schemaVersion": 2, "mediaType": kind });
        document[key] = vec![entry; 20_000].into();
        if key == "layers" {
            document["config"] = image["config"].clone();
        }
        server.forget();
        server.add_manifest(REPO, kind, document.to_string(), Some("1"));
        let copied = copy_of(&at(&server, REPO, "1"), &at(&there, REPO, "1")).await;
        is_over_the_limit(&copied.unwrap_err());
        assert_eq!(server.log().len(), 1);
    }
}

#[test]
fn s19_a_flood_of_referrers_is_refused_before_one_is_fetched() {
    let (server, there) = (registry(), Registry::start());
    let entry = |n: usize| {
        let digest = format!("sha256:{n:064x}");
        json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": 300, "artifactType": "a/b" })
    };
    let all: Vec<Value> = (0..20_000).map(entry).collect();
    let list = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": all });
    let list = Response::new(200).body(OCI_INDEX, list.to_string());
    server.fail(
        Fault::on("GET", "/referrers/")
            .always()
            .then(Action::Answer(list)),
    );
    let run = Run::of(command().args([at(&server, REPO, "1"), at(&there, REPO, "1")]));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("more than 1000"), "{}", run.stderr);
    assert_eq!(server.count("GET", "/referrers/"), 1);
    assert_eq!(server.count("*", "/manifests/sha256:0000"), 0);
    assert_eq!(there.tags(REPO), [""; 0]);
}

// --- lists without end ---

/// Every page of a list is this one, and leads to where `next` says, by how many there were.
fn pages(server: &Registry, part: &str, page: Response, next: fn(usize) -> String) {
    let count = AtomicUsize::new(0);
    let answer = Action::change(move |request, response| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let link = format!("<{}?{}>; rel=\"next\"", request.path, next(number));
        let mut page = page.clone();
        let body = String::from_utf8(page.body.to_vec()).unwrap();
        page.body = body.replace("NUMBER", &number.to_string()).into();
        *response = page.with("Link", link);
    });
    server.fail(Fault::on("GET", part).always().then(answer));
}

#[tokio::test]
async fn s20_lists_that_lead_in_any_circle_end() {
    // To itself, to and fro, and ever on; with one entry, and with none.
    let ways: [fn(usize) -> String; 3] = [
        |_| "n=1000".to_string(),
        |count| format!("last={}", count % 2),
        |count| format!("last={count}"),
    ];
    for next in ways {
        for list in [json!(["1"]), json!([])] {
            let server = registry();
            let page = Response::json(200, &json!({ "tags": list }));
            pages(&server, "/tags/", page, next);
            let error = tags(&server).await.unwrap_err();
            assert!(told(&error).contains("do not end"), "{}", told(&error));
            assert!(server.count("GET", "/tags/") <= 4);

            let page = json!({ "mediaType": OCI_INDEX, "manifests": [] }).to_string();
            let page = Response::new(200).body(OCI_INDEX, page);
            pages(&server, "/referrers/", page, next);
            let digest = server.tag_of(REPO, "1").unwrap().parse().unwrap();
            let error = source(&server).referrers(&digest).await.unwrap_err();
            assert!(told(&error).contains("do not end"), "{}", told(&error));
            assert!(server.count("GET", "/referrers/") <= 4);
        }
    }
}

#[tokio::test]
async fn s20_a_list_that_always_has_news_ends_at_its_size() {
    let server = registry();
    let padding = "x".repeat(7 * MIB);
    let page = Response::json(200, &json!({ "padding": padding, "tags": ["tNUMBER"] }));
    pages(&server, "/tags/", page, |count| format!("last=t{count}"));
    is_over_the_limit(&tags(&server).await.unwrap_err());
    assert_eq!(server.count("GET", "/tags/"), 10);
}

// --- what is packed, and heads ---

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn s22_what_nobody_asked_to_be_packed_is_not_unpacked() {
    // A manifest, and a mebibyte of spaces behind it, which gzip makes small, three times over.
    let mut plain = small(1).manifest.to_vec();
    plain.resize(plain.len() + MIB, b' ');
    let mut packed = plain;
    let mut encodings = Vec::new();
    for _ in 0..3 {
        packed = gzip(&packed);
        encodings.push("gzip");
        let server = registry();
        let body = packed.clone();
        let encoding = encodings.join(", ");
        let change = Action::change(move |_, response| {
            response.body = body.clone().into();
            response.headers.set("Content-Encoding", encoding.as_str());
        });
        server.fail(Fault::on("GET", "").always().then(change));
        let there = Registry::start();
        copy_of(&at(&server, REPO, "1"), &at(&there, REPO, "1"))
            .await
            .unwrap_err();
        tags(&server).await.unwrap_err();
        for request in server.log() {
            let accepted = request.headers.get("accept-encoding").unwrap_or("identity");
            assert_eq!(accepted, "identity");
        }
        assert!(server.log().len() <= 12);
        assert_eq!(there.count("POST", "") + there.count("PUT", ""), 0);
    }
}

#[tokio::test]
async fn s23_a_head_without_end_is_an_error_and_no_answer() {
    let many = Action::change(|_, response| {
        for number in 0..10_000 {
            response.headers.add(&format!("X-{number}"), "x");
        }
    });
    let long = Action::change(|_, response| {
        *response = Response::error(401, "UNAUTHORIZED", "x");
        let challenge = format!("Bearer realm=\"{}\"", "x".repeat(MIB));
        response.headers.set("WWW-Authenticate", challenge);
    });
    for action in [many, long] {
        let server = registry();
        server.fail(Fault::on("GET", "").always().then(action));
        let error = tags(&server).await.unwrap_err();
        assert!(told(&error).len() < 1000, "{}", told(&error));
        assert!(server.log().len() <= 4);
    }
}

// --- mounts ---

/// The repositories that a destination was asked to mount from.
fn mounted_from(server: &Registry) -> Vec<String> {
    let mut found: Vec<String> = server
        .requests("POST", "from=")
        .iter()
        .flat_map(|request| request.query.clone())
        .filter_map(|(key, value)| (key == "from").then_some(value))
        .collect();
    found.sort();
    found.dedup();
    found
}

#[tokio::test]
async fn s57_nothing_is_mounted_from_a_repository_that_nobody_named() {
    let (from, to) = (registry(), Registry::start());
    // All of it is at the destination, where it is nobody's business; even under a name that could
    // be guessed.
    for other in ["secret/app", "library/app", REPO] {
        to.add(other, Some("1"), &small(1));
    }
    // From another registry: the second repository of a run may mount from the first.
    let shared = registries();
    for path in ["b/app", "c/app"] {
        copy_by(&shared, &at(&from, REPO, "1"), &at(&to, path, "1"))
            .await
            .unwrap();
    }
    assert_eq!(mounted_from(&to), ["b/app"]);
    // Within the registry: from the source.
    to.forget();
    copy_of(&at(&to, REPO, "1"), &at(&to, "d/app", "1"))
        .await
        .unwrap();
    assert_eq!(mounted_from(&to), [REPO]);
    // Out of a directory: from nowhere.
    let folder = tempdir();
    let path = kit::directory(&folder.path().join("d"), "1");
    copy_of(&at(&from, REPO, "1"), &path).await.unwrap();
    to.forget();
    copy_of(&path, &at(&to, "e/app", "1")).await.unwrap();
    assert_eq!(mounted_from(&to), [""; 0]);
    to.assert_whole("e/app");
}
