//! Telling others of a run: a POST to a webhook.
//!
//! The address is a secret (S-40): no message has it, so what reqwest says of a failure, which may
//! quote it, is put in our words.

use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use serde_json::{Value, json};

use super::config::{Notify, Occasion};
use super::report::{Report, Row};
use crate::error::Result;
use crate::store::registry::with_roots;

/// How long one try may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How often it is tried.
const TRIES: u32 = 3;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// How many failures are named. All are counted.
const NAMED: usize = 20;

/// Tells everybody who wants to be told of this run, all at once. Gives what went wrong, a clause for
/// each webhook.
pub(super) async fn all(wanted: &[Notify], report: &Report) -> Vec<String> {
    let numbered = wanted.iter().zip(1..);
    let told: Vec<(&Notify, usize)> = numbered
        .filter(|(notify, _)| notify.when.iter().any(|when| is_met(*when, report)))
        .collect();
    if told.is_empty() {
        return Vec::new();
    }
    let client = match client() {
        Ok(client) => client,
        Err(error) => return vec![format!("cannot notify anybody: {error}")],
    };
    let body = summary(report).to_string();
    let sent = told.into_iter().map(|(notify, number)| {
        let (client, body) = (&client, &body);
        async move {
            let failed = post(client, notify.webhook.reveal(), body).await.err();
            failed.map(|why| format!("webhook {number} of `notify` was not told: {why}"))
        }
    });
    let failed = futures_util::future::join_all(sent).await;
    failed.into_iter().flatten().collect()
}

fn is_met(when: Occasion, report: &Report) -> bool {
    match when {
        Occasion::Failure => report.exit_code() != 0,
        Occasion::Change => report.totals.changes() > 0,
        Occasion::Always => true,
    }
}

/// What a webhook gets. `text` is what chat services show; everything else is for programs.
fn summary(report: &Report) -> Value {
    let shard = report.run.shards.first();
    let of_shard = shard.map(|shard| format!(" (shard {shard})"));
    let name = report.run.file.as_deref().unwrap_or("imgcopy");
    let text = format!(
        "imgcopy {name}{}: {}",
        of_shard.unwrap_or_default(),
        report.summary()
    );
    let failure = |row: &Row| {
        json!({
            "source": row.source,
            "destination": row.destination,
            "kind": row.kind,
            "reason": row.reason,
        })
    };
    json!({
        "text": text,
        "file": report.run.file,
        "shard": shard.map(ToString::to_string),
        "exitCode": report.exit_code(),
        "started": report.run.started,
        "seconds": report.run.took.as_secs_f64(),
        "stopped": report.run.stopped,
        "totals": report.totals,
        "problems": report.run.problems.iter().take(NAMED).collect::<Vec<_>>(),
        "failures": report.failed().take(NAMED).map(failure).collect::<Vec<_>>(),
    })
}

fn client() -> Result<Client> {
    with_roots(|| {
        let builder = Client::builder()
            .user_agent(concat!("imgcopy/", env!("CARGO_PKG_VERSION")))
            // What is told is for this address, not for where it sends us.
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(LIMIT);
        Ok(builder)
    })
}

async fn post(client: &Client, address: &str, body: &str) -> Result<(), String> {
    let mut pause = PAUSE;
    let mut failed = String::new();
    for attempt in 1..=TRIES {
        if attempt > 1 {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        match post_once(client, address, body).await {
            Ok(()) => return Ok(()),
            Err(Refused::ForGood(why)) => return Err(why),
            Err(Refused::ForNow(why)) => failed = why,
        }
    }
    Err(format!("{failed} ({TRIES} tries)"))
}

/// Why somebody was not told.
enum Refused {
    /// Another try may succeed.
    ForNow(String),
    /// None will.
    ForGood(String),
}

async fn post_once(client: &Client, address: &str, body: &str) -> Result<(), Refused> {
    let request = client
        .post(address)
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = request.send().await.map_err(|error| {
        let limit = LIMIT.as_secs();
        match error {
            error if error.is_builder() => {
                Refused::ForGood("its address cannot be used".to_string())
            }
            error if error.is_timeout() => Refused::ForNow(format!("no answer in {limit} s")),
            error if error.is_connect() => Refused::ForNow("it cannot be reached".to_string()),
            _ => Refused::ForNow("the connection broke".to_string()),
        }
    })?;
    let status = answer.status();
    let may_pass = status.is_server_error()
        || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
    match status.is_success() {
        true => Ok(()),
        false if may_pass => Err(Refused::ForNow(format!("it answered {status}"))),
        false => Err(Refused::ForGood(format!("it answered {status}"))),
    }
}
