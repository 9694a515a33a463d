//! Only 404 means that something is missing. Every other answer is a failure of that tag, and the others
//! go on.

use imgcopy::sync::report::Status;

use crate::kit::{REPO, writes};
use crate::night::{Night, entry, repo};
use crate::support::registry::{Action, Auth, Fault, Options, Registry, Tls, TokenRules};

/// Two tags, of which the destination has the first one already.
fn pair(there: &Registry) -> (Registry, Night) {
    let here = Registry::start();
    for tag in ["1", "2"] {
        here.add_image(REPO, tag, &[900, 500], 1);
    }
    there.add_image(REPO, "1", &[900, 500], 1);
    let night = Night::of(&entry(
        &repo(&here, REPO),
        "\"1\", \"2\"",
        &repo(there, REPO),
        "",
    ));
    (here, night)
}

#[test]
fn a_question_that_fails_is_never_read_as_missing() {
    for (status, kind, code) in [
        (500, "io", 3),
        (502, "io", 3),
        (401, "unauthorized", 3),
        (403, "denied", 3),
        (400, "denied", 3),
        (429, "rate-limited", 3),
    ] {
        let there = Registry::start();
        let (here, night) = pair(&there);
        there.fail(
            Fault::on("HEAD", "/manifests/1")
                .always()
                .then(Action::status(status)),
        );
        there.fail(
            Fault::on("GET", "/manifests/1")
                .always()
                .then(Action::status(status)),
        );
        let morning = night.run(&[]);
        let row = morning.row(":1");
        assert_eq!(row.kind.as_deref(), Some(kind), "{status}: {row:#?}");
        let expected = match status {
            429 => (Status::Deferred, 4),
            _ => (Status::Failed, code),
        };
        assert_eq!(
            (row.status, morning.code),
            (expected.0, Some(expected.1)),
            "{status}"
        );
        assert!(
            row.advice.is_some() || matches!(status, 500 | 502),
            "{row:#?}"
        );
        assert_eq!(morning.row(":2").status, Status::New);
        assert_eq!(there.count("PUT", "/manifests/1"), 0, "{status}");
        assert_eq!(here.count("GET", "/manifests/1"), 0, "{status}");
        there.assert_whole(REPO);
    }
}

#[test]
fn a_source_that_fails_to_answer_fails_its_tag_only() {
    for status in [500, 401, 403, 404] {
        let there = Registry::start();
        let (here, night) = pair(&there);
        for method in ["HEAD", "GET"] {
            here.fail(
                Fault::on(method, "/manifests/1")
                    .always()
                    .then(Action::status(status)),
            );
        }
        let before = there.tag_of(REPO, "1");
        let morning = night.run(&[]).ended(3);
        assert_eq!(morning.row(":1").status, Status::Failed, "{status}");
        assert_eq!(morning.row(":2").status, Status::New, "{status}");
        assert_eq!(there.tag_of(REPO, "1"), before);
        assert_eq!(there.count("PUT", "/manifests/1"), 0);
    }
}

#[test]
fn a_destination_whose_certificate_nobody_trusts_gets_nothing() {
    let here = Registry::start();
    here.add_image(REPO, "1", &[900], 1);
    let there = Registry::with(Options {
        tls: Some(Tls::default()),
        ..Options::default()
    });
    let night = Night::of("");
    night.says(&format!(
        "registries: {{\"{}\": {{tls: off}}, \"{}\": {{tls: on}}}}\nimages:\n{}",
        here.host(),
        there.host(),
        entry(&repo(&here, REPO), "\"1\"", &repo(&there, REPO), "")
    ));
    let morning = night.run(&[]).ended(3).all(Status::Failed, 1);
    let row = morning.row(":1");
    assert_eq!(row.kind.as_deref(), Some("untrusted"));
    assert!(row.advice.as_deref().unwrap().contains(".ca`"), "{row:#?}");
    assert_eq!((there.log().len(), here.log().len()), (0, 0));
}

