//! What the other verbs ask for.

use crate::kit::{REPO, asked, at, kinds};
use crate::support::imgcopy;
use crate::support::registry::Registry;
use crate::{changed, five};

#[test]
fn a_digest_costs_one_question() {
    let server = Registry::start();
    let digest = server.add(REPO, Some("1"), &five());
    let told = imgcopy(["digest", &at(&server, REPO, "1")]).ok();
    assert_eq!(told.stdout.trim(), digest);
    asked(&server, &[("HEAD tag", 1)]);
}

#[test]
fn inspecting_reads_the_manifest_and_the_config() {
    let server = Registry::start();
    server.add(REPO, Some("1"), &five());
    imgcopy(["inspect", "--no-tags", &at(&server, REPO, "1")]).ok();
    asked(&server, &[("GET tag", 1), ("GET blob", 1)]);
}

#[test]
fn inspecting_an_index_reads_one_of_its_images() {
    let server = Registry::start();
    let children = [five(), changed()].map(|image| server.add(REPO, None, &image));
    server.add_index(
        REPO,
        "1",
        &[("amd64", &children[0]), ("arm64", &children[1])],
    );
    let at = at(&server, REPO, "1");
    imgcopy(["inspect", "--no-tags", "--platform", "linux/arm64", &at]).ok();
    asked(
        &server,
        &[
            ("GET tag", 1),
            ("GET manifest by digest", 1),
            ("GET blob", 1),
        ],
    );
}

#[test]
fn tags_cost_one_question() {
    let server = Registry::start();
    for tag in ["1", "2", "latest"] {
        server.add(REPO, Some(tag), &five());
    }
    let reference = format!("docker://{}/{REPO}", server.host());
    let told = imgcopy(["tags", &reference]).ok();
    assert_eq!(told.stdout, "1\n2\nlatest\n");
    asked(&server, &[("GET tags", 1)]);
}

#[test]
fn a_plan_of_an_unchanged_image_is_empty_and_costs_what_the_copy_does() {
    let (here, there) = (Registry::start(), Registry::start());
    for server in [&here, &there] {
        server.add(REPO, Some("1"), &five());
    }
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    let planned = imgcopy(["plan", &from, &to, "--format", "json"]).ok();
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(plan["isEmpty"], true, "{:?}", kinds(&here));
    asked(&here, &[("HEAD tag", 1)]);
    asked(&there, &[("HEAD tag", 1)]);
}
