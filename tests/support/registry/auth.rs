//! Who may do what: the docker token protocol, with the quirks of those who speak it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::json;

use super::message::{Request, Response, form};
use super::server::{Server, held};
use super::tls::Tls;

/// How a registry knows who is asking.
#[derive(Clone, Default)]
pub enum Auth {
    /// It does not ask.
    #[default]
    Open,
    Basic {
        user: String,
        password: String,
    },
    /// Tokens of this issuer. Unless the issuer has a server of its own, the registry gives them out
    /// at `/token`.
    Bearer(Issuer),
}

impl Auth {
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic {
            user: user.to_string(),
            password: password.to_string(),
        }
    }

    /// Tokens from the registry itself.
    pub fn bearer(rules: TokenRules) -> Self {
        Self::Bearer(Issuer::new(rules))
    }
}

/// By which name a token is given out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenField {
    #[default]
    Token,
    AccessToken,
    Both,
}

/// How tokens are given out. By default everybody gets what he asks for.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// What challenges say instead of where the tokens really are.
    pub realm: Option<String>,
    pub service: String,
    /// User and password; wrong ones get 401.
    pub login: Option<(String, String)>,
    /// Whether those who do not log in get `pull`, if there is a login; otherwise they get 401.
    pub anonymous_pull: bool,
    /// Repositories for which nothing is granted, whoever asks.
    pub denied: Vec<String>,
    /// A token is good for so many requests.
    pub uses: Option<usize>,
    /// Only the last of several `scope` parameters is granted (GitLab, Q-48).
    pub last_scope_only: bool,
    pub field: TokenField,
    /// What `expires_in` says, if it is there.
    pub expires_in: Option<serde_json::Value>,
    /// What POST takes as a refresh token. Without one, POST is answered with 404 (GCR, Q-28).
    pub refresh_token: Option<String>,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            realm: None,
            service: "registry.test".to_string(),
            login: None,
            anonymous_pull: false,
            denied: Vec::new(),
            uses: None,
            last_scope_only: false,
            field: TokenField::default(),
            expires_in: Some(json!(300)),
            refresh_token: None,
        }
    }
}

impl TokenRules {
    /// For this user only.
    pub fn login(user: &str, password: &str) -> Self {
        Self {
            login: Some((user.to_string(), password.to_string())),
            ..Self::default()
        }
    }
}

struct Token {
    /// `repository:name:action`
    grants: BTreeSet<String>,
    uses_left: Option<usize>,
}

struct Inner {
    rules: TokenRules,
    /// Where the tokens are, if not at the registry.
    server: OnceLock<String>,
    tokens: Mutex<BTreeMap<String, Token>>,
    given: Mutex<usize>,
}

/// Gives out tokens and knows them again. Clones share them.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

impl Issuer {
    pub fn new(rules: TokenRules) -> Self {
        Self(Arc::new(Inner {
            rules,
            server: OnceLock::new(),
            tokens: Mutex::default(),
            given: Mutex::default(),
        }))
    }

    /// No token that was given out is good any more.
    pub fn revoke_all(&self) {
        held(&self.0.tokens).clear();
    }

    /// The answer to a request for a token.
    pub fn answer(&self, request: &Request) -> Response {
        let rules = &self.0.rules;
        let asked = match request.method.as_str() {
            "GET" => self.asked_by_get(request),
            "POST" if rules.refresh_token.is_some() => self.asked_by_post(request),
            _ => Err(Response::error(404, "NOT_FOUND", "no such method")),
        };
        let (mut scopes, only_pull) = match asked {
            Ok(asked) => asked,
            Err(response) => return response,
        };
        if rules.last_scope_only {
            scopes.drain(..scopes.len().saturating_sub(1));
        }
        let words = scopes.iter().flat_map(|scope| scope.split(' '));
        let mut grants: BTreeSet<String> = words.flat_map(single).collect();
        grants.retain(|grant| {
            let is_denied = |name: &String| grant.starts_with(&format!("repository:{name}:"));
            let is_allowed = !only_pull || grant.ends_with(":pull");
            is_allowed && !rules.denied.iter().any(is_denied)
        });
        self.granted(grants)
    }

    fn asked_by_get(&self, request: &Request) -> Result<(Vec<String>, bool), Response> {
        let rules = &self.0.rules;
        let refused = || Response::error(401, "UNAUTHORIZED", "wrong user or password");
        let only_pull = match (&rules.login, request.header("authorization")) {
            (None, _) => false,
            (Some(_), None) if rules.anonymous_pull => true,
            (Some(login), _) if request.basic().as_ref() == Some(login) => false,
            _ => return Err(refused()),
        };
        let scopes = request.query.iter().filter(|(name, _)| name == "scope");
        Ok((scopes.map(|(_, value)| value.clone()).collect(), only_pull))
    }

