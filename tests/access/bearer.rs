//! Tokens and passwords between us, a registry, and its token server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use imgcopy::error::ErrorKind;
use serde_json::json;

use crate::support::registry::{
    Action, Auth, Fault, Hangup, Registry, Response, TokenField, TokenRules, TokenServer,
};
use crate::support::tempdir;
use crate::{REPO, at, authorized, copy, fails, from_file, nobody, read, registry, user};

/// A registry whose tokens come from a server of their own, and that server.
fn apart(rules: TokenRules) -> (Registry, TokenServer) {
    let tokens = TokenServer::start(rules);
    (registry(Auth::Bearer(tokens.issuer())), tokens)
}

#[test]
fn a_password_goes_to_the_token_server_and_tokens_to_the_registry() {
    let (registry, tokens) = apart(TokenRules::login("me", "secret"));
    read(&at(&registry), user("me", "secret")).unwrap();
    let asked = tokens.log();
    assert_eq!(asked.len(), 1, "one token serves for all");
    assert_eq!(authorized(&tokens, "Basic "), 1);
    let names: Vec<&str> = asked[0]
        .query
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["service", "scope"]);
    assert_eq!(asked[0].query[1].1, format!("repository:{REPO}:pull"));
    // The first request asks how; every other one has the token at once.
    let requests = registry.log();
    assert_eq!(authorized(&registry, "Basic "), 0);
    assert_eq!(authorized(&registry, "Bearer "), requests.len() - 1);
    assert_eq!(requests[0].status, 401);
    assert!(requests[1..].iter().all(|request| request.status != 401));
}

#[test]
fn s45_no_offline_token_is_asked_for() {
    let (registry, tokens) = apart(TokenRules::login("me", "secret"));
    let to = format!("docker://{}/other/app:1", registry.host());
    let me = || user("me", "secret");
    copy(&at(&registry), me(), &to, me()).unwrap();
    for request in tokens.log() {
        assert_eq!(request.method, "GET");
        assert!(!request.target.contains("offline"), "{}", request.target);
    }
}

