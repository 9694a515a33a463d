//! Which options are for which registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::options::Options;
use crate::error::Result;
use crate::store::locked;

/// What is special about registries.
pub trait Rules: Send + Sync {
    /// How a registry is reached, by its name as in [`Repository::registry`], if anything is special
    /// about it. Asked once for each. [`Login::As`] in it is for this registry, also where it is asked
    /// as a mirror of another.
    ///
    /// [`Repository::registry`]: crate::image::Repository::registry
    /// [`Login::As`]: super::Login::As
    ///
    /// # Errors
    /// What finding it out gives.
    fn options(&self, registry: &str) -> Result<Option<Options>>;
}

/// For whom options are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// For all registries.
    All,
    /// For this one.
    Its,
}

/// The options of each registry.
pub(super) struct Chosen {
    base: Arc<Options>,
    rules: Option<Arc<dyn Rules>>,
    /// What the rules said.
    known: Mutex<HashMap<String, Option<Arc<Options>>>>,
}

impl Chosen {
    /// The same for all.
    pub(super) fn all(options: Options) -> Self {
        Self {
            base: Arc::new(options),
            rules: None,
            known: Mutex::default(),
        }
    }

    /// For each what the rules say, if anything.
    pub(super) fn by_rules(options: Options, rules: Arc<dyn Rules>) -> Self {
        Self {
            rules: Some(rules),
            ..Self::all(options)
        }
    }

    /// Those that are for all.
    pub(super) fn base(&self) -> &Options {
        &self.base
    }

    /// Those of one registry.
    pub(super) fn of(&self, registry: &str) -> Result<(Arc<Options>, Whose)> {
        let Some(rules) = &self.rules else {
            return Ok((Arc::clone(&self.base), Whose::All));
        };
        let mut known = locked(&self.known);
        let own = match known.get(registry) {
            Some(known) => known.clone(),
            None => {
                let said = rules.options(registry)?.map(Arc::new);
                known.insert(registry.to_string(), said.clone());
                said
            }
        };
        Ok(match own {
            Some(own) => (own, Whose::Its),
            None => (Arc::clone(&self.base), Whose::All),
        })
    }
}
