//! Tokens: how one is asked for, and what a token server answers (distribution, "Token
//! Authentication Specification").

use std::time::Duration;

use base64::Engine as _;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::Value;
use tokio::time::Instant;

use super::super::credentials::{Credential, Secret};
use super::super::trouble::Trouble;
use super::Scopes;
use crate::error::{Error, ErrorKind, Result};

/// A token lasts at least so long, whatever is said (R-10, F-18).
const SHORTEST: u64 = 60;
/// It is believed to last at most so long.
const LONGEST: u64 = 30 * 24 * 60 * 60;
/// It is renewed so long before its end.
const MARGIN: u64 = 30;

/// A token, and until when it is used.
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) renew: Instant,
}

/// What a token server gave.
pub(super) struct Given {
    pub(super) token: Token,
    /// What takes the place of the refresh token that was sent.
    pub(super) refresh: Option<Secret>,
}

impl Given {
    /// Reads an answer. It is never shown: it may hold a token (S-40).
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        let unusable = |why: &str| Error::new(ErrorKind::Io, why);
        let answer: Value = serde_json::from_slice(body).map_err(|_| unusable("it is no JSON"))?;
        let text = |key: &str| {
            let text = answer.get(key).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let token = text("token").or_else(|| text("access_token"));
        let token = token.ok_or_else(|| unusable("it holds no token"))?;
        let expires = answer.get("expires_in").and_then(|it| match it {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64(),
        });
        let lasts = expires.unwrap_or(SHORTEST).clamp(SHORTEST, LONGEST);
        Ok(Self {
            token: Token {
                secret: Secret::new(token),
                renew: Instant::now() + Duration::from_secs(lasts.saturating_sub(MARGIN)),
            },
            refresh: text("refresh_token").map(Secret::new),
        })
    }
}

/// A request for a token.
pub(in super::super) struct TokenRequest {
    pub(in super::super) url: Url,
    pub(in super::super) authorization: Option<HeaderValue>,
    /// A form to post; without one it is a GET.
    pub(in super::super) form: Option<String>,
}

impl TokenRequest {
    /// Docker's way: everything in the query, who we are as Basic. No offline token is asked for,
    /// which would live longer than we do (S-45).
    pub(super) fn get(
        mut url: Url,
        service: Option<&str>,
        scopes: &Scopes,
        credential: Option<&Credential>,
    ) -> Result<Self, Trouble> {
        if service.is_some() || !scopes.list.is_empty() {
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
            url,
            authorization,
            form: None,
        })
    }

    /// OAuth 2: a refresh token is posted.
    pub(super) fn post(url: Url, service: Option<&str>, scopes: &Scopes, token: &Secret) -> Self {
        // The encoding of a form is that of a query.
        let mut form = url.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("service", service.unwrap_or_default())
            .append_pair("client_id", "imgcopy")
            .append_pair("scope", &scopes.list.join(" "))
            .append_pair("refresh_token", token.reveal());
        let form = form.query().map(str::to_string);
        Self {
            url,
            authorization: None,
            form,
        }
    }
}

/// The header of HTTP Basic authentication.
pub(super) fn basic(username: &str, password: &Secret) -> Result<HeaderValue, Trouble> {
    let pair = format!("{username}:{}", password.reveal());
    let text = base64::engine::general_purpose::STANDARD.encode(pair);
    secret_header(&format!("Basic {text}"))
}

/// The header that carries a token.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, Trouble> {
    secret_header(&format!("Bearer {}", token.reveal()))
}

fn secret_header(text: &str) -> Result<HeaderValue, Trouble> {
    let mut header = HeaderValue::from_str(text).map_err(|_| {
        let what = "the token or password holds characters that no header can carry";
        Trouble::from(Error::new(ErrorKind::Unauthorized, what))
    })?;
    header.set_sensitive(true);
    Ok(header)
}
