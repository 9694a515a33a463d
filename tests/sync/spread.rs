//! One image to several places, and blobs that several images have.

use imgcopy::sync::report::{HostLine, Status};

use crate::kit::{REPO, kinds, writes};
use crate::night::{Night, entry, repo};
use crate::support::assert_whole;
use crate::support::registry::{Action, Fault, Form, Image, Registry};

const SIZES: [usize; 3] = [5000, 3000, 1000];

/// An index of two images: a tag of three manifests and eight blobs.
fn add_index(server: &Registry, tag: &str) -> String {
    let images = [1, 2].map(|seed| Image::new(Form::OciGzip, &SIZES, seed));
    let digests = images.each_ref().map(|image| server.add(REPO, None, image));
    server.add_index(
        REPO,
        tag,
        &[("amd64", &*digests[0]), ("arm64", &*digests[1])],
    )
}

fn to_all(here: &Registry, to: &[String]) -> Night {
    let to: Vec<String> = to.iter().map(|to| format!("\"{to}\"")).collect();
    Night::of(&format!(
        "  - {{from: \"{}\", tags: [\"1\"], to: [{}]}}\n",
        repo(here, REPO),
        to.join(", ")
    ))
}

/// Nothing left the source twice.
#[track_caller]
fn read_once(here: &Registry) {
    assert_eq!(here.count("GET", "/manifests/"), 3, "{:?}", kinds(here));
    assert_eq!(here.count("GET", "/blobs/"), 8, "{:?}", kinds(here));
}

#[test]
fn a_source_is_read_once_for_all_its_registries() {
    let [here, one, two, three] = [0; 4].map(|_| Registry::start());
    let digest = add_index(&here, "1");
    let to = [&one, &two, &three].map(|server| repo(server, "mirror/app"));
    to_all(&here, &to).runs().all(Status::New, 3);
    read_once(&here);
    for server in [&one, &two, &three] {
        assert_eq!(server.tag_of("mirror/app", "1"), Some(digest.clone()));
        server.assert_whole("mirror/app");
    }
}

#[test]
fn a_source_is_read_once_for_registries_directories_and_archives() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    add_index(&here, "1");
    let to = [
        "oci-archive:all.tar".to_string(),
        "oci:layout".to_string(),
        repo(&there, "mirror/app"),
    ];
    let night = to_all(&here, &to);
    night.runs().all(Status::New, 3);
    read_once(&here);
    there.assert_whole("mirror/app");
    assert_eq!(assert_whole(&night.at("layout")).len(), 1);
    assert!(night.at("all.tar").exists());
}

#[test]
fn a_destination_that_takes_nothing_spoils_neither_the_others_nor_the_economy() {
    for bad in [0, 1] {
        let [here, one, two] = [0; 3].map(|_| Registry::start());
        let digest = add_index(&here, "1");
        let servers = [&one, &two];
        let denied = Fault::on("POST", "/blobs/uploads/").always();
        servers[bad].fail(denied.then(Action::error(403, "DENIED", "read-only")));
        let to = servers.map(|server| repo(server, "mirror/app"));
        let morning = to_all(&here, &to).run(&[]).ended(3);
        let good = servers[1 - bad];
        assert_eq!(
            morning.row(&format!("{}:1", to[1 - bad])).status,
            Status::New
        );
        let row = morning.row(&format!("{}:1", to[bad]));
        assert_eq!(
            (row.status, row.kind.as_deref()),
            (Status::Failed, Some("denied"))
        );
        assert_eq!(good.tag_of("mirror/app", "1"), Some(digest));
        good.assert_whole("mirror/app");
        assert_eq!(servers[bad].tags("mirror/app"), [""; 0]);
        assert_eq!(servers[bad].count("PUT", ""), 0);
        if bad == 1 {
            read_once(&here);
        }
    }
}

#[test]
fn a_blob_of_the_whole_run_goes_to_a_registry_once_and_is_mounted_elsewhere() {
    let [here, there] = [0; 2].map(|_| Registry::start());
    // Two layers that all share, and one of its own each; the configs differ, too.
    let repositories = ["a/one", "a/two", "b/three"];
    let mut images = String::new();
    for (seed, repository) in repositories.iter().enumerate() {
        let own = [5000, 3000, 1000 + seed];
        here.add_image(repository, "1", &own, 1);
        images += &entry(
            &repo(&here, repository),
            "\"1\"",
            &repo(&there, "mirror/{repo}"),
            "",
        );
    }
    let morning = Night::of(&images).runs().all(Status::New, 3);
    // Each image says what was written for it alone; manifests come on top.
    let of_rows: u64 = morning.report.rows.iter().map(|row| row.bytes).sum();
    let host = |line: &&HostLine| line.host == there.host();
    let there_written = morning
        .report
        .hosts
        .iter()
        .find(host)
        .unwrap()
        .bytes_written;
    assert!(
        (11_000..=there_written).contains(&of_rows),
        "{:#?}",
        morning.report
    );
    assert_eq!(morning.report.saved.blobs, 4, "{:#?}", morning.report.saved);
    assert_eq!(
        here.count("GET", "/blobs/"),
        2 + 3 + 3,
        "{:?}",
        kinds(&here)
    );
    assert_eq!(
        there.count("PUT", "/blobs/uploads/"),
        2 + 3 + 3,
        "{:?}",
        kinds(&there)
    );
    assert_eq!(there.count("POST", "mount="), 4);
    for repository in repositories {
        there.assert_whole(&format!("mirror/{repository}"));
    }
}

#[test]
fn images_of_one_directory_share_their_layers() {
    let here = Registry::start();
    for tag in ["1", "2", "3"] {
        here.add(REPO, Some(tag), &Image::new(Form::OciGzip, &SIZES, 1));
    }
    here.add_image(REPO, "4", &[5000, 3000, 1500], 1);
    let night = Night::of(&entry(&repo(&here, REPO), "\"*\"", "oci:layout", ""));
    night.runs().all(Status::New, 4);
    assert_eq!(here.count("GET", "/blobs/"), 4 + 2, "{:?}", kinds(&here));
    assert_eq!(assert_whole(&night.at("layout")).len(), 4);
    assert_eq!(writes(&here), 0);
}
