//! A registry from its inside: what happens to it while it answers.

use std::sync::Arc;

use super::Core;
use super::server::held;

/// The content of a registry, for closures that a script runs.
#[derive(Clone)]
pub struct Inside(pub(super) Arc<Core>);

impl Inside {
    /// Moves a tag.
    pub fn set_tag(&self, repository: &str, tag: &str, digest: &str) {
        let mut state = held(&self.0.state);
        let repository = state
            .repositories
            .entry(repository.to_string())
            .or_default();
        repository.tags.insert(tag.to_string(), digest.to_string());
    }

    /// Ends all uploads, as a restart would.
    pub fn forget_uploads(&self) {
        held(&self.0.state).uploads.clear();
    }

    /// Collects garbage: blobs that no manifest names; with `deep`, before that manifests to which no
    /// tag and no subject leads.
    pub fn collect(&self, repository: &str, deep: bool) {
        if let Some(of) = held(&self.0.state).repositories.get_mut(repository) {
            of.collect(deep);
        }
    }
}
