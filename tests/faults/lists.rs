//! Lists of tags (L).

use imgcopy::error::{ErrorKind, Result};
use imgcopy::image::Reference;
use imgcopy::store::open_source;
use imgcopy::store::registry::Registries;
use serde_json::json;

use crate::support::registry::{
    Action, Fault, Hangup, Options as Kind, Registry, Response, Server,
};
use crate::{FROM, block, options};

/// A registry with three tags, of which so many are told at once.
pub(crate) fn with_tags(page_size: Option<usize>) -> Registry {
    let registry = Registry::with(Kind {
        page_size,
        ..Kind::default()
    });
    let digest = registry.add_image(FROM, "a", &[10], 1);
    for tag in ["b", "c"] {
        registry.set_tag(FROM, tag, &digest);
    }
    registry
}

fn listed(server: &Server) -> Result<Vec<String>> {
    block(async {
        let reference: Reference = format!("docker://{}/{FROM}", server.host()).parse()?;
        let source = open_source(&reference, &Registries::new(options()))?;
        let names = source.names().await?;
        Ok(names.iter().map(ToString::to_string).collect())
    })
}

#[test]
fn f21_a_list_that_breaks_off_is_never_a_shorter_list() {
    for action in [
        Action::status(500),
        Action::cut(10, Hangup::Reset),
        Action::cut(20, Hangup::Close),
        Action::truncate(20),
        Action::truncate_chunked(25),
        Action::truncate_chunked(0),
    ] {
        let registry = with_tags(None);
        registry.fail(Fault::on("GET", "/tags/").then(action.clone()));
        assert_eq!(listed(&registry).unwrap(), ["a", "b", "c"], "{action:?}");
        assert_eq!(registry.count("GET", "/tags/"), 2, "{action:?}");

        let registry = with_tags(Some(2));
        let second = Fault::on("GET", "last=").always();
        registry.fail(second.then(action.clone()));
        let error = listed(&registry).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{action:?}");
        assert!(registry.count("GET", "/tags/") <= 6);
    }
}

#[test]
fn f22_odd_lists_are_understood() {
    for (document, expected) in [
        (json!({ "name": FROM, "tags": null }), &[][..]),
        (json!({ "name": FROM }), &[]),
        (json!({ "tags": [null, "a", null, "b"] }), &["a", "b"]),
        (json!({ "tags": ["a", "b", "a"] }), &["a", "b"]),
        (
            json!({ "tags": ["a", "../x", "", "-no", "b"] }),
            &["a", "b"],
        ),
    ] {
        let registry = with_tags(None);
        let answer = Response::json(200, &document);
        registry.fail(Fault::on("GET", "/tags/").then(Action::Answer(answer)));
        assert_eq!(listed(&registry).unwrap(), expected, "{document}");
        assert_eq!(registry.count("GET", ""), 1);
    }
}

#[test]
fn f23_the_next_page_is_found_however_it_is_named() {
    let path = format!("/v2/{FROM}/tags/list?last=b&n=2");
    for link in [
        format!("<{path}>; rel=\"next\""),
        format!("<{path}>; rel=next"),
        "<?last=b&n=2>; rel=\"next\"".to_string(),
        "<list?last=b&n=2>; rel=\"next\"".to_string(),
        format!("</v2/x/tags/list>; rel=\"prev\", <{path}>; rel=\"next\""),
    ] {
        let registry = with_tags(Some(2));
        let said = link.clone();
        let lower_case = Action::change(move |_, response| {
            response.headers.remove("link");
            response.headers.set("link", said.as_str());
        });
        registry.fail(Fault::on("GET", "/tags/").then(lower_case));
        assert_eq!(listed(&registry).unwrap(), ["a", "b", "c"], "{link}");
    }
}

#[test]
fn f23_pages_that_lead_in_a_circle_or_elsewhere_have_an_end() {
    let registry = with_tags(Some(2));
    let here = format!("</v2/{FROM}/tags/list?n=1000>; rel=\"next\"");
    registry.fail(
        Fault::on("GET", "/tags/")
            .always()
            .then(Action::header("Link", &here)),
    );
    let error = listed(&registry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(registry.count("GET", "/tags/") <= 2);

    // Another host is never asked: what counts is the path.
    let elsewhere = with_tags(None);
    let registry = with_tags(Some(2));
    let path = format!("/v2/{FROM}/tags/list?last=b&n=2");
    let there = format!("<{}>; rel=\"next\"", elsewhere.url(&path));
    registry.fail(Fault::on("GET", "/tags/").then(Action::header("Link", &there)));
    assert_eq!(listed(&registry).unwrap(), ["a", "b", "c"]);
    assert_eq!(elsewhere.connections(), 0);
}
