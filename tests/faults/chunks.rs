//! Uploads in chunks (B), for registries that do not take a blob in one piece.

use std::net::SocketAddr;
use std::sync::Arc;

use imgcopy::error::ErrorKind;
use imgcopy::store::registry::Options;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::support::registry::{Action, Fault, Locations, Logged, Options as Kind};
use crate::{FROM, Pair, TO, at, copy_with, fails, options};

const LARGE: usize = 3 << 20;
const MIB: usize = 1 << 20;

fn kind(change: impl Fn(&mut Kind)) -> Kind {
    let mut kind = Kind::default();
    change(&mut kind);
    kind
}

/// A pair whose destination takes large blobs in chunks only.
fn in_chunks(size: usize, to: Kind) -> Pair {
    let pair = Pair::of(&[size], Kind::default(), to);
    pair.to
        .fail(Pair::sends().always().then(Action::status(413)));
    pair
}

/// Requests with a body above a limit, which a proxy refuses.
fn above(limit: usize) -> Fault {
    let large = Fault::on("*", "/blobs/uploads/").when(move |request| {
        let length = request.header("content-length").unwrap_or("0");
        length.parse::<usize>().unwrap() > limit
    });
    large.always().then(Action::status(413))
}

#[test]
fn f64_chunks_become_as_small_as_a_proxy_wants_them() {
    let pair = Pair::new(&[10 * MIB]);
    let refused = pair.to.fail(above(MIB));
    pair.arrived(&pair.copy());
    // In one piece, and by 8, 4 and 2 MiB.
    assert_eq!(refused.count(), 4);
    let patches = pair.to.requests("PATCH", "");
    // The config may travel at the same time, in a chunk, too; it is small.
    let of_layer = |patch: &&Logged| patch.status == 202 && patch.body_len > 1000;
    let taken: Vec<&Logged> = patches.iter().filter(of_layer).collect();
    assert_eq!(taken.len(), pair.size(0).div_ceil(MIB));
    let bytes: usize = taken.iter().map(|patch| patch.body_len).sum();
    assert_eq!(bytes, pair.size(0));

    // There is an end to it.
    let pair = Pair::new(&[10 * MIB]);
    let refused = pair.to.fail(above(100_000));
    fails(pair.copy(), ErrorKind::Denied, "413");
    assert!(refused.count() <= 7, "{}", refused.count());
    pair.unchanged();
}

#[test]
fn f70_a_chunk_at_the_wrong_place_begins_the_upload_anew() {
    let pair = in_chunks(10 * MIB, Kind::default());
    let wrong = Action::error(416, "RANGE_INVALID", "wrong place");
    pair.to
        .fail(Fault::on("PATCH", "").nth(2).then(wrong.clone()));
    pair.arrived(&pair.copy());
    assert!(pair.to.count("PATCH", "") <= 5);

    let pair = in_chunks(10 * MIB, Kind::default());
    let always = pair.to.fail(Fault::on("PATCH", "").always().then(wrong));
    fails(pair.copy(), ErrorKind::Denied, "gave up after 5 attempts");
    assert!(always.count() <= 10);
    pair.unchanged();
}

#[test]
fn f71_where_chunks_get_lost_all_goes_at_once() {
    let pair = Pair::new(&[10 * MIB]);
    pair.to.fail(Pair::sends().then(Action::status(413)));
    let wrong = Action::error(400, "DIGEST_INVALID", "not the digest of what came");
    let digest = pair.layer(0)[7..].to_string();
    let last =
        Fault::on("PUT", &digest).when(|request| request.header("content-length") == Some("0"));
    pair.to.fail(last.then(wrong));
    pair.arrived(&pair.copy());
    let puts: Vec<usize> = pair.puts().iter().map(|put| put.body_len).collect();
    assert_eq!(puts.len(), 3, "refused, in chunks, and at once: {puts:?}");
    assert_eq!(puts[2], pair.size(0));
}

#[test]
fn f71_bytes_that_the_registry_finds_wrong_are_sent_once_more() {
    let pair = Pair::new(&[LARGE]);
    let wrong = Action::error(400, "DIGEST_INVALID", "not the digest of what came");
    pair.to.fail(Pair::sends().always().then(wrong));
    fails(pair.copy(), ErrorKind::Denied, "DIGEST_INVALID");
    assert_eq!((pair.puts().len(), pair.asked().len()), (2, 2));
    pair.unchanged();
}

