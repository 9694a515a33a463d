//! What belongs to an image and stands beside it: signatures, attestations, SBOMs.
//!
//! OCI 1.1 calls them referrers: manifests that name the image as their `subject`. Registries without
//! the API for them list them in an index under a tag made of the image's digest (distribution
//! specification, "Referrers Tag Schema"). cosign names what it makes by such tags with a suffix.

use super::{Digest, Tag};

/// What cosign appends to the tag of an image's digest.
const SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// Types of artifacts that are signatures: cosign's, Notary's, and Sigstore's bundles.
const SIGNATURES: [&str; 4] = [
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/vnd.cncf.notary.signature",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
];

/// The tag under which registries without the API list what refers to a manifest: `sha256-<hex>`,
/// the hash cut to 64 characters.
pub(crate) fn referrers_tag(subject: &Digest) -> String {
    let hex: String = subject.hex().chars().take(64).collect();
    format!("{}-{hex}", subject.algorithm().as_str())
}

/// The tags that cosign gives to what belongs to a manifest.
pub(crate) fn cosign_tags(subject: &Digest) -> Vec<Tag> {
    let stem = referrers_tag(subject);
    let tags = SUFFIXES
        .iter()
        .map(|suffix| format!("{stem}{suffix}").parse());
    tags.filter_map(Result::ok).collect()
}

/// Whether a tag names no image, but what belongs to one.
pub(crate) fn is_companion(tag: &str) -> bool {
    let stem = SUFFIXES.iter().find_map(|suffix| tag.strip_suffix(suffix));
    let stem = stem.unwrap_or(tag);
    let hex = stem
        .strip_prefix("sha256-")
        .or(stem.strip_prefix("sha512-"));
    hex.is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether an artifact of this type is a signature.
pub(crate) fn is_signature(artifact_type: &str) -> bool {
    SIGNATURES.contains(&artifact_type)
}

/// Whether a tag of cosign's names signatures.
pub(crate) fn names_signatures(tag: &Tag) -> bool {
    tag.as_str().strip_suffix(".sig").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_companions_are_told_from_tags_of_images() {
        let subject = Digest::of(b"");
        let listed = referrers_tag(&subject);
        assert_eq!(listed, format!("sha256-{}", subject.hex()));
        assert!(is_companion(&listed));
        for tag in cosign_tags(&subject) {
            assert!(is_companion(tag.as_str()), "{tag}");
        }
        for image in ["latest", "sha256-abc", "1.0.sig", "sha256-"] {
            assert!(!is_companion(image), "{image}");
        }
    }
}