    fn asked_by_post(&self, request: &Request) -> Result<(Vec<String>, bool), Response> {
        let fields = form(&String::from_utf8_lossy(&request.body));
        let all = |name: &str| {
            let same = fields.iter().filter(|(field, _)| field == name);
            same.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let kind = all("grant_type").pop().unwrap_or_default();
        let is_good = match (kind.as_str(), &self.0.rules.login) {
            ("refresh_token", _) => all("refresh_token").pop() == self.0.rules.refresh_token,
            ("password", Some((user, password))) => {
                all("username").contains(user) && all("password").contains(password)
            }
            _ => false,
        };
        match is_good {
            true => Ok((all("scope"), false)),
            false => Err(Response::error(401, "UNAUTHORIZED", "wrong grant")),
        }
    }

    fn granted(&self, grants: BTreeSet<String>) -> Response {
        let rules = &self.0.rules;
        let number = {
            let mut given = held(&self.0.given);
            *given += 1;
            *given
        };
        let token = format!("opaque-{number}-{:x}.~+/==", number * 0x9e37_79b9);
        let entry = Token {
            grants,
            uses_left: rules.uses,
        };
        held(&self.0.tokens).insert(token.clone(), entry);
        let mut answer = json!({ "issued_at": "2020-01-01T00:00:00Z" });
        if rules.field != TokenField::AccessToken {
            answer["token"] = json!(token);
        }
        if rules.field != TokenField::Token {
            answer["access_token"] = json!(token);
        }
        if let Some(seconds) = &rules.expires_in {
            answer["expires_in"] = seconds.clone();
        }
        Response::json(200, &answer)
    }

    /// Passes a request that carries a token for all that it needs, or gives the challenge.
    pub(super) fn check(&self, request: &Request, needs: &[String]) -> Result<(), Response> {
        let grants: BTreeSet<String> = needs.iter().flat_map(|scope| single(scope)).collect();
        let mut tokens = held(&self.0.tokens);
        let token = request.bearer().and_then(|text| tokens.get_mut(text));
        let problem = match (token, request.bearer()) {
            (Some(token), _) if token.uses_left == Some(0) => "invalid_token",
            (Some(token), _) if token.grants.is_superset(&grants) => {
                token.uses_left = token.uses_left.map(|left| left - 1);
                return Ok(());
            }
            (Some(_), _) => "insufficient_scope",
            (None, Some(_)) => "invalid_token",
            (None, None) => "",
        };
        let own = || format!("{}/token", request.origin());
        let rules = &self.0.rules;
        let realm = rules.realm.clone().or_else(|| self.0.server.get().cloned());
        let realm = realm.unwrap_or_else(own);
        let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{}\"", rules.service);
        if !needs.is_empty() {
            let _ = write!(challenge, ",scope=\"{}\"", needs.join(" "));
        }
        if !problem.is_empty() {
            let _ = write!(challenge, ",error=\"{problem}\"");
        }
        Err(unauthorized(&challenge))
    }
}

/// One grant for each action of a scope.
fn single(scope: &str) -> Vec<String> {
    let Some((resource, actions)) = scope.rsplit_once(':') else {
        return Vec::new();
    };
    let one = |action: &str| format!("{resource}:{action}");
    actions.split(',').map(one).collect()
}

pub(super) fn unauthorized(challenge: &str) -> Response {
    Response::error(401, "UNAUTHORIZED", "authentication required")
        .with("WWW-Authenticate", challenge)
}

/// An issuer with a port, a log and a script of its own.
pub struct TokenServer {
    issuer: Issuer,
    server: Server,
}

impl TokenServer {
    pub fn start(rules: TokenRules) -> Self {
        Self::with(None, rules)
    }

    pub fn with(tls: Option<&Tls>, rules: TokenRules) -> Self {
        let issuer = Issuer::new(rules);
        let server = Server::with(tls, {
            let issuer = issuer.clone();
            move |request| issuer.answer(request)
        });
        issuer.0.server.set(server.url("/token")).unwrap();
        Self { issuer, server }
    }

    /// For the [`Auth::Bearer`] of registries.
    pub fn issuer(&self) -> Issuer {
        self.issuer.clone()
    }
}

impl Deref for TokenServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
