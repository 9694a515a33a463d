//! Lists, the base, and what is no place.

use super::manifests::{image, pieces, put};
use super::{Story, ask, story};
use crate::support::registry::OCI_MANIFEST;

pub(super) fn stories() -> Vec<Story> {
    vec![base(), tags(), pages(), catalog()]
}

fn base() -> Story {
    story(
        "base",
        vec![
            ask("ping", "GET", ""),
            ask("look", "HEAD", ""),
            ask("another method", "PUT", "").gives(405),
            ask("what is nowhere", "GET", "no/such/place").gives(404),
            ask("a name that is none", "GET", "Team/App/tags/list").gives(404),
        ],
    )
}

fn tags() -> Story {
    let manifest = image(OCI_MANIFEST, "a");
    let mut operations =
        vec![ask("of nothing", "GET", "list/tags/tags/list").fails(404, "NAME_UNKNOWN")];
    operations.extend(pieces("list/tags"));
    operations.extend([
        ask("of blobs alone", "GET", "list/tags/tags/list"),
        put("push c", "list/tags/manifests/c", (OCI_MANIFEST, &manifest)),
        put("push a", "list/tags/manifests/a", (OCI_MANIFEST, &manifest)),
        put("push B", "list/tags/manifests/B", (OCI_MANIFEST, &manifest)),
        ask("all", "GET", "list/tags/tags/list"),
        ask("look", "HEAD", "list/tags/tags/list"),
        ask("another method", "POST", "list/tags/tags/list").gives(405),
    ]);
    story("tags", operations)
}

fn pages() -> Story {
    let manifest = image(OCI_MANIFEST, "a");
    let mut operations = pieces("list/pages");
    operations.extend([
        put(
            "push a",
            "list/pages/manifests/a",
            (OCI_MANIFEST, &manifest),
        ),
        put(
            "push b",
            "list/pages/manifests/b",
            (OCI_MANIFEST, &manifest),
        ),
        put(
            "push c",
            "list/pages/manifests/c",
            (OCI_MANIFEST, &manifest),
        ),
        ask("two", "GET", "list/pages/tags/list?n=2"),
        ask("the rest", "GET", "list/pages/tags/list?n=2&last=b"),
        ask("all, by their number", "GET", "list/pages/tags/list?n=3"),
        ask(
            "after a tag that is not there",
            "GET",
            "list/pages/tags/list?last=aa",
        ),
        ask("after the last", "GET", "list/pages/tags/list?last=z"),
        ask("none", "GET", "list/pages/tags/list?n=0"),
        ask("what is no number", "GET", "list/pages/tags/list?n=x")
            .fails(400, "PAGINATION_NUMBER_INVALID"),
    ]);
    story("pages of tags", operations)
}

fn catalog() -> Story {
    story(
        "catalog",
        vec![
            ask("one", "GET", "_catalog?n=1"),
            ask("after one", "GET", "_catalog?n=1&last=list/pages"),
            ask("after the last", "GET", "_catalog?n=10&last=zzz"),
            ask("what is no number", "GET", "_catalog?n=x").fails(400, "PAGINATION_NUMBER_INVALID"),
            ask("another method", "POST", "_catalog").gives(405),
        ],
    )
}
