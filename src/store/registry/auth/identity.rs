//! Who we are at one registry: the credential of each repository, looked up once.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::Mutex as AsyncMutex;

use super::super::credentials::{Credential, Secret};
use super::super::options::Login;
use crate::error::{Attempt as _, ErrorKind, Result};
use crate::image::Repository;
use crate::store::locked;

/// Who we are at one registry.
pub(super) struct Identity {
    registry: String,
    login: Login,
    /// By path: a keyring may have one for each repository.
    known: AsyncMutex<HashMap<String, Option<Credential>>>,
    /// Refresh tokens that the token server replaced, each with what took its place.
    replaced: Mutex<Vec<(Secret, Secret)>>,
}

impl Identity {
    pub(super) fn new(registry: &str, login: Login) -> Self {
        Self {
            registry: registry.to_string(),
            login,
            known: AsyncMutex::default(),
            replaced: Mutex::default(),
        }
    }

    /// The token that the user gave for the registry itself. It need not be asked for.
    pub(super) fn given_token(&self) -> Option<&Secret> {
        match &self.login {
            Login::As(Credential::RegistryToken(token)) => Some(token),
            _ => None,
        }
    }

    /// The credential for a repository.
    pub(super) async fn credential(&self, path: &str) -> Result<Option<Credential>> {
        match &self.login {
            Login::Anonymous => Ok(None),
            Login::As(credential) => Ok(Some(credential.clone())),
            Login::Keyring(_) => {
                let mut known = self.known.lock().await;
                if let Some(known) = known.get(path) {
                    return Ok(known.clone());
                }
                let found = self.look_up(path).await?;
                known.insert(path.to_string(), found.clone());
                Ok(found)
            }
        }
    }

    /// Another credential in place of one that was refused: passwords of cloud registries are good
    /// for hours only, and their helpers know new ones. `None` if there is none.
    pub(super) async fn instead_of(
        &self,
        path: &str,
        refused: &Credential,
    ) -> Result<Option<Credential>> {
        if !matches!(self.login, Login::Keyring(_)) {
            return Ok(None);
        }
        let mut known = self.known.lock().await;
        let is_it = |found: &Option<Credential>| found.as_ref() == Some(refused);
        if let Some(newer) = known.get(path).filter(|found| !is_it(found)) {
            // Somebody else was refused as well, and has asked already.
            return Ok(newer.clone());
        }
        let found = self.look_up(path).await?;
        known.insert(path.to_string(), found.clone());
        Ok(found.filter(|found| found != refused))
    }

    async fn look_up(&self, path: &str) -> Result<Option<Credential>> {
        let Login::Keyring(keyring) = &self.login else {
            return Ok(None);
        };
        // A check of a login is about no repository; any path does to ask for the registry.
        let path = if path.is_empty() { "any" } else { path };
        let found = keyring.find(&Repository::new(&self.registry, path)?).await;
        // A file of credentials that is broken says nothing about the image.
        let found = found.map_err(|error| error.of_kind(ErrorKind::Unauthorized));
        found.attempting(|| format!("cannot tell {} who asks", self.registry))
    }

    /// A refresh token as it is now: some token servers give a new one each time.
    pub(super) fn current(&self, token: &Secret) -> Secret {
        let replaced = locked(&self.replaced);
        let newer = replaced.iter().find(|(old, _)| old == token);
        newer.map_or_else(|| token.clone(), |(_, new)| new.clone())
    }

    /// Another one takes the place of a refresh token. What is for one repository is never used
    /// for another.
    pub(super) fn replace(&self, token: &Secret, new: Secret) {
        let mut replaced = locked(&self.replaced);
        replaced.retain(|(old, _)| old != token);
        replaced.push((token.clone(), new));
    }
}
