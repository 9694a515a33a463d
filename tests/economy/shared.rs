//! Several images and several repositories: what one copy brought, the others need not.

use crate::kit::{REPO, asked, at, copy_by, copy_of, kinds, registries, writes};
use crate::support::registry::{Action, Fault, Gate, Options, Registry};
use crate::{changed, five};

const OTHER: &str = "team/other";

fn sent(server: &Registry) -> usize {
    let puts = server.requests("PUT", "/blobs/uploads/");
    puts.iter().map(|put| put.body_len).sum()
}

#[tokio::test]
async fn p03_what_another_repository_has_is_mounted_without_asking() {
    let server = Registry::start();
    server.add(REPO, Some("1"), &five());
    let outcome = copy_of(&at(&server, REPO, "1"), &at(&server, OTHER, "1"))
        .await
        .unwrap();
    assert_eq!((outcome.mounted, outcome.moved), (6, 0));
    asked(
        &server,
        &[
            ("GET tag", 1),
            ("HEAD tag", 1),
            ("POST mount", 6),
            ("PUT tag", 1),
        ],
    );
    server.assert_whole(OTHER);
}

#[tokio::test]
async fn p03_a_blob_that_is_there_already_never_travels_because_a_mount_failed() {
    let server = Registry::with(Options {
        mounts: false,
        ..Options::default()
    });
    server.add(REPO, Some("1"), &five());
    server.add(OTHER, Some("old"), &five());
    copy_of(&at(&server, REPO, "1"), &at(&server, OTHER, "1"))
        .await
        .unwrap();
    assert_eq!(server.count("GET", "/blobs/"), 0);
    assert_eq!(sent(&server), 0);
    server.assert_whole(OTHER);
}

#[tokio::test]
async fn r19_two_copies_at_once_into_one_repository_move_each_layer_once() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    here.add(REPO, Some("2"), &changed());
    let shared = registries();
    let (one, two) = (
        (at(&here, REPO, "1"), at(&there, REPO, "1")),
        (at(&here, REPO, "2"), at(&there, REPO, "2")),
    );
    let (first, second) = tokio::join!(
        copy_by(&shared, &one.0, &one.1),
        copy_by(&shared, &two.0, &two.1)
    );
    first.unwrap();
    second.unwrap();
    // Four layers that both have; a layer and a config of each.
    assert_eq!(here.count("GET", "/blobs/"), 8);
    assert_eq!(there.count("PUT", "/blobs/uploads/"), 8);
    assert_eq!(there.blobs(REPO).len(), 8);
    there.assert_whole(REPO);
}

#[tokio::test]
async fn p19_two_copies_at_once_into_two_repositories_move_each_layer_once() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    here.add(OTHER, Some("1"), &changed());
    // Both have been planned before the first blob is there.
    let gate = Gate::closed();
    let held = Fault::on("PUT", "/blobs/uploads/").always();
    there.fail(held.then(Action::Hold(gate.clone())));
    let shared = registries();
    let (one, two) = (
        (at(&here, REPO, "1"), at(&there, REPO, "1")),
        (at(&here, OTHER, "1"), at(&there, OTHER, "1")),
    );
    let (first, second, ()) = tokio::join!(
        copy_by(&shared, &one.0, &one.1),
        copy_by(&shared, &two.0, &two.1),
        async {
            while there.count("HEAD", "/blobs/") < 12 || there.count("PUT", "/blobs/") == 0 {
                tokio::task::yield_now().await;
            }
            gate.open();
        }
    );
    first.unwrap();
    second.unwrap();
    assert_eq!(here.count("GET", "/blobs/"), 8, "{:?}", kinds(&here));
    assert_eq!(
        there.count("PUT", "/blobs/uploads/"),
        8,
        "{:?}",
        kinds(&there)
    );
    assert_eq!(there.count("POST", "mount="), 4);
    for repository in [REPO, OTHER] {
        there.assert_whole(repository);
    }
}

#[tokio::test]
async fn p19_a_second_repository_later_in_the_run_gets_mounts_only() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &five());
    let shared = registries();
    let from = at(&here, REPO, "1");
    copy_by(&shared, &from, &at(&there, REPO, "1"))
        .await
        .unwrap();
    for server in [&here, &there] {
        server.forget();
    }
    copy_by(&shared, &from, &at(&there, OTHER, "1"))
        .await
        .unwrap();
    assert_eq!(here.count("GET", "/blobs/"), 0);
    assert_eq!(there.count("POST", "mount="), 6);
    assert_eq!(sent(&there), 0);
    there.assert_whole(OTHER);
}

#[tokio::test]
async fn r18_a_plan_that_was_carried_out_writes_nothing_again() {
    let (here, there) = (Registry::start(), Registry::start());
    let child = here.add(REPO, None, &five());
    let other = here.add(REPO, None, &changed());
    here.add_index(REPO, "1", &[("amd64", &child), ("arm64", &other)]);
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    copy_of(&from, &to).await.unwrap();
    there.forget();
    let outcome = copy_of(&from, &to).await.unwrap();
    assert_eq!(writes(&there), 0);
    assert_eq!((outcome.moved, outcome.manifests), (0, 0));
}