#[test]
fn one_token_allows_writing_and_the_mount_together() {
    let (registry, tokens) = apart(TokenRules::login("me", "secret"));
    let to = format!("docker://{}/other/app:1", registry.host());
    let me = || user("me", "secret");
    let digest = copy(&at(&registry), me(), &to, me()).unwrap();
    assert_eq!(registry.tag_of("other/app", "1"), Some(digest));
    assert_eq!(
        registry.count("GET", "/blobs/"),
        0,
        "everything was mounted"
    );
    let scopes = |request: &crate::support::registry::Logged| {
        let scopes = request.query.iter().filter(|(name, _)| name == "scope");
        scopes.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let both = ["repository:other/app:pull,push", "repository:team/app:pull"];
    let asked = tokens.log();
    assert!(asked.iter().any(|it| scopes(it) == both), "{asked:?}");
}

#[test]
fn q48_a_token_server_that_grants_the_last_scope_only_is_asked_for_one() {
    let (registry, tokens) = apart(TokenRules {
        last_scope_only: true,
        ..TokenRules::login("me", "secret")
    });
    let to = format!("docker://{}/other/app:1", registry.host());
    let me = || user("me", "secret");
    let digest = copy(&at(&registry), me(), &to, me()).unwrap();
    assert_eq!(registry.tag_of("other/app", "1"), Some(digest));
    // Once it is known, no request asks for two.
    let count = |scopes: usize| {
        let log = tokens.log();
        let asked = log.iter().map(|it| it.target.matches("scope=").count());
        asked.filter(|asked| *asked == scopes).count()
    };
    assert!(count(2) <= 1, "{:?}", tokens.log());
}

#[test]
fn f18_whatever_is_said_of_a_tokens_life_there_is_no_storm_of_requests() {
    let lives = [
        None,
        Some(json!(1)),
        Some(json!(0)),
        Some(json!(-5)),
        Some(json!("300")),
        Some(json!("soon")),
        Some(json!(1e300)),
        Some(json!(null)),
        Some(json!(u64::MAX)),
    ];
    for expires_in in lives {
        let (registry, tokens) = apart(TokenRules {
            expires_in: expires_in.clone(),
            ..TokenRules::default()
        });
        read(&at(&registry), nobody()).unwrap();
        assert_eq!(tokens.count("GET", "/token"), 1, "{expires_in:?}");
    }
}

#[test]
fn a_token_that_ends_early_is_renewed() {
    let (registry, tokens) = apart(TokenRules {
        uses: Some(5),
        ..TokenRules::login("me", "secret")
    });
    let digest = read(&at(&registry), user("me", "secret")).unwrap();
    assert_eq!(registry.tag_of(REPO, "1"), Some(digest));
    let requests = registry.log().len();
    let fetched = tokens.count("GET", "/token");
    assert!(
        fetched > 1 && fetched <= requests,
        "{fetched} for {requests}"
    );
}

#[test]
fn q90_a_token_may_be_called_access_token() {
    for field in [TokenField::AccessToken, TokenField::Both] {
        let (registry, _tokens) = apart(TokenRules {
            field,
            ..TokenRules::login("me", "secret")
        });
        read(&at(&registry), user("me", "secret")).unwrap();
    }
}

#[test]
fn q89_of_several_challenges_bearer_is_taken_however_it_is_written() {
    let (registry, tokens) = apart(TokenRules::login("me", "secret"));
    registry.fail(
        Fault::on("*", "/v2/")
            .always()
            .then(Action::change(|_, response| {
                if let Some(bearer) = response.headers.get("www-authenticate").map(str::to_string) {
                    let bearer = bearer
                        .replacen("Bearer ", "bEARER  ", 1)
                        .replace("\",", "\" , ");
                    response.headers.set("WWW-Authenticate", "Negotiate");
                    response
                        .headers
                        .add("WWW-Authenticate", "basic realm=\"x, y\"");
                    response.headers.add("WWW-Authenticate", bearer);
                }
            })),
    );
    read(&at(&registry), user("me", "secret")).unwrap();
    assert_eq!(
        (tokens.log().len(), authorized(&registry, "Basic ")),
        (1, 0)
    );
}

#[test]
fn f13_a_refusal_that_does_not_say_how_to_ask_is_told_as_that() {
    let registry = registry(Auth::Open);
    registry.fail(Fault::on("*", "/v2/").always().then(Action::status(401)));
    let host = registry.host();
    let says = [
        host.as_str(),
        "does not say how it wants to be told who asks",
    ];
    fails(
        read(&at(&registry), user("me", "secret")),
        ErrorKind::Unauthorized,
        &says,
    );
    assert_eq!(registry.log().len(), 1);
    assert_eq!(authorized(&registry, ""), 0);
}

#[test]
fn f15_a_token_server_in_trouble_is_asked_again_by_one() {
    let (registry, tokens) = apart(TokenRules::login("me", "secret"));
    let on = |nth| Fault::on("GET", "/token").nth(nth);
    tokens.fail(on(1).then(Action::status(500)));
    tokens.fail(on(2).then(Action::too_many_requests(Some("1"))));
    tokens.fail(on(3).then(Action::reset()));
    read(&at(&registry), user("me", "secret")).unwrap();
    let asked = tokens.log();
    assert_eq!(asked.len(), 4);
    assert_eq!(tokens.most_at_once("GET", "/token"), 1);
    let rest = asked[2].at - asked[1].ended.unwrap();
    assert!(rest >= Duration::from_millis(990), "{rest:?}");
}

#[test]
fn f16_an_answer_that_is_no_token_is_not_shown() {
    let long = format!("{{\"token\":\"CANARY\",\"x\":\"{}\"}}", "y".repeat(2 << 20));
    let answers = [
        ("{}", "holds no token"),
        (
            "{\"token\":\"\",\"refresh_token\":\"CANARY\"}",
            "holds no token",
        ),
        ("{\"token\":[\"CANARY\"]}", "holds no token"),
        ("<html>CANARY</html>", "no JSON"),
        (&long, "limit"),
    ];
    for (answer, says) in answers {
        let (registry, tokens) = apart(TokenRules::default());
        let answer = Response::new(200).body("application/json", answer.to_string());
        tokens.fail(Fault::on("*", "").always().then(Action::Answer(answer)));
        let told = fails(read(&at(&registry), nobody()), ErrorKind::Io, &[says]);
        assert!(!told.contains("CANARY"), "{told}");
        assert_eq!(tokens.log().len(), 1);
    }
}

#[test]
fn f17_a_registry_that_refuses_every_token_is_believed_the_second_time() {
    let (registry, tokens) = apart(TokenRules {
        denied: vec![REPO.to_string()],
        ..TokenRules::login("me", "secret")
    });
    let host = registry.host();
    let advice = format!("`imgcopy login {host}`");
    let says = [host.as_str(), "credentials of me", &advice];
    fails(
        read(&at(&registry), user("me", "secret")),
        ErrorKind::Unauthorized,
        &says,
    );
    let fetched = tokens.log().len();
    assert!((1..=2).contains(&fetched), "{fetched}");
}

#[test]
fn a_wrong_password_is_tried_once_and_the_side_is_told() {
    let (registry, tokens) = apart(TokenRules::login("me", "secret"));
    let host = registry.host();
    let says = [host.as_str(), "credentials of me", "imgcopy login", REPO];
    let told = fails(
        read(&at(&registry), user("me", "wrong")),
        ErrorKind::Unauthorized,
        &says,
    );
    assert!(!told.contains("wrong"), "{told}");
    assert_eq!(tokens.log().len(), 1, "accounts are locked for less");

    let open = crate::registry(Auth::Open);
    let copied = copy(&at(&open), nobody(), &at(&registry), user("me", "wrong"));
    let target = at(&registry);
    let says = [target.trim_end_matches(":1"), "credentials of me"];
    let told = fails(copied, ErrorKind::Unauthorized, &says);
    assert!(
        !told.contains(&open.host()),
        "only the destination is to blame: {told}"
    );
}

#[test]
fn q91_wrong_credentials_are_not_given_up_for_none() {
    let (registry, tokens) = apart(TokenRules {
        anonymous_pull: true,
        ..TokenRules::login("me", "secret")
    });
    let refused = read(&at(&registry), user("me", "wrong"));
    fails(refused, ErrorKind::Unauthorized, &["credentials of me"]);
    assert_eq!(authorized(&tokens, "Basic "), tokens.log().len());
    read(&at(&registry), nobody()).unwrap();
}

#[test]
fn nobody_is_told_how_to_log_in() {
    let (registry, _tokens) = apart(TokenRules::login("me", "secret"));
    let advice = format!("`imgcopy login {}`", registry.host());
    fails(
        read(&at(&registry), nobody()),
        ErrorKind::Unauthorized,
        &[&advice],
    );
    let basic = crate::registry(Auth::basic("me", "secret"));
    let advice = format!("`imgcopy login {}`", basic.host());
    fails(
        read(&at(&basic), nobody()),
        ErrorKind::Unauthorized,
        &[&advice],
    );
}

#[test]
fn an_identity_token_is_posted_and_its_successor_used() {
    let (registry, tokens) = apart(TokenRules {
        refresh_token: Some("first".to_string()),
        uses: Some(5),
        ..TokenRules::login("me", "secret")
    });
    let posted: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = posted.clone();
    tokens.fail(
        Fault::on("POST", "/token")
            .nth(2)
            .always()
            .then(Action::ask(move |request| {
                let form = String::from_utf8_lossy(&request.body).into_owned();
                request.body = form.replace("=second", "=first").into();
                seen.lock().unwrap().push(form);
            })),
    );
    let next = json!("second");
    tokens.fail(
        Fault::on("POST", "/token").then(Action::change(move |_, response| {
            let mut answer: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            answer["refresh_token"] = next.clone();
            response.body = answer.to_string().into();
        })),
    );
    let home = tempdir();
    let file = home.path().join("auth.json");
    let entry = json!({ registry.host(): { "identitytoken": "first" } });
    std::fs::write(&file, json!({ "auths": entry }).to_string()).unwrap();
    read(&at(&registry), from_file(&file, home.path())).unwrap();
    assert_eq!(tokens.count("GET", ""), 0);
    assert_eq!(authorized(&tokens, ""), 0);
    let posted = posted.lock().unwrap();
    assert!(!posted.is_empty());
    for form in posted.iter() {
        assert!(form.contains("grant_type=refresh_token"), "{form}");
        assert!(form.contains("refresh_token=second"), "{form}");
        assert!(form.contains("service=registry.test"), "{form}");
    }
}

#[test]
fn a_registry_token_is_sent_as_it_is() {
    use imgcopy::store::registry::Login;
    use imgcopy::store::registry::credentials::{Credential, Secret};
    let (registry, tokens) = apart(TokenRules::default());
    let token = waiting_token(&tokens);
    let mut options = nobody();
    options.login = Login::As(Credential::RegistryToken(Secret::new(token)));
    tokens.forget();
    read(&at(&registry), options.clone()).unwrap();
    assert_eq!(authorized(&registry, "Bearer "), registry.log().len());
    tokens.issuer().revoke_all();
    fails(
        read(&at(&registry), options),
        ErrorKind::Unauthorized,
        &["<token>"],
    );
    assert_eq!(tokens.log().len(), 0, "nobody asks for another one");
}

fn waiting_token(tokens: &TokenServer) -> String {
    let url = tokens.url(&format!("/token?scope=repository:{REPO}:pull"));
    let answer: serde_json::Value = crate::waiting(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let bytes = client.get(url).send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    });
    answer["token"].as_str().unwrap().to_string()
}

#[test]
fn a_token_server_that_hangs_up_for_ever_is_told_as_that() {
    let (registry, tokens) = apart(TokenRules::default());
    tokens.fail(
        Fault::on("*", "")
            .always()
            .then(Action::lose(Hangup::Reset)),
    );
    let says = [&*format!("cannot get a token for {}", registry.host())];
    fails(read(&at(&registry), nobody()), ErrorKind::Io, &says);
    assert_eq!(tokens.log().len(), 5);
}
