//! Tokens (T).

use std::time::{Duration, SystemTime};

use imgcopy::error::ErrorKind;
use rcgen::date_time_ymd;
use serde_json::{Value, json};

use crate::support::registry::{
    Action, Auth, Fault, Hangup, Options as Kind, Response, Server, TokenRules, TokenServer,
};
use crate::{Pair, failed, fails};

fn kind(auth: Auth) -> Kind {
    Kind {
        auth,
        ..Kind::default()
    }
}

/// A pair whose source wants tokens of a server of their own.
fn with_tokens(rules: TokenRules) -> (Pair, TokenServer) {
    let tokens = TokenServer::start(rules);
    let from = kind(Auth::Bearer(tokens.issuer()));
    (Pair::of(&[3000, 2000], from, Kind::default()), tokens)
}

#[test]
fn f13_a_refusal_that_does_not_say_how_to_ask_is_told() {
    let pair = Pair::new(&[3000]);
    let refusals = pair
        .from
        .fail(
            Fault::on("*", "")
                .always()
                .then(Action::error(401, "UNAUTHORIZED", "who are you")),
        );
    fails(pair.copy(), ErrorKind::Unauthorized, "401 Unauthorized");
    assert!(refusals.count() <= 2);
    pair.unchanged();
}

#[test]
fn f14_nobody_is_pinged() {
    let (pair, tokens) = with_tokens(TokenRules::default());
    pair.arrived(&pair.copy());
    let is_ping = |target: &str| matches!(target, "/v2/" | "/v2");
    for registry in [&pair.from, &pair.to] {
        assert!(registry.log().iter().all(|one| !is_ping(&one.path)));
    }
    assert_eq!(tokens.count("GET", "/token"), 1);
}

#[test]
fn f15_a_token_server_that_fails_is_asked_again_by_one_alone() {
    for action in [
        Action::status(500),
        Action::status(503),
        Action::too_many_requests(Some("0")),
        Action::reset(),
        Action::cut(10, Hangup::Close),
    ] {
        let (pair, tokens) = with_tokens(TokenRules::default());
        tokens.fail(Fault::on("GET", "/token").then(action.clone()));
        pair.arrived(&pair.copy());
        assert_eq!(tokens.count("GET", "/token"), 2, "{action:?}");
        assert_eq!(tokens.most_at_once("GET", "/token"), 1);
    }
    let (pair, tokens) = with_tokens(TokenRules::default());
    tokens.fail(Fault::on("GET", "").always().then(Action::status(503)));
    fails(
        pair.copy(),
        ErrorKind::Io,
        "cannot get a token for 127.0.0.1",
    );
    assert_eq!(tokens.count("GET", "/token"), 5);
    pair.unchanged();
}

#[test]
fn f16_an_answer_without_a_token_is_not_shown() {
    let secret = "geheim-4711";
    let large = json!({ "padding": "x".repeat(2 << 20), "token": secret });
    for body in [
        json!({ "tokem": secret }).to_string(),
        format!("<html>{secret}</html>"),
        format!("{{\"token\":\"{secret}"),
        large.to_string(),
        json!({ "token": 7, "x": secret }).to_string(),
    ] {
        let (pair, tokens) = with_tokens(TokenRules::default());
        let answer = Response::new(200).body("application/json", body.clone());
        tokens.fail(Fault::on("GET", "").always().then(Action::Answer(answer)));
        let (_, said) = failed(pair.copy());
        assert!(said.contains("token"), "{said}");
        assert!(!said.contains(secret), "{said}");
        assert!(said.len() < 2000, "{}", said.len());
        assert!(tokens.count("GET", "") <= 2);
        pair.unchanged();
    }
}

#[test]
fn f17_a_token_that_is_never_good_is_not_fetched_for_ever() {
    let (pair, tokens) = with_tokens(TokenRules {
        uses: Some(0),
        ..TokenRules::default()
    });
    fails(pair.copy(), ErrorKind::Unauthorized, "401 Unauthorized");
    assert!(tokens.count("GET", "") <= 2);
    assert!(pair.from.log().len() <= 4);
    pair.unchanged();
}

#[test]
fn f18_odd_lifetimes_make_no_storm_of_tokens() {
    for expires in [
        Some(json!(1)),
        Some(json!(-300)),
        Some(json!(0)),
        Some(json!("60")),
        Some(json!(1e300)),
        Some(Value::Null),
        None,
    ] {
        let (pair, tokens) = with_tokens(TokenRules {
            expires_in: expires.clone(),
            ..TokenRules::default()
        });
        pair.arrived(&pair.copy());
        assert_eq!(tokens.count("GET", ""), 1, "{expires:?}");
    }
}

#[test]
fn f19_another_token_service_in_the_middle_gets_nothing() {
    let elsewhere = Server::start(|_| Response::json(200, &json!({ "token": "x" })));
    let (pair, _tokens) = with_tokens(TokenRules::default());
    let challenge = format!("Bearer realm=\"{}\",service=\"x\"", elsewhere.url("/token"));
    let changed = Response::new(401).with("WWW-Authenticate", challenge);
    pair.from.fail(
        pair.reads()
            .authorized()
            .always()
            .then(Action::Answer(changed)),
    );
    let words = "another token service than before";
    fails(pair.copy(), ErrorKind::Denied, words);
    assert_eq!(elsewhere.log().len(), 0);
    pair.unchanged();
}

#[test]
fn f19_a_token_that_is_good_no_more_is_replaced() {
    let (pair, tokens) = with_tokens(TokenRules::default());
    let revoked = Action::ask(|request| request.headers.set("authorization", "Bearer old"));
    pair.from.fail(pair.reads().authorized().then(revoked));
    pair.arrived(&pair.copy());
    assert_eq!(tokens.count("GET", "/token"), 2);
}

#[test]
fn r10_f20_what_other_clocks_say_of_a_token_changes_nothing() {
    let day = Duration::from_hours(24);
    let now = date_time_ymd(1970, 1, 1) + SystemTime::UNIX_EPOCH.elapsed().unwrap();
    for at in [now - day, now + day] {
        let rules = TokenRules {
            expires_in: Some(json!(300)),
            ..TokenRules::default()
        };
        let (pair, tokens) = with_tokens(rules);
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        let issued = format!("{year}-{month:02}-{day:02}T12:00:00Z");
        let date = format!("Thu, 01 Jan {year} 00:00:00 GMT");
        let skewed = Action::change(move |_, response| {
            let mut answer: Value = serde_json::from_slice(&response.body).unwrap();
            answer["issued_at"] = json!(issued);
            response.body = answer.to_string().into();
            response.headers.set("Date", date.as_str());
        });
        let given = tokens.fail(Fault::on("GET", "/token").always().then(skewed));
        pair.arrived(&pair.copy());
        assert_eq!(
            (given.count(), tokens.count("GET", "/token")),
            (1, 1),
            "{at}"
        );
    }
}
