//! Who we are to one registry: challenges, tokens, and the header that goes with each request.
//!
//! Nothing is sent before the registry asks: there is no `/v2/` ping (P-09). The first 401 says how
//! it wants to be asked, and after that each request has its header at once. A token is fetched once
//! for each set of scopes; whoever needs the same one meanwhile waits for it.

mod identity;
mod token;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;
use tracing::debug;

use super::credentials::{Credential, Secret};
use super::headers::all;
use super::headers::challenge::{self, Challenge};
use super::host::Host;
use super::options::Login;
use super::policy::{self, Origin};
use super::retry::Op;
use super::shown;
use super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::store::locked;
use identity::Identity;
pub(super) use token::TokenRequest;
use token::{Given, Token, basic, bearer};

/// What a request must be allowed to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scopes {
    /// The repository that it is about; its credential is the one that counts.
    pub(super) path: String,
    /// As the token server wants them; the one that matters first.
    pub(super) list: Vec<String>,
}

impl Scopes {
    pub(super) fn of(path: &str, actions: &str) -> Self {
        Self {
            path: path.to_string(),
            list: vec![format!("repository:{path}:{actions}")],
        }
    }

    /// Also allowed to read another repository.
    pub(super) fn reading(mut self, path: &str) -> Self {
        let scope = format!("repository:{path}:pull");
        if path != self.path && !self.list.contains(&scope) {
            self.list.push(scope);
        }
        self
    }
}

/// How the registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Manner {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// The place of a token, which whoever fetches it locks.
type Slot = Arc<AsyncMutex<Option<Token>>>;

/// What a registry knows of us.
pub(super) struct Auth {
    identity: Identity,
    manner: Mutex<Option<Manner>>,
    tokens: Mutex<HashMap<Scopes, Slot>>,
    /// The token server looks at one scope only.
    one_scope: AtomicBool,
}

/// The largest answer of a token server, in bytes (S-17).
const ANSWER_LIMIT: u64 = 1 << 20;

impl Auth {
    pub(super) fn new(registry: &str, login: Login) -> Self {
        Self {
            identity: Identity::new(registry, login),
            manner: Mutex::default(),
            tokens: Mutex::default(),
            one_scope: AtomicBool::new(false),
        }
    }

