//! Blobs as they are pushed.

use super::{Operation, Story, ask, story};
use crate::support::registry::digest;

/// How many of these uploads are neither finished nor given up.
pub(super) const LEFT_OPEN: usize = 0;

pub(super) fn stories() -> Vec<Story> {
    let mut all = vec![
        whole(),
        streamed(),
        chunked(),
        in_one_post(),
        empty(),
        twice(),
    ];
    all.extend([
        wrong_digest(),
        no_digest(),
        no_kind_of_digest(),
        old_location(),
    ]);
    all.extend([out_of_order(), nobodys(), given_up()]);
    all.extend(mounted());
    all
}

fn begin(repository: &str) -> Operation {
    let begin = ask("begin", "POST", format!("{repository}/blobs/uploads/"));
    begin.gives(202)
}

fn whole() -> Story {
    let whole = digest("sha256", b"whole");
    story(
        "POST and PUT",
        vec![
            begin("up/put"),
            ask("status", "GET", "@").gives(204),
            ask("end", "PUT", format!("@?digest={whole}"))
                .body("whole")
                .gives(201),
            ask("look", "HEAD", format!("up/put/blobs/{whole}")),
            ask("read", "GET", format!("up/put/blobs/{whole}")),
        ],
    )
}

fn streamed() -> Story {
    let pieces = digest("sha256", b"abcdefghij");
    story(
        "POST, PATCH and PUT",
        vec![
            begin("up/stream"),
            ask("stream", "PATCH", "@").body("abcdefghij").gives(202),
            ask("status", "GET", "@").gives(204),
            ask("end", "PUT", format!("@?digest={pieces}")).gives(201),
            ask("read", "GET", format!("up/stream/blobs/{pieces}")),
        ],
    )
}

fn chunked() -> Story {
    let pieces = digest("sha256", b"abcdefghij");
    story(
        "chunks",
        vec![
            begin("up/chunks"),
            ask("first", "PATCH", "@")
                .with("Content-Range", "0-3")
                .body("abcd")
                .gives(202),
            ask("second", "PATCH", "@")
                .with("Content-Range", "4-8")
                .body("efghi")
                .gives(202),
            ask("status", "GET", "@").gives(204),
            ask("end with the last", "PUT", format!("@?digest={pieces}"))
                .with("Content-Range", "9-9")
                .body("j")
                .gives(201),
            ask("read", "GET", format!("up/chunks/blobs/{pieces}")),
        ],
    )
}

fn in_one_post() -> Story {
    let whole = digest("sha256", b"whole");
    story(
        "one POST",
        vec![
            ask(
                "begins an upload",
                "POST",
                format!("up/post/blobs/uploads/?digest={whole}"),
            )
            .body("whole")
            .gives(202),
            ask("has nothing", "HEAD", format!("up/post/blobs/{whole}")).gives(404),
            ask("end", "PUT", format!("@?digest={whole}"))
                .body("whole")
                .gives(201),
        ],
    )
}

fn empty() -> Story {
    let empty = digest("sha256", b"");
    story(
        "an empty blob",
        vec![
            begin("up/empty"),
            ask("end", "PUT", format!("@?digest={empty}")).gives(201),
            ask("look", "HEAD", format!("up/empty/blobs/{empty}")),
            ask("read", "GET", format!("up/empty/blobs/{empty}")),
        ],
    )
}

fn twice() -> Story {
    let whole = digest("sha256", b"whole");
    story(
        "twice",
        vec![
            begin("up/twice"),
            ask("end", "PUT", format!("@?digest={whole}"))
                .body("whole")
                .gives(201),
            ask("begin again", "POST", "up/twice/blobs/uploads/").gives(202),
            ask("end again", "PUT", format!("@?digest={whole}"))
                .body("whole")
                .gives(201),
        ],
    )
}

fn wrong_digest() -> Story {
    let whole = digest("sha256", b"whole");
    story(
        "a wrong digest",
        vec![
            begin("no/digest"),
            ask("end", "PUT", format!("@?digest={whole}"))
                .body("other")
                .fails(400, "DIGEST_INVALID"),
            ask("it has ended", "GET", "@").fails(404, "BLOB_UPLOAD_UNKNOWN"),
            ask("and cannot end again", "PUT", format!("@?digest={whole}"))
                .body("whole")
                .fails(404, "BLOB_UPLOAD_UNKNOWN"),
            ask("nothing came", "HEAD", format!("no/digest/blobs/{whole}")).gives(404),
        ],
    )
}

