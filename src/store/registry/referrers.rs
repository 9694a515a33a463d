//! The tag by which registries without the referrers API list what refers to a manifest (OCI
//! distribution specification, "Referrers Tag Schema").

use crate::image::{Digest, companion};

/// `sha256-<hex>`, the hash cut to 64 characters.
pub(super) fn fallback_tag(subject: &Digest) -> String {
    companion::referrers_tag(subject)
}
