//! Tokens (T).

use std::sync::Arc;

use serde_json::{Value, json};

use super::Phase::Token;
use super::scene::{Scene, must};
use super::{Cell, PLAIN, arrives, cell, fails};
use crate::support::registry::{
    Action, Auth, Fault, Hangup, Options as Kind, Response, Server, TokenRules, TokenServer,
};

pub(super) fn cells() -> Vec<Cell> {
    vec![f13(), f14(), f15(), f16(), f17(), f18(), f19()]
}

/// The requests of a copy of one layer, one of which is refused for want of a token.
const WITH_TOKEN: usize = PLAIN + 1;

/// From a registry that wants tokens of a server of their own, asked so often by us.
fn with_tokens(rules: TokenRules, given: usize) -> (Scene, Arc<TokenServer>) {
    let tokens = Arc::new(TokenServer::start(rules));
    let from = Kind {
        auth: Auth::Bearer(tokens.issuer()),
        ..Kind::default()
    };
    let server = tokens.clone();
    let scene = Scene::of(&[3000], from, Kind::default()).check_of_ours(move |_| {
        let (count, at_once) = (
            server.count("*", "/token"),
            server.most_at_once("*", "/token"),
        );
        let is_so = count == given && at_once == 1;
        must(
            is_so,
            format!("{count} requests for tokens, {at_once} at once"),
        )
    });
    (scene, tokens)
}

/// The same, and this goes wrong at the token server.
fn token_server_fails(given: usize, fault: Fault) -> Scene {
    let (scene, tokens) = with_tokens(TokenRules::default(), given);
    let hits = tokens.fail(fault);
    scene.met(hits).keep(tokens)
}

/// Tokens that say they are from another year, by a server whose clock says so, too.
pub(super) fn of_another_year() -> Scene {
    let skewed = Action::change(|_, response| {
        let mut answer: Value = serde_json::from_slice(&response.body).unwrap();
        answer["issued_at"] = json!("2016-01-01T00:00:00Z");
        response.body = answer.to_string().into();
        response
            .headers
            .set("Date", "Fri, 01 Jan 2016 00:00:00 GMT");
    });
    token_server_fails(1, Fault::on("GET", "/token").always().then(skewed))
}

fn f13() -> Cell {
    let refusal = || Action::error(401, "UNAUTHORIZED", "who are you");
    cell(
        "F-13",
        Token,
        "401 that does not say how to ask",
        "an error that says so, unless the real request works",
    )
    .case("always", fails(1, "401 Unauthorized", 3), move || {
        Scene::new(&[3000]).source_fails(Fault::on("*", "").always().then(refusal()))
    })
    .case("to the ping alone", arrives(PLAIN), move || {
        pinged(refusal())
    })
}

/// This is what pings get. Nobody has to ping.
fn pinged(action: Action) -> Scene {
    let scene = Scene::new(&[3000]);
    let is_ping = |request: &crate::support::registry::Request| {
        matches!(request.target.as_str(), "/v2/" | "/v2")
    };
    let hits = scene
        .pair
        .from
        .fail(Fault::on("GET", "").when(is_ping).always().then(action));
    scene.check_of_ours(move |_| must(hits.count() == 0, "it pinged"))
}

fn f14() -> Cell {
    let row = cell(
        "F-14",
        Token,
        "404, 405 or 503 to the ping",
        "nobody is pinged",
    );
    [("404", 404), ("405", 405), ("503", 503)]
        .into_iter()
        .fold(row, |row, (name, status)| {
            row.case(name, arrives(PLAIN), move || pinged(Action::status(status)))
        })
}

