//! Who may do it, and how TLS is spoken.

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::support::noise;
use crate::support::registry::{
    Action, Auth, Fault, Flaw, Hangup, Options, Registry, Server, Tls, TokenField, TokenRules,
    TokenServer,
};
use crate::{REPO, ask, client, header, json_of, send, status};

/// A token for these scopes, and what came with it.
async fn token(server: &Server, query: &str, login: Option<(&str, &str)>) -> (u16, Value) {
    let mut request = client().get(server.url(&format!("/token?{query}")));
    if let Some((user, password)) = login {
        request = request.basic_auth(user, Some(password));
    }
    let response = send(request).await;
    (response.status().as_u16(), json_of(response).await)
}

fn with_token(request: RequestBuilder, token: &Value) -> RequestBuilder {
    request.bearer_auth(token["token"].as_str().unwrap())
}

#[tokio::test]
async fn basic_credentials_are_asked_for_everywhere() {
    let auth = Auth::basic("me", "se:cret");
    let registry = Registry::with(Options {
        auth,
        ..Options::default()
    });
    let refused = send(ask(&registry, "GET", "")).await;
    assert_eq!(
        (
            refused.status().as_u16(),
            header(&refused, "www-authenticate").as_str()
        ),
        (401, "Basic realm=\"registry.test\"")
    );
    let login = |password| ask(&registry, "GET", "").basic_auth("me", Some(password));
    assert_eq!(status(login("wrong")).await, 401);
    assert_eq!(status(login("se:cret")).await, 200);
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_only() {
    let auth = Auth::bearer(TokenRules::login("me", "secret"));
    let registry = Registry::with(Options {
        auth,
        ..Options::default()
    });
    let blob = format!("{REPO}/blobs/{}", registry.add_blob(REPO, "x"));
    let refused = send(ask(&registry, "GET", &blob)).await;
    let challenge = header(&refused, "www-authenticate");
    let realm = registry.url("/token");
    let expected = format!(
        "Bearer realm=\"{realm}\",service=\"registry.test\",scope=\"repository:{REPO}:pull\""
    );
    assert_eq!((refused.status().as_u16(), challenge), (401, expected));

    let pull = format!("service=registry.test&scope=repository:{REPO}:pull");
    assert_eq!(token(&registry, &pull, None).await.0, 401);
    assert_eq!(token(&registry, &pull, Some(("me", "wrong"))).await.0, 401);
    let (status_of_token, given) = token(&registry, &pull, Some(("me", "secret"))).await;
    assert_eq!((status_of_token, &given["expires_in"]), (200, &json!(300)));
    assert_eq!(
        status(with_token(ask(&registry, "GET", &blob), &given)).await,
        200
    );
    let push = format!("{REPO}/blobs/uploads/?mount=sha256:1&from=other");
    let refused = send(with_token(ask(&registry, "POST", &push), &given)).await;
    let challenge = header(&refused, "www-authenticate");
    let scope = format!(
        "scope=\"repository:{REPO}:pull,push repository:other:pull\",error=\"insufficient_scope\""
    );
    assert!(challenge.ends_with(&scope), "{challenge}");
    let both = format!("scope=repository:{REPO}:pull,push&scope=repository:other:pull");
    let (_, given) = token(&registry, &both, Some(("me", "secret"))).await;
    assert_eq!(
        status(with_token(ask(&registry, "POST", &push), &given)).await,
        202
    );
    let unknown = ask(&registry, "GET", "").bearer_auth("made-up");
    assert!(header(&send(unknown).await, "www-authenticate").contains("invalid_token"));
    assert_eq!(registry.count("GET", "/token"), 4);
}

#[tokio::test]
async fn a_token_server_has_a_port_and_rules_of_its_own() {
    let rules = TokenRules {
        uses: Some(2),
        last_scope_only: true,
        anonymous_pull: true,
        denied: vec!["secret".to_string()],
        field: TokenField::Both,
        expires_in: None,
        ..TokenRules::login("me", "pw")
    };
    let tokens = TokenServer::start(rules);
    let auth = Auth::Bearer(tokens.issuer());
    let registry = Registry::with(Options {
        auth,
        ..Options::default()
    });
    let list = |name: &str| ask(&registry, "GET", &format!("{name}/tags/list"));
    let challenge = header(&send(list("a")).await, "www-authenticate");
    assert!(challenge.contains(&tokens.url("/token")), "{challenge}");

    let both = "scope=repository:a:pull&scope=repository:b:pull,push";
    let (_, given) = token(&tokens, both, None).await;
    assert_eq!(given["token"], given["access_token"]);
    assert_eq!(given.get("expires_in"), None);
    assert_eq!(
        status(with_token(list("a"), &given)).await,
        401,
        "the last scope only"
    );
    let push = ask(&registry, "POST", "b/blobs/uploads/");
    assert_eq!(
        status(with_token(push, &given)).await,
        401,
        "anonymous may only pull"
    );
    assert_eq!(status(with_token(list("b"), &given)).await, 404);
    assert_eq!(status(with_token(list("b"), &given)).await, 404);
    assert_eq!(
        status(with_token(list("b"), &given)).await,
        401,
        "it was good for two"
    );
    let (_, given) = token(&tokens, "scope=repository:secret:pull", Some(("me", "pw"))).await;
    assert_eq!(status(with_token(list("secret"), &given)).await, 401);
    assert_eq!(
        (tokens.count("GET", "/token"), registry.count("*", "/token")),
        (2, 0)
    );
}

#[tokio::test]
async fn a_token_can_be_had_for_a_refresh_token_and_be_revoked() {
    let rules = TokenRules {
        refresh_token: Some("long-lived".to_string()),
        ..TokenRules::login("me", "pw")
    };
    let tokens = TokenServer::start(rules);
    let auth = Auth::Bearer(tokens.issuer());
    let registry = Registry::with(Options {
        auth,
        ..Options::default()
    });
    let list = |name: &str| ask(&registry, "GET", &format!("{name}/tags/list"));
    let post = |secret: &str| {
        let form =
            format!("grant_type=refresh_token&refresh_token={secret}&scope=repository%3Aa%3Apull");
        client().post(tokens.url("/token")).body(form)
    };
    assert_eq!(status(post("wrong")).await, 401);
    let given = json_of(send(post("long-lived")).await).await;
    assert_eq!(status(with_token(list("a"), &given)).await, 404);
    tokens.issuer().revoke_all();
    assert_eq!(status(with_token(list("a"), &given)).await, 401);
    assert_eq!(tokens.count("POST", "/token"), 2);
}

fn trusting(tls: &Tls) -> reqwest::ClientBuilder {
    let ca = reqwest::Certificate::from_pem(tls.authority.pem().as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([ca])
}

#[tokio::test]
async fn tls_is_good_or_as_bad_as_asked_for() {
    for (flaw, is_good) in [
        (Flaw::None, true),
        (Flaw::Expired, false),
        (Flaw::WrongName, false),
    ] {
        let tls = Tls::flawed(flaw);
        let registry = Registry::with(Options {
            tls: Some(tls.clone()),
            ..Options::default()
        });
        let trusting = trusting(&tls).build().unwrap();
        let answer = trusting.get(registry.url("/v2/")).send().await;
        assert_eq!(answer.is_ok(), is_good, "{flaw:?} {answer:?}");
        assert!(
            client().get(registry.url("/v2/")).send().await.is_err(),
            "nobody trusts it"
        );
        assert_eq!(
            (registry.count("GET", "/v2/"), registry.plaintext()),
            (usize::from(is_good), 0)
        );
        let plain = registry.url("/v2/").replace("https", "http");
        assert!(trusting.get(plain).send().await.is_err());
        assert_eq!(registry.plaintext(), 1);
        assert_eq!(registry.ca_pem(), tls.authority.pem());
    }
}

#[tokio::test]
async fn tls_can_ask_for_the_clients_certificate() {
    let tls = Tls {
        wants_client: true,
        ..Tls::default()
    };
    let registry = Registry::with(Options {
        tls: Some(tls.clone()),
        ..Options::default()
    });
    let without = trusting(&tls).build().unwrap();
    assert!(without.get(registry.url("/v2/")).send().await.is_err());
    let (certificate, key) = tls.authority.client();
    let identity = reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap();
    let with = trusting(&tls).identity(identity).build().unwrap();
    assert_eq!(status(with.get(registry.url("/v2/"))).await, 200);
    let root = registry.url("/v2/").replace("127.0.0.1", "localhost");
    assert_eq!(status(with.get(root)).await, 200);
}

#[tokio::test]
async fn a_body_is_cut_within_tls_too() {
    let tls = Tls::default();
    let registry = Registry::with(Options {
        tls: Some(tls.clone()),
        ..Options::default()
    });
    let name = registry.add_blob(REPO, noise(1, 300_000));
    for how in [Hangup::Reset, Hangup::Close] {
        registry.fail(Fault::on("GET", "/blobs/").then(Action::cut(200_000, how)));
        let get = trusting(&tls)
            .build()
            .unwrap()
            .get(registry.url(&format!("/v2/{REPO}/blobs/{name}")));
        let mut got = get.send().await.unwrap();
        let mut came = 0;
        let end = loop {
            match got.chunk().await {
                Ok(Some(chunk)) => came += chunk.len(),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        assert_eq!((came, end.is_some()), (200_000, true), "{how:?}");
    }
}
