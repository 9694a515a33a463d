//! What is told of requests and bytes is what the servers saw.

use imgcopy::image::Reference;
use imgcopy::store::registry::credentials::Credential;
use imgcopy::store::registry::{Login, Options, Registries, Requests, Traffic};
use imgcopy::store::{Memory, Source as _, Store as _};

use crate::kit::{REPO, at, copy_by, options, registries, repository, tag};
use crate::support::registry::{
    Action, Auth, Fault, Options as Kind, Registry, Server, TokenRules,
};

fn of(registries: &Registries, server: &Server) -> Traffic {
    registries.traffic().remove(&server.host()).unwrap()
}

/// The requests for anything but tokens, by method.
fn seen(server: &Server) -> Requests {
    let count = |method| server.count(method, "/v2/") as u64;
    Requests {
        get: count("GET"),
        head: count("HEAD"),
        post: count("POST"),
        put: count("PUT"),
        patch: count("PATCH"),
        delete: count("DELETE"),
    }
}

/// The bytes of bodies that a server sent and that were of use: no tokens, and not what is said of what
/// is not there.
fn sent(server: &Server) -> u64 {
    let log = server.log();
    let own = log
        .iter()
        .filter(|it| it.path != "/token" && ![401, 404].contains(&it.status));
    own.map(|it| it.sent as u64).sum()
}

/// A registry that gives tokens, and who may write there.
fn guarded() -> (Registry, Options) {
    let registry = Registry::with(Kind {
        auth: Auth::bearer(TokenRules::login("me", "secret")),
        ..Kind::default()
    });
    let login = Login::As(Credential::basic("me", "secret").unwrap());
    (registry, Options { login, ..options() })
}

#[tokio::test]
async fn a_copy_is_counted_as_the_registries_saw_it() {
    let from = Registry::start();
    from.add_image(REPO, "1", &[100_000, 5000], 1);
    let (to, writing) = guarded();
    let readers = registries();
    let writers = readers.beside(writing);
    let source = readers.source(&repository(&from, REPO)).unwrap();
    let target = writers.destination(&repository(&to, REPO)).unwrap();
    let mut job = imgcopy::copy::Job::new(&source, &target);
    job.name = tag("1");
    job.tags = vec!["1".parse().unwrap()];
    imgcopy::copy::copy(&job, &imgcopy::copy::Silent::new())
        .await
        .unwrap();

    // Both sides are told together, whichever is asked.
    assert_eq!(readers.traffic(), writers.traffic());
    let read = of(&readers, &from);
    assert_eq!(read.requests, seen(&from));
    assert_eq!((read.pulls, read.tokens, read.elsewhere), (1, 0, 0));
    assert_eq!((read.read, read.written), (sent(&from), 0));
    let written = of(&readers, &to);
    assert_eq!(written.requests, seen(&to));
    assert!(written.requests.put >= 4, "{written:?}");
    assert_eq!(written.tokens, to.count("GET", "/token") as u64);
    assert!(written.tokens > 0);
    let manifest = from.manifest(REPO, "1").unwrap().bytes.len();
    let blobs = from.blobs(REPO).into_iter();
    let blobs = blobs.map(|it| from.blob(REPO, &it).unwrap().len());
    let all = blobs.sum::<usize>() + manifest;
    assert!(written.written >= all as u64, "{written:?}");
    assert_eq!(written.pulls, 0);
    // And each place knows its own.
    assert_eq!(source.requests(), seen(&from).total());
    assert_eq!(target.requests(), seen(&to).total());
}

#[tokio::test]
async fn each_place_counts_its_own_requests() {
    let registry = Registry::start();
    registry.add_image("a/one", "1", &[10], 1);
    registry.add_image("a/two", "1", &[20], 2);
    let registries = registries();
    let open = |path| registries.source(&repository(&registry, path)).unwrap();
    let (one, two) = (open("a/one"), open("a/two"));
    assert_eq!((one.requests(), two.requests()), (0, 0));
    one.resolve(&tag("1")).await.unwrap().unwrap();
    two.find(&tag("1")).await.unwrap().unwrap();
    two.names().await.unwrap();
    assert_eq!((one.requests(), two.requests()), (1, 2));
    assert_eq!(
        of(&registries, &registry).requests,
        Requests {
            get: 2,
            head: 1,
            ..Requests::default()
        }
    );
    assert_eq!(Memory::new().requests(), 0);
}

#[tokio::test]
async fn what_is_tried_again_and_what_comes_from_elsewhere_counts() {
    let (registry, cdn) = (Registry::start(), Registry::start());
    registry.add_image(REPO, "1", &[50_000], 1);
    cdn.add_image(REPO, "1", &[50_000], 1);
    registry.fail(Fault::on("GET", "/manifests/").then(Action::status(503)));
    let away = Action::redirect_to_server(&cdn.origin());
    registry.fail(Fault::on("GET", "/blobs/").always().then(away));
    let registries = registries();
    let source = registries.source(&repository(&registry, REPO)).unwrap();
    let found = source.find(&tag("1")).await.unwrap().unwrap();
    for blob in found.blobs() {
        let bytes = source.blob(blob).await.unwrap().bytes(1 << 20).await;
        assert_eq!(bytes.unwrap().len() as u64, blob.size);
    }
    let told = of(&registries, &registry);
    assert_eq!(told.requests, seen(&registry));
    assert_eq!((told.requests.get, told.pulls, told.elsewhere), (4, 1, 2));
    assert_eq!(told.read, sent(&registry) + sent(&cdn));
    assert_eq!(source.requests(), 6);
    // It is the registry's traffic, wherever it came from.
    assert_eq!(registries.traffic().len(), 1);
}

#[tokio::test]
async fn q03_what_a_registry_says_of_its_limit_is_told() {
    let registry = Registry::start();
    registry.add_image(REPO, "1", &[10], 1);
    let registries = registries();
    let source = registries.source(&repository(&registry, REPO)).unwrap();
    source.resolve(&tag("1")).await.unwrap();
    assert_eq!(of(&registries, &registry).allowance, None);
    registry.fail(
        Fault::on("*", "")
            .always()
            .then(Action::change(|_, response| {
                response.headers.set("RateLimit-Limit", "100;w=21600");
                response.headers.set("RateLimit-Remaining", "76;w=21600");
            })),
    );
    source.resolve(&tag("1")).await.unwrap();
    let told = of(&registries, &registry).allowance.unwrap();
    assert_eq!((told.limit, told.remaining), (Some(100), Some(76)));
    assert_eq!(told.window.unwrap().as_secs(), 21_600);
}

#[tokio::test]
async fn an_unchanged_image_costs_one_request_at_each_place() {
    let (from, to) = (Registry::start(), Registry::start());
    from.add_image(REPO, "1", &[10], 1);
    to.add_image(REPO, "1", &[10], 1);
    let registries = registries();
    let (source, target): (Reference, Reference) = (
        at(&from, REPO, "1").parse().unwrap(),
        at(&to, REPO, "1").parse().unwrap(),
    );
    copy_by(&registries, &source.to_string(), &target.to_string())
        .await
        .unwrap();
    let all = registries.traffic();
    assert!(all.values().all(|it| it.requests.total() == 1), "{all:?}");
}
