//! Writing blobs.

use imgcopy::error::ErrorKind;

use crate::kit::{REPO, at, copy_of, copy_with, fails, kinds, registries};
use crate::support::registry::{
    Action, Auth, Fault, Locations, Options, Registry, Response, TokenRules, TokenServer,
};
use crate::support::told;
use crate::two;

const OTHER: &str = "team/other";

fn source() -> Registry {
    let here = Registry::start();
    here.add(REPO, Some("1"), &two());
    here
}

/// Copies from a true registry.
async fn arrives_at(there: &Registry) {
    let here = source();
    copy_of(&at(&here, REPO, "1"), &at(there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(there.tag_of(REPO, "1"), here.tag_of(REPO, "1"));
    there.assert_whole(REPO);
}

#[tokio::test]
async fn q16_q73_an_upload_goes_on_where_the_registry_says_byte_for_byte() {
    for locations in [
        Locations::Stateful,
        Locations::Signed,
        Locations::Absolute,
        Locations::Relative,
        Locations::RelativeStateful,
    ] {
        let there = Registry::with(Options {
            locations,
            ..Options::default()
        });
        arrives_at(&there).await;
        // And in chunks.
        let there = Registry::with(Options {
            locations,
            ..Options::default()
        });
        too_large_at_once(&there);
        arrives_at(&there).await;
    }
}

/// Refuses everything that is sent in one piece.
fn too_large_at_once(there: &Registry) {
    let is_whole =
        |request: &crate::support::registry::Request| request.header("content-length") != Some("0");
    let refused = Action::answer_midway(1, Response::error(413, "SIZE_INVALID", "too large"));
    let fault = Fault::on("PUT", "/blobs/uploads/").when(is_whole).always();
    there.fail(fault.then(refused));
}

#[tokio::test]
async fn q27_blobs_travel_in_one_piece() {
    let there = Registry::start();
    arrives_at(&there).await;
    assert_eq!(there.count("PATCH", "/"), 0);
}

#[tokio::test]
async fn q32_every_body_has_a_length() {
    let there = Registry::start();
    arrives_at(&there).await;
    for request in there.log() {
        assert_eq!(request.headers.get("transfer-encoding"), None);
        let is_write = matches!(request.method.as_str(), "POST" | "PUT");
        assert_eq!(request.headers.get("content-length").is_some(), is_write);
    }
}

#[tokio::test]
async fn q33_q66_a_registry_that_refuses_large_bodies_gets_chunks_and_is_not_tried_again() {
    let there = Registry::start();
    too_large_at_once(&there);
    let here = source();
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    copy_with(&registries(), &from, &to, |job| {
        job.parallel = std::num::NonZeroUsize::MIN;
    })
    .await
    .unwrap();
    there.assert_whole(REPO);
    let refused = there.log();
    let refused = refused.iter().filter(|request| request.status == 413);
    assert_eq!(refused.count(), 1);
    assert_eq!(there.count("PATCH", "/blobs/uploads/"), 3);
}

#[tokio::test]
async fn q20_q75_a_chunk_may_be_answered_by_any_success() {
    for status in [200, 201, 202, 204] {
        let there = Registry::start();
        too_large_at_once(&there);
        let change = Action::change(move |_, response: &mut Response| response.status = status);
        there.fail(Fault::on("PATCH", "/").always().then(change));
        arrives_at(&there).await;
    }
}

#[tokio::test]
async fn q75_a_blob_is_looked_for_unless_it_was_created() {
    for status in [200, 202, 204] {
        let there = Registry::start();
        let change = Action::change(move |_, response: &mut Response| {
            response.status = status;
            response.headers.remove("Docker-Content-Digest");
        });
        there.fail(Fault::on("PUT", "/blobs/uploads/").always().then(change));
        arrives_at(&there).await;
        // Before, and after.
        assert_eq!(there.count("HEAD", "/blobs/"), 6, "{:?}", kinds(&there));
    }
}

#[tokio::test]
async fn q75_a_success_that_stored_nothing_is_none() {
    let there = Registry::start();
    let lie = Action::Answer(Response::new(202));
    there.fail(Fault::on("PUT", "/blobs/uploads/").always().then(lie));
    let here = source();
    let error = fails(&at(&here, REPO, "1"), &at(&there, REPO, "1")).await;
    assert!(
        told(&error).contains("does not have the blob"),
        "{}",
        told(&error)
    );
    assert_eq!(there.tags(REPO), [""; 0]);
}

#[tokio::test]
async fn q36_a_range_of_nothing_does_no_harm() {
    let there = Registry::start();
    let range = Action::header("Range", "bytes=0--1");
    there.fail(Fault::on("POST", "/blobs/uploads/").always().then(range));
    arrives_at(&there).await;
}

#[tokio::test]
async fn q72_chunks_are_as_large_as_the_registry_wants_them() {
    let there = Registry::with(Options {
        chunk_min: Some(20 << 20),
        ..Options::default()
    });
    too_large_at_once(&there);
    let here = Registry::start();
    here.add_image(REPO, "1", &[21 << 20], 1);
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    there.assert_whole(REPO);
    let chunks = there.requests("PATCH", "/");
    assert_eq!(
        chunks
            .iter()
            .filter(|chunk| chunk.body_len == 20 << 20)
            .count(),
        1
    );
}

#[tokio::test]
async fn q21_q74_a_mount_that_became_an_upload_is_used_for_it() {
    let server = Registry::with(Options {
        mounts: false,
        ..Options::default()
    });
    server.add(REPO, Some("1"), &two());
    copy_of(&at(&server, REPO, "1"), &at(&server, OTHER, "1"))
        .await
        .unwrap();
    server.assert_whole(OTHER);
    assert_eq!(server.count("POST", "/blobs/uploads/"), 3);
    assert_eq!(server.count("PUT", "/blobs/uploads/"), 3);
    assert_eq!(server.open_uploads(), 0);
}

#[tokio::test]
async fn q37_a_mount_says_what_and_from_where() {
    let server = Registry::start();
    server.add(REPO, Some("1"), &two());
    copy_of(&at(&server, REPO, "1"), &at(&server, OTHER, "1"))
        .await
        .unwrap();
    let mounts = server.requests("POST", "/blobs/uploads/");
    assert_eq!(mounts.len(), 3);
    for mount in mounts {
        let names: Vec<&str> = mount.query.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["mount", "from"]);
        assert_eq!(mount.query[1].1, REPO);
    }
}

#[tokio::test]
async fn q42_a_mount_that_is_refused_is_an_upload() {
    for status in [400, 401, 403, 404, 405, 500] {
        let server = Registry::start();
        server.add(REPO, Some("1"), &two());
        server.fail(
            Fault::on("POST", "mount=")
                .always()
                .then(Action::status(status)),
        );
        let outcome = copy_of(&at(&server, REPO, "1"), &at(&server, OTHER, "1")).await;
        let outcome = outcome.unwrap();
        assert_eq!((outcome.mounted, outcome.moved), (0, 3), "{status}");
        server.assert_whole(OTHER);
    }
}

#[tokio::test]
async fn q06_a_mount_has_a_token_for_both_repositories() {
    let tokens = TokenServer::start(TokenRules::default());
    let server = Registry::with(Options {
        auth: Auth::Bearer(tokens.issuer()),
        ..Options::default()
    });
    server.add(REPO, Some("1"), &two());
    let outcome = copy_of(&at(&server, REPO, "1"), &at(&server, OTHER, "1"))
        .await
        .unwrap();
    assert_eq!(outcome.mounted, 3);
    let scopes: Vec<Vec<String>> = tokens
        .log()
        .iter()
        .map(|request| {
            let scopes = request.query.iter().filter(|(name, _)| name == "scope");
            scopes.map(|(_, value)| value.clone()).collect()
        })
        .collect();
    let both = [
        format!("repository:{OTHER}:pull,push"),
        format!("repository:{REPO}:pull"),
    ];
    assert!(scopes.iter().any(|list| *list == both), "{scopes:?}");
}

#[tokio::test]
async fn q15_the_scope_that_is_needed_is_asked_for_whatever_the_challenge_says() {
    let tokens = TokenServer::start(TokenRules::default());
    let there = Registry::with(Options {
        auth: Auth::Bearer(tokens.issuer()),
        ..Options::default()
    });
    let less = Action::change(|_, response: &mut Response| {
        if let Some(challenge) = response.headers.get("WWW-Authenticate") {
            let challenge = challenge.replace("pull,push", "pull");
            response.headers.set("WWW-Authenticate", challenge);
        }
    });
    there.fail(Fault::on("*", "/v2/").always().then(less));
    arrives_at(&there).await;
    let asked = tokens.log();
    assert!(
        asked
            .iter()
            .all(|request| !request.target.contains("delete"))
    );
}

#[tokio::test]
async fn q19_a_repository_that_must_be_made_first_is_told_of_at_once() {
    let there = Registry::start();
    let refused = Action::error(404, "NAME_UNKNOWN", "The repository does not exist");
    there.fail(Fault::on("POST", "/blobs/uploads/").always().then(refused));
    let here = source();
    let to = at(&there, REPO, "1");
    let error = copy_with(&registries(), &at(&here, REPO, "1"), &to, |job| {
        job.parallel = std::num::NonZeroUsize::MIN;
    })
    .await
    .unwrap_err();
    let told = told(&error);
    assert!(
        told.contains("NAME_UNKNOWN") && told.contains(&there.host()),
        "{told}"
    );
    assert_eq!(there.count("POST", "/"), 1);
}

#[tokio::test]
async fn q43_a_full_quota_ends_the_copy_at_once() {
    for status in [400, 403, 412] {
        let there = Registry::start();
        let refused = Action::error(status, "DENIED", "adding 5 MiB will exceed the quota");
        there.fail(Fault::on("PUT", "/blobs/uploads/").always().then(refused));
        let here = source();
        let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
        let shared = registries();
        let failed = copy_with(&shared, &from, &to, |job| {
            job.parallel = std::num::NonZeroUsize::MIN;
        });
        let error = failed.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(
            told(&error).contains("will exceed the quota"),
            "{}",
            told(&error)
        );
        assert_eq!(there.count("PUT", "/"), 1);
    }
}

#[tokio::test]
async fn q54_a_registry_where_nothing_may_be_replaced_is_not_asked_twice() {
    let there = Registry::start();
    let message = "Repository does not allow updating assets: docker";
    let refused = Action::error(400, "BLOB_UPLOAD_INVALID", message);
    there.fail(Fault::on("PUT", "/blobs/uploads/").always().then(refused));
    let here = source();
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    let shared = registries();
    let failed = copy_with(&shared, &from, &to, |job| {
        job.parallel = std::num::NonZeroUsize::MIN;
    });
    let error = failed.await.unwrap_err();
    assert!(
        told(&error).contains("does not allow updating"),
        "{}",
        told(&error)
    );
    assert_eq!(there.count("PUT", "/"), 1);
}
