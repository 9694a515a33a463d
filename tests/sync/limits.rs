//! Hosts that want us to wait, and time that runs out.

use std::time::Duration;

use imgcopy::sync::report::Status;

use crate::kit::REPO;
use crate::night::{Night, entry, repo};
use crate::support::registry::{Action, Fault, Registry};

#[test]
fn a_host_that_limits_puts_off_its_own_and_holds_up_nobody() {
    let [limited, free, there] = [0; 3].map(|_| Registry::start());
    for (server, path) in [(&limited, "limited"), (&free, "free")] {
        for tag in 0..5 {
            server.add_image(path, &tag.to_string(), &[300], tag);
        }
    }
    // Longer than anybody may wait.
    let later = Fault::on("GET", "/manifests/").always();
    limited.fail(later.then(Action::too_many_requests(Some("3600"))));
    let tags = "\"0\", \"1\", \"2\", \"3\", \"4\"";
    let night = Night::of(&format!(
        "{}{}",
        entry(
            &repo(&limited, "limited"),
            tags,
            &repo(&there, "limited"),
            ""
        ),
        entry(&repo(&free, "free"), tags, &repo(&there, "free"), ""),
    ));
    let morning = night.run(&[]).ended(4);
    let count = |status| morning.report.totals.count(status);
    assert_eq!(
        (count(Status::New), count(Status::Deferred)),
        (5, 5),
        "{:#?}",
        morning.report
    );
    let row = morning.row("limited:3");
    assert_eq!(row.kind.as_deref(), Some("rate-limited"));
    assert!(row.advice.is_some());
    assert!(limited.count("GET", "/manifests/") <= 5);
    // Later it goes on, and only with what was put off.
    limited.heal();
    free.forget();
    let before = night.at("before.json");
    std::fs::copy(night.at("report.json"), &before).unwrap();
    night
        .run(&["--retry-from", "before.json"])
        .ended(0)
        .all(Status::New, 5);
    assert_eq!(free.log().len(), 0);
    there.assert_whole("limited");
}

#[test]
fn a_short_wait_that_a_host_asks_for_is_waited() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    here.add_image(REPO, "1", &[300], 1);
    there.fail(Fault::on("PUT", "/manifests/").then(Action::too_many_requests(Some("0"))));
    let night = Night::of(&entry(&repo(&here, REPO), "\"1\"", &repo(&there, REPO), ""));
    let morning = night.runs().all(Status::New, 1);
    assert_eq!(morning.row(":1").attempts, 1);
    assert_eq!(
        there.count("POST", "/blobs/uploads/"),
        2,
        "no blob is sent again"
    );
}

#[test]
fn what_is_not_done_by_the_deadline_is_put_off() {
    let [here, slow, there] = [0; 3].map(|_| Registry::start());
    here.add_image(REPO, "1", &[300], 1);
    slow.add_image("slow", "1", &[300], 2);
    slow.fail(Fault::on("GET", "/blobs/").always().then(Action::stall()));
    let night = Night::of(&format!(
        "{}{}",
        entry(&repo(&here, REPO), "\"1\"", &repo(&there, REPO), ""),
        entry(&repo(&slow, "slow"), "\"1\"", &repo(&there, "slow"), ""),
    ));
    let morning = night.run(&["--deadline", "1s"]).ended(4);
    assert_eq!(morning.row(&format!("{REPO}:1")).status, Status::New);
    assert_eq!(morning.row("slow:1").status, Status::Deferred);
    assert!(morning.report.run.stopped.is_some());
    assert_eq!(there.tags("slow"), [""; 0]);
    there.assert_whole(REPO);
}

#[test]
fn a_list_that_never_comes_is_not_waited_for_longer_than_the_deadline() {
    let [slow, here, there] = [0; 3].map(|_| Registry::start());
    slow.fail(
        Fault::on("GET", "/tags/list")
            .always()
            .then(Action::stall()),
    );
    here.add_image(REPO, "1", &[300], 1);
    let night = Night::of(&format!(
        "{}{}",
        entry(&repo(&slow, "slow"), "\"*\"", &repo(&there, "slow"), ""),
        entry(&repo(&here, REPO), "\"1\"", &repo(&there, REPO), ""),
    ));
    let mut command = night.command("sync");
    command.args(["--deadline", "300ms", "--report", "report.json"]);
    let ran = crate::support::run_within(&mut command, Duration::from_secs(20));
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
}