fn f15() -> Cell {
    let row = cell(
        "F-15",
        Token,
        "the token server fails once",
        "one asks again, the others wait; always: an error",
    );
    let once = |action: Action| {
        move || token_server_fails(2, Fault::on("GET", "/token").then(action.clone()))
    };
    row.case("500", arrives(WITH_TOKEN), once(Action::status(500)))
        .case(
            "429",
            arrives(WITH_TOKEN),
            once(Action::too_many_requests(Some("1"))),
        )
        .case("reset", arrives(WITH_TOKEN), once(Action::reset()))
        .case(
            "cut",
            arrives(WITH_TOKEN),
            once(Action::cut(10, Hangup::Close)),
        )
        .case(
            "for ever",
            fails(1, "cannot get a token for 127.0.0.1", 2),
            || {
                token_server_fails(
                    5,
                    Fault::on("GET", "/token")
                        .always()
                        .then(Action::status(503)),
                )
            },
        )
}

fn f16() -> Cell {
    let row = cell(
        "F-16",
        Token,
        "an answer that is no token: {}, HTML, 2 MiB",
        "an error that does not show it",
    );
    let large = json!({ "padding": "x".repeat(2 << 20), "token": "canary-of-url" }).to_string();
    let bodies = [
        ("{}", "{}".to_string()),
        (
            "another field",
            json!({ "tokem": "canary-of-url" }).to_string(),
        ),
        ("HTML", "<html>canary-of-url</html>".to_string()),
        ("2 MiB", large),
    ];
    bodies.into_iter().fold(row, |row, (name, body)| {
        row.case(name, fails(1, "token", 2), move || {
            let answer = Response::new(200).body("application/json", body.clone());
            token_server_fails(
                1,
                Fault::on("GET", "").always().then(Action::Answer(answer)),
            )
        })
    })
}

fn f17() -> Cell {
    cell(
        "F-17",
        Token,
        "no token is ever good enough",
        "one is tried, then an error",
    )
    .case("always", fails(1, "401 Unauthorized", 4), || {
        let useless = TokenRules {
            uses: Some(0),
            ..TokenRules::default()
        };
        let (scene, tokens) = with_tokens(useless, 1);
        scene.keep(tokens)
    })
}

fn f18() -> Cell {
    let row = cell("F-18", Token, "odd lifetimes of a token", "one token does");
    let lives = [
        ("1 s", Some(json!(1))),
        ("negative", Some(json!(-300))),
        ("a string", Some(json!("60"))),
        ("none", None),
    ];
    let row = lives.into_iter().fold(row, |row, (name, life)| {
        row.case(name, arrives(WITH_TOKEN), move || {
            let rules = TokenRules {
                expires_in: life.clone(),
                ..TokenRules::default()
            };
            let (scene, tokens) = with_tokens(rules, 1);
            scene.keep(tokens)
        })
    });
    row.case(
        "given out ten years ago",
        arrives(WITH_TOKEN),
        of_another_year,
    )
}

fn f19() -> Cell {
    cell(
        "F-19",
        Token,
        "the challenge changes midway",
        "another token where the service is the same; another service gets nothing",
    )
    .case("the token is good no more", arrives(WITH_TOKEN + 1), || {
        let (scene, tokens) = with_tokens(TokenRules::default(), 2);
        let stale = Action::ask(|request| request.headers.set("authorization", "Bearer old"));
        let reads = scene.pair.reads().authorized().then(stale);
        scene.source_fails(reads).keep(tokens)
    })
    .case(
        "another service",
        fails(1, "another token service than before", WITH_TOKEN),
        || {
            let (scene, tokens) = with_tokens(TokenRules::default(), 1);
            let elsewhere = Arc::new(Server::start(|_| {
                Response::json(200, &json!({ "token": "x" }))
            }));
            let challenge = format!("Bearer realm=\"{}\",service=\"x\"", elsewhere.url("/token"));
            let changed = Response::new(401).with("WWW-Authenticate", challenge);
            let reads = scene.pair.reads().authorized().always();
            let asked = elsewhere.clone();
            scene
                .source_fails(reads.then(Action::Answer(changed)))
                .keep((tokens, elsewhere))
                .check(move |_| must(asked.log().is_empty(), "the other service was asked"))
        },
    )
}
