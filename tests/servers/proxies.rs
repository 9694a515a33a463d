//! A real registry behind nginx, as people set it up.

use std::collections::BTreeSet;

use crate::nginx::Nginx;
use crate::relay::{Relay, Upset, Way, Weather};
use crate::server::Server;
use crate::support::registry::{Registry, soon};
use crate::support::{assert_whole as assert_whole_directory, ends_within, oci_at, tempdir};
use crate::{LONG, REPO, assert_whole, at, copy, copying};

/// An image and where it starts from.
fn image(sizes: &[usize]) -> (Registry, String) {
    let start = Registry::start();
    let digest = start.add_image(REPO, "1", sizes, 1);
    (start, digest)
}

#[test]
fn f64_layers_above_a_proxys_limit_of_size_go_in_chunks() {
    let Some(server) = Server::debian() else {
        return;
    };
    let Some(nginx) = Nginx::before(server.host(), "client_max_body_size 9m;") else {
        return;
    };
    let (start, digest) = image(&[20_000_000, 12_000_000, 50_000]);
    copy(&at(&start.host(), "1"), &at(&nginx.host(), "1"), &[]).ok();
    assert_whole(server.host(), "1", &digest, &mut BTreeSet::new());
    // Three and two, and one for each small blob that came later.
    let chunks = nginx.answers("PATCH", 202);
    assert!((5..=7).contains(&chunks), "{}", nginx.log());
    // Both large layers may be on their way before the first refusal comes.
    assert!(nginx.all(413) <= 2, "{}", nginx.log());
}

#[test]
fn f64_chunks_become_as_small_as_the_proxy_wants_them() {
    let Some(server) = Server::debian() else {
        return;
    };
    // nginx's own limit is a mebibyte.
    let Some(nginx) = Nginx::before(server.host(), "") else {
        return;
    };
    let (start, digest) = image(&[5_000_000, 3_000_000]);
    copy(&at(&start.host(), "1"), &at(&nginx.host(), "1"), &[]).ok();
    assert_whole(server.host(), "1", &digest, &mut BTreeSet::new());
    // In one piece, and by 8, 4 and 2 MiB, of both layers at worst.
    assert!((4..=8).contains(&nginx.all(413)), "{}", nginx.log());
}

#[test]
fn buffers_of_a_proxy_change_nothing() {
    let Some(server) = Server::debian() else {
        return;
    };
    let ways = [
        "proxy_request_buffering on; proxy_buffering off;",
        "proxy_request_buffering off; proxy_buffering on;",
        "proxy_buffering on; proxy_buffers 2 4k; proxy_busy_buffers_size 4k; proxy_max_temp_file_size 0;",
        "client_body_buffer_size 4k; proxy_buffering on; proxy_buffers 2 4k; proxy_busy_buffers_size 4k; proxy_max_temp_file_size 64k; proxy_temp_file_write_size 8k;",
    ];
    for (n, way) in ways.iter().enumerate() {
        let directives = format!("client_max_body_size 0; {way}");
        let Some(nginx) = Nginx::before(server.host(), &directives) else {
            return;
        };
        let tag = n.to_string();
        let start = Registry::start();
        let digest = start.add_image(REPO, &tag, &[3_000_000, 700_000, 0], n as u64);
        let directory = tempdir();
        let none = ["--retry-times", "0"];
        copy(&at(&start.host(), &tag), &at(&nginx.host(), &tag), &none).ok();
        assert_whole(server.host(), &tag, &digest, &mut BTreeSet::new());
        let local = oci_at(&directory.path().join("d"), &tag);
        copy(&at(&nginx.host(), &tag), &local, &none).ok();
        assert_whole_directory(&directory.path().join("d"));
    }
}

/// The proxy has all of a blob, the registry behind it stands still: 504.
#[test]
fn f77_a_proxy_that_loses_its_patience_once_is_asked_again() {
    let Some(server) = Server::debian() else {
        return;
    };
    for (tag, way) in [("up", Way::Up), ("down", Way::Down)] {
        let after = match way {
            Way::Up => 300_000,
            Way::Down => 0,
        };
        let relay = Relay::before(
            server.host(),
            Weather {
                at: (way, after),
                upset: Upset::Stall,
                times: 1,
                ..Weather::default()
            },
        );
        let directives = "client_max_body_size 0; proxy_read_timeout 1s; proxy_send_timeout 1s;";
        let Some(nginx) = Nginx::before(&relay.host(), directives) else {
            return;
        };
        let start = Registry::start();
        let digest = start.add_image(REPO, tag, &[12_000_000, 5_000], after);
        copy(&at(&start.host(), tag), &at(&nginx.host(), tag), &[]).ok();
        assert_whole(server.host(), tag, &digest, &mut BTreeSet::new());
        assert_eq!(nginx.all(504), 1, "{}", nginx.log());
        assert!(start.count("GET", "/blobs/") <= 3 + 1);
    }
}

#[test]
fn a_proxy_that_is_restarted_while_blobs_pass_is_asked_again() {
    let (start, digest) = image(&[6_000_000, 5_000_000, 4_000_000]);
    let Some(server) = Server::debian() else {
        return;
    };
    // Slow behind the proxy, so that the restarts come in the middle.
    let relay = Relay::before(
        server.host(),
        Weather {
            pause: std::time::Duration::from_millis(10),
            ..Weather::default()
        },
    );
    let directives = "client_max_body_size 0; proxy_request_buffering off;";
    let Some(mut nginx) = Nginx::before(&relay.host(), directives) else {
        return;
    };
    let mut upload = copying(&at(&start.host(), "1"), &at(&nginx.host(), "1"), &[]);
    let mut upload = upload.spawn().unwrap();
    for times in 1..=3 {
        let before = relay.passed(Way::Up);
        soon(|| relay.passed(Way::Up) > before + 1_000_000);
        assert_eq!(upload.try_wait().unwrap(), None, "{times}");
        nginx.restart();
    }
    assert!(ends_within(&mut upload, LONG).success(), "{}", nginx.log());
    assert_whole(server.host(), "1", &digest, &mut BTreeSet::new());
    assert!(start.count("GET", "/blobs/") <= 4 + 3 * 3);

    let directory = tempdir();
    let local = oci_at(&directory.path().join("d"), "1");
    let before = relay.passed(Way::Down);
    let mut download = copying(&at(&nginx.host(), "1"), &local, &[]);
    let mut download = download.spawn().unwrap();
    soon(|| relay.passed(Way::Down) > before + 2_000_000);
    assert_eq!(download.try_wait().unwrap(), None);
    nginx.restart();
    assert!(
        ends_within(&mut download, LONG).success(),
        "{}",
        nginx.log()
    );
    assert_whole_directory(&directory.path().join("d"));
}
