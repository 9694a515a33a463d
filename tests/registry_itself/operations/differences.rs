//! What docker-registry 2.8 answers in another way, and why that is so or why ours is kept. What is said of
//! distribution 3 was seen with 3.1.

/// Answers to some operations that are not alike.
#[derive(Debug)]
pub(super) struct Difference {
    /// The operations: the name of one, or what their names begin with.
    of: &'static str,
    /// Status, code, body, or names of headers.
    what: &'static str,
    /// Shown when it is no longer so.
    #[allow(dead_code)]
    why: &'static str,
}

impl Difference {
    pub(super) fn is(&self, name: &str, field: &str) -> bool {
        name.starts_with(self.of) && self.fields().any(|own| own == field)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.what.split(' ')
    }
}

const fn differ(of: &'static str, what: &'static str, why: &'static str) -> Difference {
    Difference { of, what, why }
}

pub(super) const DIFFERENCES: &[Difference] = &[
    differ(
        "a chunk out of order: a gap",
        "status range content-length",
        "2.8 does not look at Content-Range; distribution 3 gives 416, too",
    ),
    differ(
        "a location that is old: stream",
        "status code content-type docker-upload-uuid location range",
        "2.8 knows no upload with that state; distribution 3 gives 416, but not where to go on",
    ),
    differ(
        "a location that is old: status",
        "status code content-type docker-upload-uuid location range",
        "2.8 knows no upload with that state; distribution 3 gives 204, too",
    ),
    differ(
        "a session that nobody began",
        "code",
        "it misses the state before it looks for the session",
    ),
    differ(
        "a wrong digest: it has ended",
        "code",
        "it keeps the session with what came, for which this state is too old",
    ),
    differ("a wrong digest: and cannot end again", "code", "as before"),
    differ(
        "base: another method",
        "status allow content-type body",
        "it does not look at the method",
    ),
    differ(
        "catalog: what is no number",
        "status code body",
        "2.8 takes it for no number given; distribution 3 gives 400, too",
    ),
    differ(
        "deleted manifest: tags",
        "body",
        "2.8 has null for no tags; distribution 3 has an empty list, too",
    ),
    differ(
        "manifest by digest: no tag came",
        "status code body",
        "it knows a repository by its tags; in the specification an empty list is one",
    ),
    differ("tags: of blobs alone", "status code body", "as before"),
    differ(
        "manifest by tag: read what is known",
        "docker-content-digest etag",
        "RFC 9110, 15.4.5 wants the ETag",
    ),
    differ(
        "missing manifest: a digest that is none",
        "status code",
        "2.8 fails (500); distribution 3 gives 400, too",
    ),
    differ(
        "refused manifest: what is no digest",
        "status code",
        "as before",
    ),
    differ(
        "missing manifest: a tag that is none",
        "status code content-type body",
        "it knows no path with such a tag",
    ),
    differ(
        "refused manifest: what is no tag",
        "status code content-type body",
        "as before",
    ),
    differ(
        "refused manifest: too large",
        "status code",
        "the specification has 413",
    ),
    differ(
        "pages of tags: two",
        "body link",
        "2.8 has no pages of tags; distribution 3 has",
    ),
    differ("pages of tags: the rest", "body", "as before"),
    differ("pages of tags: after", "body", "as before"),
    differ("pages of tags: none", "body", "as before"),
    differ(
        "pages of tags: what is no number",
        "status code body",
        "as before",
    ),
    differ(
        "range: another unit",
        "status accept-ranges content-length content-type body",
        "RFC 9110, 14.2: an unknown unit is ignored",
    ),
    differ(
        "range: two of them",
        "status content-length content-type body",
        "RFC 9110, 14.2 leaves it open; a fault can give parts (`Action::multipart`)",
    ),
    differ(
        "range: backwards",
        "content-range",
        "RFC 9110, 15.5.17 has the length told",
    ),
    differ("range: no numbers", "content-range", "as before"),
    differ(
        "referrers: nothing refers to it",
        "status content-length content-type body",
        "it has no referrers API; the scripted one can be without it, too",
    ),
    differ("referrers: push a referrer", "oci-subject", "as before"),
    differ(
        "referrers: the referrer",
        "status content-length content-type body",
        "as before",
    ),
    differ(
        "referrers: referrers of a kind",
        "status content-length content-type oci-filters-applied body",
        "as before",
    ),
    differ(
        "referrers: referrers of no digest",
        "status code content-type body",
        "as before",
    ),
    differ(
        "tags: look",
        "status allow content-type",
        "it has no HEAD of lists",
    ),
    differ(
        "untagged manifest: delete a tag that is not there",
        "status code",
        "2.8 deletes by digest only; distribution 3 deletes tags, too",
    ),
    differ(
        "untagged manifest: delete the tag",
        "status code content-length content-type",
        "as before",
    ),
];