fn no_digest() -> Story {
    story(
        "no digest",
        vec![
            begin("no/none"),
            ask("end", "PUT", "@")
                .body("whole")
                .fails(400, "DIGEST_INVALID"),
            ask("give up", "DELETE", "@").gives(204),
        ],
    )
}

fn no_kind_of_digest() -> Story {
    story(
        "what is no digest",
        vec![
            begin("no/kind"),
            ask("end", "PUT", "@?digest=sha256:1")
                .body("whole")
                .fails(400, "DIGEST_INVALID"),
            ask("give up", "DELETE", "@").gives(204),
        ],
    )
}

fn old_location() -> Story {
    story(
        "a location that is old",
        vec![
            begin("no/old"),
            ask("stream", "PATCH", "@0").body("abcd").gives(202),
            ask("stream to the old one", "PATCH", "@0")
                .body("efgh")
                .fails(416, ""),
            ask("status at the old one", "GET", "@0").gives(204),
            ask("give up", "DELETE", "@").gives(204),
        ],
    )
}

fn out_of_order() -> Story {
    story(
        "a chunk out of order",
        vec![
            begin("no/order"),
            ask("a gap", "PATCH", "@")
                .with("Content-Range", "3-6")
                .body("abcd")
                .fails(416, ""),
            ask("give up", "DELETE", "@").gives(204),
        ],
    )
}

fn nobodys() -> Story {
    let whole = digest("sha256", b"whole");
    story(
        "a session that nobody began",
        vec![
            ask("status", "GET", format!("no/where/blobs/uploads/{NOBODYS}"))
                .fails(404, "BLOB_UPLOAD_UNKNOWN"),
            ask(
                "stream",
                "PATCH",
                format!("no/where/blobs/uploads/{NOBODYS}"),
            )
            .body("a")
            .fails(404, "BLOB_UPLOAD_UNKNOWN"),
            ask(
                "end",
                "PUT",
                format!("no/where/blobs/uploads/{NOBODYS}?digest={whole}"),
            )
            .body("a")
            .fails(404, "BLOB_UPLOAD_UNKNOWN"),
            ask(
                "give up",
                "DELETE",
                format!("no/where/blobs/uploads/{NOBODYS}"),
            )
            .fails(404, "BLOB_UPLOAD_UNKNOWN"),
        ],
    )
}

const NOBODYS: &str = "0e7d4d3e-3f3b-4d5a-9b6e-2f7a6e1c9d10";

fn mounted() -> Vec<Story> {
    let blob = digest("sha256", b"to mount");
    let none = digest("sha256", b"none");
    let mount = |name, digest: &str, rest: &str| {
        ask(
            name,
            "POST",
            format!("mount/to/blobs/uploads/?mount={digest}{rest}"),
        )
    };
    vec![story(
        "mount",
        vec![
            ask("begin", "POST", "mount/from/blobs/uploads/").gives(202),
            ask("end", "PUT", format!("@?digest={blob}"))
                .body("to mount")
                .gives(201),
            mount("a blob that is nowhere", &none, "&from=mount/from").gives(202),
            ask("give up the first", "DELETE", "@").gives(204),
            mount("from nowhere", &blob, "&from=mount/nowhere").gives(202),
            ask("give up the second", "DELETE", "@").gives(204),
            mount("from anywhere", &blob, "").gives(202),
            ask("give up the third", "DELETE", "@").gives(204),
            ask("nothing came", "HEAD", format!("mount/to/blobs/{blob}")).gives(404),
            mount("a blob that is there", &blob, "&from=mount/from").gives(201),
            ask("look", "HEAD", format!("mount/to/blobs/{blob}")),
            mount("a blob that one has", &blob, "&from=mount/from").gives(201),
        ],
    )]
}

fn given_up() -> Story {
    story(
        "giving up",
        vec![
            ask("begin", "POST", "up/given/blobs/uploads/").gives(202),
            ask("stream", "PATCH", "@").body("abcd").gives(202),
            ask("give up", "DELETE", "@").gives(204),
            ask("status", "GET", "@").fails(404, "BLOB_UPLOAD_UNKNOWN"),
            ask("stream on", "PATCH", "@")
                .body("efgh")
                .fails(404, "BLOB_UPLOAD_UNKNOWN"),
            ask("give up again", "DELETE", "@").fails(404, "BLOB_UPLOAD_UNKNOWN"),
        ],
    )
}
