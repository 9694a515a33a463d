//! Registries, by the OCI distribution specification and with the quirks that they have.
//!
//! [`Registries`] is what one side of a copy may do; [`Registry`] is one repository, as a place to
//! read from and to write to. Retries, resumed downloads, tokens and limits are private to this
//! module: whoever copies sees answers and errors.

mod answer;
mod auth;
mod clients;
pub mod conf;
pub mod credentials;
mod download;
mod end;
mod fallback;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod gate;
mod headers;
mod host;
mod options;
mod pace;
mod policy;
mod quota;
mod repository;
mod retry;
mod rules;
mod send;
mod shown;
mod traffic;
mod trouble;
mod upload;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use reqwest::Method;

use crate::error::{Attempt as _, Result};
use crate::image::Repository;
use crate::store::locked;
use auth::Scopes;
use conf::Endpoint;
use credentials::Scope;
use end::End;
use gate::Gates;
use host::Host;
use retry::Op;
use rules::{Chosen, Whose};

pub(crate) use clients::with_roots;
pub use options::{Limits, Login, Mirror, Options, Quota, Rate, Share, Tls};
pub use repository::Registry;
pub use retry::RetryPolicy;
pub use rules::Rules;
pub use traffic::{Allowance, Requests, Traffic};

/// All registries, as one side of a copy may reach them. Everything that is opened through one of
/// these shares connections, tokens, and what was learnt.
pub struct Registries {
    options: Chosen,
    gates: Arc<Gates>,
    hosts: Mutex<HashMap<Key, Arc<Host>>>,
}

/// Who answers under one name: the registry, whether it may be insecure, and whether it is the one
/// that the user named.
type Key = (String, bool, bool);

impl Registries {
    /// Reached so.
    pub fn new(options: Options) -> Self {
        Self {
            options: Chosen::all(options),
            gates: Arc::default(),
            hosts: Mutex::default(),
        }
    }

    /// Each reached as the rules say of it, and as `options` say where they are silent.
    pub fn by_rules(options: Options, rules: Arc<dyn Rules>) -> Self {
        Self {
            options: Chosen::by_rules(options, rules),
            gates: Arc::default(),
            hosts: Mutex::default(),
        }
    }

    /// The other side of a copy, reached otherwise. How much a registry is asked at once, and when
    /// it wants to be left alone, still counts for both.
    #[must_use]
    pub fn beside(&self, options: Options) -> Self {
        Self {
            options: Chosen::all(options),
            gates: Arc::clone(&self.gates),
            hosts: Mutex::default(),
        }
    }

    /// A repository to read from: at its mirrors, if it has any, and then at its own place.
    ///
    /// # Errors
    /// `Denied` if the registry is blocked; otherwise what reading certificates gives.
    pub fn source(&self, repository: &Repository) -> Result<Registry> {
        let asked = Arc::default();
        let ends = |by_digest| {
            let endpoints = self.endpoints(repository, by_digest)?;
            self.ends(repository, &endpoints, "pull", &asked)
        };
        let (by_tag, by_digest) = (ends(false)?, ends(true)?);
        for end in &by_digest {
            locked(&end.host.learnt.sources).insert(end.path.clone());
        }
        Ok(Registry::new(repository.clone(), by_tag, by_digest))
    }

    /// A repository to write to. Open what is read first: blobs can be mounted from there.
    ///
    /// # Errors
    /// As [`Registries::source`].
    pub fn destination(&self, repository: &Repository) -> Result<Registry> {
        let end = self.place(repository)?;
        let mut ends = self.ends(repository, &[end], "pull,push", &Arc::default())?;
        for end in &mut ends {
            for source in locked(&end.host.learnt.sources).iter().take(10) {
                end.scopes = end.scopes.clone().reading(source);
            }
        }
        Ok(Registry::new(repository.clone(), ends.clone(), ends))
    }

    /// A repository to delete from.
    ///
    /// # Errors
    /// As [`Registries::source`].
    pub fn to_delete(&self, repository: &Repository) -> Result<Registry> {
        let end = self.place(repository)?;
        let ends = self.ends(repository, &[end], "pull,delete", &Arc::default())?;
        Ok(Registry::new(repository.clone(), ends.clone(), ends))
    }

