//! Blobs as they are read and deleted.

use super::{Operation, Story, ask, story};
use crate::support::registry::digest;

const BYTES: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// Pushes a blob.
pub(super) fn pushed(repository: &str, bytes: &str, names: [&'static str; 2]) -> [Operation; 2] {
    let digest = digest("sha256", bytes.as_bytes());
    [
        ask(names[0], "POST", format!("{repository}/blobs/uploads/")).gives(202),
        ask(names[1], "PUT", format!("@?digest={digest}"))
            .body(bytes.to_string())
            .gives(201),
    ]
}

pub(super) fn stories() -> Vec<Story> {
    vec![ranges(), conditions(), missing(), deleted()]
}

fn ranges() -> Story {
    let path = format!("blob/ranges/blobs/{}", digest("sha256", BYTES.as_bytes()));
    let range = |name, range: &str| ask(name, "GET", &path).with("Range", range);
    let mut operations = Vec::from(pushed("blob/ranges", BYTES, ["begin", "end"]));
    operations.extend([
        range("the first bytes", "bytes=0-4").gives(206),
        range("one byte", "bytes=0-0").gives(206),
        range("in the middle", "bytes=10-19").gives(206),
        range("to the end", "bytes=30-").gives(206),
        range("beyond the end", "bytes=30-500").gives(206),
        range("the last bytes", "bytes=-5").gives(206),
        range("more last bytes than there are", "bytes=-500").gives(206),
        range("all of it", "bytes=0-").gives(206),
        range("after the end", "bytes=36-").gives(416),
        range("far after the end", "bytes=500-600").gives(416),
        range("backwards", "bytes=9-3").gives(416),
        range("no numbers", "bytes=a-b").gives(416),
        range("another unit", "lines=1-2"),
        range("two of them", "bytes=0-1,5-6"),
        ask("of a HEAD", "HEAD", &path)
            .with("Range", "bytes=0-4")
            .gives(206),
    ]);
    story("range", operations)
}

fn conditions() -> Story {
    let digest = digest("sha256", BYTES.as_bytes());
    let path = format!("blob/if/blobs/{digest}");
    let get = |name| ask(name, "GET", &path);
    let etag = format!("\"{digest}\"");
    let mut operations = Vec::from(pushed("blob/if", BYTES, ["begin", "end"]));
    operations.extend([
        get("what is known").with("If-None-Match", &etag).gives(304),
        get("what is other").with("If-None-Match", "\"other\""),
        get("what is expected").with("If-Match", &etag),
        get("what is not expected")
            .with("If-Match", "\"other\"")
            .gives(412),
        get("a range of what is expected")
            .with("If-Range", &etag)
            .with("Range", "bytes=1-2")
            .gives(206),
        get("a range of what is other")
            .with("If-Range", "\"other\"")
            .with("Range", "bytes=1-2"),
        ask("what may be escaped", "GET", path.replace(':', "%3A")),
    ]);
    story("condition", operations)
}

fn missing() -> Story {
    let none = digest("sha256", b"none");
    let mut operations = Vec::from(pushed("blob/missing", BYTES, ["begin", "end"]));
    operations.extend([
        ask("look", "HEAD", format!("blob/missing/blobs/{none}")).gives(404),
        ask("read", "GET", format!("blob/missing/blobs/{none}")).fails(404, "BLOB_UNKNOWN"),
        ask("delete", "DELETE", format!("blob/missing/blobs/{none}")).fails(404, "BLOB_UNKNOWN"),
        ask(
            "in no repository",
            "GET",
            format!("blob/nowhere/blobs/{none}"),
        )
        .fails(404, "BLOB_UNKNOWN"),
        ask(
            "delete in no repository",
            "DELETE",
            format!("blob/nowhere/blobs/{none}"),
        )
        .fails(404, "BLOB_UNKNOWN"),
        ask(
            "a digest that is too short",
            "GET",
            "blob/missing/blobs/sha256:1234",
        )
        .fails(400, "DIGEST_INVALID"),
        ask(
            "a digest of no known kind",
            "GET",
            "blob/missing/blobs/md5:d41d8cd98f00b204e9800998ecf8427e",
        )
        .fails(400, "DIGEST_INVALID"),
        ask(
            "another method",
            "PUT",
            format!("blob/missing/blobs/{none}"),
        )
        .gives(405),
    ]);
    story("missing blob", operations)
}

fn deleted() -> Story {
    let path = format!("blob/deleted/blobs/{}", digest("sha256", BYTES.as_bytes()));
    let mut operations = Vec::from(pushed("blob/deleted", BYTES, ["begin", "end"]));
    operations.extend([
        ask("delete", "DELETE", &path).gives(202),
        ask("look", "HEAD", &path).gives(404),
        ask("read", "GET", &path).fails(404, "BLOB_UNKNOWN"),
        ask("delete again", "DELETE", &path).fails(404, "BLOB_UNKNOWN"),
    ]);
    operations.extend(pushed("blob/deleted", BYTES, ["begin again", "end again"]));
    operations.push(ask("read again", "GET", &path));
    story("deleted blob", operations)
}