#[test]
fn f72_chunks_are_as_large_as_the_registry_wants_them() {
    let least = 10 * MIB;
    let to = kind(|kind| kind.chunk_min = Some(least));
    let pair = in_chunks(24 * MIB, to);
    pair.arrived(&pair.copy());
    let patches = pair.to.requests("PATCH", "");
    let sizes: Vec<usize> = patches.iter().map(|patch| patch.body_len).collect();
    assert_eq!(sizes[..2], [least, least]);
    assert_eq!(sizes.len(), 3);
    assert_eq!(sizes.iter().sum::<usize>(), pair.size(0));
}

#[test]
fn f72_an_upload_that_a_mount_began_says_it_too() {
    let to = kind(|kind| {
        kind.chunk_min = Some(10 * MIB);
        kind.mounts = false;
    });
    let pair = in_chunks(24 * MIB, to);
    pair.to.add("other/app", Some("1"), &pair.image);
    let from = crate::at(&pair.to, "other/app");
    let result = crate::copy_with(crate::options(), &from, &crate::at(&pair.to, TO));
    pair.arrived(&result);
    let patches = pair.to.requests("PATCH", "");
    assert!(patches.len() <= 4, "{}", patches.len());
    assert!(patches.iter().any(|patch| patch.body_len == 10 * MIB));
    assert_eq!(pair.to.blobs(TO).len(), 4);
}

#[test]
fn q51_where_one_put_is_invalid_twice_chunks_are_tried() {
    // Some versions of Artifactory take no PUT with bytes.
    for status in [400, 404] {
        let pair = Pair::new(&[LARGE, LARGE + 1]);
        let invalid = Action::error(status, "BLOB_UPLOAD_INVALID", "blob upload invalid");
        // The config, too, and it is small.
        let with_bytes = Fault::on("PUT", "/blobs/uploads/")
            .when(|request| request.header("content-length") != Some("0"));
        let refused = pair.to.fail(with_bytes.always().then(invalid));
        pair.arrived(&pair.copy());
        assert!((2..=6).contains(&refused.count()), "{}", refused.count());
        assert_eq!(pair.to.count("PATCH", ""), 3, "{status}");
    }
}

#[test]
fn q51_f68_chunks_that_are_invalid_as_well_are_the_end() {
    let pair = Pair::new(&[LARGE]);
    let invalid = Action::error(400, "BLOB_UPLOAD_INVALID", "blob upload invalid");
    pair.to.fail(Pair::sends().always().then(invalid.clone()));
    pair.to.fail(Fault::on("PATCH", "").always().then(invalid));
    fails(pair.copy(), ErrorKind::Denied, "gave up after 5 attempts");
    let puts = pair.puts().len();
    assert_eq!((puts, pair.to.count("PATCH", "")), (2, 4));
    pair.unchanged();
}

/// Everything at `ghcr.io` is at this registry.
struct Ghcr(SocketAddr);

impl Resolve for Ghcr {
    fn resolve(&self, name: Name) -> Resolving {
        assert_eq!(name.as_str(), "ghcr.io");
        let here = [self.0];
        Box::pin(async move { Ok(Box::new(here.into_iter()) as Addrs) })
    }
}

#[test]
fn q12_ghcr_gets_chunks_of_four_mebibytes() {
    let to = kind(|kind| kind.locations = Locations::Relative);
    let pair = in_chunks(10 * MIB, to);
    let too_large = Action::error(416, "UNKNOWN", "request body too large, limit is 4.00MiB");
    let large = Fault::on("PATCH", "").when(|request| {
        let length = request.header("content-length").unwrap_or("0");
        length.parse::<usize>().unwrap() > 4 * MIB
    });
    let refused = pair.to.fail(large.always().then(too_large));
    let options = Options {
        // It is known to speak TLS, but not here.
        tls_verify: Some(false),
        resolver: Some(Arc::new(Ghcr(pair.to.host().parse().unwrap()))),
        ..options()
    };
    let there = format!("docker://ghcr.io/{TO}:1");
    let result = copy_with(options, &at(&pair.from, FROM), &there);
    pair.arrived(&result);
    let patches = pair.to.requests("PATCH", "");
    let mut sizes: Vec<usize> = patches.iter().map(|patch| patch.body_len).collect();
    // The config travels at the same time, perhaps in a chunk, too.
    sizes.retain(|size| *size > MIB);
    assert_eq!((sizes.len(), refused.count()), (3, 0), "{sizes:?}");
    assert_eq!(sizes[..2], [4 * MIB; 2]);
    assert_eq!(sizes.iter().sum::<usize>(), pair.size(0));
}
