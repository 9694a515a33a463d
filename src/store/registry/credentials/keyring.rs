//! All places where credentials may be, and looking one up.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::debug;

use super::credential::Credential;
use super::document::{Answer, Document};
use super::environment::{Environment, Need, Place};
use super::file::{self, Found};
use super::helper::{Helper, HelperName};
use super::scope::Scope;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::Repository;
use crate::store::{blocking, locked};

/// How long a credential helper may take, if nothing else is asked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where credentials are looked up, and kept by `login`.
///
/// Files are read once, when they are needed first. Helpers are asked each time: what they give may
/// have a short life, so it is the caller who keeps it.
pub struct Keyring {
    pub(super) environment: Environment,
    /// The helper that knows everything; then no file is read.
    only: Option<HelperName>,
    patience: Duration,
    read: Mutex<HashMap<PathBuf, Arc<Document>>>,
    warnings: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Keyring {
    /// Without what was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// The credentials that these surroundings lead to. Reads nothing yet.
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            only: None,
            patience: PATIENCE,
            read: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// The credentials that one of Docker's helpers has, `docker-credential-NAME`, and no others: it
    /// is found as from here, and may take as long.
    ///
    /// # Errors
    /// `Invalid` if that is no name of a helper.
    pub fn of_helper(&self, name: &str) -> Result<Self> {
        Ok(Self {
            only: Some(name.parse()?),
            patience: self.patience,
            ..Self::new(self.environment.clone())
        })
    }

    /// Sets how long a credential helper may take for an answer; 30 seconds otherwise.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The credential for a repository. The registry must be the one that will be contacted: what
    /// is for Docker Hub is not for its mirror (S-39).
    ///
    /// The first file that knows the registry decides; in it, the most specific key
    /// (containers-auth.json(5)). `None` if there is no credential.
    ///
    /// # Errors
    /// `Invalid` if a file on the way is malformed, or what it says of this repository is; `Io` if a
    /// helper fails or a file cannot be read. A malformed entry for another registry is no error.
    pub async fn find(&self, repository: &Repository) -> Result<Option<Credential>> {
        self.find_for(&Scope::of(repository)).await
    }

    /// The name of the user who is logged in, as `login --get-login` prints it; `<token>` for a
    /// token. `None` if nobody is.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn get_login(&self, scope: &Scope) -> Result<Option<String>> {
        let found = self.find_for(scope).await?;
        Ok(found.map(|credential| credential.user().to_string()))
    }

    /// What users should know about the files that were read so far: passwords that others can
    /// read (S-41), files and helpers that are named and missing. In alphabetical order.
    pub fn warnings(&self) -> Vec<String> {
        locked(&self.warnings).iter().cloned().collect()
    }

    async fn find_for(&self, scope: &Scope) -> Result<Option<Credential>> {
        let what = || format!("cannot look up credentials for {scope}");
        if let Some(name) = &self.only {
            return self.helper(name)?.get(scope).await;
        }
        for place in self.environment.places() {
            let document = self.document(&place).await.attempting(what)?;
            let answer = document.answer(scope).attempting(|| {
                let file = place.path.display();
                format!("cannot use the credentials file {file} for {scope}")
            })?;
            if let Some(credential) = self.follow(answer, scope, &place).await? {
                debug!(%scope, file = %place.path.display(), "found a credential");
                return Ok(Some(credential));
            }
        }
        debug!(%scope, "there is no credential");
        Ok(None)
    }

    async fn follow(
        &self,
        answer: Answer,
        scope: &Scope,
        place: &Place,
    ) -> Result<Option<Credential>> {
        match answer {
            Answer::Nothing => Ok(None),
            Answer::Holds(credential) => Ok(Some(credential)),
            Answer::Ask(name) => self.helper(&name)?.get(scope).await,
            // A file copied from a desktop names the desktop's helper for everything. That must
            // not stop those who need no credential.
            Answer::AskStore(name) => match self.helper(&name) {
                Ok(helper) => helper.get(scope).await,
                Err(missing) => {
                    self.warn(format!("{}: {missing}", place.path.display()));
                    Ok(None)
                }
            },
        }
    }

    /// The file at a place, read at most once. One that is not there is an empty one.
    async fn document(&self, place: &Place) -> Result<Arc<Document>> {
        if let Some(known) = locked(&self.read).get(&place.path) {
            return Ok(Arc::clone(known));
        }
        let (path, form) = (place.path.clone(), place.form);
        let found = blocking(move || file::read(&path, form)).await?;
        let document = Arc::new(self.judge(found, place)?);
        locked(&self.read).insert(place.path.clone(), Arc::clone(&document));
        Ok(document)
    }

    /// What it means that this was found at a place.
    fn judge(&self, found: Found, place: &Place) -> Result<Document> {
        let path = place.path.display();
        let missing = || format!("there is no credentials file {path}");
        match (found, place.need) {
            (Found::Document(opened), _) => {
                if let Some(mode) = opened.open_to_others
                    && opened.document.holds_secrets()
                {
                    self.warn(format!(
                        "others can read the passwords in {path} (mode {mode:04o}): \
                         use chmod 600"
                    ));
                }
                return Ok(opened.document);
            }
            (Found::Nothing, Need::Demanded) => {
                return Err(Error::new(ErrorKind::Io, missing()));
            }
            (Found::Closed(error), Need::Demanded | Need::Announced) => return Err(error),
            (Found::Nothing, Need::Announced) => {
                self.warn(format!("{}, which REGISTRY_AUTH_FILE names", missing()));
            }
            (Found::Closed(error), Need::Usual) => self.warn(format!("{error}: no permission")),
            (Found::Nothing, Need::Usual) => {}
        }
        Document::parse(b"", place.form)
    }

    /// A helper that is installed.
    pub(super) fn helper(&self, name: &HelperName) -> Result<Helper> {
        let path = self.environment.path.as_deref();
        Helper::find(name, path, self.patience).ok_or_else(|| Helper::missing(name))
    }

    /// Forgets what was read, because a file has changed.
    pub(super) fn forget(&self) {
        locked(&self.read).clear();
    }

    fn warn(&self, text: String) {
        locked(&self.warnings).insert(text);
    }
}
