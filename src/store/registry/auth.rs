//! Who we are to one registry: challenges, tokens, and the header that goes with each request.
//!
//! Nothing is sent before the registry asks: there is no `/v2/` ping (P-09). The first 401 says how
//! it wants to be asked, and after that each request has its header at once. A token is fetched once
//! for each set of scopes; whoever needs the same one meanwhile waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;
use tracing::debug;

use super::credentials::{Credential, Secret};
use super::headers::all;
use super::headers::challenge::{self, Challenge};
use super::host::Host;
use super::options::{Login, Options};
use super::policy;
use super::retry::Op;
use super::trouble::Trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Repository;
use crate::store::locked;

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

struct Token {
    secret: Secret,
    renew: Instant,
}

/// What a registry knows of us.
pub(super) struct Auth {
    login: Login,
    manner: Mutex<Option<Manner>>,
    /// By path: a keyring may have one for each repository.
    credentials: tokio::sync::Mutex<HashMap<String, Option<Credential>>>,
    tokens: Mutex<HashMap<Scopes, Arc<tokio::sync::Mutex<Option<Token>>>>>,
    /// The token server looks at one scope only.
    one_scope: AtomicBool,
    /// A refresh token that took the place of the one that we had.
    refreshed: Mutex<Option<Secret>>,
}

/// A token lasts at least so long, whatever is said (R-10, F-18).
const SHORTEST: u64 = 60;
/// It is renewed so long before its end.
const MARGIN: u64 = 30;
/// The largest answer of a token server, in bytes (S-17).
const ANSWER_LIMIT: u64 = 1 << 20;

