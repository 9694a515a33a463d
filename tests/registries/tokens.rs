//! A token server whose tokens distribution believes: JSON Web Tokens (RFC 7519), signed by a key
//! whose certificate it knows.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, SigningKey as _};
use serde_json::{Value, json};

use crate::server::{Server as Registry, Setup};
use crate::support::registry::{Request, Response, Server};
use crate::support::tempdir;

const SERVICE: &str = "registry.test";
const ISSUER: &str = "the tests";

/// Who gets which tokens.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    /// What those get who do not log in.
    pub(crate) anonymous: &'static [&'static str],
    /// The refresh token that is good now. Each use gives the next one.
    pub(crate) refresh: Option<usize>,
    /// For how many seconds the first tokens are good; the others are for an hour.
    pub(crate) lives: Vec<i64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            user: "me",
            password: "secret",
            anonymous: &[],
            refresh: None,
            lives: Vec::new(),
        }
    }
}

/// Gives out tokens, and logs who asked for them.
pub(crate) struct TokenServer {
    server: Server,
    last: Arc<Mutex<String>>,
}

impl TokenServer {
    /// Whether a registry takes the last token that was given out.
    pub(crate) async fn is_taken(&self, url: &str) -> bool {
        let token = self.last.lock().unwrap().clone();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(url).bearer_auth(token).send().await.unwrap();
        answer.status() != 401
    }
}

impl Deref for TokenServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Debian's docker-registry, behind a token server.
pub(crate) fn guarded(rules: Rules) -> Option<(Registry, TokenServer)> {
    let directory = tempdir();
    let bundle = directory.path().join("bundle.pem");
    let (key, certificate) = identity();
    std::fs::write(&bundle, certificate.pem()).unwrap();
    let signer = Signer {
        key,
        certificate: STANDARD.encode(certificate.der()),
    };
    let (rules, last) = (Mutex::new(rules), Arc::new(Mutex::default()));
    let server = Server::start({
        let last = Arc::clone(&last);
        move |request| {
            let (status, told) = answer(&signer, &mut rules.lock().unwrap(), request);
            *last.lock().unwrap() = told["token"].as_str().unwrap_or_default().to_string();
            Response::json(status, &told)
        }
    });
    let auth = json!({ "token": {
        "realm": server.url("/token"),
        "service": SERVICE,
        "issuer": ISSUER,
        "rootcertbundle": bundle,
    }});
    let registry = Registry::debian_with(Setup {
        auth: Some(auth),
        ..Setup::default()
    })?;
    Some((registry, TokenServer { server, last }))
}

/// RS256, because its signatures are in one form only.
fn identity() -> (KeyPair, rcgen::Certificate) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, ISSUER);
    let certificate = params.self_signed(&key).unwrap();
    (key, certificate)
}

fn answer(signer: &Signer, rules: &mut Rules, request: &Request) -> (u16, Value) {
    let asked = match request.method.as_str() {
        "GET" => asked_by_get(rules, request),
        "POST" => asked_by_post(rules, request),
        _ => None,
    };
    let Some((who, scopes, actions)) = asked else {
        return (401, json!({ "details": "who is this?" }));
    };
    let access: Vec<Value> = scopes
        .iter()
        .filter_map(|scope| access(scope, &actions))
        .collect();
    let lives = match rules.lives.is_empty() {
        true => 3600,
        false => rules.lives.remove(0),
    };
    let token = signer.token(who, &access, lives);
    let mut told = json!({ "token": token, "expires_in": 300 });
    if let Some(number) = rules.refresh {
        told["refresh_token"] = json!(refresh_token(number));
    }
    (200, told)
}

/// Who asks, for what, and what may be had of it.
type Asked = (&'static str, Vec<String>, BTreeSet<String>);

fn all() -> BTreeSet<String> {
    ["pull", "push", "delete"].map(str::to_string).into()
}

fn asked_by_get(rules: &Rules, request: &Request) -> Option<Asked> {
    let named = |name: &str| {
        let pairs = request.query.iter().filter(move |(key, _)| key == name);
        pairs.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(named("service"), [SERVICE]);
    let scopes = named("scope");
    let login = (rules.user.to_string(), rules.password.to_string());
    match request.basic() {
        Some(basic) if basic == login => Some((rules.user, scopes, all())),
        Some(_) => None,
        None if rules.anonymous.is_empty() => None,
        None => {
            let actions = rules.anonymous.iter().map(ToString::to_string).collect();
            Some(("", scopes, actions))
        }
    }
}

/// OAuth 2: the scopes are in one field, and the refresh token is good once.
fn asked_by_post(rules: &mut Rules, request: &Request) -> Option<Asked> {
    let form = String::from_utf8_lossy(&request.body);
    let form = reqwest::Url::parse(&format!("form:?{form}")).unwrap();
    let field = |name: &str| {
        let found = form.query_pairs().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let number = rules.refresh?;
    let is_good = field("grant_type") == "refresh_token"
        && field("service") == SERVICE
        && field("refresh_token") == refresh_token(number);
    rules.refresh = Some(number + 1);
    let scopes = field("scope").split(' ').map(str::to_string).collect();
    is_good.then(|| (rules.user, scopes, all()))
}

/// How the refresh token of this number reads.
pub(crate) fn refresh_token(number: usize) -> String {
    format!("refresh-{number}")
}

fn access(scope: &str, granted: &BTreeSet<String>) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, wanted) = rest.rsplit_once(':')?;
    let actions: Vec<&str> = wanted
        .split(',')
        .filter(|action| granted.contains(*action))
        .collect();
    Some(json!({ "type": kind, "name": name, "actions": actions }))
}

struct Signer {
    key: KeyPair,
    certificate: String,
}

impl Signer {
    fn token(&self, who: &str, access: &[Value], lives: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [self.certificate] });
        let claims = json!({
            "iss": ISSUER,
            "sub": who,
            "aud": SERVICE,
            "nbf": now - 7200,
            "iat": now - 7200,
            "exp": now + lives,
            "jti": "one of many",
            "access": access,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