#[test]
fn a_destination_that_knows_nobody_of_this_name_fails_and_the_others_finish() {
    let [here, open] = [0; 2].map(|_| Registry::start());
    here.add_image(REPO, "1", &[900], 1);
    let guarded = Registry::with(Options {
        auth: Auth::bearer(TokenRules::login("me", "secret")),
        ..Options::default()
    });
    let to = |server: &Registry| entry(&repo(&here, REPO), "\"1\"", &repo(server, REPO), "");
    let night = Night::of(&format!("{}{}", to(&guarded), to(&open)));
    let morning = night.run(&[]).ended(3);
    let row = morning.row(&format!("{}/{REPO}:1", guarded.host()));
    assert_eq!(
        (row.status, row.kind.as_deref()),
        (Status::Failed, Some("unauthorized"))
    );
    assert!(
        row.advice.as_deref().unwrap().contains("imgcopy login"),
        "{row:#?}"
    );
    assert_eq!(
        morning.row(&format!("{}/{REPO}:1", open.host())).status,
        Status::New
    );
    assert_eq!(guarded.tags(REPO), [""; 0]);
}

#[test]
fn a_full_registry_and_one_whose_tags_never_change_say_so() {
    for (status, code, kind) in [
        (507, "NO_SPACE", "no-space"),
        (400, "TAG_INVALID", "denied"),
    ] {
        let [here, there] = [0; 2].map(|_| Registry::start());
        here.add_image(REPO, "1", &[900], 1);
        here.add_image("other", "1", &[500], 2);
        let old = there.add_image(REPO, "1", &[700], 3);
        there.fail(
            Fault::on("PUT", &format!("{REPO}/manifests/1"))
                .always()
                .then(Action::error(
                    status,
                    code,
                    "The image tag '1' is immutable",
                )),
        );
        let to = |path: &str| entry(&repo(&here, path), "\"1\"", &repo(&there, path), "");
        let morning = Night::of(&format!("{}{}", to(REPO), to("other")))
            .run(&[])
            .ended(3);
        let row = morning.row(&format!("{REPO}:1"));
        assert_eq!(
            (row.status, row.kind.as_deref()),
            (Status::Failed, Some(kind)),
            "{row:#?}"
        );
        assert_eq!(morning.row("other:1").status, Status::New);
        assert_eq!(there.tag_of(REPO, "1"), Some(old));
        there.assert_whole(REPO);
        there.assert_whole("other");
    }
}

#[test]
fn credentials_that_end_in_the_middle_fail_what_is_left_and_leave_nothing_half() {
    let here = Registry::start();
    for seed in 0..20 {
        here.add_image(REPO, &seed.to_string(), &[900, 500], seed);
    }
    let there = Registry::with(Options {
        auth: Auth::basic("me", "secret"),
        ..Options::default()
    });
    // After so many requests the password is another one.
    there.fail(
        Fault::on("*", "/v2/")
            .nth(60)
            .always()
            .then(Action::status(401)),
    );
    let night = Night::of("");
    night.says(&format!(
        "registries:\n  \"{}\": {{tls: off}}\n  \"{}\": {{tls: off, auth: {{user: me, pass: secret}}}}\nimages:\n{}",
        here.host(),
        there.host(),
        entry(&repo(&here, REPO), "\"*\"", &repo(&there, REPO), "")
    ));
    let morning = night.run(&[]).ended(3);
    let failed: Vec<_> = morning.report.failed().collect();
    assert!((1..=20).contains(&failed.len()));
    assert!(
        failed
            .iter()
            .all(|row| row.kind.as_deref() == Some("unauthorized")),
        "{failed:#?}"
    );
    there.assert_whole(REPO);
    assert_eq!(there.tags(REPO).len() + failed.len(), 20);
    assert!(!morning.told.contains("secret"));
    // The next night goes on from there.
    there.heal();
    let done = there.tags(REPO).len();
    let morning = night.runs();
    let same = morning
        .statuses()
        .iter()
        .filter(|status| **status == Status::Same)
        .count();
    assert_eq!(same, done);
    assert_eq!(there.tags(REPO).len(), 20);
    there.assert_whole(REPO);
    assert!(writes(&here) == 0);
}
