//! The tag by which registries without the referrers API list what refers to a manifest (OCI
//! distribution specification, "Referrers Tag Schema").

use crate::image::Digest;

/// `sha256-<hex>`, the hash cut to 64 characters.
pub(super) fn fallback_tag(subject: &Digest) -> String {
    let hex: String = subject.hex().chars().take(64).collect();
    format!("{}-{hex}", subject.algorithm().as_str())
}
