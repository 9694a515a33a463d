//! The places that a `sync.yaml` names, opened as its rules say.
//!
//! All registries of a run are one [`Registries`]: whoever reads and whoever writes share connections,
//! tokens, limits and what was learnt, so that blobs are mounted wherever that is possible. What a rule
//! says is for the registries that it names and for nobody else: a mirror is reached by its own rule,
//! and gets no credentials of the registry whose images it has (S-39).

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;

use super::config::{Auth, Config, From, Place, RegistryRule, Tls};
use crate::error::{Attempt as _, Result};
use crate::image::Name;
use crate::store::registry::conf::CertFiles;
use crate::store::registry::credentials::{Credential, Environment, Keyring};
use crate::store::registry::{self, Login, Options, Registries, Rules};
use crate::store::{Destination, Source, open_destination, open_source};

/// Opens places.
pub struct Places {
    registries: Arc<Registries>,
}

impl Places {
    /// The places of a configuration. `base`: how registries are reached that no rule is for, and
    /// whatever a rule leaves open. `machines`: how many share the work, each with its part of the
    /// rates.
    ///
    /// # Errors
    /// `Invalid` if a rule says what cannot be sent, or names what is no helper; `Io` if a file that it
    /// names cannot be read. The message begins with the rule's position.
    pub fn new(config: &Config, base: Options, machines: NonZeroU32) -> Result<Self> {
        for rule in &config.registries {
            let options = options(rule, &base, machines)?;
            // Better now than in the middle of the night.
            CertFiles::default()
                .and_authorities(&options.authorities)
                .attempting(|| unusable(rule))?;
        }
        let rules = OfConfig {
            config: config.clone(),
            base: base.clone(),
            machines,
        };
        Ok(Self {
            registries: Arc::new(Registries::by_rules(base, Arc::new(rules))),
        })
    }

    /// Places whose registries the caller reaches in a way of their own.
    pub fn of(registries: Arc<Registries>) -> Self {
        Self { registries }
    }

    /// All registries, for whatever else there is to be asked of them, and for what was.
    pub fn registries(&self) -> &Arc<Registries> {
        &self.registries
    }

    /// Opens a place to read from. It has no connection yet.
    ///
    /// # Errors
    /// As [`open_source`].
    pub fn source(&self, from: &From) -> Result<Arc<dyn Source>> {
        match from {
            From::Registry(repository) => {
                let opened = self.registries.source(repository);
                let opened = opened.attempting(|| format!("cannot open docker://{repository}"))?;
                Ok(Arc::new(opened))
            }
            From::Local(reference) => Ok(open_source(reference, &self.registries)?.into()),
        }
    }

    /// Opens a place to write to; with `deep`, content of a directory is read again even if imgcopy
    /// wrote it. Open sources first, so that what both have in common is mounted.
    ///
    /// # Errors
    /// As [`open_destination`].
    pub fn destination(&self, place: &Place, deep: bool) -> Result<Arc<dyn Destination>> {
        let place = place.reference(Name::Sole);
        Ok(open_destination(&place, &self.registries, deep)?.into())
    }

    /// Opens a place that was written to, to read from it.
    ///
    /// # Errors
    /// As [`open_source`].
    pub fn written(&self, place: &Place) -> Result<Arc<dyn Source>> {
        match place {
            Place::Registry(repository) => self.source(&From::Registry(repository.clone())),
            local => self.source(&From::Local(local.reference(Name::Sole))),
        }
    }
}

/// The rules of a configuration.
struct OfConfig {
    config: Config,
    base: Options,
    machines: NonZeroU32,
}

impl Rules for OfConfig {
    fn options(&self, registry: &str) -> Result<Option<Options>> {
        let rule = self.config.rule(registry);
        rule.map(|rule| options(rule, &self.base, self.machines))
            .transpose()
    }
}

fn unusable(rule: &RegistryRule) -> String {
    format!("{}: the rule for {} cannot be used", rule.at, rule.pattern)
}

/// What a rule makes of the options that are for all.
fn options(rule: &RegistryRule, base: &Options, machines: NonZeroU32) -> Result<Options> {
    let mut options = base.clone();
    if let Some(auth) = &rule.auth {
        options.login = login(auth, &base.login).attempting(|| unusable(rule))?;
    }
    options.authorities.extend(rule.ca.clone());
    options.tls = match rule.tls {
        Some(Tls::On) => Some(registry::Tls::Verified),
        Some(Tls::Insecure) => Some(registry::Tls::Unverified),
        Some(Tls::Off) => Some(registry::Tls::Off),
        None => options.tls,
    };
    options.mirrors.clone_from(&rule.mirror);
    limit(rule, &mut options.limits, machines);
    Ok(options)
}

/// Who we are. A helper is found as those are that files name.
fn login(auth: &Auth, base: &Login) -> Result<Login> {
    Ok(match auth {
        Auth::None => Login::Anonymous,
        Auth::Basic { user, pass } => Login::As(Credential::basic(user, pass.reveal())?),
        Auth::Token(token) => Login::As(Credential::RegistryToken(token.clone())),
        Auth::Helper(name) => Login::Keyring(Arc::new(match base {
            Login::Keyring(keyring) => keyring.of_helper(name)?,
            Login::Anonymous | Login::As(_) => {
                Keyring::new(Environment::of_process()).of_helper(name)?
            }
        })),
    })
}

/// How much is asked. Rates are shared by all machines; how much is in flight is for each, because a
/// registry feels connections less than it counts requests.
fn limit(rule: &RegistryRule, limits: &mut registry::Limits, machines: NonZeroU32) {
    if let Some(parallel) = rule.parallel {
        let parallel = parallel.get();
        // What the user says counts for Docker Hub, too.
        (limits.requests, limits.transfers, limits.hub) = (parallel, parallel, parallel);
    }
    limits.rate = rule.rate.map(|rate| registry::Rate {
        count: rate.count,
        per: rate.per.saturating_mul(machines.get()),
    });
    limits.bandwidth = rule.bandwidth.map(|bandwidth| {
        let part = bandwidth.bytes.get() / u64::from(machines.get());
        part.try_into().unwrap_or(std::num::NonZeroU64::MIN)
    });
    limits.quota = rule.quota;
}
