//! Refusals, and how they are told.

use imgcopy::error::ErrorKind;
use imgcopy::store::Store as _;

use crate::kit::{REPO, at, copy_of, fails, source, tag};
use crate::support::registry::{Action, Fault, Form, Image, OCI_MANIFEST, Registry, Response};
use crate::support::told;
use crate::two;

fn with(image: &Image) -> Registry {
    let here = Registry::start();
    here.add(REPO, Some("1"), image);
    here
}

/// How registries say that a tag may not be moved.
const FIXED: [(u16, &str, &str); 4] = [
    (
        400,
        "TAG_INVALID",
        "The image tag cannot be overwritten because the repository is immutable",
    ),
    (409, "TAG_IMMUTABLE", "tag is immutable"),
    (409, "TAG_ALREADY_EXISTS", "it exists"),
    (412, "PRECONDITION", "configured as immutable"),
];

#[tokio::test]
async fn q22_q39_q44_a_tag_that_may_not_be_moved_is_fine_where_it_should_be() {
    for (status, code, message) in FIXED {
        let (here, there) = (with(&two()), Registry::start());
        // Somebody else was faster: it is there, and refused.
        let refused = Action::change(move |_, response: &mut Response| {
            *response = Response::error(status, code, message);
        });
        there.fail(Fault::on("PUT", "/manifests/1").then(refused));
        copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
            .await
            .unwrap();
        assert_eq!(there.count("PUT", "/manifests/"), 1);
        assert_eq!(there.tag_of(REPO, "1"), here.tag_of(REPO, "1"));
    }
}

#[tokio::test]
async fn q22_q39_q44_a_tag_that_may_not_be_moved_from_another_image_is_told_of() {
    for (status, code, message) in FIXED {
        let (here, there) = (with(&two()), Registry::start());
        let old = there.add_image(REPO, "1", &[7], 9);
        let refused = Action::error(status, code, message);
        there.fail(Fault::on("PUT", "/manifests/1").always().then(refused));
        let error = fails(&at(&here, REPO, "1"), &at(&there, REPO, "1")).await;
        let told = told(&error);
        assert!(
            told.contains("may not be moved") && told.contains(code),
            "{told}"
        );
        assert_eq!(there.count("PUT", "/manifests/"), 1);
        assert_eq!(there.tag_of(REPO, "1"), Some(old));
    }
}

/// What is told when the registry refuses the manifest so.
async fn refused(image: &Image, action: Action) -> String {
    let (here, there) = (with(image), Registry::start());
    there.fail(Fault::on("PUT", "/manifests/").always().then(action));
    let error = fails(&at(&here, REPO, "1"), &at(&there, REPO, "1")).await;
    let kinds = [ErrorKind::Denied, ErrorKind::RefusedType];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert_eq!(there.count("PUT", "/manifests/"), 1);
    told(&error)
}

#[tokio::test]
async fn q61_a_registry_that_does_not_take_dockers_manifests_is_told_of() {
    let docker = Image::new(Form::DockerGzip, &[500], 1);
    for action in [
        Action::status(415),
        Action::error(400, "MANIFEST_INVALID", "no"),
    ] {
        let told = refused(&docker, action).await;
        assert!(
            told.contains("Docker's manifests") && told.contains("settings"),
            "{told}"
        );
    }
    let told = refused(&two(), Action::error(400, "MANIFEST_INVALID", "no")).await;
    assert!(!told.contains("Docker"), "{told}");
    let told = refused(&two(), Action::status(415)).await;
    assert!(told.contains("OCI manifests"), "{told}");
}

#[tokio::test]
async fn q82_a_manifest_that_is_too_large_for_the_registry_is_told_of() {
    let told = refused(&two(), Action::status(413)).await;
    assert!(
        told.contains("manifest is too large for the registry"),
        "{told}"
    );
}

#[tokio::test]
async fn q44_a_place_that_is_only_read_says_so() {
    for (status, code) in [(403, "DENIED"), (405, "DENIED"), (405, "UNSUPPORTED")] {
        let (here, there) = (with(&two()), Registry::start());
        let message = "this is a proxy cache project";
        let refused = Action::error(status, code, message);
        there.fail(Fault::on("POST", "/blobs/uploads/").always().then(refused));
        let error = fails(&at(&here, REPO, "1"), &at(&there, REPO, "1")).await;
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(told(&error).contains(message), "{}", told(&error));
    }
}

