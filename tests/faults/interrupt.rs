//! Interrupts while something is being uploaded.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::registry::{Action, Fault, Hangup, Hits, Request, digest, soon};
use crate::support::{Run, command, ends_within};
use crate::{FROM, Pair, TO, at};

const LARGE: usize = 10 << 20;

/// Interrupts a copy as soon as that has happened, and gives what it said.
fn interrupted(pair: &Pair, hits: &Hits, signals: &[&str]) -> Run {
    let mut copy = command();
    copy.args(["copy", &at(&pair.from, FROM), &at(&pair.to, TO)]);
    copy.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = copy.spawn().unwrap();
    hits.wait(1);
    // The config travels at the same time: what is open now is the layer's alone.
    let config = digest("sha256", &pair.image.blobs[0]);
    soon(|| pair.to.blob(TO, &config).is_some());
    for signal in signals {
        let (signal, pid) = (signal.to_string(), child.id().to_string());
        let sent = Command::new("kill").args([signal, pid]).status();
        assert!(sent.unwrap().success());
    }
    ends_within(&mut child, Duration::from_secs(2));
    Run::from(child.wait_with_output().unwrap())
}

#[test]
fn r17_an_interrupt_gives_up_the_uploads_that_are_open() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let pair = Pair::new(&[LARGE]);
        let stands = Action::stop_reading(64 << 10);
        let hits = pair.to.fail(Pair::sends().then(stands));
        let run = interrupted(&pair, &hits, &[signal]);
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        assert!(run.stderr.contains("interrupted"), "{}", run.stderr);
        // That of the config as well, if its last answer was still on its way.
        assert!(pair.to.count("DELETE", "/blobs/uploads/") >= 1);
        assert_eq!(pair.to.open_uploads(), 0, "{signal}");
        pair.unchanged();
    }
}

#[test]
fn r17_chunks_are_given_up_where_they_have_come_to() {
    let pair = Pair::new(&[2 * LARGE]);
    pair.to
        .fail(Pair::sends().always().then(Action::status(413)));
    let stands = Action::stop_reading(64 << 10);
    let is_large = |request: &Request| {
        let length = request.header("content-length").unwrap_or("0");
        length.parse::<usize>().unwrap() > 2000
    };
    let second = Fault::on("PATCH", "").when(is_large).nth(2);
    let hits = pair.to.fail(second.then(stands));
    let run = interrupted(&pair, &hits, &["-INT"]);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    let mut patches = pair.to.requests("PATCH", "");
    patches.retain(|patch| patch.body_len > 2000);
    assert_eq!(pair.to.count("DELETE", &patches[1].path), 1);
    pair.unchanged();
}

#[test]
fn r17_a_registry_that_does_not_answer_holds_nobody_up() {
    let pair = Pair::new(&[LARGE]);
    let stands = Action::stop_reading(64 << 10);
    let hits = pair.to.fail(Pair::sends().then(stands));
    let silent = Action::lose(Hangup::Stall);
    pair.to.fail(Fault::on("DELETE", "").always().then(silent));
    let run = interrupted(&pair, &hits, &["-TERM"]);
    assert_eq!(run.code, Some(143), "{}", run.stderr);
    pair.unchanged();
}
