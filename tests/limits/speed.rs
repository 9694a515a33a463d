//! Requests in a time, and bytes in a time. What must not happen is given a while to happen.

use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use imgcopy::copy::{Job, Silent, When, copy};
use imgcopy::error::Result;
use imgcopy::store::Store as _;
use imgcopy::store::registry::{Options, Rate, Registries};

use crate::A_WHILE;
use crate::kit::{REPO, at, copy_by, options, repository, tag};
use crate::support::registry::{Action, Fault, Registry};

fn number(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

fn with_rate(count: u64, per: Duration) -> Options {
    let mut options = options();
    let count = number(count);
    options.limits.rate = Some(Rate { count, per });
    options
}

fn with_bandwidth(bytes: u64) -> Options {
    let mut options = options();
    options.limits.bandwidth = Some(number(bytes));
    options
}

#[tokio::test]
async fn no_more_requests_begin_than_the_rate_allows() {
    let (slow, other) = (Registry::start(), Registry::start());
    for registry in [&slow, &other] {
        registry.add_image(REPO, "1", &[10], 1);
    }
    let reading = Registries::new(with_rate(1, Duration::from_hours(1)));
    let source = reading.source(&repository(&slow, REPO)).unwrap();
    source.resolve(&tag("1")).await.unwrap();
    // Whichever side asks: the registry has one gate.
    let writing = reading.beside(options());
    let target = writing.destination(&repository(&slow, REPO)).unwrap();
    let one = tag("1");
    let both = async { tokio::join!(source.find(&one), target.find(&one)) };
    assert!(tokio::time::timeout(A_WHILE, both).await.is_err());
    assert_eq!(slow.count("*", ""), 1);
    // Another registry does not feel it.
    let source = reading.source(&repository(&other, REPO)).unwrap();
    source.resolve(&tag("1")).await.unwrap();
    assert_eq!(other.count("*", ""), 1);
}

#[tokio::test]
async fn what_is_tried_again_takes_its_turn() {
    let registry = Registry::start();
    registry.fail(Fault::on("HEAD", "").always().then(Action::status(503)));
    let registries = Registries::new(with_rate(1, Duration::from_hours(1)));
    let source = registries.source(&repository(&registry, REPO)).unwrap();
    let one = tag("1");
    let asked = source.resolve(&one);
    assert!(tokio::time::timeout(A_WHILE, asked).await.is_err());
    assert_eq!(registry.count("*", ""), 1);
}

#[tokio::test]
async fn a_copy_within_its_rate_comes_to_its_end() {
    let (from, to) = (Registry::start(), Registry::start());
    from.add_image(REPO, "1", &[5000, 10], 1);
    let registries = Registries::new(with_rate(500, Duration::from_secs(1)));
    copy_by(&registries, &at(&from, REPO, "1"), &at(&to, REPO, "1"))
        .await
        .unwrap();
    to.assert_whole(REPO);
}

/// A copy whose sides are reached differently.
async fn copy_between(
    readers: &Registries,
    from: &Registry,
    writers: &Registries,
    to: &Registry,
) -> Result<()> {
    let source = readers.source(&repository(from, REPO))?;
    let target = writers.destination(&repository(to, REPO))?;
    let mut job = Job::new(&source, &target);
    job.name = tag("1");
    job.tags = vec!["1".parse()?];
    job.companions.when = When::Never;
    copy(&job, &Silent::new()).await.map(drop)
}

/// An image in an OCI directory.
async fn local(directory: &Path, size: usize) -> String {
    let start = Registry::start();
    start.add_image(REPO, "1", &[size], 1);
    let local = crate::kit::directory(&directory.join("layout"), "1");
    copy_by(&Registries::new(options()), &at(&start, REPO, "1"), &local)
        .await
        .unwrap();
    local
}

/// A portion takes longer than anybody may stand still, and nothing is tried again.
fn slow_and_impatient() -> Options {
    let mut slow = with_bandwidth(64 << 10);
    slow.limits.idle = Duration::from_millis(100);
    slow.retry.times = 0;
    slow
}

#[tokio::test]
async fn a_download_that_we_hold_back_does_not_stall() {
    let (from, to) = (Registry::start(), Registry::start());
    from.add_image(REPO, "1", &[40_000], 1);
    let readers = Registries::new(slow_and_impatient());
    let writers = readers.beside(options());
    copy_between(&readers, &from, &writers, &to).await.unwrap();
    to.assert_whole(REPO);
    assert_eq!(from.count("GET", "/blobs/"), 2);
}

#[tokio::test]
async fn an_upload_that_we_hold_back_does_not_stall() {
    let (home, to) = (crate::support::tempdir(), Registry::start());
    let from = local(home.path(), 40_000).await;
    let writers = Registries::new(slow_and_impatient());
    copy_by(&writers, &from, &at(&to, REPO, "1")).await.unwrap();
    to.assert_whole(REPO);
    assert_eq!(to.count("PUT", "/blobs/uploads/"), 2);
}

#[tokio::test]
async fn a_blob_is_read_no_faster_than_the_bandwidth_allows() {
    let (from, to) = (Registry::start(), Registry::start());
    from.add_image(REPO, "1", &[500_000], 1);
    let readers = Registries::new(with_bandwidth(1));
    let writers = readers.beside(options());
    let copied = copy_between(&readers, &from, &writers, &to);
    assert!(tokio::time::timeout(A_WHILE, copied).await.is_err());
    // The first portion of what was begun passes, and nothing else.
    let written = readers.traffic()[&to.host()].written;
    assert!(written <= 16 << 10, "{written}");
    assert_eq!(to.tag_of(REPO, "1"), None);
}

#[tokio::test]
async fn a_blob_is_written_no_faster_than_the_bandwidth_allows() {
    let (home, to) = (crate::support::tempdir(), Registry::start());
    let from = local(home.path(), 500_000).await;
    let writers = Registries::new(with_bandwidth(1));
    let target = at(&to, REPO, "1");
    let copied = copy_by(&writers, &from, &target);
    assert!(tokio::time::timeout(A_WHILE, copied).await.is_err());
    let written = writers.traffic()[&to.host()].written;
    assert!(0 < written && written <= 16 << 10, "{written}");
    assert_eq!(to.tag_of(REPO, "1"), None);
}

#[tokio::test]
async fn chunks_take_their_turn_too() {
    let (home, to) = (crate::support::tempdir(), Registry::start());
    let from = local(home.path(), 500_000).await;
    to.fail(Fault::on("PUT", "/blobs/uploads/").then(Action::status(413)));
    let mut slow = with_bandwidth(2_000_000);
    slow.limits.idle = Duration::from_millis(100);
    let writers = Registries::new(slow);
    copy_by(&writers, &from, &at(&to, REPO, "1")).await.unwrap();
    to.assert_whole(REPO);
    let told = writers.traffic().remove(&to.host()).unwrap();
    assert_eq!(told.requests.patch, to.count("PATCH", "") as u64);
    assert!(told.requests.patch > 0 && told.written >= 500_000);
}