    /// The header that a request needs, as far as is known.
    pub(super) async fn header(
        &self,
        host: &Host,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, Trouble> {
        let manner = locked(&self.manner).clone();
        let Some(manner) = manner else {
            return self.identity.given_token().map(bearer).transpose();
        };
        let credential = self.identity.credential(&scopes.path).await?;
        match (manner, credential) {
            (_, Some(Credential::RegistryToken(token))) => bearer(&token).map(Some),
            (Manner::Basic, Some(Credential::Basic { username, password })) => {
                basic(&username, &password).map(Some)
            }
            (Manner::Basic, _) => Ok(None),
            (Manner::Bearer { realm, service }, credential) => {
                let asked = Asked {
                    realm: &realm,
                    service: service.as_deref(),
                    scopes: self.asked_together(scopes),
                };
                let token = self.token(host, &asked, credential).await?;
                bearer(&token).map(Some)
            }
        }
    }

    /// The registry said 401 to a request with this header. Whether it may do better now; `Err` if
    /// it asks for what we do not do.
    pub(super) async fn challenged(
        &self,
        host: &Host,
        headers: &HeaderMap,
        scopes: &Scopes,
        refused: &Refused<'_>,
    ) -> Result<bool, Trouble> {
        let offered = challenge::parse(&all(headers, "www-authenticate"));
        let (manner, error) = match challenge::choose(&offered) {
            Some(Challenge::Bearer {
                realm,
                service,
                error,
                ..
            }) => {
                let (realm, service) = (realm.clone(), service.clone());
                (Manner::Bearer { realm, service }, error.as_deref())
            }
            Some(Challenge::Basic { .. }) => (Manner::Basic, None),
            _ => return Ok(false),
        };
        self.learn(host, &manner)?;
        match (manner, refused.sent) {
            (Manner::Basic, sent) => self.may_help(&scopes.path, sent).await,
            (Manner::Bearer { .. }, None) => Ok(true),
            // A token for several things does for too little: perhaps only one of them counted.
            (Manner::Bearer { .. }, Some(_))
                if scopes.list.len() > 1
                    && (refused.is_fresh || error == Some("insufficient_scope")) =>
            {
                Ok(self.ask_singly())
            }
            (Manner::Bearer { .. }, Some(_)) if refused.is_fresh => Ok(false),
            (Manner::Bearer { .. }, Some(sent)) => self.reject(scopes, sent).await,
        }
    }

    /// Whether there is a credential that was not sent yet.
    async fn may_help(&self, path: &str, sent: Option<&HeaderValue>) -> Result<bool, Trouble> {
        let Some(credential) = self.identity.credential(path).await? else {
            return Ok(false);
        };
        let header = match &credential {
            Credential::Basic { username, password } => basic(username, password)?,
            Credential::RegistryToken(token) => bearer(token)?,
            // Only token servers take it.
            Credential::IdentityToken(_) => return Ok(false),
        };
        if sent != Some(&header) {
            return Ok(true);
        }
        let other = self.identity.instead_of(path, &credential).await?;
        Ok(other.is_some())
    }

    /// The token server stays what it was at first, and so do the service and the realm, unless the
    /// same server has another one (S-34, F-19).
    fn learn(&self, host: &Host, manner: &Manner) -> Result<()> {
        let mut known = locked(&self.manner);
        if let (Some(Manner::Bearer { realm: old, .. }), Manner::Bearer { realm: new, .. }) =
            (&*known, manner)
            && old != new
        {
            let origin = |realm: &str| Url::parse(realm).ok().and_then(|url| Origin::of(&url));
            if origin(old).is_none() || origin(old) != origin(new) {
                let what = format!("{} names another token service than before", host.registry);
                return Err(Error::new(ErrorKind::Denied, what));
            }
        }
        *known = Some(manner.clone());
        Ok(())
    }

    /// Throws away the token that was refused. Whether another one may do: one that the user gave
    /// is the only one that there is.
    async fn reject(&self, scopes: &Scopes, sent: &HeaderValue) -> Result<bool, Trouble> {
        let credential = self.identity.credential(&scopes.path).await?;
        if matches!(credential, Some(Credential::RegistryToken(_))) {
            return Ok(false);
        }
        let slot = self.slot(&self.asked_together(scopes));
        let mut token = slot.lock().await;
        let is_it = token
            .as_ref()
            .is_some_and(|token| bearer(&token.secret).is_ok_and(|header| header == *sent));
        if is_it {
            *token = None;
        }
        Ok(true)
    }

    /// The token server may look at one scope only: from now on it is asked for one at a time.
    /// Whether that is news.
    fn ask_singly(&self) -> bool {
        !self.one_scope.swap(true, Ordering::Relaxed)
    }

    fn asked_together(&self, scopes: &Scopes) -> Scopes {
        let mut wanted = scopes.clone();
        if self.one_scope.load(Ordering::Relaxed) {
            wanted.list.truncate(1);
        }
        wanted
    }

    fn slot(&self, scopes: &Scopes) -> Slot {
        Arc::clone(locked(&self.tokens).entry(scopes.clone()).or_default())
    }

    /// What a 401 means that stays, and what to do about it.
    pub(super) async fn advice(&self, host: &Host, headers: &HeaderMap, scopes: &Scopes) -> String {
        let registry = &host.registry;
        let offered = challenge::parse(&all(headers, "www-authenticate"));
        if challenge::choose(&offered).is_none() {
            return format!("{registry} does not say how it wants to be told who asks");
        }
        // What cannot be looked up was told before.
        match self.identity.credential(&scopes.path).await.ok().flatten() {
            Some(credential) => refused(registry, &credential),
            None => format!(
                "{registry} wants to know who asks, or has no such repository: \
                 `imgcopy login {registry}` logs in"
            ),
        }
    }

    /// A token, from before if it is still good.
    async fn token(
        &self,
        host: &Host,
        asked: &Asked<'_>,
        credential: Option<Credential>,
    ) -> Result<Secret, Trouble> {
        let slot = self.slot(&asked.scopes);
        let mut known = slot.lock().await;
        if let Some(token) = &*known
            && token.renew > Instant::now()
        {
            return Ok(token.secret.clone());
        }
        let mut given = self.fetch(host, asked, credential.as_ref()).await;
        if let (Err(trouble), Some(refused)) = (&given, &credential)
            && trouble.status() == Some(401)
            && let Some(other) = self
                .identity
                .instead_of(&asked.scopes.path, refused)
                .await?
        {
            given = self.fetch(host, asked, Some(&other)).await;
        }
        let given = given.map_err(|trouble| told(host, credential.as_ref(), trouble))?;
        let secret = given.secret.clone();
        *known = Some(given);
        Ok(secret)
    }

    async fn fetch(
        &self,
        host: &Host,
        asked: &Asked<'_>,
        credential: Option<&Credential>,
    ) -> Result<Token, Trouble> {
        let origin = host.origin().await?;
        let trusted = &host.options.trusted_realms;
        let url = policy::realm(&origin, asked.realm, credential.is_some(), trusted)?;
        debug!(realm = %shown::url(&url), scopes = ?asked.scopes.list, "fetching a token");
        let (service, scopes) = (asked.service, &asked.scopes);
        let body = host
            .repeat(Op::Token, || async {
                let request = match credential {
                    Some(Credential::IdentityToken(token)) => {
                        let token = self.identity.current(token);
                        TokenRequest::post(url.clone(), service, scopes, &token)
                    }
                    credential => TokenRequest::get(url.clone(), service, scopes, credential)?,
                };
                host.ask_for_token(request, ANSWER_LIMIT).await
            })
            .await?;
        let given = Given::parse(&body).map_err(|error| {
            let server = Origin::of(&url).map_or_else(String::new, |it| it.to_string());
            error.attempting(format!("cannot use the answer of token service {server}"))
        })?;
        if let (Some(Credential::IdentityToken(token)), Some(new)) = (credential, given.refresh) {
            self.identity.replace(token, new);
        }
        Ok(given.token)
    }
}

/// What is told if no token is to be had. No other try is made: that was done where it could help.
fn told(host: &Host, credential: Option<&Credential>, trouble: Trouble) -> Trouble {
    let registry = &host.registry;
    let what = match (trouble.status(), credential) {
        (Some(401 | 403), Some(credential)) => refused(registry, credential),
        (Some(401 | 403), None) => {
            format!("{registry} wants to know who asks: `imgcopy login {registry}` logs in")
        }
        _ => format!("cannot get a token for {registry}"),
    };
    trouble.error.attempting(what).into()
}

fn refused(registry: &str, credential: &Credential) -> String {
    let user = shown::cut(credential.user(), 100);
    format!(
        "{registry} does not take the credentials of {user}, or not for this: \
         `imgcopy login {registry}` logs in anew"
    )
}

/// What a registry did not take.
pub(super) struct Refused<'a> {
    /// The header that was sent, if there was one.
    pub(super) sent: Option<&'a HeaderValue>,
    /// Whether it was got for this very request.
    pub(super) is_fresh: bool,
}

/// What is asked of a token server.
struct Asked<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scopes: Scopes,
}

/// The header's name, for whoever sends it.
pub(super) const HEADER: reqwest::header::HeaderName = AUTHORIZATION;