    /// Asks a registry whether it takes the credentials, in the way in which it will be asked later.
    ///
    /// # Errors
    /// `Unauthorized` if it does not; otherwise what asking gives.
    pub async fn check_login(&self, scope: &Scope) -> Result<()> {
        let registry = scope.registry();
        // Any path does to ask for a whole registry.
        let path = if scope.is_whole_registry() {
            "any"
        } else {
            scope.path()
        };
        let repository = Repository::new(registry, path)?;
        let host = self.host(&self.place(&repository)?, true)?;
        let scopes = Scopes {
            path: scope.path().to_string(),
            list: Vec::new(),
        };
        let checked = host.repeat(Op::Read, || async {
            let call = host.call(Method::GET, "", &scopes).await?;
            host.send(&call).await?.expect(&[200]).await?;
            Ok(())
        });
        checked
            .await
            .attempting(|| format!("cannot log in at {scope}"))
    }

    /// What users should know of the credentials files that were read so far, such as that others
    /// can read the passwords in them (S-41).
    pub fn warnings(&self) -> Vec<String> {
        match &self.options.base().login {
            Login::Keyring(keyring) => keyring.warnings(),
            Login::Anonymous | Login::As(_) => Vec::new(),
        }
    }

    /// What was asked so far of each registry, as users call it: by these, and by those beside them.
    pub fn traffic(&self) -> BTreeMap<String, Traffic> {
        self.gates.traffic()
    }

    /// Where a repository is written.
    fn place(&self, repository: &Repository) -> Result<Endpoint> {
        let (options, _) = self.options.of(repository.registry())?;
        options.conf.destination(repository)
    }

    /// Where a repository is read: mirrors first, the place itself last.
    fn endpoints(&self, repository: &Repository, by_digest: bool) -> Result<Vec<Endpoint>> {
        let (options, _) = self.options.of(repository.registry())?;
        let mirror = |mirror: &Mirror| {
            let at = self.place(&mirror.of(repository)?)?;
            Ok(Endpoint {
                is_mirror: true,
                ..at
            })
        };
        let mut found: Vec<Endpoint> = options
            .mirrors
            .iter()
            .map(mirror)
            .collect::<Result<_>>()
            .attempting(|| format!("cannot tell where the mirrors have {repository}"))?;
        found.extend(options.conf.endpoints(repository, by_digest)?);
        Ok(found)
    }

    fn ends(
        &self,
        repository: &Repository,
        endpoints: &[Endpoint],
        actions: &str,
        asked: &Arc<AtomicU64>,
    ) -> Result<Vec<End>> {
        let end = |endpoint: &Endpoint| {
            let is_named = endpoint.registry == repository.registry();
            Ok(End {
                host: self.host(endpoint, is_named)?,
                path: endpoint.path.clone(),
                is_mirror: endpoint.is_mirror,
                scopes: Scopes::of(&endpoint.path, actions),
                asked: Arc::clone(asked),
            })
        };
        endpoints.iter().map(end).collect()
    }

    /// What users give for the registry that they name goes to no other one (S-39).
    fn host(&self, endpoint: &Endpoint, is_named: bool) -> Result<Arc<Host>> {
        let key = (endpoint.registry.clone(), endpoint.insecure, is_named);
        let mut hosts = locked(&self.hosts);
        if let Some(host) = hosts.get(&key) {
            return Ok(Arc::clone(host));
        }
        let (options, whose) = self.options.of(&endpoint.registry)?;
        let login = match (&options.login, whose) {
            (Login::As(_), Whose::All) if !is_named => Login::Anonymous,
            (login, _) => login.clone(),
        };
        let host = Host::new(endpoint, &options, login, &self.gates)
            .attempting(|| format!("cannot reach {}", endpoint.registry))?;
        Ok(Arc::clone(hosts.entry(key).or_insert(Arc::new(host))))
    }
}