impl Auth {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            login: options.login.clone(),
            manner: Mutex::default(),
            credentials: tokio::sync::Mutex::default(),
            tokens: Mutex::default(),
            one_scope: AtomicBool::new(false),
            refreshed: Mutex::default(),
        }
    }

    /// The header that a request needs, as far as is known.
    pub(super) async fn header(
        &self,
        host: &Host,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, Trouble> {
        let manner = locked(&self.manner).clone();
        match manner {
            None => match &self.login {
                Login::As(Credential::RegistryToken(token)) => bearer(token).map(Some),
                _ => Ok(None),
            },
            Some(Manner::Basic) => match self.credential(host, &scopes.path).await? {
                Some(Credential::Basic { username, password }) => {
                    basic(&username, &password).map(Some)
                }
                Some(Credential::RegistryToken(token)) => bearer(&token).map(Some),
                _ => Ok(None),
            },
            Some(Manner::Bearer { realm, service }) => {
                let credential = self.credential(host, &scopes.path).await?;
                if let Some(Credential::RegistryToken(token)) = &credential {
                    return bearer(token).map(Some);
                }
                let wanted = self.asked_together(scopes);
                let asked = Asked {
                    realm: &realm,
                    service: service.as_deref(),
                    credential: credential.as_ref(),
                };
                let token = self.token(host, &wanted, &asked).await?;
                token.map(|token| bearer(&token)).transpose()
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
        sent: Option<&HeaderValue>,
    ) -> Result<bool, Trouble> {
        let offered = challenge::parse(&all(headers, "www-authenticate"));
        let manner = match challenge::choose(&offered) {
            Some(Challenge::Bearer { realm, service, .. }) => Manner::Bearer {
                realm: realm.clone(),
                service: service.clone(),
            },
            Some(Challenge::Basic { .. }) => Manner::Basic,
            _ => return Ok(false),
        };
        self.learn(host, &manner)?;
        let Some(sent) = sent else {
            return self.has_answer(host, &manner, scopes).await;
        };
        match manner {
            // A helper may have a new password for us, but only once.
            Manner::Basic => {
                let old = locked_credential(&self.credentials, &scopes.path).await;
                let new = self.credential(host, &scopes.path).await?;
                Ok(old.is_some() && old.flatten() != new)
            }
            Manner::Bearer { .. } => self.reject(scopes, sent).await,
        }
    }

    async fn has_answer(
        &self,
        host: &Host,
        manner: &Manner,
        scopes: &Scopes,
    ) -> Result<bool, Trouble> {
        match manner {
            Manner::Basic => Ok(self.credential(host, &scopes.path).await?.is_some()),
            Manner::Bearer { .. } => Ok(true),
        }
    }

    /// Realm and service stay what they were at first (S-34).
    fn learn(&self, host: &Host, manner: &Manner) -> Result<()> {
        let mut known = locked(&self.manner);
        if let (Some(Manner::Bearer { realm: old, .. }), Manner::Bearer { realm: new, .. }) =
            (&*known, manner)
            && old != new
        {
            let what = format!("{} names another token service than before", host.registry);
            return Err(Error::new(ErrorKind::Denied, what));
        }
        *known = Some(manner.clone());
        Ok(())
    }

    /// Throws away the token that was refused. Whether another one may do.
    async fn reject(&self, scopes: &Scopes, sent: &HeaderValue) -> Result<bool, Trouble> {
        let wanted = self.asked_together(scopes);
        let entry = self.entry(&wanted);
        let mut token = entry.lock().await;
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
    pub(super) fn ask_singly(&self, scopes: &Scopes) -> bool {
        scopes.list.len() > 1 && !self.one_scope.swap(true, Ordering::Relaxed)
    }

    fn asked_together(&self, scopes: &Scopes) -> Scopes {
        let mut wanted = scopes.clone();
        if self.one_scope.load(Ordering::Relaxed) {
            wanted.list.truncate(1);
        }
        wanted
    }

    fn entry(&self, scopes: &Scopes) -> Arc<tokio::sync::Mutex<Option<Token>>> {
        Arc::clone(locked(&self.tokens).entry(scopes.clone()).or_default())
    }

    async fn credential(&self, host: &Host, path: &str) -> Result<Option<Credential>> {
        match &self.login {
            Login::Anonymous => Ok(None),
            Login::As(credential) => Ok(Some(credential.clone())),
            Login::Keyring(keyring) => {
                let mut found = self.credentials.lock().await;
                if let Some(known) = found.get(path) {
                    return Ok(known.clone());
                }
                let found_one = keyring.find(&Repository::new(&host.registry, path)?).await;
                // A file of credentials that is broken says nothing about the image.
                let credential =
                    found_one.map_err(|error| error.of_kind(ErrorKind::Unauthorized))?;
                found.insert(path.to_string(), credential.clone());
                Ok(credential)
            }
        }
    }

    async fn token(
        &self,
        host: &Host,
        scopes: &Scopes,
        asked: &Asked<'_>,
    ) -> Result<Option<Secret>, Trouble> {
        let entry = self.entry(scopes);
        let mut token = entry.lock().await;
        if let Some(token) = &*token
            && token.renew > Instant::now()
        {
            return Ok(Some(token.secret.clone()));
        }
        let new = self.fetch(host, scopes, asked).await?;
        let secret = new.secret.clone();
        *token = Some(new);
        Ok(Some(secret))
    }

    async fn fetch(
        &self,
        host: &Host,
        scopes: &Scopes,
        asked: &Asked<'_>,
    ) -> Result<Token, Trouble> {
        let origin = host.origin().await?;
        let has_credentials = asked.credential.is_some();
        let trusted = &host.options.trusted_realms;
        let mut url = policy::realm(&origin, asked.realm, has_credentials, trusted)?;
        debug!(realm = %super::shown::url(&url), scopes = ?scopes.list, "fetching a token");
        let body = host
            .repeat(Op::Token, || async {
                let request = match asked.credential {
                    Some(Credential::IdentityToken(token)) => {
                        let token = locked(&self.refreshed)
                            .clone()
                            .unwrap_or_else(|| token.clone());
                        TokenRequest::post(&url, asked.service, scopes, &token)
                    }
                    credential => {
                        TokenRequest::get(&mut url.clone(), asked.service, scopes, credential)?
                    }
                };
                host.ask_for_token(request, ANSWER_LIMIT).await
            })
            .await
            .map_err(|trouble| Trouble {
                error: trouble
                    .error
                    .attempting(format!("cannot get a token for {}", host.registry)),
                signal: None,
            })?;
        url.set_query(None);
        self.read_token(&body).map_err(|error| {
            let told = format!(
                "cannot use the answer of token service {}",
                super::shown::url(&url)
            );
            error.attempting(told).into()
        })
    }

    /// The answer is never shown: it may hold a token (S-40).
    fn read_token(&self, body: &[u8]) -> Result<Token> {
        let unusable = |why: &str| Error::new(ErrorKind::Io, why);
        let answer: Value = serde_json::from_slice(body).map_err(|_| unusable("it is no JSON"))?;
        let text = |key: &str| {
            answer
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let token = text("token").or_else(|| text("access_token"));
        let token = token.ok_or_else(|| unusable("it holds no token"))?;
        if let Some(refresh) = text("refresh_token") {
            *locked(&self.refreshed) = Some(Secret::new(refresh));
        }
        let expires = answer.get("expires_in").and_then(|it| match it {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        });
        let lasts = expires
            .unwrap_or(SHORTEST)
            .clamp(SHORTEST, 30 * 24 * 60 * 60);
        Ok(Token {
            secret: Secret::new(token),
            renew: Instant::now() + Duration::from_secs(lasts.saturating_sub(MARGIN)),
        })
    }
}

/// Forgets the credential of a path and gives it back.
async fn locked_credential(
    credentials: &tokio::sync::Mutex<HashMap<String, Option<Credential>>>,
    path: &str,
) -> Option<Option<Credential>> {
    credentials.lock().await.remove(path)
}

/// What is asked of a token server, and as whom.
struct Asked<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    credential: Option<&'a Credential>,
}

/// A request for a token.
pub(super) struct TokenRequest {
    pub(super) url: Url,
    pub(super) authorization: Option<HeaderValue>,
    /// A form to post; without one it is a GET.
    pub(super) form: Option<String>,
}

impl TokenRequest {
    /// Docker's way: everything in the query, who we are as Basic.
    fn get(
        url: &mut Url,
        service: Option<&str>,
        scopes: &Scopes,
        credential: Option<&Credential>,
    ) -> Result<Self, Trouble> {
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            for scope in &scopes.list {
                query.append_pair("scope", scope);
            }
        }
        let authorization = match credential {
            Some(Credential::Basic { username, password }) => Some(basic(username, password)?),
            _ => None,
        };
        Ok(Self {
            url: url.clone(),
            authorization,
            form: None,
        })
    }

    /// OAuth 2: a refresh token is posted.
    fn post(url: &Url, service: Option<&str>, scopes: &Scopes, token: &Secret) -> Self {
        let mut form = Url::clone(url);
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("service", service.unwrap_or_default())
            .append_pair("client_id", "imgcopy")
            .append_pair("scope", &scopes.list.join(" "))
            .append_pair("refresh_token", token.reveal());
        Self {
            url: url.clone(),
            authorization: None,
            form: form.query().map(str::to_string),
        }
    }
}

fn basic(username: &str, password: &Secret) -> Result<HeaderValue, Trouble> {
    let pair = format!("{username}:{}", password.reveal());
    let text = base64::engine::general_purpose::STANDARD.encode(pair);
    secret_header(&format!("Basic {text}"))
}

fn bearer(token: &Secret) -> Result<HeaderValue, Trouble> {
    secret_header(&format!("Bearer {}", token.reveal()))
}

fn secret_header(text: &str) -> Result<HeaderValue, Trouble> {
    let mut header = HeaderValue::from_str(text).map_err(|_| {
        let what = "the token or password holds characters that no header can carry";
        Trouble::from(Error::new(ErrorKind::Invalid, what))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// The header's name, for whoever sends it.
pub(super) const HEADER: reqwest::header::HeaderName = AUTHORIZATION;
