//! Keeping credentials and forgetting them: what `imgcopy login` and `logout` do.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::credential::Credential;
use super::document::{Document, Form, Keeper};
use super::edit::Removed;
use super::file::{self, Found};
use super::keyring::Keyring;
use super::scope::Scope;
use crate::error::Result;
use crate::store::blocking;

/// Where a credential is kept, or was. Its `Display` is the file or the helper's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In this file.
    File(PathBuf),
    /// By this credential helper: `docker-credential-NAME`.
    Helper(String),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Helper(program) => f.write_str(program),
        }
    }
}

impl Keyring {
    /// Keeps a credential: in the helper that the file for logins names for the registry, or else
    /// in that file, which is made if need be. Everything else in it stays.
    ///
    /// # Errors
    /// `NoPlace` if there is no place for a file; `Unsupported` if a helper has the registry and
    /// cannot hold this, or is not installed; otherwise whatever the helper or writing gives.
    pub async fn store(&self, scope: &Scope, credential: &Credential) -> Result<Kept> {
        let path = self.login_file()?;
        let keeper = match read(path.clone()).await? {
            Some(document) => document.keeper(scope)?,
            None => Keeper::File,
        };
        let (scope, credential) = (scope.clone(), credential.clone());
        let Keeper::Helper(name) = keeper else {
            self.edit(path.clone(), move |it| it.set(&scope, &credential))
                .await?;
            return Ok(Kept::File(path));
        };
        self.helper(&name)?.store(&scope, &credential).await?;
        self.edit(path, move |it| it.mark(&scope)).await?;
        Ok(Kept::Helper(name.to_string()))
    }

    /// Forgets the credential of exactly this scope, in the file for logins and in its helper.
    /// Tells where it was; `None` if there was none.
    ///
    /// # Errors
    /// As [`Self::store`]. What was in the file is gone even if the helper fails.
    pub async fn erase(&self, scope: &Scope) -> Result<Option<Kept>> {
        let path = self.login_file()?;
        let Some(document) = read(path.clone()).await? else {
            return Ok(None);
        };
        let wanted = scope.clone();
        let removed = self
            .edit(path.clone(), move |it| it.remove(&wanted))
            .await?;
        // A helper has nothing for a part of a registry.
        if scope.is_whole_registry()
            && let Some(program) = self.erase_in_helper(&document, scope).await?
        {
            return Ok(Some(Kept::Helper(program)));
        }
        Ok((removed == Removed::Credential).then_some(Kept::File(path)))
    }

    /// Forgets all credentials of the file for logins: those in it, and those that its helpers have
    /// for registries that it names. Tells which those were, as the file calls them.
    ///
    /// # Errors
    /// As [`Self::store`]. If a helper fails, all others are erased nevertheless.
    pub async fn erase_all(&self) -> Result<Vec<String>> {
        let path = self.login_file()?;
        let Some(document) = read(path.clone()).await? else {
            return Ok(Vec::new());
        };
        let mut erased = Vec::new();
        let mut failed = BTreeSet::new();
        let mut failure = None;
        for scope in document.in_helpers() {
            match self.erase_in_helper(&document, &scope).await {
                Ok(Some(_)) => erased.push(scope.to_string()),
                Ok(None) => {}
                Err(error) => {
                    failed.insert(scope);
                    failure.get_or_insert(error);
                }
            }
        }
        erased.extend(self.edit(path, move |it| it.remove_all(&failed)).await?);
        match failure {
            Some(error) => Err(error),
            None => Ok(erased),
        }
    }

    /// The program that had the credential.
    async fn erase_in_helper(&self, document: &Document, scope: &Scope) -> Result<Option<String>> {
        let Keeper::Helper(name) = document.keeper(scope)? else {
            return Ok(None);
        };
        let helper = self.helper(&name)?;
        // Helpers disagree on whether it is an error to erase what is not there.
        if helper.get(scope).await?.is_none() {
            return Ok(None);
        }
        helper.erase(scope).await?;
        Ok(Some(name.to_string()))
    }

    fn login_file(&self) -> Result<PathBuf> {
        self.environment.login_file(Path::exists)
    }

    async fn edit<T: Send + 'static>(
        &self,
        path: PathBuf,
        change: impl FnOnce(&mut Document) -> T + Send + 'static,
    ) -> Result<T> {
        let result = blocking(move || file::edit(&path, change)).await;
        self.forget();
        result
    }
}

/// The file as it is now. `None` if there is none.
async fn read(path: PathBuf) -> Result<Option<Document>> {
    blocking(move || match file::read(&path, Form::Wrapped)? {
        Found::Nothing => Ok(None),
        Found::Closed(error) => Err(error),
        Found::Document(opened) => Ok(Some(opened.document)),
    })
    .await
}
