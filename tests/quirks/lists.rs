//! Lists of tags.

use imgcopy::error::{ErrorKind, Result};
use imgcopy::image::Name;
use imgcopy::store::Store as _;
use serde_json::{Value, json};

use crate::kit::{REPO, source};
use crate::support::registry::{Action, Fault, Options, Registry, Response};
use crate::two;

/// The tags of a registry that answers so.
async fn tags(server: &Registry) -> Result<Vec<String>> {
    let names = source(server).names().await?;
    Ok(names.iter().map(Name::to_string).collect())
}

async fn read_from(answer: &Value) -> Vec<String> {
    let server = Registry::start();
    let answer = Action::Answer(Response::json(200, answer));
    server.fail(Fault::on("GET", "/tags/list").then(answer));
    tags(&server).await.unwrap()
}

#[tokio::test]
async fn q78_lists_are_read_however_empty_they_are() {
    for list in [
        json!({ "name": REPO, "tags": null }),
        json!({ "tags": [] }),
        json!({}),
    ] {
        assert_eq!(read_from(&list).await, [""; 0], "{list}");
    }
}

#[tokio::test]
async fn q54_q78_what_is_no_tag_is_left_out_and_nothing_is_told_twice() {
    let list = json!({ "tags": ["b", null, "a", 7, "", "b", "a/b", "-x", ["c"]] });
    assert_eq!(read_from(&list).await, ["b", "a"]);
}

#[tokio::test]
async fn q52_digests_among_tags_are_left_out() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let list = json!({ "tags": [digest, "1"] });
    assert_eq!(read_from(&list).await, ["1"]);
}

#[tokio::test]
async fn q30_fields_that_nobody_knows_are_passed_over() {
    let list = json!({
        "child": [], "manifest": { "sha256:x": { "tag": ["1"], "imageSizeBytes": "5" } },
        "name": REPO, "tags": ["1"],
    });
    assert_eq!(read_from(&list).await, ["1"]);
}

#[tokio::test]
async fn q23_q39_pages_of_any_size_are_read_to_the_end() {
    let server = Registry::with(Options {
        page_size: Some(2),
        ..Options::default()
    });
    let all = ["1", "2", "3", "4", "5"];
    for tag in all {
        server.add(REPO, Some(tag), &two());
    }
    assert_eq!(tags(&server).await.unwrap(), all);
    let asked = server.requests("GET", "/tags/list");
    assert_eq!(asked.len(), 3);
    // More than a thousand is refused by some.
    assert_eq!(asked[0].query, [("n".to_string(), "1000".to_string())]);
}

/// Two pages, of which the first one leads to the second by this link.
async fn led_by(link: impl Fn(&Registry) -> String) -> Result<Vec<String>> {
    let server = Registry::start();
    let first = json!({ "name": REPO, "tags": ["1"] });
    let link = link(&server);
    let first = Response::json(200, &first).with("Link", link);
    let second = Response::json(200, &json!({ "name": REPO, "tags": ["2"] }));
    server.fail(Fault::on("GET", "/tags/list").then(Action::Answer(first)));
    server.fail(
        Fault::on("GET", "/tags/list")
            .nth(2)
            .then(Action::Answer(second)),
    );
    tags(&server).await
}

#[tokio::test]
async fn q77_the_next_page_is_found_however_it_is_written() {
    let path = format!("/v2/{REPO}/tags/list");
    let links = [
        format!("<{path}?last=1&n=1000>; rel=\"next\""),
        format!("<{path}?n=0&last=1>; rel=\"next\""),
        format!("<{path}?last=a/b+c d&n=1>; rel=\"next\""),
        format!("<{path}?last=1>; REL=NEXT"),
        "<?last=1&n=1000>; rel=next".to_string(),
        format!("<https://internal.example:8443{path}?last=1>; rel=\"next\""),
    ];
    for link in links {
        let read = led_by(|_| link.clone()).await;
        assert_eq!(read.unwrap(), ["1", "2"], "{link}");
    }
}

#[tokio::test]
async fn q77_the_next_page_of_another_server_is_asked_for_here() {
    let other = Registry::start();
    let link = format!(
        "<{}?last=1>; rel=\"next\"",
        other.url(&format!("/v2/{REPO}/tags/list"))
    );
    assert_eq!(led_by(|_| link.clone()).await.unwrap(), ["1", "2"]);
    assert_eq!(other.log().len(), 0);
}

#[tokio::test]
async fn s20_a_list_that_leads_in_a_circle_is_no_shorter_list() {
    let path = format!("/v2/{REPO}/tags/list");
    // To itself; to the first page; ever on, with nothing new.
    for next in ["n=1000", "last=1", "last=NUMBER"] {
        let server = Registry::start();
        server.add(REPO, Some("1"), &two());
        let path = path.clone();
        let count = std::sync::atomic::AtomicUsize::new(0);
        let circle = Action::change(move |_, response: &mut Response| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let next = next.replace("NUMBER", &number.to_string());
            let link = format!("<{path}?{next}>; rel=\"next\"");
            *response = Response::json(200, &json!({ "tags": ["1"] })).with("Link", link);
        });
        server.fail(Fault::on("GET", "/tags/list").always().then(circle));
        let error = tags(&server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(server.log().len() <= 3, "{next}");
    }
}

#[tokio::test]
async fn q52_a_page_without_any_tag_does_not_end_the_list() {
    let server = Registry::start();
    let link = format!("</v2/{REPO}/tags/list?last=x>; rel=\"next\"");
    let digest = format!("sha256:{}", "a".repeat(64));
    let first = Response::json(200, &json!({ "tags": [digest] })).with("Link", link);
    let second = Response::json(200, &json!({ "tags": ["1"] }));
    server.fail(Fault::on("GET", "/tags/list").then(Action::Answer(first)));
    server.fail(
        Fault::on("GET", "/tags/list")
            .nth(2)
            .then(Action::Answer(second)),
    );
    assert_eq!(tags(&server).await.unwrap(), ["1"]);
}
