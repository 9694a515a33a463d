//! A real registry behind a connection that is cut, stalls or is slow; and tokens that expire while
//! one upload is going on.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::nginx::Nginx;
use crate::relay::{Relay, Upset, Way, Weather};
use crate::server::Server;
use crate::support::registry::Registry;
use crate::support::{assert_whole as assert_whole_directory, oci_at, tempdir};
use crate::tokens::{Rules, guarded};
use crate::{REPO, assert_whole, at, copy};

const SIZES: [usize; 3] = [2_500_000, 1_500_000, 900_000];

/// More than connections hold that nobody reads.
const LARGE: usize = 12_000_000;

fn total(sizes: &[usize]) -> u64 {
    sizes.iter().sum::<usize>() as u64
}

/// A real registry with an image, and the image's digest.
fn filled(sizes: &[usize]) -> Option<(Server, String)> {
    let server = Server::debian()?;
    let start = Registry::start();
    let digest = start.add_image(REPO, "1", sizes, 1);
    copy(&at(&start.host(), "1"), &at(server.host(), "1"), &[]).ok();
    Some((server, digest))
}

#[test]
fn f44_what_is_read_through_connections_that_break_is_not_read_again() {
    let Some((server, digest)) = filled(&SIZES) else {
        return;
    };
    for upset in [Upset::Close, Upset::Reset] {
        let directory = tempdir();
        let relay = Relay::before(
            server.host(),
            Weather {
                at: (Way::Down, 300_000),
                upset,
                times: 4,
                ..Weather::default()
            },
        );
        let to = oci_at(&directory.path().join("d"), "1");
        let ran = copy(&at(&relay.host(), "1"), &to, &[]).ok();
        assert_eq!(ran.stdout.trim(), digest, "{}", ran.stderr);
        assert_whole_directory(&directory.path().join("d"));
        assert_eq!(relay.left(), 0);
        let most = total(&SIZES) + 4 * 300_000;
        assert!(
            relay.passed(Way::Down) < most,
            "{upset:?}: {}",
            relay.passed(Way::Down)
        );
    }
}

#[test]
fn f63_an_upload_through_connections_that_break_arrives() {
    for upset in [Upset::Close, Upset::Reset] {
        let Some(server) = Server::debian() else {
            return;
        };
        let start = Registry::start();
        let digest = start.add_image(REPO, "1", &SIZES, 1);
        let relay = Relay::before(
            server.host(),
            Weather {
                at: (Way::Up, 400_000),
                upset,
                times: 4,
                ..Weather::default()
            },
        );
        copy(&at(&start.host(), "1"), &at(&relay.host(), "1"), &[]).ok();
        assert_whole(server.host(), "1", &digest, &mut BTreeSet::new());
        assert_eq!(relay.left(), 0);
        // Each break costs one blob at most.
        let most = total(&SIZES) + 4 * SIZES[0] as u64 + 100_000;
        assert!(
            relay.passed(Way::Up) < most,
            "{upset:?}: {}",
            relay.passed(Way::Up)
        );
        assert!(start.count("GET", "/blobs/") <= 4 + 4);
    }
}

#[test]
fn f51_f65_connections_that_stall_are_given_up_and_others_take_over() {
    let sizes = [LARGE, 900_000];
    let Some((server, digest)) = filled(&sizes) else {
        return;
    };
    let stalls = |way| Weather {
        at: (way, 300_000),
        upset: Upset::Stall,
        times: 2,
        ..Weather::default()
    };
    let directory = tempdir();
    let relay = Relay::before(server.host(), stalls(Way::Down));
    let local = oci_at(&directory.path().join("d"), "1");
    copy(&at(&relay.host(), "1"), &local, &["--timeout", "1s"]).ok();
    assert_whole_directory(&directory.path().join("d"));
    assert_eq!(relay.left(), 0);

    let Some(other) = Server::debian() else {
        return;
    };
    let relay = Relay::before(other.host(), stalls(Way::Up));
    copy(&local, &at(&relay.host(), "1"), &["--timeout", "1s"]).ok();
    assert_whole(other.host(), "1", &digest, &mut BTreeSet::new());
    assert_eq!(relay.left(), 0);
}

/// A transfer that takes longer than nothing may move is no reason to begin again. Some of a slow blob
/// may be asked for on another connection, too.
#[test]
fn a_slow_connection_is_borne() {
    let sizes = [3_000_000];
    let Some((server, digest)) = filled(&sizes) else {
        return;
    };
    let slow = || Weather {
        pause: Duration::from_millis(60),
        ..Weather::default()
    };
    let directory = tempdir();
    let relay = Relay::before(server.host(), slow());
    let local = oci_at(&directory.path().join("d"), "1");
    let patience = ["--timeout", "4s", "--retry-times", "0"];
    copy(&at(&relay.host(), "1"), &local, &patience).ok();
    assert_whole_directory(&directory.path().join("d"));
    let passed = relay.passed(Way::Down);
    assert!(passed < total(&sizes) * 5 / 4, "{passed}");

    let Some(other) = Server::debian() else {
        return;
    };
    let relay = Relay::before(other.host(), slow());
    copy(&local, &at(&relay.host(), "1"), &patience).ok();
    assert_whole(other.host(), "1", &digest, &mut BTreeSet::new());
    let passed = relay.passed(Way::Up);
    assert!(passed < total(&sizes) * 5 / 4, "{passed}");
}

/// A real registry whose tokens are good for two seconds takes a blob that needs more, chunk by chunk:
/// the proxy before it wants no more at once.
#[test]
fn f69_tokens_that_expire_in_the_middle_of_an_upload_are_replaced() {
    // distribution takes them a minute longer. A registry that refuses a token hangs up on the proxy,
    // which says 502: such an upload begins anew, with a token that lives long enough.
    let rules = Rules {
        lives: vec![2 - 60; 3],
        ..Rules::default()
    };
    let Some((server, tokens)) = guarded(rules) else {
        return;
    };
    let Some(nginx) = Nginx::before(server.host(), "client_max_body_size 9m;") else {
        return;
    };
    let relay = Relay::before(
        &nginx.host(),
        Weather {
            // 8 MiB in a second and a half or more.
            pause: Duration::from_millis(6),
            ..Weather::default()
        },
    );
    let directory = tempdir();
    let local = oci_at(&directory.path().join("d"), "1");
    let start = Registry::start();
    start.add_image(REPO, "1", &[30_000_000], 1);
    copy(&at(&start.host(), "1"), &local, &[]).ok();
    let me = ["--dest-creds", "me:secret"];
    let digest = copy(&local, &at(&relay.host(), "1"), &me).ok().stdout;
    assert!(nginx.answers("PATCH", 202) >= 3, "{}", nginx.log());
    let given = tokens.count("GET", "/token");
    assert!((4..=6).contains(&given), "{given} tokens\n{}", nginx.log());
    let again = copy(
        &at(&relay.host(), "1"),
        &oci_at(&directory.path().join("e"), "1"),
        &["--src-creds", "me:secret"],
    );
    assert_eq!(again.ok().stdout, digest);
    assert_whole_directory(&directory.path().join("e"));
}