#[tokio::test]
async fn q58_a_manifest_by_sha512_is_never_given_another_name() {
    let here = with(&two());
    let stored = here.manifest(REPO, "1").unwrap();
    let name = crate::support::registry::digest("sha512", &stored.bytes);
    here.add_manifest_as(REPO, &name, OCI_MANIFEST, stored.bytes.clone());
    let reference = |server: &Registry| format!("docker://{}/{REPO}@{name}", server.host());
    let there = Registry::start();
    let refusal = Action::error(400, "DIGEST_INVALID", "provided digest did not match");
    there.fail(Fault::on("PUT", "/manifests/").always().then(refusal));
    let error = fails(&reference(&here), &reference(&there)).await;
    assert!(told(&error).contains("named by sha512"), "{}", told(&error));
    assert_eq!(there.manifests(REPO), [""; 0]);
    there.heal();
    copy_of(&reference(&here), &reference(&there))
        .await
        .unwrap();
    assert_eq!(there.manifests(REPO), [name]);
}

#[tokio::test]
async fn q04_a_limit_in_plain_text_and_odd_lines_is_waited_for() {
    let here = with(&two());
    let body = "Too Many Requests (HAP429).";
    let head = "HTTP/1.1 429 Too Many Requests\nRetry-After: 0\nContent-Type: text/plain";
    let raw = format!(
        "{head}\nContent-Length: {}\nConnection: close\n\n{body}",
        body.len()
    );
    let once = Fault::on("GET", "/manifests/").then(Action::Raw(raw.into()));
    let hits = here.fail(once);
    source(&here).find(&tag("1")).await.unwrap().unwrap();
    assert_eq!(hits.count(), 1);
    assert_eq!(here.count("GET", "/manifests/"), 2);
}

#[tokio::test]
async fn q64_q93_what_is_hidden_may_be_missing_or_forbidden() {
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "DENIED")] {
        let here = with(&two());
        let refused = Action::error(status, code, "requested access to the resource is denied");
        here.fail(Fault::on("*", "/manifests/").always().then(refused));
        for error in [
            source(&here).find(&tag("1")).await.unwrap_err(),
            source(&here).resolve(&tag("1")).await.unwrap_err(),
        ] {
            let told = told(&error);
            assert!(told.contains("no such image, or no access"), "{told}");
        }
        let told = told(&source(&here).find(&tag("1")).await.unwrap_err());
        assert!(told.contains(code), "{told}");
    }
}

#[tokio::test]
async fn q39_q44_q63_what_is_missing_is_so_whatever_its_code_is() {
    for (code, message) in [
        ("UNKNOWN", "Not Found"),
        ("TAG_EXPIRED", "tag is expired"),
        ("NAME_UNKNOWN", "repository name not known to registry"),
        ("manifest_unknown", "lower case"),
    ] {
        let here = with(&two());
        here.fail(
            Fault::on("*", "/manifests/")
                .always()
                .then(Action::error(404, code, message)),
        );
        assert!(source(&here).find(&tag("1")).await.unwrap().is_none());
        let there = Registry::start();
        let error = fails(&at(&here, REPO, "1"), &at(&there, REPO, "1")).await;
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn q92_the_status_counts_and_the_body_is_told_fit_to_be_shown() {
    let page = "<html><head><title>Sorry \u{1b}[31mred</title></head></html>";
    for (body, media_type, expected) in [
        (r#"{"errors":null}"#, "application/json", "403"),
        (
            r#"{"errors":[{"code":"denied","message":"no\u001b[31m\nway"}]}"#,
            "application/json",
            "DENIED",
        ),
        (page, "text/html", "Sorry"),
        ("", "text/plain", "403"),
        ("not json", "application/json", "403"),
    ] {
        let here = with(&two());
        let answer = Response::new(403).body(media_type, body.to_string());
        here.fail(
            Fault::on("GET", "/manifests/")
                .always()
                .then(Action::Answer(answer)),
        );
        let error = source(&here).find(&tag("1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        let told = told(&error);
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains(char::is_control), "{told:?}");
        assert_eq!(here.count("GET", "/"), 1);
    }
}
