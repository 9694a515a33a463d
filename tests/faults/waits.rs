//! Registries that want to be left alone.

use std::time::Duration;

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::Registries;

use crate::support::registry::{Action, Fault, Logged, Registry, Response};
use crate::support::{oci_at, tempdir};
use crate::{FROM, Pair, at, block, copied, failed, fails, impatient, options};

const MANIFEST: &str = "/manifests/";

/// How long after the end of a request the next one came.
fn gaps(log: &[Logged]) -> Vec<Duration> {
    let pairs = log.windows(2);
    pairs
        .map(|pair| pair[1].at.saturating_duration_since(pair[0].ended.unwrap()))
        .collect()
}

#[test]
fn r03_f28_a_registry_is_left_alone_as_long_as_it_wants() {
    let one = Duration::from_secs(1);
    let date = |response: Response| {
        response
            .with("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .with("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT")
    };
    let limited = Response::error(429, "TOOMANYREQUESTS", "slow down");
    let busy = Response::error(503, "UNAVAILABLE", "busy");
    for action in [
        Action::too_many_requests(Some("1")),
        // By its own clock, which is wrong by decades.
        Action::Answer(date(limited)),
        Action::Answer(busy.with("Retry-After", "1")),
    ] {
        let pair = Pair::new(&[1000]);
        pair.from.fail(Fault::on("GET", MANIFEST).then(action));
        pair.arrived(&pair.copy());
        let log = pair.from.requests("GET", MANIFEST);
        assert_eq!(log.len(), 2);
        assert!(gaps(&log)[0] >= one, "{:?}", gaps(&log));
    }
}

#[test]
fn r03_f28_uploads_wait_too() {
    let pair = Pair::new(&[100_000]);
    let limited = Response::error(429, "TOOMANYREQUESTS", "slow down").with("Retry-After", "1");
    pair.to
        .fail(Pair::sends().then(Action::answer_midway(1000, limited)));
    // Whoever waits because he was told to does not stand still.
    pair.arrived(&pair.copy_with(impatient()));
    let puts = pair.puts();
    assert_eq!(puts.len(), 2);
    assert!(gaps(&puts)[0] >= Duration::from_secs(1));
}

#[test]
fn r20_an_upload_that_waits_for_its_turn_does_not_stand_still() {
    let pair = Pair::new(&[3000, 2000]);
    let mut one_by_one = impatient();
    one_by_one.limits.transfers = 1;
    // Three times as long as anything may stand still.
    let slow = Action::delay(Duration::from_millis(900));
    pair.to.fail(Pair::sends().then(slow));
    pair.arrived(&pair.copy_with(one_by_one));
    assert_eq!(pair.to.count("PUT", "/blobs/"), 3, "each blob once");
    assert_eq!(pair.to.most_at_once("PUT", "/blobs/"), 1);
    assert_eq!(pair.from.count("GET", "/blobs/"), 3);
}

#[test]
fn r20_f28_nobody_asks_a_registry_that_wants_to_be_left_alone_and_others_go_on() {
    let limited = Registry::start();
    limited.add_image(FROM, "1", &[1000], 1);
    let fine = Registry::start();
    fine.add_image(FROM, "1", &[1000], 1);
    let asked = limited.fail(
        Fault::on("*", "")
            .always()
            .then(Action::too_many_requests(Some("3600"))),
    );
    let mut patient = options();
    patient.retry.max_wait = Duration::from_hours(2);
    let from = Registries::new(patient.clone());
    let to = from.beside(patient);
    let directory = tempdir();
    let here = |name: &str| oci_at(&directory.path().join(name), "1");
    block(async {
        let (a, b, c, d) = (here("a"), here("b"), here("c"), here("d"));
        let (slow, fast) = (at(&limited, FROM), at(&fine, FROM));
        let mut first = Box::pin(copied(&from, &to, [&slow, &a]));
        let other = copied(&from, &to, [&fast, &b]);
        tokio::select! {
            _ = &mut first => panic!("it should wait"),
            done = other => drop(done.unwrap()),
        }
        // It may not have come to its first request by then.
        while asked.count() == 0 {
            tokio::select! {
                _ = &mut first => panic!("it should wait"),
                () = tokio::task::yield_now() => {}
            }
        }
        // To read or to write, as one side of a copy or as the other: the registry is one.
        let second = copied(&from, &to, [&slow, &c]);
        let to_limited = format!("docker://{}/new/app:1", limited.host());
        let third = copied(&from, &to, [&fast, &to_limited]);
        let others = async {
            copied(&from, &to, [&fast, &d]).await.unwrap();
            copied(&from, &to, [&fast, &here("e")]).await.unwrap();
        };
        tokio::select! {
            _ = &mut first => panic!("it should wait"),
            _ = second => panic!("it should wait"),
            _ = third => panic!("it should wait"),
            () = others => {}
        }
    });
    assert_eq!(asked.count(), 1, "the first request, and no other");
    assert_eq!(fine.count("GET", "/blobs/"), 3 * 2);
}

#[test]
fn f29_hours_are_not_waited() {
    let pair = Pair::new(&[1000]);
    let asked = pair.from.fail(
        Fault::on("*", MANIFEST)
            .always()
            .then(Action::too_many_requests(Some("21600"))),
    );
    fails(pair.copy(), ErrorKind::RateLimited, "rate limited until");
    assert_eq!(asked.count(), 1);
    pair.unchanged();
}

#[test]
fn f30_a_refusal_in_plain_text_is_waited_out_and_shown_in_short() {
    let body = format!("<b>slow\u{1b}[31m down</b> {}", "x".repeat(5000));
    let raw = format!("HTTP/1.1 429 Too Many Requests\nContent-Type: text/plain\n\n{body}");
    let pair = Pair::new(&[1000]);
    let odd = Action::Raw(raw.into_bytes().into());
    pair.from
        .fail(Fault::on("GET", MANIFEST).times(2).then(odd.clone()));
    pair.arrived(&pair.copy());
    assert_eq!(pair.from.count("GET", MANIFEST), 3);

    let pair = Pair::new(&[1000]);
    pair.from.fail(Fault::on("*", MANIFEST).always().then(odd));
    let (kind, said) = failed(pair.copy());
    assert_eq!(kind, ErrorKind::RateLimited, "{said}");
    assert!(!said.contains('\u{1b}') && said.len() < 1000, "{said}");
    assert!(said.contains("gave up after 5 attempts"), "{said}");
    pair.unchanged();
}
