//! What a place cannot hold: every such cell stands here, so that a change of it is seen.

use imgcopy::error::ErrorKind;

use crate::places::Kind;

/// Which failure, and a part of what is said.
pub(crate) type Refusal = (ErrorKind, &'static str);

/// Sources to which a row applies.
type From = fn(Kind) -> bool;

const ANY: From = |_| true;
const REGISTRY: From = |kind| matches!(kind, Kind::Registry);
/// An archive of `docker save` says of everything that it is a layer.
const NOT_SAVED: From = |kind| !matches!(kind, Kind::DockerArchive);

const ARTIFACT: Refusal = (ErrorKind::Unsupported, "holds container images only");
const ELSEWHERE: Refusal = (ErrorKind::Unsupported, "it lives at its URLs");
const LOST: Refusal = (
    ErrorKind::Incomplete,
    "of the manifests that its index names",
);

/// The images, from where, to where, and what is said.
#[rustfmt::skip]
const REFUSED: &[(&str, From, Kind, Refusal)] = &[
    ("an artifact with a config of its own", ANY, Kind::DockerArchive, ARTIFACT),
    ("an artifact with an empty config", ANY, Kind::DockerArchive, ARTIFACT),
    ("an artifact without layers", ANY, Kind::DockerArchive, ARTIFACT),
    ("an artifact of no bytes", ANY, Kind::DockerArchive, ARTIFACT),
    ("an artifact with a subject", ANY, Kind::DockerArchive, ARTIFACT),
    ("an artifact that says it is an image", NOT_SAVED, Kind::DockerArchive, ARTIFACT),
    ("a foreign layer elsewhere", ANY, Kind::DockerArchive, ELSEWHERE),
    ("Docker's foreign layer elsewhere", ANY, Kind::DockerArchive, ELSEWHERE),
    ("variants/docker-schema2-foreign-in-layout", ANY, Kind::DockerArchive, ELSEWHERE),
    // Nobody asks a registry for what lives elsewhere, even where it is there.
    ("a foreign layer that is there", REGISTRY, Kind::DockerArchive, ELSEWHERE),
    ("variants/oci-nondistributable-urls-present-blob", REGISTRY, Kind::DockerArchive, ELSEWHERE),
    // A registry takes no index without its images, so what one lacks was lost.
    ("a sparse index", REGISTRY, Kind::OciArchive, LOST),
    ("a sparse index", REGISTRY, Kind::Oci, LOST),
    ("a sparse index", REGISTRY, Kind::Dir, LOST),
    ("a sparse index", REGISTRY, Kind::Registry, LOST),
    ("an index that lacks another one", REGISTRY, Kind::OciArchive, LOST),
    ("an index that lacks another one", REGISTRY, Kind::Oci, LOST),
    ("an index that lacks another one", REGISTRY, Kind::Dir, LOST),
    ("an index that lacks another one", REGISTRY, Kind::Registry, LOST),
    ("an index of nothing", ANY, Kind::DockerArchive, (ErrorKind::NotFound, "the index has no image for linux/amd64")),
];

pub(crate) fn of(name: &str, from: Kind, to: Kind) -> Option<Refusal> {
    let fits = |row: &&(&str, From, Kind, Refusal)| row.0 == name && row.1(from) && row.2 == to;
    REFUSED.iter().find(fits).map(|row| row.3)
}

/// The images of all rows.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    REFUSED.iter().map(|row| row.0)
}
