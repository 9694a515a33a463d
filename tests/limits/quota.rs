//! Docker Hub's limit on pulls, and what is left of it to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use imgcopy::error::{ErrorKind, Result};
use imgcopy::image::Manifest;
use imgcopy::store::Store as _;
use imgcopy::store::registry::{Quota, Registries, Registry as Place, Share};

use crate::kit::{REPO, at, copy_by, options, repository, tag};
use crate::support::registry::{Action, Fault, Registry};
use crate::support::told;

const LIMIT: u64 = 100;

/// A registry with five tags that counts as Docker Hub does, and how many pulls are left there.
fn hub(left: u64) -> (Registry, Arc<AtomicU64>) {
    let registry = Registry::start();
    for n in 1..=5 {
        registry.add_image(REPO, &n.to_string(), &[10], n);
    }
    let left = Arc::new(AtomicU64::new(left));
    let counted = Arc::clone(&left);
    let count = Action::change(move |request, response| {
        let pull = u64::from(request.method == "GET");
        let before = counted.fetch_sub(pull, Ordering::SeqCst);
        let headers = &mut response.headers;
        headers.set("ratelimit-limit", format!("{LIMIT};w=21600"));
        headers.set("ratelimit-remaining", format!("{};w=21600", before - pull));
    });
    registry.fail(Fault::on("*", "/manifests/").always().then(count));
    (registry, left)
}

fn keeping(keep: Share, wait: Duration) -> Registries {
    let mut options = options();
    options.limits.quota = Some(Quota { keep, wait });
    Registries::new(options)
}

fn open(registries: &Registries, registry: &Registry) -> Place {
    registries.source(&repository(registry, REPO)).unwrap()
}

async fn pull(source: &Place, name: &str) -> Result<Option<Manifest>> {
    source.find(&tag(name)).await
}

#[tokio::test]
async fn q03_what_is_to_be_kept_is_left_to_others() {
    for keep in [Share::Percent(20), Share::Count(20)] {
        let (hub, left) = hub(23);
        let registries = keeping(keep, Duration::ZERO);
        let source = open(&registries, &hub);
        // Nobody knows of a limit before the first answer.
        for name in ["1", "2", "3"] {
            pull(&source, name).await.unwrap().unwrap();
        }
        for name in ["4", "5"] {
            let error = pull(&source, name).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            let told = told(&error);
            let says =
                "20 of 100 pulls are left, and 20 are to be kept; the quota resets in about 6 h";
            assert!(told.contains(says), "{told}");
            assert!(told.contains(&hub.host()), "{told}");
        }
        assert_eq!(hub.count("*", ""), 3);
        assert_eq!(left.load(Ordering::SeqCst), 20);
        // Questions are free, and still asked.
        source.resolve(&tag("4")).await.unwrap().unwrap();
        assert_eq!(registries.traffic()[&hub.host()].pulls, 3);
    }
}

#[tokio::test]
async fn q03_many_at_once_take_no_more_than_is_there() {
    let (hub, left) = hub(23);
    let registries = keeping(Share::Count(20), Duration::ZERO);
    let source = open(&registries, &hub);
    source.resolve(&tag("1")).await.unwrap();
    let all = futures_util::future::join_all(["1", "2", "3", "4", "5"].map(|it| pull(&source, it)));
    let taken = all.await.iter().filter(|it| it.is_ok()).count();
    assert_eq!((taken, hub.count("GET", "")), (3, 3));
    assert_eq!(left.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn q03_a_run_waits_until_there_are_more() {
    let (hub, _) = hub(20);
    // A new window begins before the fourth question.
    let questions = AtomicU64::new(0);
    hub.heal();
    let answers = Action::change(move |request, response| {
        let question = u64::from(request.method == "HEAD");
        let asked = question + questions.fetch_add(question, Ordering::SeqCst);
        let left = if asked < 4 { 20 } else { 99 };
        let headers = &mut response.headers;
        headers.set("ratelimit-limit", "100;w=21600");
        headers.set("ratelimit-remaining", format!("{left};w=21600"));
    });
    hub.fail(Fault::on("*", "/manifests/").always().then(answers));
    let registries = keeping(Share::Count(20), Duration::from_secs(5));
    let source = open(&registries, &hub);
    source.resolve(&tag("1")).await.unwrap();
    // Of all who wait, one looks, by questions.
    let all = futures_util::future::join_all(["1", "2", "3", "4", "5"].map(|it| pull(&source, it)));
    assert!(all.await.iter().all(Result::is_ok));
    assert_eq!((hub.count("HEAD", ""), hub.count("GET", "")), (4, 5));
}

#[tokio::test]
async fn q03_a_run_waits_once_and_then_asks_no_more() {
    let (hub, _) = hub(12);
    let registries = keeping(Share::Count(20), Duration::from_millis(20));
    let source = open(&registries, &hub);
    source.resolve(&tag("1")).await.unwrap();
    let all = futures_util::future::join_all(["1", "2", "3", "4", "5"].map(|it| pull(&source, it)));
    for refused in all.await {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(told(&error).contains("12 of 100 pulls are left"));
    }
    assert_eq!(hub.count("GET", ""), 0);
    // Twenty looks of a millisecond, shared by all five; and the one at the beginning.
    assert_eq!(hub.count("HEAD", ""), 21);
    pull(&source, "1").await.unwrap_err();
    assert_eq!(hub.count("*", ""), 21);
}

#[tokio::test]
async fn q02_an_unchanged_image_needs_no_pull() {
    let (hub, left) = hub(20);
    let to = Registry::start();
    to.add_image(REPO, "1", &[10], 1);
    let registries = keeping(Share::Count(20), Duration::ZERO);
    let copy = |name: &str| (at(&hub, REPO, name), at(&to, REPO, name));
    let (from, target) = copy("1");
    copy_by(&registries, &from, &target).await.unwrap();
    let (from, target) = copy("2");
    let error = copy_by(&registries, &from, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(left.load(Ordering::SeqCst), 20);
    assert_eq!(to.tags(REPO), ["1"]);
}

#[tokio::test]
async fn q03_who_says_nothing_of_a_limit_is_not_spared() {
    let registry = Registry::start();
    let registries = keeping(Share::Percent(100), Duration::ZERO);
    let source = open(&registries, &registry);
    for n in 1..=5 {
        registry.add_image(REPO, &n.to_string(), &[10], n);
        pull(&source, &n.to_string()).await.unwrap().unwrap();
    }
}
