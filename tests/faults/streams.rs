//! HTTP/2 (C): connections that go away with streams in flight, and streams that are refused.

use std::time::Duration;

use h2::Reason;
use imgcopy::error::{ErrorKind, Result};
use imgcopy::store::registry::{Options, Registries};

use crate::support::registry::{
    Action, Auth, Authority, Fault, Gate, Options as Kind, Tls, TokenRules, Upset,
};
use crate::support::tempdir;
use crate::{FROM, Pair, TO, at, block, copied, failed, options};

/// A pair whose destination speaks HTTP/2.
fn pair(sizes: &[usize], streams: Option<u32>) -> (Pair, Authority) {
    pair_for(sizes, streams, Auth::Open)
}

/// A registry that speaks HTTP/2, with so many streams at once, and who vouches for it.
pub(crate) fn by_http2(streams: Option<u32>, auth: Auth) -> (Kind, Authority) {
    let tls = Tls {
        http2: true,
        streams,
        ..Tls::default()
    };
    let authority = tls.authority.clone();
    let kind = Kind {
        tls: Some(tls),
        auth,
        ..Kind::default()
    };
    (kind, authority)
}

fn pair_for(sizes: &[usize], streams: Option<u32>, auth: Auth) -> (Pair, Authority) {
    let (to, authority) = by_http2(streams, auth);
    (Pair::of(sizes, Kind::default(), to), authority)
}

fn copy(pair: &Pair, authority: &Authority) -> Result<String> {
    let home = tempdir();
    std::fs::write(home.path().join("ca.crt"), authority.pem()).unwrap();
    let to = Options {
        tls_verify: Some(true),
        certificates: Some(home.path().to_path_buf()),
        ..options()
    };
    let registries = Registries::new(options());
    let beside = registries.beside(to);
    let way = [at(&pair.from, FROM), at(&pair.to, TO)];
    let copied = block(async {
        let copied = copied(&registries, &beside, [&way[0], &way[1]]);
        let ended = tokio::time::timeout(Duration::from_mins(1), copied).await;
        ended.unwrap_or_else(|_| panic!("it never ends"))
    });
    assert!(pair.to.multiplexed() >= 1, "it was not asked by HTTP/2");
    copied
}

#[test]
fn f11_a_connection_that_goes_away_takes_no_request_with_it() {
    for reason in [
        Reason::NO_ERROR,
        Reason::ENHANCE_YOUR_CALM,
        Reason::INTERNAL_ERROR,
    ] {
        let (pair, authority) = pair(&[3000, 2000, 1000], None);
        let heads = || Fault::on("HEAD", "/blobs/");
        // Two wait for their answers when the third brings the connection down.
        let waits = pair
            .to
            .fail(heads().times(2).then(Action::Hold(Gate::closed())));
        let upset = Action::Upset(Upset::GoAway(reason));
        let upsets = pair.to.fail(heads().nth(3).then(upset));
        pair.arrived(&copy(&pair, &authority));
        assert_eq!((waits.count(), upsets.count()), (2, 1), "{reason:?}");
        let asked = pair.to.requests("HEAD", "/blobs/");
        let (lost, others) = asked.split_at(3);
        let first = lost[0].connection;
        assert!(lost.iter().all(|one| one.connection == first), "{reason:?}");
        for one in lost {
            let mut again = others.iter().filter(|other| other.path == one.path);
            let again = again
                .next()
                .unwrap_or_else(|| panic!("{reason:?}: {}", one.path));
            assert_ne!(again.connection, first, "{reason:?}");
        }
        // The fourth may have been on its way as well.
        assert!(
            (7..=8).contains(&asked.len()),
            "{reason:?}: {}",
            asked.len()
        );
        assert_eq!(pair.tagged(), 1);
    }
}

#[test]
fn f11_a_manifest_whose_stream_is_refused_is_sent_again() {
    // More often than what the HTTP library does by itself.
    for times in [1, 4] {
        let (pair, authority) = pair(&[3000], None);
        let puts = Fault::on("PUT", "/manifests/").times(times);
        let refused = Upset::Reset(Reason::REFUSED_STREAM);
        let refused = pair.to.fail(puts.then(Action::Upset(refused)));
        pair.arrived(&copy(&pair, &authority));
        assert_eq!(refused.count(), times);
        assert_eq!(pair.tagged(), times + 1);
    }
}

#[test]
fn f11_there_is_an_end_to_refused_streams() {
    let (pair, authority) = pair(&[3000], None);
    let refused = Upset::Reset(Reason::REFUSED_STREAM);
    let puts = Fault::on("PUT", "/manifests/").always();
    pair.to.fail(puts.then(Action::Upset(refused)));
    let (kind, said) = failed(copy(&pair, &authority));
    assert_eq!(kind, ErrorKind::Io, "{said}");
    assert!(said.contains("gave up after 5 attempts"), "{said}");
    assert!((5..=15).contains(&pair.tagged()), "{}", pair.tagged());
    pair.unchanged();
}

#[test]
fn f11_a_stream_that_breaks_is_no_failure() {
    for (method, part) in [
        ("HEAD", "/manifests/1"),
        ("HEAD", "/blobs/"),
        ("POST", "/uploads/"),
        ("PUT", "/manifests/"),
    ] {
        let (pair, authority) = pair(&[3000], None);
        let breaks = Action::Upset(Upset::Reset(Reason::INTERNAL_ERROR));
        let breaks = pair.to.fail(Fault::on(method, part).then(breaks));
        pair.arrived(&copy(&pair, &authority));
        assert_eq!(breaks.count(), 1, "{method} {part}");
    }
}

#[test]
fn f12_where_one_stream_is_allowed_requests_wait_for_each_other() {
    let sizes: Vec<usize> = (0..20).map(|n| 1000 + n).collect();
    let (pair, authority) = pair(&sizes, Some(1));
    pair.arrived(&copy(&pair, &authority));
    assert_eq!(pair.to.most_at_once("HEAD", ""), 1);
    let asked = pair.to.requests("HEAD", "/blobs/");
    assert_eq!(asked.len(), 21, "the config, too");
    assert_eq!(pair.tagged(), 1);
}

#[test]
fn f12_a_refusal_does_not_keep_the_one_stream_from_the_request_for_a_token() {
    // The token server is the registry itself.
    let auth = Auth::bearer(TokenRules::default());
    let (pair, authority) = pair_for(&[3000, 2000, 1000], Some(1), auth);
    pair.arrived(&copy(&pair, &authority));
    assert!(pair.to.count("GET", "/token") >= 1);
    assert_eq!(pair.to.most_at_once("*", "/token"), 1);
    assert_eq!(pair.to.most_at_once("HEAD", ""), 1);
}
